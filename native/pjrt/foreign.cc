// The handler that runs Python functions, and the registration of handlers with plugins.
#include "pjrt/foreign.h"

#include <cstring>
#include <map>
#include <mutex>

#include "cpu/runtime.h"
#include "python/ref.h"
#include "python/small_vector.h"

namespace covector::pjrt {
namespace {

// --- exceptions of callbacks ----------------------------------------------------------------

// They wait here, under numbers that the plugin's message has, until someone asks for the result.
// Nobody may: only so many are kept.
constexpr size_t kKept = 64;
const std::string kMark = " [exception ";

// The GIL protects them.
std::map<uint64_t, PyObject*>& exceptions() {
  static auto* kept = new std::map<uint64_t, PyObject*>;
  return *kept;
}
uint64_t next_exception = 1;

// The exception that is set, as text and kept.
std::string keep_exception() {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback) PyException_SetTraceback(value, traceback);
  Ref owned_type(type), owned_traceback(traceback), text(PyObject_Str(value));
  const char* written = text ? PyUnicode_AsUTF8(text.get()) : nullptr;
  if (!written) PyErr_Clear();
  std::string message = "a callback raised " + std::string(_PyType_Name(Py_TYPE(value))) + ": " +
                        (written ? written : "") + kMark + std::to_string(next_exception) + "]";
  exceptions()[next_exception++] = value;
  if (exceptions().size() > kKept) {
    PyObject* oldest = exceptions().begin()->second;
    exceptions().erase(exceptions().begin());
    Py_DECREF(oldest);
  }
  return message;
}

// --- the handler ----------------------------------------------------------------------------

covector_ffi_error* fail(const covector_ffi_frame* frame, const std::string& message) {
  covector_ffi_error_create args{};
  args.size = COVECTOR_FFI_SIZE(covector_ffi_error_create, code);
  args.message = message.c_str();
  args.code = COVECTOR_FFI_INTERNAL;
  return frame->api->error_create(&args);
}

// Where the plugin that asks for the handler's metadata is to leave its table.
thread_local const covector_ffi_api** asking = nullptr;

covector_ffi_error* run_python(covector_ffi_frame* frame) {
  if (frame->extensions && frame->extensions->type == COVECTOR_FFI_METADATA) {
    if (asking) *asking = frame->api;
    auto* metadata =
        reinterpret_cast<covector_ffi_metadata_extension*>(frame->extensions)->metadata;
    metadata->version = frame->api->version;
    metadata->version.extensions = nullptr;
    metadata->traits = 0;
    return nullptr;
  }
  auto data = [](void* item) { return static_cast<covector_ffi_buffer*>(item)->data; };
  int64_t ordered = frame->attributes.count;
  SmallVector<void*, 8> ins, outs;
  for (int64_t k = 1 + ordered; k < frame->args.count; ++k)
    ins.push_back(data(frame->args.items[k]));
  for (int64_t k = ordered; k < frame->results.count; ++k)
    outs.push_back(data(frame->results.items[k]));
  if (ordered) std::memset(data(frame->results.items[0]), 0, sizeof(int32_t));
  int64_t id;
  std::memcpy(&id, data(frame->args.items[0]), sizeof id);
  GilGuard gil;
  auto run = reinterpret_cast<CallbackFn>(runtime_table[kSlotCallback]);
  // This thread may be in the middle of a call that has an exception set.
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  int32_t status =
      run(id, int64_t(ins.size()), ins.data(), int64_t(outs.size()), outs.data());
  covector_ffi_error* error = status == kOk ? nullptr : fail(frame, keep_exception());
  PyErr_Restore(type, value, traceback);
  return error;
}

// --- registration ---------------------------------------------------------------------------

std::mutex mutex;
std::map<const Plugin*, const covector_ffi_api*>& tables() {
  static auto* all = new std::map<const Plugin*, const covector_ffi_api*>;
  return *all;
}

const FfiExtension& extension_of(const Plugin& plugin) {
  const Extension* found = plugin.extension(kExtensionFfi);
  auto* ffi = static_cast<const FfiExtension*>(found);
  if (!found || found->size < offsetof(FfiExtension, register_handler) + sizeof(void*) ||
      !ffi->register_handler)
    throw Failure(kUnimplemented, plugin.path() + ": the plugin calls no native functions");
  return *ffi;
}

template <class Args>
Error* register_python(const Plugin& plugin, const std::string& platform) {
  Args args{};
  args.size = offsetof(Args, traits) + sizeof args.traits;
  args.name = kCallbackTarget;
  args.name_size = std::strlen(kCallbackTarget);
  if constexpr (std::is_same_v<Args, OldRegisterHandlerArgs>) args.api_version = 1;
  args.handler = reinterpret_cast<void*>(run_python);
  args.platform = platform.data();
  args.platform_size = platform.size();
  return extension_of(plugin).register_handler(&args);
}

const covector_ffi_api* table_of(const Plugin& plugin) {
  std::lock_guard lock(mutex);
  return tables().at(&plugin);
}

void check(const covector_ffi_api* api, covector_ffi_error* error) {
  if (!error) return;
  covector_ffi_error_get_message text{};
  text.size = COVECTOR_FFI_SIZE(covector_ffi_error_get_message, message);
  text.error = error;
  api->error_get_message(&text);
  std::string message = text.message ? text.message : "";
  covector_ffi_error_destroy gone{};
  gone.size = COVECTOR_FFI_SIZE(covector_ffi_error_destroy, error);
  gone.error = error;
  api->error_destroy(&gone);
  throw Failure(kInvalidArgument, message);
}

covector_ffi_text text_of(const std::string& s) { return {s.data(), s.size()}; }

}  // namespace

std::pair<int, int> start_ffi(const Plugin& plugin, const std::string& platform) {
  std::lock_guard lock(mutex);
  const covector_ffi_api*& api = tables()[&plugin];
  if (!api) {
    asking = &api;
    Error* error = register_python<RegisterHandlerArgs>(plugin, platform);
    if (error) {
      plugin.destroy_error(error);
      error = register_python<OldRegisterHandlerArgs>(plugin, platform);
    }
    asking = nullptr;
    if (error) plugin.fail(error);
    if (!api || api->size < COVECTOR_FFI_SIZE(covector_ffi_api, type_register)) {
      api = nullptr;
      throw Failure(kUnimplemented, plugin.path() + ": the plugin does not say which version of "
                                                    "XLA's FFI interface it has");
    }
  }
  return {api->version.major_version, api->version.minor_version};
}

void register_handlers(const Plugin& plugin, const std::string& name, const std::string& platform,
                       const covector_ffi_bundle& handlers, uint32_t traits) {
  covector_ffi_handler_register args{};
  args.size = COVECTOR_FFI_SIZE(covector_ffi_handler_register, traits);
  args.name = text_of(name);
  args.platform = text_of(platform);
  args.bundle = handlers;
  args.traits = traits;
  const covector_ffi_api* api = table_of(plugin);
  check(api, api->handler_register(&args));
}

void register_handler_type(const Plugin& plugin, const std::string& name,
                           covector_ffi_type_id* type, const covector_ffi_type_info* info) {
  covector_ffi_type_register args{};
  args.size = COVECTOR_FFI_SIZE(covector_ffi_type_register, info);
  args.name = text_of(name);
  args.type = type;
  covector_ffi_type_info none{};
  none.size = COVECTOR_FFI_SIZE(covector_ffi_type_info, deleter);
  args.info = info ? info : &none;
  const covector_ffi_api* api = table_of(plugin);
  check(api, api->type_register(&args));
}

bool raise_callback_exception(const std::string& message) {
  size_t at = message.rfind(kMark);
  if (at == std::string::npos) return false;
  auto found = exceptions().find(std::strtoull(message.c_str() + at + kMark.size(), nullptr, 10));
  if (found == exceptions().end()) return false;
  Ref exception(found->second);
  exceptions().erase(found);
  Ref noted(PyObject_CallMethod(exception.get(), "add_note", "s",
                                message.substr(0, message.find(": ")).c_str()));
  if (!noted) PyErr_Clear();
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.get())), exception.get());
  return true;
}

}  // namespace covector::pjrt
