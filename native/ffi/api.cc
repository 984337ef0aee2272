// The table of functions that native functions call: errors, states, memory, threads and futures.
#include "ffi/api.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>

#include "core/thread_pool.h"
#include "ffi/tasks.h"

struct covector_ffi_future {
  std::mutex mutex;
  std::condition_variable completed;
  bool done = false;
  covector_ffi_error* error = nullptr;
  std::atomic<int> holders{2};  // who completes it and who waits: the last one destroys it

  void leave() {
    if (holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
};

namespace covector::ffi {
namespace {

covector_ffi_error* fail(covector_ffi_code code, const std::string& message) {
  return new covector_ffi_error{code, message};
}

// --- errors ---------------------------------------------------------------------------------

covector_ffi_error* error_create(covector_ffi_error_create* args) {
  return fail(args->code, args->message ? args->message : "");
}

void error_get_message(covector_ffi_error_get_message* args) {
  args->message = args->error->message.c_str();
}

void error_destroy(covector_ffi_error_destroy* args) { delete args->error; }

// --- types and states -----------------------------------------------------------------------

struct Type {
  int64_t id;
  void (*deleter)(void*);
};

std::mutex types_mutex;
std::map<std::string, Type>& types() {
  static auto* all = new std::map<std::string, Type>;
  return *all;
}
// Far from the numbers that XLA gives: one variable of a library may be registered with both.
int64_t next_type = int64_t(1) << 40;

void (*deleter_of(int64_t id))(void*) {
  std::lock_guard lock(types_mutex);
  for (auto& [name, type] : types())
    if (type.id == id) return type.deleter;
  return nullptr;
}

covector_ffi_error* type_register(covector_ffi_type_register* args) {
  return register_type(std::string(args->name.data, args->name.size), args->type, args->info);
}

covector_ffi_error* check_states(const covector_ffi_context* context) {
  // The arguments of these two functions were others before.
  if (context->handler_minor >= 3) return nullptr;
  return fail(COVECTOR_FFI_UNIMPLEMENTED,
              "states are to be had by functions built for version 0.3 of the interface or later, "
              "this one was built for 0." + std::to_string(context->handler_minor));
}

State* state_of(const covector_ffi_state* args) {
  if (args->stage < COVECTOR_FFI_INSTANTIATE || args->stage >= COVECTOR_FFI_EXECUTE) return nullptr;
  return args->context->states[args->stage];
}

covector_ffi_error* state_set(covector_ffi_state* args) {
  if (covector_ffi_error* error = check_states(args->context)) return error;
  State* state = state_of(args);
  if (!state) return fail(COVECTOR_FFI_INVALID_ARGUMENT, "this stage has no state to set");
  if (state->object) return fail(COVECTOR_FFI_FAILED_PRECONDITION, "the state is set already");
  if (!deleter_of(args->type->id))
    return fail(COVECTOR_FFI_NOT_FOUND,
                "the type of the state is not registered, or without a deleter: use "
                "covector.ffi.register_ffi_type");
  state->type = args->type->id;
  state->object = args->state;
  return nullptr;
}

covector_ffi_error* state_get(covector_ffi_state* args) {
  if (covector_ffi_error* error = check_states(args->context)) return error;
  State* state = state_of(args);
  if (!state || !state->object) return fail(COVECTOR_FFI_NOT_FOUND, "the state is not set");
  if (state->type != args->type->id)
    return fail(COVECTOR_FFI_INVALID_ARGUMENT, "the state is of another type");
  args->state = state->object;
  return nullptr;
}

// --- memory, threads, futures ---------------------------------------------------------------

covector_ffi_error* memory_allocate(covector_ffi_memory_allocate* args) {
  size_t alignment = args->alignment > 64 ? args->alignment : 64;
  if (alignment & (alignment - 1))
    return fail(COVECTOR_FFI_INVALID_ARGUMENT, "an alignment must be a power of two");
  size_t rounded = (args->bytes + alignment - 1) / alignment * alignment;
  args->data = rounded < args->bytes ? nullptr
                                     : std::aligned_alloc(alignment, rounded ? rounded : alignment);
  if (args->data) return nullptr;
  return fail(COVECTOR_FFI_RESOURCE_EXHAUSTED,
              "there are no " + std::to_string(args->bytes) + " bytes of memory");
}

covector_ffi_error* memory_free(covector_ffi_memory_free* args) {
  std::free(args->data);
  return nullptr;
}

covector_ffi_error* threads_schedule(covector_ffi_threads_schedule* args) {
  schedule(args->task, args->data);
  return nullptr;
}

covector_ffi_error* threads_count(covector_ffi_threads_count* args) {
  *args->count = num_threads();
  return nullptr;
}

covector_ffi_error* future_create(covector_ffi_future_create* args) {
  args->future = new covector_ffi_future;
  return nullptr;
}

void complete(covector_ffi_future* future, covector_ffi_error* error) {
  {
    std::lock_guard lock(future->mutex);
    future->error = error;
    future->done = true;
    future->completed.notify_all();
  }
  future->leave();
}

covector_ffi_error* future_set_available(covector_ffi_future_set_available* args) {
  complete(args->future, nullptr);
  return nullptr;
}

covector_ffi_error* future_set_error(covector_ffi_future_set_error* args) {
  complete(args->future, args->error);
  return nullptr;
}

// --- what the host has not ------------------------------------------------------------------

covector_ffi_error* handler_register(covector_ffi_handler_register*) {
  return fail(COVECTOR_FFI_UNIMPLEMENTED,
              "register handlers from Python, with covector.ffi.register_ffi_target");
}

covector_ffi_error* stream_get(covector_ffi_stream_get*) {
  return fail(COVECTOR_FFI_UNIMPLEMENTED, "the CPU has no streams");
}

covector_ffi_error* context_get(covector_ffi_context_get*) {
  return fail(COVECTOR_FFI_NOT_FOUND, "programs have no data of users in their context");
}

std::atomic<int64_t> next_run{1};

covector_ffi_error* run_id_get(covector_ffi_run_id_get* args) {
  covector_ffi_context* context = args->context;
  if (!context->runs) return fail(COVECTOR_FFI_FAILED_PRECONDITION, "no program is running");
  if (!context->run_id) context->run_id = next_run.fetch_add(1, std::memory_order_relaxed);
  args->run_id = context->run_id;
  return nullptr;
}

covector_ffi_error* device_get(covector_ffi_device_get* args) {
  args->device = 0;
  return nullptr;
}

constexpr covector_ffi_api table{
    COVECTOR_FFI_SIZE(covector_ffi_api, device_get),
    nullptr,
    {COVECTOR_FFI_SIZE(covector_ffi_version, minor_version), nullptr, COVECTOR_FFI_MAJOR,
     COVECTOR_FFI_MINOR},
    nullptr,
    error_create,
    error_get_message,
    error_destroy,
    handler_register,
    stream_get,
    type_register,
    context_get,
    state_set,
    state_get,
    memory_allocate,
    memory_free,
    threads_schedule,
    threads_count,
    future_create,
    future_set_available,
    future_set_error,
    run_id_get,
    device_get,
};

}  // namespace

const covector_ffi_api* host_api() { return &table; }

State::~State() {
  if (!object) return;
  if (auto* deleter = deleter_of(type)) deleter(object);
}

covector_ffi_error* await_future(covector_ffi_future* future) {
  covector_ffi_error* error;
  {
    std::unique_lock lock(future->mutex);
    future->completed.wait(lock, [&] { return future->done; });
    error = future->error;
  }
  future->leave();
  return error;
}

covector_ffi_error* register_type(const std::string& name, covector_ffi_type_id* type,
                                  const covector_ffi_type_info* info) {
  std::lock_guard lock(types_mutex);
  bool complete = info && info->size >= COVECTOR_FFI_SIZE(covector_ffi_type_info, deleter);
  Type given{type->id, complete ? info->deleter : nullptr};
  auto found = types().find(name);
  if (found == types().end()) {
    if (!given.id) given.id = next_type++;
    for (auto& [other, known] : types())
      if (known.id == given.id)
        return fail(COVECTOR_FFI_ALREADY_EXISTS,
                    "the type " + name + " has the number of the type " + other);
    type->id = given.id;
    types()[name] = given;
    return nullptr;
  }
  Type& known = found->second;
  if (given.id && given.id != known.id)
    return fail(COVECTOR_FFI_ALREADY_EXISTS, "there is another type " + name + " already");
  if (given.deleter && known.deleter && given.deleter != known.deleter)
    return fail(COVECTOR_FFI_ALREADY_EXISTS, "the type " + name + " has another deleter already");
  if (given.deleter) known.deleter = given.deleter;
  type->id = known.id;
  return nullptr;
}

}  // namespace covector::ffi
