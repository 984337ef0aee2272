// The part of the PJRT C API that we use, in declarations of our own: the binary interface by which
// XLA's plugins for CPU, GPU and TPU offer devices, memory and a compiler.
//
// Source: the comments and declarations of pjrt_c_api.h, which plugins come with; a test compares
// every offset with the header in the wheel `xla-cpu-pjrt`. The interface only grows at its ends:
// a member is read only if the other side's `size` says that it is there.
#pragma once

#include <cstddef>
#include <cstdint>

namespace covector::pjrt {

// Objects of the plugin.
struct Error;
struct Event;
struct ClientHandle;
struct DeviceHandle;
struct MemoryHandle;
struct DeviceDescription;
struct TopologyHandle;
struct ExecutableHandle;
struct LoadedHandle;
struct BufferHandle;
struct SerializedHandle;

// How every structure begins.
struct Extension {
  size_t size;
  int type;
  Extension* next;
};
struct Head {
  size_t size;
  Extension* extensions;
};

enum ExtensionType : int {
  kExtensionGpuCustomCall = 0,
  kExtensionFfi = 5,
};

struct Version : Head {
  int major, minor;
};

// The functions, in the order of the table. Those named NoArgs are not called.
struct NoArgs;
#define COVECTOR_PJRT_FUNCTIONS(X)                                        \
  X(Error_Destroy, ErrorArgs)                                             \
  X(Error_Message, ErrorMessageArgs)                                      \
  X(Error_GetCode, ErrorCodeArgs)                                         \
  X(Plugin_Initialize, PluginInitializeArgs)                              \
  X(Plugin_Attributes, PluginAttributesArgs)                              \
  X(Event_Destroy, EventArgs)                                             \
  X(Event_IsReady, EventReadyArgs)                                        \
  X(Event_Error, EventArgs)                                               \
  X(Event_Await, EventArgs)                                               \
  X(Event_OnReady, EventOnReadyArgs)                                      \
  X(Client_Create, ClientCreateArgs)                                      \
  X(Client_Destroy, ClientArgs)                                           \
  X(Client_PlatformName, ClientTextArgs)                                  \
  X(Client_ProcessIndex, ClientIndexArgs)                                 \
  X(Client_PlatformVersion, ClientTextArgs)                               \
  X(Client_Devices, ClientDevicesArgs)                                    \
  X(Client_AddressableDevices, ClientDevicesArgs)                         \
  X(Client_LookupDevice, NoArgs)                                          \
  X(Client_LookupAddressableDevice, NoArgs)                               \
  X(Client_AddressableMemories, NoArgs)                                   \
  X(Client_Compile, ClientCompileArgs)                                    \
  X(Client_DefaultDeviceAssignment, NoArgs)                               \
  X(Client_BufferFromHostBuffer, BufferFromHostArgs)                      \
  X(DeviceDescription_Id, DescriptionIndexArgs)                           \
  X(DeviceDescription_ProcessIndex, DescriptionIndexArgs)                 \
  X(DeviceDescription_Attributes, DescriptionAttributesArgs)              \
  X(DeviceDescription_Kind, DescriptionTextArgs)                          \
  X(DeviceDescription_DebugString, DescriptionTextArgs)                   \
  X(DeviceDescription_ToString, DescriptionTextArgs)                      \
  X(Device_GetDescription, DeviceDescriptionArgs)                         \
  X(Device_IsAddressable, NoArgs)                                         \
  X(Device_LocalHardwareId, DeviceIndexArgs)                              \
  X(Device_AddressableMemories, DeviceMemoriesArgs)                       \
  X(Device_DefaultMemory, DeviceMemoryArgs)                               \
  X(Device_MemoryStats, MemoryStatsArgs)                                  \
  X(Memory_Id, MemoryIndexArgs)                                           \
  X(Memory_Kind, MemoryTextArgs)                                          \
  X(Memory_DebugString, NoArgs)                                           \
  X(Memory_ToString, NoArgs)                                              \
  X(Memory_AddressableByDevices, NoArgs)                                  \
  X(Executable_Destroy, ExecutableArgs)                                   \
  X(Executable_Name, NoArgs)                                              \
  X(Executable_NumReplicas, NoArgs)                                       \
  X(Executable_NumPartitions, NoArgs)                                     \
  X(Executable_NumOutputs, ExecutableCountArgs)                           \
  X(Executable_SizeOfGeneratedCodeInBytes, NoArgs)                        \
  X(Executable_GetCostAnalysis, ExecutableCostArgs)                       \
  X(Executable_OutputMemoryKinds, NoArgs)                                 \
  X(Executable_OptimizedProgram, OptimizedProgramArgs)                    \
  X(Executable_Serialize, SerializeArgs)                                  \
  X(LoadedExecutable_Destroy, LoadedArgs)                                 \
  X(LoadedExecutable_GetExecutable, LoadedExecutableArgs)                 \
  X(LoadedExecutable_AddressableDevices, NoArgs)                          \
  X(LoadedExecutable_Delete, NoArgs)                                      \
  X(LoadedExecutable_IsDeleted, NoArgs)                                   \
  X(LoadedExecutable_Execute, ExecuteArgs)                                \
  X(Executable_DeserializeAndLoad, DeserializeArgs)                       \
  X(LoadedExecutable_Fingerprint, NoArgs)                                 \
  X(Buffer_Destroy, BufferArgs)                                           \
  X(Buffer_ElementType, NoArgs)                                           \
  X(Buffer_Dimensions, NoArgs)                                            \
  X(Buffer_UnpaddedDimensions, NoArgs)                                    \
  X(Buffer_DynamicDimensionIndices, NoArgs)                               \
  X(Buffer_GetMemoryLayout, NoArgs)                                       \
  X(Buffer_OnDeviceSizeInBytes, BufferSizeArgs)                           \
  X(Buffer_Device, NoArgs)                                                \
  X(Buffer_Memory, NoArgs)                                                \
  X(Buffer_Delete, BufferArgs)                                            \
  X(Buffer_IsDeleted, BufferDeletedArgs)                                  \
  X(Buffer_CopyToDevice, BufferToDeviceArgs)                              \
  X(Buffer_ToHostBuffer, BufferToHostArgs)                                \
  X(Buffer_IsOnCpu, NoArgs)                                               \
  X(Buffer_ReadyEvent, BufferEventArgs)                                   \
  X(Buffer_UnsafePointer, BufferPointerArgs)                              \
  X(Buffer_IncreaseExternalReferenceCount, NoArgs)                        \
  X(Buffer_DecreaseExternalReferenceCount, NoArgs)                        \
  X(Buffer_OpaqueDeviceMemoryDataPointer, NoArgs)                         \
  X(CopyToDeviceStream_Destroy, NoArgs)                                   \
  X(CopyToDeviceStream_AddChunk, NoArgs)                                  \
  X(CopyToDeviceStream_TotalBytes, NoArgs)                                \
  X(CopyToDeviceStream_GranuleSize, NoArgs)                               \
  X(CopyToDeviceStream_CurrentBytes, NoArgs)                              \
  X(TopologyDescription_Create, TopologyCreateArgs)                       \
  X(TopologyDescription_Destroy, TopologyArgs)                            \
  X(TopologyDescription_PlatformName, TopologyTextArgs)                   \
  X(TopologyDescription_PlatformVersion, TopologyTextArgs)                \
  X(TopologyDescription_GetDeviceDescriptions, TopologyDescriptionsArgs)  \
  X(TopologyDescription_Serialize, NoArgs)                                \
  X(TopologyDescription_Attributes, NoArgs)                               \
  X(Compile, CompileArgs)                                                 \
  X(Executable_OutputElementTypes, NoArgs)                                \
  X(Executable_OutputDimensions, NoArgs)                                  \
  X(Buffer_CopyToMemory, BufferToMemoryArgs)                              \
  X(Client_CreateViewOfDeviceBuffer, NoArgs)                              \
  X(Executable_Fingerprint, NoArgs)                                       \
  X(Client_TopologyDescription, NoArgs)                                   \
  X(Executable_GetCompiledMemoryStats, CompiledStatsArgs)                 \
  X(Memory_Kind_Id, NoArgs)                                               \
  X(ExecuteContext_Create, NoArgs)                                        \
  X(ExecuteContext_Destroy, NoArgs)                                       \
  X(Buffer_CopyRawToHost, NoArgs)                                         \
  X(AsyncHostToDeviceTransferManager_Destroy, NoArgs)                     \
  X(AsyncHostToDeviceTransferManager_TransferData, NoArgs)                \
  X(Client_CreateBuffersForAsyncHostToDevice, NoArgs)                     \
  X(AsyncHostToDeviceTransferManager_RetrieveBuffer, NoArgs)              \
  X(AsyncHostToDeviceTransferManager_Device, NoArgs)                      \
  X(AsyncHostToDeviceTransferManager_BufferCount, NoArgs)                 \
  X(AsyncHostToDeviceTransferManager_BufferSize, NoArgs)                  \
  X(AsyncHostToDeviceTransferManager_SetBufferError, NoArgs)              \
  X(AsyncHostToDeviceTransferManager_AddMetadata, NoArgs)                 \
  X(Client_DmaMap, NoArgs)                                                \
  X(Client_DmaUnmap, NoArgs)                                              \
  X(Client_CreateUninitializedBuffer, UninitializedArgs)

enum Function : size_t {
#define X(name, args) k##name,
  COVECTOR_PJRT_FUNCTIONS(X)
#undef X
      kNumFunctions
};

struct Api {
  size_t size;
  Extension* extensions;
  Version version;
  void* functions[kNumFunctions];
};

struct NamedValue : Head {
  enum Type : int { kString, kInt64, kInt64List, kFloat, kBool };
  const char* name;
  size_t name_size;
  Type type;
  union {
    const char* string;
    int64_t integer;
    const int64_t* integers;
    float number;
    bool truth;
  };
  size_t value_size;
};

enum BufferType : int {
  kInvalid,
  kPred,
  kS8,
  kS16,
  kS32,
  kS64,
  kU8Type,
  kU16Type,
  kU32Type,
  kU64Type,
  kF16Type,
  kF32Type,
  kF64Type,
  kBF16Type,
  kC64Type,
  kC128Type,
  kF8E5M2,
  kF8E4M3FN,
  kF8E4M3B11FNUZ,
  kF8E5M2FNUZ,
  kF8E4M3FNUZ,
  kS4,
  kU4,
  kToken,
  kS2,
  kU2,
  kF8E4M3,
  kF8E3M4,
  kF8E8M0FNU,
  kF4E2M1FN,
};

struct MemoryLayout : Head {
  enum Type : int { kTiled, kStrides };
  struct Tiled : Head {
    const int64_t* minor_to_major;
    size_t minor_to_major_size;
    const int64_t* tile_dims;
    const size_t* tile_dim_sizes;
    size_t num_tiles;
  } tiled;
  Type type;
};

enum HostSemantics : int {
  kOnlyDuringCall,
  kUntilTransferCompletes,
  kZeroCopy,
};

struct ErrorArgs : Head {
  Error* error;
};
struct ErrorMessageArgs : Head {
  const Error* error;
  const char* message;
  size_t message_size;
};
struct ErrorCodeArgs : Head {
  const Error* error;
  int code;
};
struct PluginInitializeArgs : Head {};
struct PluginAttributesArgs : Head {
  const NamedValue* attributes;
  size_t num_attributes;
};
struct EventArgs : Head {
  Event* event;
};
struct EventReadyArgs : Head {
  Event* event;
  bool is_ready;
};
struct EventOnReadyArgs : Head {
  Event* event;
  void (*callback)(Error* error, void* user_arg);
  void* user_arg;
};
// What plugins call, from any of their threads; `callback_error` makes the error that is returned.
using CallbackError = Error* (*)(int code, const char* message, size_t message_size);
struct KeyValueGetArgs : Head {
  const char* key;
  size_t key_size;
  int timeout_in_ms;
  CallbackError* callback_error;
  void* user_arg;
  char* value;
  size_t value_size;
  void (*value_deleter_callback)(char* value);
};
struct KeyValueTryGetArgs : Head {
  const char* key;
  size_t key_size;
  CallbackError* callback_error;
  void* user_arg;
  char* value;
  size_t value_size;
  void (*value_deleter_callback)(char* value);
};
struct KeyValuePutArgs : Head {
  const char* key;
  size_t key_size;
  const char* value;
  size_t value_size;
  CallbackError* callback_error;
  void* user_arg;
};
struct ClientCreateArgs : Head {
  const NamedValue* create_options;
  size_t num_options;
  Error* (*kv_get_callback)(KeyValueGetArgs*);
  void* kv_get_user_arg;
  Error* (*kv_put_callback)(KeyValuePutArgs*);
  void* kv_put_user_arg;
  ClientHandle* client;
  Error* (*kv_try_get_callback)(KeyValueTryGetArgs*);
  void* kv_try_get_user_arg;
};
struct ClientArgs : Head {
  ClientHandle* client;
};
struct ClientTextArgs : Head {
  ClientHandle* client;
  const char* text;
  size_t text_size;
};
struct ClientIndexArgs : Head {
  ClientHandle* client;
  int process_index;
};
struct ClientDevicesArgs : Head {
  ClientHandle* client;
  DeviceHandle* const* devices;
  size_t num_devices;
};
struct Program : Head {
  const char* code;
  size_t code_size;
  const char* format;
  size_t format_size;
};
struct ClientCompileArgs : Head {
  ClientHandle* client;
  const Program* program;
  const char* compile_options;
  size_t compile_options_size;
  LoadedHandle* executable;
};
struct BufferFromHostArgs : Head {
  ClientHandle* client;
  const void* data;
  BufferType type;
  const int64_t* dims;
  size_t num_dims;
  const int64_t* byte_strides;
  size_t num_byte_strides;
  HostSemantics host_buffer_semantics;
  DeviceHandle* device;
  MemoryHandle* memory;
  void* device_layout;
  Event* done_with_host_buffer;
  BufferHandle* buffer;
};
struct DescriptionIndexArgs : Head {
  DeviceDescription* device_description;
  int index;
};
struct DescriptionAttributesArgs : Head {
  DeviceDescription* device_description;
  size_t num_attributes;
  const NamedValue* attributes;
};
struct DescriptionTextArgs : Head {
  DeviceDescription* device_description;
  const char* text;
  size_t text_size;
};
struct DeviceDescriptionArgs : Head {
  DeviceHandle* device;
  DeviceDescription* device_description;
};
struct DeviceIndexArgs : Head {
  DeviceHandle* device;
  int local_hardware_id;
};
struct DeviceMemoriesArgs : Head {
  DeviceHandle* device;
  MemoryHandle* const* memories;
  size_t num_memories;
};
struct DeviceMemoryArgs : Head {
  DeviceHandle* device;
  MemoryHandle* memory;
};
struct MemoryStatsArgs : Head {
  struct Optional {
    int64_t value;
    bool is_set;
  };
  DeviceHandle* device;
  int64_t bytes_in_use;
  Optional peak_bytes_in_use, num_allocs, largest_alloc_size, bytes_limit, bytes_reserved,
      peak_bytes_reserved, bytes_reservable_limit, largest_free_block_bytes, pool_bytes,
      peak_pool_bytes;
};
struct MemoryIndexArgs : Head {
  MemoryHandle* memory;
  int id;
};
struct MemoryTextArgs : Head {
  MemoryHandle* memory;
  const char* kind;
  size_t kind_size;
};
struct ExecutableArgs : Head {
  ExecutableHandle* executable;
};
struct ExecutableCountArgs : Head {
  ExecutableHandle* executable;
  size_t num_outputs;
};
struct ExecutableCostArgs : Head {
  ExecutableHandle* executable;
  size_t num_properties;
  const NamedValue* properties;
};
struct OptimizedProgram : Head {
  char* code;
  size_t code_size;
  const char* format;
  size_t format_size;
};
struct OptimizedProgramArgs : Head {
  ExecutableHandle* executable;
  OptimizedProgram* program;
};
struct SerializeArgs : Head {
  const ExecutableHandle* executable;
  const char* serialized_bytes;
  size_t serialized_bytes_size;
  SerializedHandle* serialized_executable;
  void (*serialized_executable_deleter)(SerializedHandle*);
};
struct LoadedArgs : Head {
  LoadedHandle* executable;
};
struct LoadedExecutableArgs : Head {
  LoadedHandle* loaded_executable;
  ExecutableHandle* executable;
};
struct ExecuteOptions : Head {
  void* send_callbacks;
  void* recv_callbacks;
  size_t num_send_ops;
  size_t num_recv_ops;
  int launch_id;
  const int64_t* non_donatable_input_indices;
  size_t num_non_donatable_input_indices;
  void* context;
  const char* call_location;
  size_t num_tasks;
  int* task_ids;
  int64_t* incarnation_ids;
};
struct ExecuteArgs : Head {
  LoadedHandle* executable;
  ExecuteOptions* options;
  BufferHandle* const* const* argument_lists;
  size_t num_devices;
  size_t num_args;
  BufferHandle** const* output_lists;
  Event** device_complete_events;
  DeviceHandle* execute_device;
};
struct DeserializeArgs : Head {
  ClientHandle* client;
  const char* serialized_executable;
  size_t serialized_executable_size;
  LoadedHandle* loaded_executable;
  const char* overridden_serialized_compile_options;
  size_t overridden_serialized_compile_options_size;
};
struct BufferArgs : Head {
  BufferHandle* buffer;
};
struct BufferDeletedArgs : Head {
  BufferHandle* buffer;
  bool is_deleted;
};
struct UninitializedArgs : Head {
  ClientHandle* client;
  const int64_t* shape_dims;
  size_t shape_num_dims;
  BufferType shape_element_type;
  MemoryLayout* shape_layout;
  DeviceHandle* device;
  MemoryHandle* memory;
  BufferHandle* buffer;
};
struct BufferSizeArgs : Head {
  BufferHandle* buffer;
  size_t on_device_size_in_bytes;
};
struct BufferToDeviceArgs : Head {
  BufferHandle* buffer;
  DeviceHandle* dst_device;
  BufferHandle* dst_buffer;
};
struct BufferToMemoryArgs : Head {
  BufferHandle* buffer;
  MemoryHandle* dst_memory;
  BufferHandle* dst_buffer;
};
struct BufferToHostArgs : Head {
  BufferHandle* src;
  MemoryLayout* host_layout;
  void* dst;
  size_t dst_size;
  Event* event;
};
struct BufferEventArgs : Head {
  BufferHandle* buffer;
  Event* event;
};
struct BufferPointerArgs : Head {
  BufferHandle* buffer;
  uintptr_t buffer_pointer;
};
struct TopologyCreateArgs : Head {
  const char* topology_name;
  size_t topology_name_size;
  const NamedValue* create_options;
  size_t num_options;
  TopologyHandle* topology;
};
struct TopologyArgs : Head {
  TopologyHandle* topology;
};
struct TopologyTextArgs : Head {
  TopologyHandle* topology;
  const char* text;
  size_t text_size;
};
struct TopologyDescriptionsArgs : Head {
  const TopologyHandle* topology;
  DeviceDescription* const* descriptions;
  size_t num_descriptions;
};
struct CompileArgs : Head {
  const TopologyHandle* topology;
  const Program* program;
  const char* compile_options;
  size_t compile_options_size;
  ClientHandle* client;
  ExecutableHandle* executable;
};
struct CompiledStatsArgs : Head {
  ExecutableHandle* executable;
  int64_t generated_code_size_in_bytes;
  int64_t argument_size_in_bytes;
  int64_t output_size_in_bytes;
  int64_t alias_size_in_bytes;
  int64_t temp_size_in_bytes;
  int64_t host_generated_code_size_in_bytes;
  int64_t host_argument_size_in_bytes;
  int64_t host_output_size_in_bytes;
  int64_t host_alias_size_in_bytes;
  int64_t host_temp_size_in_bytes;
  int64_t peak_memory_in_bytes;
};

// The extension that registers native functions (pjrt_c_api_ffi_extension.h). Plugins of before
// 2025 have one member more, and refuse the size of the shorter structure.
struct RegisterHandlerArgs {
  size_t size;
  const char* name;
  size_t name_size;
  void* handler;  // of covector/ffi_abi.h
  const char* platform;
  size_t platform_size;
  int traits;
};
struct OldRegisterHandlerArgs {
  size_t size;
  const char* name;
  size_t name_size;
  int api_version;  // 1
  void* handler;
  const char* platform;
  size_t platform_size;
  int traits;
};
struct FfiExtension : Extension {
  void* register_type;
  void* add_user_data;
  Error* (*register_handler)(void* args);
};

// A structure with zeros behind it: what later versions of the interface have added reads as absent,
// and has room to be written.
template <class T>
struct Call : T {
  Call() : T{} {
    this->size = sizeof(Call);
    this->extensions = nullptr;
  }
  uint64_t later[8] = {};
};

}  // namespace covector::pjrt
