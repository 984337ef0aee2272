/* Functions in C and C++ that programs of Covector call (covector.ffi).

   A function gets a call: the memory of its arguments and results, their types and shapes, and
   attributes. It returns 0, or something else after it wrote a message with covector_ffi_fail. It
   must not keep pointers, nor write to arguments. It may be called from several threads at once.

   COVECTOR_FFI_TARGET(symbol, function, arguments, results) defines what is registered: arrays of
   another number than its `arguments` and `results` are refused; -1 takes any number. */
#ifndef COVECTOR_FFI_H
#define COVECTOR_FFI_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define COVECTOR_FFI_VERSION 1
#define COVECTOR_FFI_MAGIC UINT64_C(0x5f6966665f766f63) /* "cov_ffi_" */

#ifdef __cplusplus
#define COVECTOR_FFI_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define COVECTOR_FFI_EXPORT extern __attribute__((visibility("default")))
#endif

/* Element types. Booleans are bytes; bfloat16 and float16 are uint16_t; complex numbers are pairs. */
enum covector_ffi_dtype {
  COVECTOR_BOOL = 0,
  COVECTOR_INT8 = 1,
  COVECTOR_INT16 = 2,
  COVECTOR_INT32 = 3,
  COVECTOR_INT64 = 4,
  COVECTOR_UINT8 = 5,
  COVECTOR_UINT16 = 6,
  COVECTOR_UINT32 = 7,
  COVECTOR_UINT64 = 8,
  COVECTOR_FLOAT16 = 9,
  COVECTOR_BFLOAT16 = 10,
  COVECTOR_FLOAT32 = 11,
  COVECTOR_FLOAT64 = 12,
  COVECTOR_COMPLEX64 = 13,
  COVECTOR_COMPLEX128 = 14
};

/* An array in row-major order. */
typedef struct {
  void* data;
  int32_t dtype; /* covector_ffi_dtype */
  int32_t ndim;
  const int64_t* shape;
  int64_t size;     /* number of elements */
  int64_t itemsize; /* bytes of an element */
} covector_ffi_buffer;

enum covector_ffi_kind {
  COVECTOR_ATTR_INT = 0,    /* integers and booleans: i */
  COVECTOR_ATTR_FLOAT = 1,  /* f */
  COVECTOR_ATTR_STRING = 2, /* s, which ends with a zero */
  COVECTOR_ATTR_ARRAY = 3   /* array */
};

typedef struct {
  const char* name;
  int32_t kind; /* covector_ffi_kind */
  int64_t i;
  double f;
  const char* s;
  covector_ffi_buffer array;
} covector_ffi_attr;

typedef struct {
  int32_t version;
  int32_t num_args;
  int32_t num_results;
  int32_t num_attrs;
  const char* target; /* the name that it was registered under */
  const covector_ffi_buffer* args;
  const covector_ffi_buffer* results;
  const covector_ffi_attr* attrs;
  char* message;
  size_t message_size;
} covector_ffi_call;

typedef int32_t (*covector_ffi_function)(const covector_ffi_call* call);

typedef struct {
  uint64_t magic;
  int32_t version;
  int32_t num_args;
  int32_t num_results;
  int32_t call_size;
  covector_ffi_function function;
} covector_ffi_target;

#define COVECTOR_FFI_TARGET(symbol, function, arguments, results)             \
  COVECTOR_FFI_EXPORT const covector_ffi_target symbol;                       \
  const covector_ffi_target symbol = {COVECTOR_FFI_MAGIC, COVECTOR_FFI_VERSION, \
                                      (arguments), (results),                 \
                                      (int32_t)sizeof(covector_ffi_call), (function)}

/* Report an error: `return covector_ffi_fail(call, "eps must be positive");` */
static inline int32_t covector_ffi_fail(const covector_ffi_call* call, const char* message) {
  snprintf(call->message, call->message_size, "%s", message);
  return 1;
}

/* The attribute of a name, or a null pointer. */
static inline const covector_ffi_attr* covector_ffi_find(const covector_ffi_call* call,
                                                         const char* name) {
  for (int32_t k = 0; k < call->num_attrs; ++k)
    if (strcmp(call->attrs[k].name, name) == 0) return &call->attrs[k];
  return NULL;
}

/* Read a number into `out`: 0, or what to return as an error. */
static inline int32_t covector_ffi_float(const covector_ffi_call* call, const char* name,
                                         double* out) {
  const covector_ffi_attr* found = covector_ffi_find(call, name);
  if (!found || found->kind > COVECTOR_ATTR_FLOAT) {
    snprintf(call->message, call->message_size, "the attribute %s must be a number", name);
    return 1;
  }
  *out = found->kind == COVECTOR_ATTR_FLOAT ? found->f : (double)found->i;
  return 0;
}

static inline int32_t covector_ffi_int(const covector_ffi_call* call, const char* name,
                                       int64_t* out) {
  const covector_ffi_attr* found = covector_ffi_find(call, name);
  if (!found || found->kind != COVECTOR_ATTR_INT) {
    snprintf(call->message, call->message_size, "the attribute %s must be an integer", name);
    return 1;
  }
  *out = found->i;
  return 0;
}

#endif
