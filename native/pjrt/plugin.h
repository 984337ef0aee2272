// A loaded PJRT plugin: its table of functions, versions and errors.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "pjrt/abi.h"

namespace covector::pjrt {

// What a plugin refused, or what is wrong with it.
class Failure : public std::runtime_error {
 public:
  Failure(int code, const std::string& message) : std::runtime_error(message), code(code) {}
  const int code;  // those of absl::StatusCode
};
class Interrupted {};
constexpr int kInvalidArgument = 3, kDeadlineExceeded = 4, kResourceExhausted = 8, kFailedPrecondition = 9,
              kUnimplemented = 12, kInternal = 13, kUnavailable = 14;

using Value = std::variant<std::string, int64_t, std::vector<int64_t>, double, bool>;
using Values = std::vector<std::pair<std::string, Value>>;

template <Function F>
struct ArgsOf;
#define X(name, args)      \
  template <>              \
  struct ArgsOf<k##name> { \
    using type = args;     \
  };
COVECTOR_PJRT_FUNCTIONS(X)
#undef X

// Plugins stay for as long as the process: their threads may outlive all that we hold of them.
class Plugin {
 public:
  // Loads the library and looks at its version; nothing but GetPjrtApi has been called then.
  static std::shared_ptr<Plugin> load(const std::string& path);

  void initialize();
  Values attributes() const;
  const std::string& path() const { return path_; }
  int major() const { return api_->version.major; }
  int minor() const { return api_->version.minor; }
  // The extension of a type, or null.
  const Extension* extension(int type) const;

  // The function of the table, called with `args`; null is success.
  template <Function F>
  Error* call(typename ArgsOf<F>::type* args) const {
    using Signature = Error* (*)(typename ArgsOf<F>::type*);
    return reinterpret_cast<Signature>(function(F))(args);
  }
  template <Function F>
  void invoke(typename ArgsOf<F>::type* args) const {
    if (Error* error = call<F>(args)) fail(error);
  }
  bool has(Function f) const {
    return api_->size >= offsetof(Api, functions) + (size_t(f) + 1) * sizeof(void*) &&
           api_->functions[f];
  }
  [[noreturn]] void fail(Error* error) const;  // throws it, and destroys it
  Failure failure(Error* error) const;         // the same, as a value
  // Waits for an event, without the GIL, and destroys it; null is success. Throws Interrupted, with a
  // Python exception set, where a signal handler raises meanwhile.
  Error* await(Event* event) const;
  void destroy_event(Event* event) const;
  void destroy_error(Error* error) const;

 private:
  Plugin(std::string path, const Api* api) : path_(std::move(path)), api_(api) {}
  void* function(Function f) const {
    if (!has(f)) [[unlikely]]
      missing(f);
    return api_->functions[f];
  }
  [[noreturn]] void missing(Function f) const;
  bool comes_soon(Event* event) const;
  Error* await_asleep(Event* event) const;

  std::string path_;
  const Api* api_;
};

Values read_values(const NamedValue* values, size_t n);
// Values in the form that plugins take; it refers to `values`.
std::vector<NamedValue> as_named(const Values& values);

}  // namespace covector::pjrt
