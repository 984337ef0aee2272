/* Native functions for covector.ffi, in C or C++: the handler's interface, and help with it.
 *
 * A function is given a frame with its arguments, results and attributes, and returns null, or an
 * error. COVECTOR_FFI_HANDLER makes a handler of it, which is what is registered. The interface is
 * XLA's (ffi_abi.h), so that the handler also runs in JAX. It may be called from several threads
 * at once, and keeps no pointers. docs/native-functions.md has examples.
 */
#ifndef COVECTOR_FFI_H
#define COVECTOR_FFI_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "covector/ffi_abi.h"

#ifdef _WIN32
#define COVECTOR_FFI_SYMBOL __declspec(dllexport)
#else
#define COVECTOR_FFI_SYMBOL __attribute__((visibility("default")))
#endif
#ifdef __cplusplus
#define COVECTOR_FFI_EXPORT extern "C" COVECTOR_FFI_SYMBOL
extern "C" {
#else
#define COVECTOR_FFI_EXPORT COVECTOR_FFI_SYMBOL
#endif

/* An error of a code, with a message as of printf. */
static inline covector_ffi_error* covector_ffi_error_of(
    const covector_ffi_frame* frame, covector_ffi_code code, const char* format, ...) {
  char message[1024];
  covector_ffi_error_create args;
  va_list values;
  va_start(values, format);
  vsnprintf(message, sizeof message, format, values);
  va_end(values);
  memset(&args, 0, sizeof args);
  args.size = COVECTOR_FFI_SIZE(covector_ffi_error_create, code);
  args.message = message;
  args.code = code;
  return frame->api->error_create(&args);
}
#define covector_ffi_fail(frame, ...) \
  covector_ffi_error_of(frame, COVECTOR_FFI_INVALID_ARGUMENT, __VA_ARGS__)

static inline covector_ffi_buffer* covector_ffi_arg(const covector_ffi_frame* frame, int64_t k) {
  return (covector_ffi_buffer*)frame->args.items[k];
}

static inline covector_ffi_buffer* covector_ffi_result(const covector_ffi_frame* frame,
                                                       int64_t k) {
  return (covector_ffi_buffer*)frame->results.items[k];
}

/* The number of elements of an array. */
static inline int64_t covector_ffi_size(const covector_ffi_buffer* x) {
  int64_t n = 1, d;
  for (d = 0; d < x->rank; ++d) n *= x->dims[d];
  return n;
}

/* The attribute of a name, and its kind; null if there is none. */
static inline void* covector_ffi_attribute(const covector_ffi_attributes* all, const char* name,
                                           covector_ffi_kind* kind) {
  size_t n = strlen(name);
  int64_t k;
  for (k = 0; k < all->count; ++k) {
    if (all->names[k]->size != n || memcmp(all->names[k]->data, name, n) != 0) continue;
    *kind = all->kinds[k];
    return all->items[k];
  }
  return NULL;
}

/* The scalar attribute of a name as an integer and a float: 1; only as a float: 2; otherwise 0. */
static inline int covector_ffi_scalar_values(const covector_ffi_frame* frame, const char* name,
                                             int64_t* integer, double* real) {
  covector_ffi_kind kind = COVECTOR_FFI_STRING;
  covector_ffi_scalar* s =
      (covector_ffi_scalar*)covector_ffi_attribute(&frame->attributes, name, &kind);
  *integer = 0;
  *real = 0;
  if (!s || kind != COVECTOR_FFI_SCALAR) return 0;
#define COVECTOR_FFI_CASE(code, type)        \
  case code: {                               \
    type value;                              \
    memcpy(&value, s->value, sizeof value);  \
    *integer = (int64_t)value;               \
    *real = (double)value;                   \
    return 1;                                \
  }
#define COVECTOR_FFI_REAL(code, type)        \
  case code: {                               \
    type value;                              \
    memcpy(&value, s->value, sizeof value);  \
    *real = (double)value;                   \
    return 2;                                \
  }
  switch (s->dtype) {
    COVECTOR_FFI_CASE(COVECTOR_FFI_BOOL, uint8_t)
    COVECTOR_FFI_CASE(COVECTOR_FFI_INT8, int8_t)
    COVECTOR_FFI_CASE(COVECTOR_FFI_INT16, int16_t)
    COVECTOR_FFI_CASE(COVECTOR_FFI_INT32, int32_t)
    COVECTOR_FFI_CASE(COVECTOR_FFI_INT64, int64_t)
    COVECTOR_FFI_CASE(COVECTOR_FFI_UINT8, uint8_t)
    COVECTOR_FFI_CASE(COVECTOR_FFI_UINT16, uint16_t)
    COVECTOR_FFI_CASE(COVECTOR_FFI_UINT32, uint32_t)
    COVECTOR_FFI_CASE(COVECTOR_FFI_UINT64, uint64_t)
    COVECTOR_FFI_REAL(COVECTOR_FFI_FLOAT32, float)
    COVECTOR_FFI_REAL(COVECTOR_FFI_FLOAT64, double)
    default: return 0;
  }
#undef COVECTOR_FFI_CASE
#undef COVECTOR_FFI_REAL
}

/* An attribute of any integer, or any number; an error if there is none such. */
static inline covector_ffi_error* covector_ffi_int(const covector_ffi_frame* frame,
                                                   const char* name, int64_t* value) {
  double real;
  if (covector_ffi_scalar_values(frame, name, value, &real) == 1) return NULL;
  return covector_ffi_fail(frame, "the attribute %s must be an integer", name);
}

static inline covector_ffi_error* covector_ffi_float(const covector_ffi_frame* frame,
                                                     const char* name, double* value) {
  int64_t integer;
  if (covector_ffi_scalar_values(frame, name, &integer, value)) return NULL;
  return covector_ffi_fail(frame, "the attribute %s must be a real number", name);
}

/* A string, or an array of numbers; it belongs to the frame. */
static inline covector_ffi_error* covector_ffi_string(const covector_ffi_frame* frame,
                                                      const char* name, covector_ffi_text* value) {
  covector_ffi_kind kind = COVECTOR_FFI_SCALAR;
  void* found = covector_ffi_attribute(&frame->attributes, name, &kind);
  memset(value, 0, sizeof *value);
  if (!found || kind != COVECTOR_FFI_STRING)
    return covector_ffi_fail(frame, "the attribute %s must be a string", name);
  *value = *(covector_ffi_text*)found;
  return NULL;
}

static inline covector_ffi_error* covector_ffi_numbers(const covector_ffi_frame* frame,
                                                       const char* name,
                                                       covector_ffi_dtype dtype,
                                                       covector_ffi_array* value) {
  covector_ffi_kind kind = COVECTOR_FFI_SCALAR;
  void* found = covector_ffi_attribute(&frame->attributes, name, &kind);
  memset(value, 0, sizeof *value);
  if (!found || kind != COVECTOR_FFI_ARRAY || ((covector_ffi_array*)found)->dtype != dtype)
    return covector_ffi_fail(frame, "the attribute %s must be an array of dtype %d", name,
                             (int)dtype);
  *value = *(covector_ffi_array*)found;
  return NULL;
}

/* What a handler does before its function is called. Whether there is nothing more to do, with
 * `error` set. A handler says that it is of the version of whoever asks: what this header uses is
 * the same in all. */
static inline int covector_ffi_begin(covector_ffi_frame* frame, int64_t args, int64_t results,
                                     covector_ffi_error** error) {
  *error = NULL;
  if (frame->extensions && frame->extensions->type == COVECTOR_FFI_METADATA) {
    covector_ffi_metadata* metadata =
        ((covector_ffi_metadata_extension*)frame->extensions)->metadata;
    metadata->version = frame->api->version;
    metadata->version.extensions = NULL;
    metadata->traits = 0;
    if (metadata->size >= COVECTOR_FFI_SIZE(covector_ffi_metadata, state)) metadata->state.id = 0;
    return 1;
  }
  if (args >= 0 && frame->args.count != args)
    *error = covector_ffi_fail(frame, "it takes %lld arguments, it was given %lld",
                               (long long)args, (long long)frame->args.count);
  else if (results >= 0 && frame->results.count != results)
    *error = covector_ffi_fail(frame, "it has %lld results, the call expects %lld",
                               (long long)results, (long long)frame->results.count);
  return *error != NULL;
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#if defined(__cplusplus) && __cplusplus >= 201703L
/* --- C++ ------------------------------------------------------------------------------------- */

#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace covector::ffi {

/* Has the handler return an error. */
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message,
                 covector_ffi_code code = COVECTOR_FFI_INVALID_ARGUMENT)
      : std::runtime_error(message), code(code) {}
  const covector_ffi_code code;
};

template <class T>
constexpr covector_ffi_dtype dtype_of() {
  if constexpr (std::is_same_v<T, bool>) return COVECTOR_FFI_BOOL;
  if constexpr (std::is_same_v<T, float>) return COVECTOR_FFI_FLOAT32;
  if constexpr (std::is_same_v<T, double>) return COVECTOR_FFI_FLOAT64;
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    constexpr int log = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3;
    return covector_ffi_dtype((std::is_signed_v<T> ? COVECTOR_FFI_INT8 : COVECTOR_FFI_UINT8) + log);
  }
  return COVECTOR_FFI_INVALID;
}

/* An array of a type of elements. */
template <class T>
struct Array {
  T* data;
  int64_t size;
  const int64_t* dims;
  int64_t rank;
  T& operator[](int64_t k) const { return data[k]; }
  T* begin() const { return data; }
  T* end() const { return data + size; }
};

template <class T>
Array<T> elements(const covector_ffi_buffer* x, const std::string& name) {
  static_assert(dtype_of<T>() != COVECTOR_FFI_INVALID, "an arithmetic type");
  if (x->dtype != dtype_of<T>()) throw Error(name + " has another dtype than the function takes");
  return {static_cast<T*>(x->data), covector_ffi_size(x), x->dims, x->rank};
}

/* Argument or result k; an Error if its dtype is another. */
template <class T>
Array<const T> arg(const covector_ffi_frame* frame, int64_t k) {
  Array<T> x = elements<T>(covector_ffi_arg(frame, k), "argument " + std::to_string(k));
  return {x.data, x.size, x.dims, x.rank};
}
template <class T>
Array<T> result(const covector_ffi_frame* frame, int64_t k) {
  return elements<T>(covector_ffi_result(frame, k), "result " + std::to_string(k));
}

/* An attribute as an integer, a float or a string; an Error if it is none. */
template <class T>
T attribute(const covector_ffi_frame* frame, const char* name) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    covector_ffi_kind kind = COVECTOR_FFI_SCALAR;
    auto* text = static_cast<covector_ffi_text*>(
        covector_ffi_attribute(&frame->attributes, name, &kind));
    if (!text || kind != COVECTOR_FFI_STRING)
      throw Error(std::string("the attribute ") + name + " must be a string");
    return {text->data, text->size};
  } else {
    static_assert(std::is_arithmetic_v<T>, "a number or a std::string_view");
    int64_t integer;
    double real;
    int found = covector_ffi_scalar_values(frame, name, &integer, &real);
    if (!found || (found == 2 && std::is_integral_v<T>))
      throw Error(std::string("the attribute ") + name + " must be " +
                  (std::is_integral_v<T> ? "an integer" : "a real number"));
    return std::is_integral_v<T> ? T(integer) : T(real);
  }
}

/* The result of a function, which may return nothing; exceptions become errors. */
template <class F>
covector_ffi_error* call(covector_ffi_frame* frame, F&& function) {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<F, covector_ffi_frame*>>) {
      function(frame);
      return nullptr;
    } else {
      return function(frame);
    }
  } catch (const Error& e) {
    return covector_ffi_error_of(frame, e.code, "%s", e.what());
  } catch (const std::exception& e) {
    return covector_ffi_error_of(frame, COVECTOR_FFI_INTERNAL, "%s", e.what());
  } catch (...) {
    return covector_ffi_error_of(frame, COVECTOR_FFI_INTERNAL,
                                 "it threw something that is no std::exception");
  }
}

} /* namespace covector::ffi */

#define COVECTOR_FFI_CALL(function, frame) ::covector::ffi::call(frame, function)
#else
#define COVECTOR_FFI_CALL(function, frame) function(frame)
#endif

/* The handler `symbol` of `function`, which takes so many arrays; -1 stands for any number. */
#define COVECTOR_FFI_HANDLER(symbol, function, args, results)                                     \
  COVECTOR_FFI_EXPORT covector_ffi_error* symbol(covector_ffi_frame* frame);                      \
  COVECTOR_FFI_EXPORT covector_ffi_error* symbol(covector_ffi_frame* frame) {                     \
    covector_ffi_error* error;                                                                    \
    return covector_ffi_begin(frame, args, results, &error) ? error                               \
                                                            : COVECTOR_FFI_CALL(function, frame); \
  }

#endif
