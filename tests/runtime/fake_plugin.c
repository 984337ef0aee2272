/* A PJRT plugin that is broken in the way that MODE names; it computes nothing.
 *
 * Under FAKE_WORKS it starts, and takes arrays of float32 to a device that is the host's memory. The
 * results of its programs are copies of the first argument, and come about as FAKE_RESULTS says:
 * "fine", "fail" (the event of the result is an error), "refuse" (the call is one) or "never".
 */
#include <stdlib.h>
#include <string.h>

#include "pjrt_c_api.h"

struct PJRT_Error { PJRT_Error_Code code; char text[400]; };
struct PJRT_Event { PJRT_Error* error; int never; };
struct PJRT_DeviceDescription { int unused; };
struct PJRT_Memory { int unused; };
struct PJRT_Device { PJRT_DeviceDescription description; };
struct PJRT_Client { PJRT_Device* devices[1]; };
struct PJRT_Executable { int unused; };
struct PJRT_LoadedExecutable { int unused; };
struct PJRT_Buffer { size_t size; void* data; const char* state; };

static PJRT_Device device;
static PJRT_Memory memory, *memories[] = {&memory};
static PJRT_Client client = {{&device}};

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
  return NULL;
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
  a->process_index = 0;
  return NULL;
}
static PJRT_Error* Client_AddressableDevices(PJRT_Client_AddressableDevices_Args* a) {
  a->addressable_devices = (PJRT_Device* const*)client.devices;
#ifdef FAKE_EMPTY
  a->num_addressable_devices = 0;
#else
  a->num_addressable_devices = 1;
#endif
  return NULL;
}
static PJRT_Error* Device_GetDescription(PJRT_Device_GetDescription_Args* a) {
  a->device_description = &device.description;
  return NULL;
}
static PJRT_Error* DeviceDescription_Id(PJRT_DeviceDescription_Id_Args* a) {
  a->id = 0;
  return NULL;
}
static PJRT_Error* DeviceDescription_ProcessIndex(PJRT_DeviceDescription_ProcessIndex_Args* a) {
  a->process_index = 0;
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
  a->local_hardware_id = 0;
  return NULL;
}
static PJRT_Error* Device_AddressableMemories(PJRT_Device_AddressableMemories_Args* a) {
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

static PJRT_Buffer* make_buffer(size_t size, const void* data, const char* state) {
  PJRT_Buffer* b = malloc(sizeof *b);
  b->size = size;
  b->data = malloc(size ? size : 1);
  memcpy(b->data, data, size);
  b->state = state;
  return b;
}
static PJRT_Error* Client_BufferFromHostBuffer(PJRT_Client_BufferFromHostBuffer_Args* a) {
  const char* most = getenv("FAKE_MEMORY");
  size_t size = 4;
  for (size_t i = 0; i < a->num_dims; ++i) size *= a->dims[i];
  if (most && size > (size_t)atol(most))
    return make_error(PJRT_Error_Code_RESOURCE_EXHAUSTED,
                      "Out of memory while trying to allocate.\n\na\nlong\ndump");
  a->buffer = make_buffer(size, a->data, "fine");
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
  a->executable = &loaded;
  return NULL;
}
static PJRT_Error* LoadedExecutable_Destroy(PJRT_LoadedExecutable_Destroy_Args* a) { return NULL; }
static PJRT_Error* LoadedExecutable_Execute(PJRT_LoadedExecutable_Execute_Args* a) {
  const char* state = from_environment("FAKE_RESULTS", "fine");
  if (!strcmp(state, "refuse"))
    return make_error(PJRT_Error_Code_INTERNAL, "the queue is full");
  PJRT_Buffer* first = a->argument_lists[0][0];
  a->output_lists[0][0] = make_buffer(first->size, first->data, state);
  return NULL;
}

static PJRT_Error* must_not_be_called(void* a) { abort(); }

#define EACH(X)                                                                                    \
  X(Error_Destroy) X(Error_Message) X(Error_GetCode) X(Plugin_Initialize) X(Event_Destroy)         \
  X(Event_IsReady) X(Event_Error) X(Event_Await) X(Event_OnReady) X(Client_Create)                 \
  X(Client_Destroy) X(Client_PlatformName) X(Client_PlatformVersion) X(Client_ProcessIndex)        \
  X(Client_AddressableDevices) X(Device_GetDescription) X(DeviceDescription_Id)                    \
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
