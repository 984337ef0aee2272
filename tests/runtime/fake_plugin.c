/* A PJRT plugin that is broken in the way that MODE names; it computes nothing.
 *
 * Under FAKE_WORKS it starts, and takes arrays of float32 to a device that is the host's memory. The
 * results of its programs are copies of the first argument, and come about as FAKE_RESULTS says:
 * "fine", "fail" (the event of the result is an error), "refuse" (the call is one) or "never".
 *
 * Where it is given a key-value service it has two devices in each process, and asks the service in
 * a thread of its own for what the other processes have put there, and for the key FAKE_ASKS, which
 * none has, with FAKE_PATIENCE milliseconds. It writes what it was called with, and what came of it,
 * to the file FAKE_RECORD.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pjrt_c_api.h"

struct PJRT_Error { PJRT_Error_Code code; char text[400]; };
struct PJRT_Event { PJRT_Error* error; int never; };
struct PJRT_DeviceDescription { int id, process; };
struct PJRT_Memory { int unused; };
struct PJRT_Device { PJRT_DeviceDescription description; };
struct PJRT_Client { int node, nodes, each; };
struct PJRT_Executable { int unused; };
struct PJRT_LoadedExecutable { int unused; };
struct PJRT_Buffer { size_t size; void* data; const char* state; PJRT_Device* device; };

static PJRT_Device devices[64], *pointers[64];
static PJRT_Memory memory, *memories[] = {&memory};
static PJRT_Client client = {0, 1, 1};

static PJRT_Error* make_error(PJRT_Error_Code code, const char* text) {
  PJRT_Error* e = malloc(sizeof *e);
  e->code = code;
  strncpy(e->text, text, sizeof e->text - 1);
  e->text[sizeof e->text - 1] = 0;
  return e;
}
static const char* from_environment(const char* name, const char* otherwise) {
  const char* found = getenv(name);
  return found ? found : otherwise;
}

/* --- what other processes have -------------------------------------------------------------- */

static void record(const char* text) {
  const char* path = getenv("FAKE_RECORD");
  if (!path) return;
  FILE* file = fopen(path, "a");
  fprintf(file, "%d: %s\n", client.node, text);
  fclose(file);
}
static PJRT_Error* callback_error(PJRT_Error_Code code, const char* text, size_t size) {
  char whole[400] = {0};
  memcpy(whole, text, size < sizeof whole ? size : sizeof whole - 1);
  return make_error(code, whole);
}
static PJRT_CallbackError make_callback_error = callback_error;

static PJRT_Error* put(PJRT_Client_Create_Args* a, const char* key, const char* value, size_t size) {
  PJRT_KeyValuePutCallback_Args put = {sizeof put};
  put.key = key;
  put.key_size = strlen(key);
  put.value = value;
  put.value_size = size;
  put.callback_error = &make_callback_error;
  put.user_arg = a->kv_put_user_arg;
  return a->kv_put_callback(&put);
}
static PJRT_Error* get(PJRT_Client_Create_Args* a, const char* key, int timeout, char** out) {
  PJRT_KeyValueGetCallback_Args get = {sizeof get};
  get.key = key;
  get.key_size = strlen(key);
  get.timeout_in_ms = timeout;
  get.callback_error = &make_callback_error;
  get.user_arg = a->kv_get_user_arg;
  PJRT_Error* error = a->kv_get_callback(&get);
  if (error) return error;
  *out = calloc(get.value_size + 1, 1);
  memcpy(*out, get.value, get.value_size);
  get.value_deleter_callback(get.value);
  return NULL;
}
static PJRT_Error* try_get(PJRT_Client_Create_Args* a, const char* key) {
  PJRT_KeyValueTryGetCallback_Args get = {sizeof get};
  get.key = key;
  get.key_size = strlen(key);
  get.callback_error = &make_callback_error;
  get.user_arg = a->kv_try_get_user_arg;
  PJRT_Error* error = a->kv_try_get_callback(&get);
  if (!error) get.value_deleter_callback(get.value);
  return error;
}

/* Waits for the key that another thread puts a little later. */
static void* late(void* a) {
  char* value = NULL;
  PJRT_Error* error = get(a, "l\xc3\xa4te", 60000, &value);
  if (error) return error;
  record(!strcmp(value, "now") ? "what was late came" : value);
  return NULL;
}

static PJRT_Error* find_others(PJRT_Client_Create_Args* a) {
  char key[40], line[600], *value;
  pthread_t other;
  PJRT_Error* error;
  pthread_create(&other, NULL, late, a);
  error = try_get(a, "hello/nobody");
  if (!error || error->code != PJRT_Error_Code_NOT_FOUND) return error;
  record(error->text);
  sprintf(key, "hello/%d", client.node);
  sprintf(line, "node %d%cof \"%d\"", client.node, 0, client.nodes);
  if ((error = put(a, key, line, strlen(line) + 1 + strlen(line + strlen(line) + 1)))) return error;
  if ((error = try_get(a, key))) return error;
  for (int k = 0; k < client.nodes; ++k) {
    sprintf(key, "hello/%d", k);
    if ((error = get(a, key, 60000, &value))) return error;
    sprintf(line, "%s: %s, %s", key, value, value + strlen(value) + 1);
    record(line);
  }
  usleep(50000);
  if ((error = put(a, "l\xc3\xa4te", "now", 3))) return error;
  pthread_join(other, (void**)&error);
  if (error) return error;
  const char* asks = getenv("FAKE_ASKS");
  if (asks) {
    record("asks");
    return get(a, asks, atoi(from_environment("FAKE_PATIENCE", "60000")), &value);
  }
  return NULL;
}

static void* find_others_in_thread(void* a) { return find_others(a); }

static PJRT_Error* start(PJRT_Client_Create_Args* a) {
  client.each = a->kv_get_callback ? 2 : 1;
  for (size_t k = 0; k < a->num_options; ++k) {
    const PJRT_NamedValue* o = &a->create_options[k];
    if (!strncmp(o->name, "node_id", o->name_size)) client.node = o->int64_value;
    if (!strncmp(o->name, "num_nodes", o->name_size)) client.nodes = o->int64_value;
  }
  for (int k = 0; k < client.nodes * client.each; ++k) {
    devices[k].description.id = k;
    devices[k].description.process = k / client.each;
    pointers[k] = &devices[k];
  }
  record(a->kv_get_callback ? "with a service" : "without a service");
  if (!a->kv_get_callback) return NULL;
  pthread_t thread;
  PJRT_Error* error;
  pthread_create(&thread, NULL, find_others_in_thread, a);
  pthread_join(thread, (void**)&error);
  return error;
}

/* ------------------------------------------------------------------------------------------- */

static void Error_Destroy(PJRT_Error_Destroy_Args* a) { free(a->error); }
static void Error_Message(PJRT_Error_Message_Args* a) {
  a->message = a->error->text;
  a->message_size = strlen(a->error->text);
}
static PJRT_Error* Error_GetCode(PJRT_Error_GetCode_Args* a) {
  a->code = a->error->code;
  return NULL;
}
static PJRT_Error* Plugin_Initialize(PJRT_Plugin_Initialize_Args* a) {
#ifdef FAKE_INITIALIZE
  return make_error(PJRT_Error_Code_INTERNAL, "the driver is asleep");
#endif
  return NULL;
}

static PJRT_Event* make_event(PJRT_Error* error, int never) {
  PJRT_Event* e = malloc(sizeof *e);
  e->error = error;
  e->never = never;
  return e;
}
static PJRT_Error* copy_error(PJRT_Error* e) { return e ? make_error(e->code, e->text) : NULL; }
static PJRT_Error* Event_Destroy(PJRT_Event_Destroy_Args* a) {
  free(a->event->error);
  free(a->event);
  return NULL;
}
static PJRT_Error* Event_IsReady(PJRT_Event_IsReady_Args* a) {
  a->is_ready = !a->event->never;
  return NULL;
}
static PJRT_Error* Event_Error(PJRT_Event_Error_Args* a) { return copy_error(a->event->error); }
static PJRT_Error* Event_Await(PJRT_Event_Await_Args* a) { return copy_error(a->event->error); }
static PJRT_Error* Event_OnReady(PJRT_Event_OnReady_Args* a) {
  if (!a->event->never) a->callback(copy_error(a->event->error), a->user_arg);
  return NULL;
}

static PJRT_Error* Client_Create(PJRT_Client_Create_Args* a) {
#ifdef FAKE_REFUSES
  return make_error(atoi(from_environment("FAKE_CODE", "9")),
                    from_environment("FAKE_MESSAGE", "No visible GPU devices."));
#endif
  a->client = &client;
  return start(a);
}
static PJRT_Error* Client_Destroy(PJRT_Client_Destroy_Args* a) { return NULL; }
static PJRT_Error* Client_PlatformName(PJRT_Client_PlatformName_Args* a) {
  a->platform_name = "fake";
  a->platform_name_size = 4;
  return NULL;
}
static PJRT_Error* Client_PlatformVersion(PJRT_Client_PlatformVersion_Args* a) {
  a->platform_version = "1";
  a->platform_version_size = 1;
  return NULL;
}
static PJRT_Error* Client_ProcessIndex(PJRT_Client_ProcessIndex_Args* a) {
  a->process_index = client.node;
  return NULL;
}
static PJRT_Error* Client_Devices(PJRT_Client_Devices_Args* a) {
  a->devices = pointers;
  a->num_devices = client.nodes * client.each;
  return NULL;
}
static PJRT_Error* Client_AddressableDevices(PJRT_Client_AddressableDevices_Args* a) {
  a->addressable_devices = pointers + client.node * client.each;
#ifdef FAKE_EMPTY
  a->num_addressable_devices = 0;
#else
  a->num_addressable_devices = client.each;
#endif
  return NULL;
}
static void check_addressable(PJRT_Device* device) {
  if (device->description.process != client.node) abort();
}
static PJRT_Error* Device_GetDescription(PJRT_Device_GetDescription_Args* a) {
  a->device_description = &a->device->description;
  return NULL;
}
static PJRT_Error* DeviceDescription_Id(PJRT_DeviceDescription_Id_Args* a) {
  a->id = a->device_description->id;
  return NULL;
}
static PJRT_Error* DeviceDescription_ProcessIndex(PJRT_DeviceDescription_ProcessIndex_Args* a) {
  a->process_index = a->device_description->process;
  return NULL;
}
static PJRT_Error* DeviceDescription_Kind(PJRT_DeviceDescription_Kind_Args* a) {
  a->device_kind = "fake device";
  a->device_kind_size = 11;
  return NULL;
}
static PJRT_Error* DeviceDescription_ToString(PJRT_DeviceDescription_ToString_Args* a) {
  a->to_string = "fake";
  a->to_string_size = 4;
  return NULL;
}
static PJRT_Error* Device_LocalHardwareId(PJRT_Device_LocalHardwareId_Args* a) {
  check_addressable(a->device);
  a->local_hardware_id = 0;
  return NULL;
}
static PJRT_Error* Device_AddressableMemories(PJRT_Device_AddressableMemories_Args* a) {
  check_addressable(a->device);
  a->memories = memories;
  a->num_memories = 1;
  return NULL;
}
static PJRT_Error* Device_DefaultMemory(PJRT_Device_DefaultMemory_Args* a) {
  a->memory = &memory;
  return NULL;
}
static PJRT_Error* Device_MemoryStats(PJRT_Device_MemoryStats_Args* a) {
  a->bytes_in_use = 7000000;
  a->bytes_limit = 8000000;
  a->bytes_limit_is_set = true;
  return NULL;
}
static PJRT_Error* Memory_Id(PJRT_Memory_Id_Args* a) {
  a->id = 0;
  return NULL;
}
static PJRT_Error* Memory_Kind(PJRT_Memory_Kind_Args* a) {
  a->kind = "device";
  a->kind_size = 6;
  return NULL;
}

static PJRT_Buffer* make_buffer(size_t size, const void* data, const char* state,
                                PJRT_Device* device) {
  check_addressable(device);
  PJRT_Buffer* b = malloc(sizeof *b);
  b->size = size;
  b->data = malloc(size ? size : 1);
  memcpy(b->data, data, size);
  b->state = state;
  b->device = device;
  return b;
}
static PJRT_Error* Client_BufferFromHostBuffer(PJRT_Client_BufferFromHostBuffer_Args* a) {
  const char* most = getenv("FAKE_MEMORY");
  size_t size = 4;
  for (size_t i = 0; i < a->num_dims; ++i) size *= a->dims[i];
  if (most && size > (size_t)atol(most))
    return make_error(PJRT_Error_Code_RESOURCE_EXHAUSTED,
                      "Out of memory while trying to allocate.\n\na\nlong\ndump");
  a->buffer = make_buffer(size, a->data, "fine", a->device);
  a->done_with_host_buffer = make_event(NULL, 0);
  return NULL;
}
static PJRT_Error* Buffer_Destroy(PJRT_Buffer_Destroy_Args* a) {
  free(a->buffer->data);
  free(a->buffer);
  return NULL;
}
static PJRT_Event* event_of(const PJRT_Buffer* b) {
  return make_event(strcmp(b->state, "fail") ? NULL
                                             : make_error(PJRT_Error_Code_INTERNAL,
                                                          "the device fell off the bus"),
                    !strcmp(b->state, "never"));
}
static PJRT_Error* Buffer_ReadyEvent(PJRT_Buffer_ReadyEvent_Args* a) {
  a->event = event_of(a->buffer);
  return NULL;
}
static PJRT_Error* Buffer_ToHostBuffer(PJRT_Buffer_ToHostBuffer_Args* a) {
  memcpy(a->dst, a->src->data, a->dst_size);
  a->event = event_of(a->src);
  return NULL;
}

static PJRT_LoadedExecutable loaded;
static PJRT_Error* Client_Compile(PJRT_Client_Compile_Args* a) {
  const char* refuse = getenv("FAKE_COMPILER");
  if (refuse) return make_error(PJRT_Error_Code_INVALID_ARGUMENT, refuse);
  const char* found = strstr(a->program->code, "num_partitions = ");
  if (found) {
    char line[40];
    sprintf(line, "compiles for %d devices", atoi(found + strlen("num_partitions = ")));
    record(line);
  }
  a->executable = &loaded;
  return NULL;
}
static PJRT_Error* LoadedExecutable_Destroy(PJRT_LoadedExecutable_Destroy_Args* a) { return NULL; }
static PJRT_Error* LoadedExecutable_Execute(PJRT_LoadedExecutable_Execute_Args* a) {
  const char* state = from_environment("FAKE_RESULTS", "fine");
  if (!strcmp(state, "refuse"))
    return make_error(PJRT_Error_Code_INTERNAL, "the queue is full");
  for (size_t k = 0; k < a->num_devices; ++k) {
    PJRT_Buffer* first = a->argument_lists[k][0];
    a->output_lists[k][0] = make_buffer(first->size, first->data, state, first->device);
    if (client.each > 1) {
      char line[40];
      sprintf(line, "runs on device %d", first->device->description.id);
      record(line);
    }
  }
  return NULL;
}

static PJRT_Error* must_not_be_called(void* a) { abort(); }

#define EACH(X)                                                                                    \
  X(Error_Destroy) X(Error_Message) X(Error_GetCode) X(Plugin_Initialize) X(Event_Destroy)         \
  X(Event_IsReady) X(Event_Error) X(Event_Await) X(Event_OnReady) X(Client_Create)                 \
  X(Client_Destroy) X(Client_PlatformName) X(Client_PlatformVersion) X(Client_ProcessIndex)        \
  X(Client_Devices) X(Client_AddressableDevices) X(Device_GetDescription) X(DeviceDescription_Id)  \
  X(DeviceDescription_ProcessIndex) X(DeviceDescription_Kind) X(DeviceDescription_ToString)        \
  X(Device_LocalHardwareId) X(Device_AddressableMemories) X(Device_DefaultMemory)                  \
  X(Device_MemoryStats) X(Memory_Id) X(Memory_Kind) X(Client_BufferFromHostBuffer)                 \
  X(Buffer_Destroy) X(Buffer_ReadyEvent) X(Buffer_ToHostBuffer) X(Client_Compile)                  \
  X(LoadedExecutable_Destroy) X(LoadedExecutable_Execute)

#ifndef FAKE_NO_FUNCTION
const PJRT_Api* GetPjrtApi(void) {
  static PJRT_Api api;
  api.struct_size = PJRT_Api_STRUCT_SIZE;
  api.pjrt_api_version.major_version = 0;
  api.pjrt_api_version.minor_version = 81;
#define X(name) api.PJRT_##name = (PJRT_##name*)name;
  EACH(X)
#undef X
#if defined(FAKE_NOTHING)
  return NULL;
#elif defined(FAKE_TINY)
  api.struct_size = sizeof(size_t);
#elif defined(FAKE_LATER) || defined(FAKE_EARLIER)
#define X(name) api.PJRT_##name = (PJRT_##name*)must_not_be_called;
  EACH(X)
#undef X
#ifdef FAKE_LATER
  api.pjrt_api_version.major_version = 1;
#else
  api.pjrt_api_version.minor_version = 20;
#endif
#elif defined(FAKE_LACKS)
  api.PJRT_Client_Create = NULL;
#elif defined(FAKE_SHORT)
  /* What comes after the memory's kind is not in the table, though there are bytes. */
  api.struct_size = offsetof(PJRT_Api, PJRT_Client_Create);
#endif
  return &api;
}
#endif
