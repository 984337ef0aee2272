// Loading of plugins, and what they report.
#include "pjrt/plugin.h"

#include <Python.h>
#include <dlfcn.h>
#include <sched.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

namespace covector::pjrt {
namespace {

// The versions that our declarations were read from, and what they are known to hold for: the major
// version changes when members move, and the first minor one has all functions that we call.
constexpr int kMajor = 0;
constexpr int kOldestMinor = 54;

const char* kFunctionNames[] = {
#define X(name, args) "PJRT_" #name,
    COVECTOR_PJRT_FUNCTIONS(X)
#undef X
};

std::mutex mutex;
std::map<std::string, std::shared_ptr<Plugin>>& loaded() {
  static auto* plugins = new std::map<std::string, std::shared_ptr<Plugin>>;
  return *plugins;
}

[[noreturn]] void unfit(const std::string& path, const std::string& what) {
  throw Failure(kFailedPrecondition, path + ": " + what);
}

void check_version(const std::string& path, const Api* api) {
  if (!api) unfit(path, "GetPjrtApi returned nothing: it is no PJRT plugin");
  // The version stands at the same place in all versions.
  if (api->size < offsetof(Api, functions))
    unfit(path, "its table of functions has " + std::to_string(api->size) +
                    " bytes, too few to say which version it is of");
  const Version& v = api->version;
  std::string version = std::to_string(v.major) + "." + std::to_string(v.minor);
  if (v.major != kMajor || v.minor < kOldestMinor)
    unfit(path, "it is of version " + version + " of the PJRT interface, and this version of " +
                    "Covector works with " + std::to_string(kMajor) + "." +
                    std::to_string(kOldestMinor) + " and later ones of the same first number. " +
                    "Install a release of the plugin that fits");
  for (Function f : {kError_Destroy, kError_Message, kError_GetCode, kPlugin_Initialize,
                     kEvent_Destroy, kEvent_IsReady, kEvent_Error, kEvent_OnReady, kClient_Create,
                     kClient_Destroy, kBuffer_Destroy, kLoadedExecutable_Destroy, kClient_Compile, kClient_BufferFromHostBuffer,
                     kLoadedExecutable_Execute, kBuffer_ToHostBuffer, kBuffer_ReadyEvent})
    if (api->size < offsetof(Api, functions) + (size_t(f) + 1) * sizeof(void*) ||
        !api->functions[f])
      unfit(path, std::string("it lacks ") + kFunctionNames[f] +
                      ", which every plugin of version " + version + " has");
}

}  // namespace

std::shared_ptr<Plugin> Plugin::load(const std::string& path) {
  std::lock_guard lock(mutex);
  auto found = loaded().find(path);
  if (found != loaded().end()) return found->second;
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    unfit(path, std::string("the library does not load: ") + (why ? why : "no reason is given"));
  }
  auto get = reinterpret_cast<const Api* (*)()>(dlsym(library, "GetPjrtApi"));
  if (!get) {
    dlclose(library);
    unfit(path, "the library has no function GetPjrtApi: it is no PJRT plugin");
  }
  const Api* api = get();
  check_version(path, api);
  std::shared_ptr<Plugin> plugin(new Plugin(path, api));
  plugin->initialize();
  loaded().emplace(path, plugin);
  return plugin;
}

void Plugin::initialize() {
  Call<PluginInitializeArgs> args;
  invoke<kPlugin_Initialize>(&args);
}

Values Plugin::attributes() const {
  if (!has(kPlugin_Attributes)) return {};
  Call<PluginAttributesArgs> args;
  invoke<kPlugin_Attributes>(&args);
  return read_values(args.attributes, args.num_attributes);
}

const Extension* Plugin::extension(int type) const {
  for (const Extension* e = api_->extensions; e; e = e->next) {
    if (e->size < sizeof(Extension)) return nullptr;
    if (e->type == type) return e;
  }
  return nullptr;
}

void Plugin::missing(Function f) const {
  throw Failure(kUnimplemented, path_ + ": the plugin has no function " + kFunctionNames[f]);
}

Failure Plugin::failure(Error* error) const {
  Call<ErrorMessageArgs> text;
  text.error = error;
  reinterpret_cast<void (*)(ErrorMessageArgs*)>(function(kError_Message))(&text);
  std::string message(text.message ? text.message : "", text.message ? text.message_size : 0);
  Call<ErrorCodeArgs> code;
  code.error = error;
  code.code = 2;
  if (Error* another = call<kError_GetCode>(&code)) destroy_error(another);
  destroy_error(error);
  return {code.code, message};
}

void Plugin::destroy_error(Error* error) const {
  Call<ErrorArgs> args;
  args.error = error;
  reinterpret_cast<void (*)(ErrorArgs*)>(function(kError_Destroy))(&args);
}

void Plugin::fail(Error* error) const { throw failure(error); }

namespace {

// What a waiting thread shares with the plugin's, which may come to it later than the wait ends.
struct Wait {
  const Plugin* plugin;
  std::mutex mutex;
  std::condition_variable ready;
  bool done = false;
  Error* error = nullptr;
  ~Wait() {
    if (error) plugin->destroy_error(error);
  }
};

void finish_wait(Error* error, void* context) {
  std::unique_ptr<std::shared_ptr<Wait>> wait(static_cast<std::shared_ptr<Wait>*>(context));
  {
    std::lock_guard lock((*wait)->mutex);
    (*wait)->done = true;
    (*wait)->error = error;
  }
  (*wait)->ready.notify_one();
}

}  // namespace

// Most waits are short: whether the event comes within a moment, in which no thread sleeps.
bool Plugin::comes_soon(Event* event) const {
  Call<EventReadyArgs> args;
  args.event = event;
  auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(60);
  do {
    if (Error* error = call<kEvent_IsReady>(&args)) {
      destroy_error(error);
      return false;
    }
    if (args.is_ready) return true;
    sched_yield();
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

Error* Plugin::await(Event* event) const {
  PyThreadState* state = PyEval_SaveThread();
  bool soon = comes_soon(event);
  PyEval_RestoreThread(state);
  if (soon) {
    Call<EventArgs> args;
    args.event = event;
    Error* error = call<kEvent_Error>(&args);
    destroy_event(event);
    return error;
  }
  return await_asleep(event);
}

Error* Plugin::await_asleep(Event* event) const {
  auto wait = std::make_shared<Wait>();
  wait->plugin = this;
  Call<EventOnReadyArgs> args;
  args.event = event;
  args.callback = finish_wait;
  args.user_arg = new std::shared_ptr<Wait>(wait);
  Error* error = call<kEvent_OnReady>(&args);
  destroy_event(event);
  if (error) {
    delete static_cast<std::shared_ptr<Wait>*>(args.user_arg);
    return error;
  }
  bool done = false;
  while (!done) {
    PyThreadState* state = PyEval_SaveThread();
    {
      std::unique_lock lock(wait->mutex);
      done = wait->ready.wait_for(lock, std::chrono::milliseconds(50), [&] { return wait->done; });
    }
    PyEval_RestoreThread(state);
    if (!done && PyErr_CheckSignals() < 0) throw Interrupted();
  }
  return std::exchange(wait->error, nullptr);
}

void Plugin::destroy_event(Event* event) const {
  Call<EventArgs> args;
  args.event = event;
  if (Error* another = call<kEvent_Destroy>(&args)) destroy_error(another);
}

Values read_values(const NamedValue* values, size_t n) {
  Values out;
  // Later versions of the structure are longer.
  size_t stride = n ? values->size : 0;
  if (n && stride < sizeof(NamedValue)) stride = sizeof(NamedValue);
  for (size_t i = 0; i < n; ++i) {
    const auto& v =
        *reinterpret_cast<const NamedValue*>(reinterpret_cast<const char*>(values) + i * stride);
    std::string name(v.name, v.name_size);
    switch (v.type) {
      case NamedValue::kString: out.emplace_back(name, std::string(v.string, v.value_size)); break;
      case NamedValue::kInt64: out.emplace_back(name, v.integer); break;
      case NamedValue::kInt64List:
        out.emplace_back(name, std::vector<int64_t>(v.integers, v.integers + v.value_size));
        break;
      case NamedValue::kFloat: out.emplace_back(name, double(v.number)); break;
      case NamedValue::kBool: out.emplace_back(name, v.truth); break;
    }
  }
  return out;
}

std::vector<NamedValue> as_named(const Values& values) {
  std::vector<NamedValue> out;
  for (const auto& [name, value] : values) {
    NamedValue v{};
    v.size = sizeof(NamedValue);
    v.name = name.data();
    v.name_size = name.size();
    v.value_size = 1;
    if (auto* s = std::get_if<std::string>(&value)) {
      v.type = NamedValue::kString;
      v.string = s->data();
      v.value_size = s->size();
    } else if (auto* k = std::get_if<int64_t>(&value)) {
      v.type = NamedValue::kInt64;
      v.integer = *k;
    } else if (auto* list = std::get_if<std::vector<int64_t>>(&value)) {
      v.type = NamedValue::kInt64List;
      v.integers = list->data();
      v.value_size = list->size();
    } else if (auto* x = std::get_if<double>(&value)) {
      v.type = NamedValue::kFloat;
      v.number = float(*x);
    } else {
      v.type = NamedValue::kBool;
      v.truth = std::get<bool>(value);
    }
    out.push_back(v);
  }
  return out;
}

}  // namespace covector::pjrt
