// The frame that a native function is called with, its stages, and what it reports.
#include "ffi/call.h"

#include <Python.h>

#include <algorithm>
#include <cstring>
#include <exception>

#include "cpu/executable.h"
#include "cpu/runtime.h"
#include "python/ref.h"
#include "python/small_vector.h"
#include "python/trace_state.h"

namespace covector::ffi {
namespace {

template <class T>
T sized(size_t size) {
  T made{};
  made.size = size;
  return made;
}

// Throws what a handler reported.
void check(covector_ffi_error* error) {
  if (!error) return;
  Failure failure(error->code, error->message);
  delete error;
  throw failure;
}

void call_stage(covector_ffi_handler* handler, covector_ffi_stage stage,
                covector_ffi_frame& frame) {
  frame.stage = stage;
  frame.future = nullptr;
  covector_ffi_error* error;
  try {
    error = handler(&frame);
  } catch (const std::exception& e) {
    throw Failure(COVECTOR_FFI_INTERNAL, e.what());
  } catch (...) {
    throw Failure(COVECTOR_FFI_INTERNAL, "it threw something that is no std::exception");
  }
  if (frame.future) {
    covector_ffi_error* late = await_future(frame.future);
    if (error)
      delete late;
    else
      error = late;
  }
  check(error);
}

void raise(const std::string& name, covector_ffi_code code, const char* message) {
  GilGuard gil;
  if (PyErr_Occurred()) return;
  PyObject* type = code == COVECTOR_FFI_RESOURCE_EXHAUSTED ? PyExc_MemoryError : PyExc_RuntimeError;
  PyErr_Format(type, "the native function %s failed: %s", name.c_str(),
               *message ? message : "it says no more");
}

}  // namespace

covector_ffi_metadata describe(covector_ffi_handler* handler, int minor) {
  covector_ffi_api asking = *host_api();
  asking.version.minor_version = minor;
  auto metadata =
      sized<covector_ffi_metadata>(COVECTOR_FFI_SIZE(covector_ffi_metadata, traits));
  metadata.version = host_api()->version;
  metadata.version.major_version = metadata.version.minor_version = -1;  // for no answer
  covector_ffi_metadata_extension extension{};
  extension.base.size = COVECTOR_FFI_SIZE(covector_ffi_metadata_extension, metadata);
  extension.base.type = COVECTOR_FFI_METADATA;
  extension.metadata = &metadata;
  auto frame = sized<covector_ffi_frame>(COVECTOR_FFI_FRAME_SIZE);
  frame.extensions = &extension.base;
  frame.api = &asking;
  frame.args.size = COVECTOR_FFI_SIZE(covector_ffi_buffers, items);
  frame.results.size = frame.args.size;
  frame.attributes.size = COVECTOR_FFI_SIZE(covector_ffi_attributes, items);
  call_stage(handler, COVECTOR_FFI_EXECUTE, frame);
  return metadata;
}

// --- attributes -----------------------------------------------------------------------------

void* Attributes::text(const std::string& value) {
  const std::string& kept = strings_.emplace_back(value);
  return &texts_.emplace_back(covector_ffi_text{kept.data(), kept.size()});
}

void Attributes::add(const std::string& name, covector_ffi_kind kind, void* item) {
  entries_.push_back({static_cast<covector_ffi_text*>(text(name)), kind, item});
}

void* Attributes::scalar(covector_ffi_dtype dtype, const std::string& bytes) {
  auto* array = static_cast<covector_ffi_array*>(this->array(dtype, 1, bytes));
  return &scalars_.emplace_back(covector_ffi_scalar{dtype, array->data});
}

void* Attributes::array(covector_ffi_dtype dtype, size_t count, const std::string& bytes) {
  auto& kept = memory_.emplace_back(bytes.size() / 8 + 2);  // 16 bytes at least
  std::memcpy(kept.data(), bytes.data(), bytes.size());
  return &arrays_.emplace_back(covector_ffi_array{dtype, count, kept.data()});
}

covector_ffi_attributes* Attributes::view() {
  auto text_of = [](const Entry& e) { return std::string_view(e.name->data, e.name->size); };
  std::sort(entries_.begin(), entries_.end(),
            [&](const Entry& a, const Entry& b) { return text_of(a) < text_of(b); });
  for (const Entry& e : entries_) {
    names_.push_back(e.name);
    kinds_.push_back(e.kind);
    items_.push_back(e.item);
  }
  view_.size = COVECTOR_FFI_SIZE(covector_ffi_attributes, items);
  view_.count = int64_t(entries_.size());
  view_.names = names_.data();
  view_.kinds = kinds_.data();
  view_.items = items_.data();
  return &view_;
}

// --- calls ----------------------------------------------------------------------------------

Call::Call(Handlers handlers, const std::vector<ArrayType>& args,
           const std::vector<ArrayType>& results, std::deque<Attributes> attributes,
           std::vector<Level> levels, std::vector<Alias> aliases)
    : handlers_(std::move(handlers)),
      num_args_(args.size()),
      num_results_(results.size()),
      kinds_(std::max(args.size(), results.size()), COVECTOR_FFI_BUFFER),
      attributes_(std::move(attributes)),
      levels_(std::move(levels)),
      aliases_(std::move(aliases)) {
  for (const auto* types : {&args, &results})
    for (const ArrayType& type : *types) {
      auto buffer = sized<covector_ffi_buffer>(COVECTOR_FFI_SIZE(covector_ffi_buffer, dims));
      buffer.dtype = type.dtype;
      buffer.rank = int64_t(type.dims.size());
      buffer.dims = dims_.emplace_back(type.dims).data();
      buffers_.push_back(buffer);
    }
  frame_.size = COVECTOR_FFI_FRAME_SIZE;
  frame_.api = host_api();
  frame_.args.size = COVECTOR_FFI_SIZE(covector_ffi_buffers, items);
  frame_.args.kinds = kinds_.data();
  frame_.results = frame_.args;
  frame_.attributes = *attributes_.front().view();
  if (!handlers_.bundle.instantiate) return;
  covector_ffi_context context{{&instantiated_}, handlers_.minor, false};
  covector_ffi_frame frame = frame_;
  frame.context = &context;
  call_stage(handlers_.bundle.instantiate, COVECTOR_FFI_INSTANTIATE, frame);
}

// What belongs to one thread's run.
struct Call::Run {
  Run(const Call& call, void** ins, void** outs) : call(call), frame(call.frame_) {
    size_t n = call.buffers_.size();
    buffers.resize(n);
    items.resize(n);
    std::memcpy(buffers.data(), call.buffers_.data(), n * sizeof(covector_ffi_buffer));
    for (size_t k = 0; k < n; ++k) {
      buffers[k].data = k < call.num_args_ ? ins[k] : outs[k - call.num_args_];
      items[k] = &buffers[k];
    }
    for (const Alias& a : call.aliases_) {
      std::memcpy(outs[a.result], ins[a.arg], size_t(a.nbytes));
      buffers[a.arg].data = outs[a.result];
    }
    frame.args.count = int64_t(call.num_args_);
    frame.args.items = items.data();
    frame.results.count = int64_t(call.num_results_);
    frame.results.items = items.data() + call.num_args_;
  }

  void level(size_t l) {
    if (l == call.levels_.size()) return element();
    const Level& level = call.levels_[l];
    for (int64_t i = 0; i < level.size; ++i) {
      this->level(l + 1);
      move(level.strides, 1);
    }
    move(level.strides, -level.size);
  }

  void move(const std::vector<int64_t>& strides, int64_t steps) {
    for (size_t k = 0; k < buffers.size(); ++k)
      buffers[k].data = static_cast<char*>(buffers[k].data) + strides[k] * steps;
  }

  void element() {
    const Handlers& handlers = call.handlers_;
    State prepared, initialized;
    covector_ffi_context context{
        {const_cast<State*>(&call.instantiated_), &prepared, &initialized}, handlers.minor, true};
    frame.context = &context;
    if (handlers.bundle.prepare)
      call_stage(handlers.bundle.prepare, COVECTOR_FFI_PREPARE, frame);
    if (handlers.bundle.initialize)
      call_stage(handlers.bundle.initialize, COVECTOR_FFI_INITIALIZE, frame);
    call_stage(handlers.bundle.execute, COVECTOR_FFI_EXECUTE, frame);
  }

  const Call& call;
  covector_ffi_frame frame;
  SmallVector<covector_ffi_buffer, 8> buffers;
  SmallVector<void*, 8> items;
};

int32_t Call::run(void** ins, void** outs) const {
  // It may take long, or wait for a thread of Python's: the program goes on without the GIL.
  if (thread_state.running) thread_state.running->release_gil();
  try {
    Run(*this, ins, outs).level(0);
    return kOk;
  } catch (const Failure& failure) {
    raise(handlers_.name, failure.code, failure.what());
  } catch (const std::bad_alloc&) {
    return kOutOfMemory;
  }
  return kPythonError;
}

}  // namespace covector::ffi
