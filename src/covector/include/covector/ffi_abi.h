/* How native functions are called: XLA's FFI call frame, in declarations of our own.
 *
 * The order of the members is the public interface that `xla/ffi/api/c_api.h` of jaxlib documents,
 * version 0.3; tests/test_ffi_peer.py compares every offset. A function that is built with either
 * header runs in Covector, in JAX, and on the devices of XLA's plugins. Every structure begins
 * with its size; members that a smaller one lacks are not there.
 */
#ifndef COVECTOR_FFI_ABI_H
#define COVECTOR_FFI_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COVECTOR_FFI_MAJOR 0
#define COVECTOR_FFI_MINOR 3

/* The size of a structure up to a member, which is what its `size` says. */
#define COVECTOR_FFI_SIZE(type, last) (offsetof(type, last) + sizeof(((type*)0)->last))

typedef struct covector_ffi_api covector_ffi_api;
typedef struct covector_ffi_context covector_ffi_context; /* of one call; opaque */
typedef struct covector_ffi_error covector_ffi_error;     /* opaque; null is success */
typedef struct covector_ffi_future covector_ffi_future;   /* opaque */

typedef struct covector_ffi_extension {
  size_t size;
  int32_t type;
  struct covector_ffi_extension* next;
} covector_ffi_extension;

#define COVECTOR_FFI_HEAD \
  size_t size;            \
  covector_ffi_extension* extensions

typedef struct covector_ffi_version {
  COVECTOR_FFI_HEAD;
  int major_version;
  int minor_version;
} covector_ffi_version;

typedef enum {
  COVECTOR_FFI_OK = 0,
  COVECTOR_FFI_CANCELLED = 1,
  COVECTOR_FFI_UNKNOWN = 2,
  COVECTOR_FFI_INVALID_ARGUMENT = 3,
  COVECTOR_FFI_DEADLINE_EXCEEDED = 4,
  COVECTOR_FFI_NOT_FOUND = 5,
  COVECTOR_FFI_ALREADY_EXISTS = 6,
  COVECTOR_FFI_PERMISSION_DENIED = 7,
  COVECTOR_FFI_RESOURCE_EXHAUSTED = 8,
  COVECTOR_FFI_FAILED_PRECONDITION = 9,
  COVECTOR_FFI_ABORTED = 10,
  COVECTOR_FFI_OUT_OF_RANGE = 11,
  COVECTOR_FFI_UNIMPLEMENTED = 12,
  COVECTOR_FFI_INTERNAL = 13,
  COVECTOR_FFI_UNAVAILABLE = 14,
  COVECTOR_FFI_DATA_LOSS = 15,
  COVECTOR_FFI_UNAUTHENTICATED = 16
} covector_ffi_code;

typedef enum {
  COVECTOR_FFI_INVALID = 0,
  COVECTOR_FFI_BOOL = 1,
  COVECTOR_FFI_INT8 = 2,
  COVECTOR_FFI_INT16 = 3,
  COVECTOR_FFI_INT32 = 4,
  COVECTOR_FFI_INT64 = 5,
  COVECTOR_FFI_UINT8 = 6,
  COVECTOR_FFI_UINT16 = 7,
  COVECTOR_FFI_UINT32 = 8,
  COVECTOR_FFI_UINT64 = 9,
  COVECTOR_FFI_FLOAT16 = 10,
  COVECTOR_FFI_FLOAT32 = 11,
  COVECTOR_FFI_FLOAT64 = 12,
  COVECTOR_FFI_COMPLEX64 = 15,
  COVECTOR_FFI_BFLOAT16 = 16,
  COVECTOR_FFI_TOKEN = 17,
  COVECTOR_FFI_COMPLEX128 = 18,
  COVECTOR_FFI_FLOAT8_E5M2 = 19,
  COVECTOR_FFI_FLOAT8_E4M3FN = 20,
  COVECTOR_FFI_INT4 = 21,
  COVECTOR_FFI_UINT4 = 22,
  COVECTOR_FFI_FLOAT8_E4M3B11FNUZ = 23,
  COVECTOR_FFI_FLOAT8_E5M2FNUZ = 24,
  COVECTOR_FFI_FLOAT8_E4M3FNUZ = 25,
  COVECTOR_FFI_INT2 = 26,
  COVECTOR_FFI_UINT2 = 27,
  COVECTOR_FFI_FLOAT8_E4M3 = 28,
  COVECTOR_FFI_FLOAT8_E3M4 = 29,
  COVECTOR_FFI_FLOAT4_E2M1FN = 32,
  COVECTOR_FFI_FLOAT8_E8M0FNU = 33
} covector_ffi_dtype;

/* An array in row-major order, unless the call says otherwise. */
typedef struct covector_ffi_buffer {
  COVECTOR_FFI_HEAD;
  covector_ffi_dtype dtype;
  void* data;
  int64_t rank;
  int64_t* dims;
} covector_ffi_buffer;

/* Strings do not end with a zero. */
typedef struct covector_ffi_text {
  const char* data;
  size_t size;
} covector_ffi_text;

typedef struct covector_ffi_scalar {
  covector_ffi_dtype dtype;
  void* value;
} covector_ffi_scalar;

typedef struct covector_ffi_array {
  covector_ffi_dtype dtype;
  size_t size; /* elements */
  void* data;
} covector_ffi_array;

/* The kinds of an argument or result, and of an attribute, which says what its pointer points to. */
enum { COVECTOR_FFI_BUFFER = 1 };
typedef enum {
  COVECTOR_FFI_ARRAY = 1,  /* covector_ffi_array */
  COVECTOR_FFI_DICT = 2,   /* covector_ffi_attributes */
  COVECTOR_FFI_SCALAR = 3, /* covector_ffi_scalar */
  COVECTOR_FFI_STRING = 4  /* covector_ffi_text */
} covector_ffi_kind;

typedef struct covector_ffi_buffers {
  COVECTOR_FFI_HEAD;
  int64_t count;
  int32_t* kinds;
  void** items; /* covector_ffi_buffer */
} covector_ffi_buffers;

/* Sorted by name. */
typedef struct covector_ffi_attributes {
  COVECTOR_FFI_HEAD;
  int64_t count;
  covector_ffi_kind* kinds;
  covector_ffi_text** names;
  void** items;
} covector_ffi_attributes;

typedef enum {
  COVECTOR_FFI_INSTANTIATE = 0, /* once a program: no arguments, a state may be set */
  COVECTOR_FFI_PREPARE = 1,     /* before each run; arguments have addresses, but no elements yet */
  COVECTOR_FFI_INITIALIZE = 2,
  COVECTOR_FFI_EXECUTE = 3
} covector_ffi_stage;

typedef struct covector_ffi_frame {
  COVECTOR_FFI_HEAD;
  const covector_ffi_api* api;
  covector_ffi_context* context;
  covector_ffi_stage stage;
  covector_ffi_buffers args;
  covector_ffi_buffers results;
  covector_ffi_attributes attributes;
  covector_ffi_future* future; /* out: completed when the results are there */
} covector_ffi_frame;
#define COVECTOR_FFI_FRAME_SIZE COVECTOR_FFI_SIZE(covector_ffi_frame, attributes)

/* A native function. */
typedef covector_ffi_error* covector_ffi_handler(covector_ffi_frame* frame);

typedef struct covector_ffi_bundle {
  covector_ffi_handler* instantiate; /* all but the last may be null */
  covector_ffi_handler* prepare;
  covector_ffi_handler* initialize;
  covector_ffi_handler* execute;
} covector_ffi_bundle;

/* A frame whose first extension is this asks which version a handler was built for. */
enum { COVECTOR_FFI_METADATA = 1 };
typedef struct covector_ffi_type_id {
  int64_t id;
} covector_ffi_type_id;
typedef struct covector_ffi_metadata {
  size_t size;
  covector_ffi_version version;
  uint32_t traits;
  covector_ffi_type_id state;
} covector_ffi_metadata;
typedef struct covector_ffi_metadata_extension {
  covector_ffi_extension base;
  covector_ffi_metadata* metadata;
} covector_ffi_metadata_extension;

/* --- what handlers may call ------------------------------------------------------------------ */

typedef struct covector_ffi_error_create {
  COVECTOR_FFI_HEAD;
  const char* message;
  covector_ffi_code code;
} covector_ffi_error_create;
typedef struct covector_ffi_error_get_message {
  COVECTOR_FFI_HEAD;
  covector_ffi_error* error;
  const char* message;
} covector_ffi_error_get_message;
typedef struct covector_ffi_error_destroy {
  COVECTOR_FFI_HEAD;
  covector_ffi_error* error;
} covector_ffi_error_destroy;

typedef struct covector_ffi_future_create {
  COVECTOR_FFI_HEAD;
  covector_ffi_future* future;
} covector_ffi_future_create;
typedef struct covector_ffi_future_set_available {
  COVECTOR_FFI_HEAD;
  covector_ffi_future* future;
} covector_ffi_future_set_available;
typedef struct covector_ffi_future_set_error {
  COVECTOR_FFI_HEAD;
  covector_ffi_future* future;
  covector_ffi_error* error; /* taken over */
} covector_ffi_future_set_error;

typedef struct covector_ffi_handler_register {
  COVECTOR_FFI_HEAD;
  covector_ffi_text name;
  covector_ffi_text platform;
  covector_ffi_bundle bundle;
  uint32_t traits;
} covector_ffi_handler_register;

typedef struct covector_ffi_type_info {
  COVECTOR_FFI_HEAD;
  void (*deleter)(void* object);
} covector_ffi_type_info;
typedef struct covector_ffi_type_register {
  COVECTOR_FFI_HEAD;
  covector_ffi_text name;
  covector_ffi_type_id* type; /* in and out */
  const covector_ffi_type_info* info;
} covector_ffi_type_register;

typedef struct covector_ffi_context_get {
  COVECTOR_FFI_HEAD;
  covector_ffi_context* context;
  covector_ffi_type_id* type;
  void* data;
} covector_ffi_context_get;
/* Sets and gets the state of a stage. */
typedef struct covector_ffi_state {
  COVECTOR_FFI_HEAD;
  covector_ffi_context* context;
  covector_ffi_stage stage;
  covector_ffi_type_id* type;
  void* state;
} covector_ffi_state;
typedef struct covector_ffi_stream_get {
  COVECTOR_FFI_HEAD;
  covector_ffi_context* context;
  void* stream;
} covector_ffi_stream_get;
typedef struct covector_ffi_memory_allocate {
  COVECTOR_FFI_HEAD;
  covector_ffi_context* context;
  size_t bytes;
  size_t alignment;
  void* data;
} covector_ffi_memory_allocate;
typedef struct covector_ffi_memory_free {
  COVECTOR_FFI_HEAD;
  covector_ffi_context* context;
  size_t bytes;
  void* data;
} covector_ffi_memory_free;
typedef struct covector_ffi_threads_schedule {
  COVECTOR_FFI_HEAD;
  covector_ffi_context* context;
  void (*task)(void* data);
  void* data;
} covector_ffi_threads_schedule;
typedef struct covector_ffi_threads_count {
  COVECTOR_FFI_HEAD;
  covector_ffi_context* context;
  int64_t* count;
} covector_ffi_threads_count;
typedef struct covector_ffi_run_id_get {
  COVECTOR_FFI_HEAD;
  covector_ffi_context* context;
  int64_t run_id;
} covector_ffi_run_id_get;
typedef struct covector_ffi_device_get {
  COVECTOR_FFI_HEAD;
  covector_ffi_context* context;
  int32_t device;
} covector_ffi_device_get;

struct covector_ffi_api {
  COVECTOR_FFI_HEAD;
  covector_ffi_version version;
  const void* internal;

  covector_ffi_error* (*error_create)(covector_ffi_error_create*);
  void (*error_get_message)(covector_ffi_error_get_message*);
  void (*error_destroy)(covector_ffi_error_destroy*);
  covector_ffi_error* (*handler_register)(covector_ffi_handler_register*);
  covector_ffi_error* (*stream_get)(covector_ffi_stream_get*);
  covector_ffi_error* (*type_register)(covector_ffi_type_register*);
  covector_ffi_error* (*context_get)(covector_ffi_context_get*);
  covector_ffi_error* (*state_set)(covector_ffi_state*);
  covector_ffi_error* (*state_get)(covector_ffi_state*);
  covector_ffi_error* (*memory_allocate)(covector_ffi_memory_allocate*);
  covector_ffi_error* (*memory_free)(covector_ffi_memory_free*);
  covector_ffi_error* (*threads_schedule)(covector_ffi_threads_schedule*);
  covector_ffi_error* (*threads_count)(covector_ffi_threads_count*);
  covector_ffi_error* (*future_create)(covector_ffi_future_create*);
  covector_ffi_error* (*future_set_available)(covector_ffi_future_set_available*);
  covector_ffi_error* (*future_set_error)(covector_ffi_future_set_error*);
  covector_ffi_error* (*run_id_get)(covector_ffi_run_id_get*);
  covector_ffi_error* (*device_get)(covector_ffi_device_get*);
};

#ifdef __cplusplus
}
#endif

#endif
