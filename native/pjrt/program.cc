// Compilation by a plugin, and calls of what it compiled.
#include "pjrt/program.h"

#include <shared_mutex>
#include <vector>

#include "call/executable.h"
#include "host/registry.h"
#include "pjrt/buffer.h"
#include "python/ref.h"
#include "python/small_vector.h"
#include "python/type.h"

namespace covector::pjrt {

PyTypeObject* PjrtExecutableType = nullptr;

// --- loaded programs ------------------------------------------------------------------------

void Loaded::destroy_handle() {
  const Plugin& plugin = client()->plugin();
  Call<LoadedArgs> args;
  args.executable = handle_;
  handle_ = nullptr;
  if (Error* error = plugin.call<kLoadedExecutable_Destroy>(&args)) plugin.destroy_error(error);
}

std::shared_ptr<Loaded> Loaded::compile(const std::shared_ptr<Client>& client,
                                        const std::string& text, const std::string& options) {
  std::shared_lock calls(client->calls());
  client->check();
  Call<Program> program;
  program.code = text.data();
  program.code_size = text.size();
  program.format = "mlir";
  program.format_size = 4;
  Call<ClientCompileArgs> args;
  args.client = client->handle();
  args.program = &program;
  args.compile_options = options.data();
  args.compile_options_size = options.size();
  client->plugin().invoke<kClient_Compile>(&args);
  return std::make_shared<Loaded>(client, args.executable);
}

std::shared_ptr<Loaded> Loaded::deserialize(const std::shared_ptr<Client>& client,
                                            const std::string& bytes) {
  std::shared_lock calls(client->calls());
  client->check();
  Call<DeserializeArgs> args;
  args.client = client->handle();
  args.serialized_executable = bytes.data();
  args.serialized_executable_size = bytes.size();
  client->plugin().invoke<kExecutable_DeserializeAndLoad>(&args);
  return std::make_shared<Loaded>(client, args.loaded_executable);
}

template <class Work>
auto Loaded::with_executable(Work&& work) const {
  client()->check();
  const Plugin& plugin = client()->plugin();
  Call<LoadedExecutableArgs> args;
  args.loaded_executable = handle_;
  plugin.invoke<kLoadedExecutable_GetExecutable>(&args);
  struct Destroyed {
    const Plugin& plugin;
    ExecutableHandle* executable;
    ~Destroyed() {
      Call<ExecutableArgs> args;
      args.executable = executable;
      if (Error* error = plugin.call<kExecutable_Destroy>(&args)) plugin.destroy_error(error);
    }
  } held{plugin, args.executable};
  return work(plugin, held.executable);
}

std::string serialize_executable(const Plugin& plugin, ExecutableHandle* executable) {
  Call<SerializeArgs> args;
  args.executable = executable;
  plugin.invoke<kExecutable_Serialize>(&args);
  std::string bytes(args.serialized_bytes, args.serialized_bytes_size);
  if (args.serialized_executable_deleter)
    args.serialized_executable_deleter(args.serialized_executable);
  return bytes;
}

std::string Loaded::serialize() const { return with_executable(serialize_executable); }

std::string Loaded::optimized_program() const {
  return with_executable([](const Plugin& plugin, ExecutableHandle* executable) {
    Call<OptimizedProgram> program;
    Call<OptimizedProgramArgs> args;
    args.executable = executable;
    args.program = &program;
    plugin.invoke<kExecutable_OptimizedProgram>(&args);  // says how much memory it takes
    std::string code(program.code_size, '\0');
    program.code = code.data();
    plugin.invoke<kExecutable_OptimizedProgram>(&args);
    return code;
  });
}

Values Loaded::memory_stats() const {
  return with_executable([](const Plugin& plugin, ExecutableHandle* executable) {
    Call<CompiledStatsArgs> args;
    args.executable = executable;
    plugin.invoke<kExecutable_GetCompiledMemoryStats>(&args);
    return Values{
        {"generated_code_size_in_bytes", args.generated_code_size_in_bytes},
        {"argument_size_in_bytes", args.argument_size_in_bytes},
        {"output_size_in_bytes", args.output_size_in_bytes},
        {"alias_size_in_bytes", args.alias_size_in_bytes},
        {"temp_size_in_bytes", args.temp_size_in_bytes},
        {"peak_memory_in_bytes", args.peak_memory_in_bytes},
    };
  });
}

Values Loaded::cost_analysis() const {
  return with_executable([](const Plugin& plugin, ExecutableHandle* executable) {
    Call<ExecutableCostArgs> args;
    args.executable = executable;
    plugin.invoke<kExecutable_GetCostAnalysis>(&args);
    return read_values(args.properties, args.num_properties);
  });
}

size_t Loaded::num_outputs() const {
  return with_executable([](const Plugin& plugin, ExecutableHandle* executable) {
    Call<ExecutableCountArgs> args;
    args.executable = executable;
    plugin.invoke<kExecutable_NumOutputs>(&args);
    return args.num_outputs;
  });
}

// --- calls ----------------------------------------------------------------------------------

namespace {

class PjrtExecutable final : public Executable {
 public:
  PjrtExecutable(PyObject* name, std::string text, std::shared_ptr<Loaded> loaded, int device,
                 PyObject* callbacks)
      : Executable(name),
        program_(std::make_shared<const std::string>(std::move(text))),
        loaded_(std::move(loaded)),
        device_(device),
        callbacks_(Ref::borrow(callbacks)) {}
  ~PjrtExecutable() override {
    for (ArrayObject* c : constants_) Py_DECREF(c);
  }
  int traverse(visitproc visit, void* arg) const override {
    Py_VISIT(callbacks_.get());
    return 0;
  }

  bool describe(PyObject* in_specs, PyObject* out_specs, PyObject* constants, PyObject* placement,
                PyObject* spares);
  const std::shared_ptr<Loaded>& loaded() const { return loaded_; }

 private:
  bool run(const Argument* arguments, PyObject** results) const override;
  bool takes(const ArrayObject* array) const override {
    const Buffer* buffer = buffer_of(array);
    return buffer && buffer->client() == loaded_->client() && buffer->device() == device_ &&
           buffer->memory() < 0;
  }
  ArrayObject* bring(ArrayObject* array) const override {
    if (takes(array)) return as_array(Py_NewRef(as_object(array)));
    return put_array(loaded_->client(), device_, -1, array, placement_);
  }
  void execute(const Argument* arguments, BufferHandle** made) const;
  // Waits until the program has run; what it made is destroyed where that fails.
  void finish(Event* event, BufferHandle** made) const;

  std::shared_ptr<const std::string> program_;
  std::shared_ptr<Loaded> loaded_;
  int device_;
  std::vector<ArraySpec> outputs_;
  std::vector<ArrayObject*> constants_;  // owned; they are arguments after those of the call
  Placement placement_ = kDefaultPlacement;
  std::shared_ptr<Spares> spares_;  // null if there are none
  Ref callbacks_;
};

bool PjrtExecutable::describe(PyObject* in_specs, PyObject* out_specs, PyObject* constants,
                              PyObject* placement, PyObject* spares) {
  auto add = [](std::vector<ArraySpec>& specs) {
    return [&specs](PyObject* item) {
      specs.emplace_back();
      return parse_spec(item, true, &specs.back());
    };
  };
  if (!parse_placement(placement, &placement_) ||
      !for_each_item(in_specs, "in_specs must be a sequence", add(inputs_)) ||
      !for_each_item(out_specs, "out_specs must be a sequence", add(outputs_)))
    return false;
  num_outputs_ = outputs_.size();
  std::vector<SpareType> types;
  auto add_spare = [&](PyObject* item) {
    long k = PyLong_AsLong(item);
    if (k < 0 || size_t(k) >= outputs_.size()) return bad_executable("a spare result's index");
    const ArraySpec& spec = outputs_[size_t(k)];
    types.push_back({size_t(k), buffer_type(spec.code), spec.shape,
                     size_t(spec.size) * itemsizes[spec.code]});
    return true;
  };
  if (!for_each_item(spares, "spares must be a sequence", add_spare)) return false;
  if (!types.empty())
    spares_ = std::make_shared<Spares>(loaded_->client(), device_, std::move(types));
  return for_each_item(constants, "constants must be a sequence", [&](PyObject* item) {
    ArrayObject* array = require_array(item);
    ArrayObject* there = array && check_alive(array) ? bring(array) : nullptr;
    if (there == array && there) {
      // Deleting the caller's does no harm.
      there = array_alias(array, array->weak);
      Py_DECREF(as_object(array));
    }
    if (there) constants_.push_back(there);
    return there != nullptr;
  });
}

void PjrtExecutable::execute(const Argument* arguments, BufferHandle** made) const {
  const std::shared_ptr<Client>& client = loaded_->client();
  client->check();
  size_t n = inputs_.size(), given = n + constants_.size();
  size_t all = given + (spares_ ? spares_->types().size() : 0);
  SmallVector<BufferHandle*, 24> handles;
  SmallVector<int64_t, 24> kept;  // not to be overwritten: someone else may read them
  std::vector<std::unique_ptr<Buffer>> scalars;
  struct Pins : SmallVector<Storage*, 24> {
    ~Pins() {
      for (Storage* storage : *this) storage->drop();
    }
  } pins;
  handles.resize(all);
  for (size_t i = 0; i < n; ++i) {
    ArrayObject* a = arguments[i].array;
    if (!a) {
      const ArraySpec& spec = inputs_[i];
      scalars.push_back(put_elements(client, device_, -1, arguments[i].data, spec.code,
                                     spec.ndim(), spec.shape.data(), nullptr));
      handles[i] = scalars.back()->handle();
      continue;
    }
    const Buffer* buffer = buffer_of(a);
    handles[i] = buffer->handle();
    bool donated = !is_donated_.empty() && is_donated_[i];
    if (!donated || a->storage->refs.load(std::memory_order_acquire) != 1)
      kept.push_back(int64_t(i));
    pins.push_back(a->storage->share());
  }
  for (size_t i = 0; i < constants_.size(); ++i) {
    handles[n + i] = buffer_of(constants_[i])->handle();
    kept.push_back(int64_t(n + i));
  }
  if (spares_) spares_->take(handles.data() + given);
  Call<ExecuteOptions> options;
  options.non_donatable_input_indices = kept.data();
  options.num_non_donatable_input_indices = kept.size();
  Call<ExecuteArgs> args;
  args.executable = loaded_->handle();
  args.options = &options;
  BufferHandle* const* argument_list = handles.data();
  args.argument_lists = &argument_list;
  args.num_devices = 1;
  args.num_args = all;
  BufferHandle** output_list = made;
  args.output_lists = &output_list;
  Event* finished = nullptr;
  bool waits = PyList_GET_SIZE(callbacks_.get()) > 0;
  if (waits) args.device_complete_events = &finished;
  PyThreadState* state = PyEval_SaveThread();
  Error* error = client->plugin().call<kLoadedExecutable_Execute>(&args);
  PyEval_RestoreThread(state);
  for (size_t i = given; i < all; ++i) destroy_buffer(client->plugin(), handles[i]);
  if (error) {
    Failure failure = client->plugin().failure(error);
    throw Failure(failure.code, "while running " + *program_ + ": " + failure.what());
  }
  if (waits) finish(finished, made);
}

void PjrtExecutable::finish(Event* event, BufferHandle** made) const {
  const Plugin& plugin = loaded_->client()->plugin();
  auto destroy = [&] {
    for (size_t i = 0; i < num_outputs_; ++i) destroy_buffer(plugin, made[i]);
  };
  Error* error;
  try {
    error = plugin.await(event);
  } catch (const Interrupted&) {
    destroy();
    throw;
  }
  if (!error) return;
  destroy();
  Failure failure = plugin.failure(error);
  throw Failure(failure.code, "while running " + *program_ + ": " + failure.what());
}

bool PjrtExecutable::run(const Argument* arguments, PyObject** results) const {
  SmallVector<BufferHandle*, 16> made;
  made.resize(num_outputs_);
  std::shared_lock calls(loaded_->client()->calls());
  if (!guarded([&] { execute(arguments, made.data()); })) return false;
  bool ok = true;
  for (size_t i = 0; i < num_outputs_; ++i) {
    const ArraySpec& spec = outputs_[i];
    auto buffer = std::make_unique<Buffer>(loaded_->client(), device_, made[i], spec.ndim(),
                                           program_);
    if (spares_) buffer->spare(spares_, i);
    ArrayObject* a = wrap_buffer(std::move(buffer), spec.code, spec.weak, spec.ndim(),
                                 spec.shape.data(), placement_);
    results[i] = as_object(a);
    ok = ok && a;
  }
  if (!ok)
    for (size_t i = 0; i < num_outputs_; ++i) Py_CLEAR(results[i]);
  return ok;
}

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A program compiled by a PJRT plugin.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(executable_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(executable_traverse)},
    {0, nullptr},
};

PyType_Spec spec = {"covector._native.PjrtExecutable", sizeof(ExecutableObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

}  // namespace

PyObject* make_executable(const std::shared_ptr<Loaded>& loaded, int device, PyObject* in_specs,
                          PyObject* out_specs, PyObject* constants, PyObject* name,
                          const std::string& text, PyObject* placement, PyObject* spares,
                          PyObject* callbacks) {
  auto* body = new PjrtExecutable(name, text, loaded, device, callbacks);
  if (!body->describe(in_specs, out_specs, constants, placement, spares)) {
    delete body;
    return nullptr;
  }
  return wrap_executable(PjrtExecutableType, body);
}

namespace {

// Argument lists of several devices, and what keeps them alive during the call.
struct Arguments {
  std::vector<std::vector<BufferHandle*>> handles;
  std::vector<Storage*> pins;
  std::vector<int64_t> kept;  // not to be overwritten on any device

  ~Arguments() {
    for (Storage* storage : pins) storage->drop();
  }

  bool add(PyObject* list, const std::shared_ptr<Client>& client, int device) {
    handles.emplace_back();
    return for_each_item(list, "the arguments of a device must be a sequence", [&](PyObject* item) {
      ArrayObject* array = require_array(item);
      if (!array || !check_alive(array)) return false;
      const Buffer* buffer = buffer_of(array);
      if (!buffer || buffer->client() != client || buffer->device() != device)
        return bad_executable("an argument is not on the device that it is given for");
      handles.back().push_back(buffer->handle());
      pins.push_back(array->storage->share());
      return true;
    });
  }

  // An argument may be overwritten if it was given for good and nobody else has any part of it.
  void keep(const std::vector<int64_t>& donated) {
    size_t n = handles.empty() ? 0 : handles[0].size();
    std::vector<bool> free(n);
    for (int64_t i : donated)
      if (size_t(i) < n) free[size_t(i)] = true;
    for (size_t k = 0; k < pins.size(); ++k)
      if (pins[k]->refs.load(std::memory_order_acquire) > 2) free[k % n] = false;
    for (size_t i = 0; i < n; ++i)
      if (!free[i]) kept.push_back(int64_t(i));
  }
};

PyObject* wrap_results(const std::shared_ptr<Loaded>& loaded, const std::vector<int>& devices,
                       std::vector<std::vector<BufferHandle*>>& made,
                       const std::vector<ArraySpec>& specs, const std::vector<int>& placements,
                       const std::shared_ptr<const std::string>& program) {
  Ref all(PyList_New(Py_ssize_t(devices.size())));
  bool ok = bool(all);
  for (size_t d = 0; d < devices.size(); ++d) {
    PyObject* list = ok ? PyList_New(Py_ssize_t(specs.size())) : nullptr;
    ok = ok && list;
    if (list) PyList_SET_ITEM(all.get(), Py_ssize_t(d), list);
    for (size_t k = 0; k < specs.size(); ++k) {
      auto buffer = std::make_unique<Buffer>(loaded->client(), devices[d], made[d][k],
                                             specs[k].ndim(), program);
      if (!ok) continue;  // the buffer dies
      ArrayObject* a = wrap_buffer(std::move(buffer), specs[k].code, specs[k].weak,
                                   specs[k].ndim(), specs[k].shape.data(),
                                   Placement(placements[d]));
      ok = a != nullptr;
      if (a) PyList_SET_ITEM(list, Py_ssize_t(k), as_object(a));
    }
  }
  return ok ? all.release() : nullptr;
}

}  // namespace

PyObject* execute_on(const std::shared_ptr<Loaded>& loaded, const std::vector<int>& devices,
                     PyObject* arguments, PyObject* out_specs, const std::vector<int>& placements,
                     const std::vector<int64_t>& donated, const std::string& text) {
  const std::shared_ptr<Client>& client = loaded->client();
  std::shared_lock calls(client->calls());
  Arguments given;
  size_t at = 0;
  auto add = [&](PyObject* list) {
    if (at >= devices.size()) return bad_executable("more lists of arguments than devices");
    return given.add(list, client, devices[at++]);
  };
  std::vector<ArraySpec> specs;
  auto add_spec = [&](PyObject* item) {
    specs.emplace_back();
    return parse_spec(item, true, &specs.back());
  };
  if (!for_each_item(arguments, "arguments must be a sequence", add) ||
      !for_each_item(out_specs, "out_specs must be a sequence", add_spec))
    return nullptr;
  bool uneven = at != devices.size() || placements.size() != devices.size();
  for (const auto& list : given.handles) uneven |= list.size() != given.handles[0].size();
  if (uneven) {
    bad_executable("each device has one list of arguments, of one length, and one placement");
    return nullptr;
  }
  given.keep(donated);
  std::vector<std::vector<BufferHandle*>> made(devices.size());
  auto program = std::make_shared<const std::string>(text);
  bool ok = guarded([&] {
    client->check();
    std::vector<BufferHandle* const*> lists;
    std::vector<BufferHandle**> outs;
    for (size_t d = 0; d < devices.size(); ++d) {
      lists.push_back(given.handles[d].data());
      made[d].resize(specs.size());
      outs.push_back(made[d].data());
    }
    Call<ExecuteOptions> options;
    options.non_donatable_input_indices = given.kept.data();
    options.num_non_donatable_input_indices = given.kept.size();
    Call<ExecuteArgs> args;
    args.executable = loaded->handle();
    args.options = &options;
    args.argument_lists = lists.data();
    args.num_devices = devices.size();
    args.num_args = given.handles.empty() ? 0 : given.handles[0].size();
    args.output_lists = outs.data();
    PyThreadState* state = PyEval_SaveThread();
    Error* error = client->plugin().call<kLoadedExecutable_Execute>(&args);
    PyEval_RestoreThread(state);
    if (error) {
      Failure failure = client->plugin().failure(error);
      throw Failure(failure.code, "while running " + *program + ": " + failure.what());
    }
  });
  if (!ok) return nullptr;
  return wrap_results(loaded, devices, made, specs, placements, program);
}

bool init_pjrt_executable(PyObject* module) {
  return add_type(module, "PjrtExecutable", &spec, &PjrtExecutableType, ExecutableType);
}

}  // namespace covector::pjrt
