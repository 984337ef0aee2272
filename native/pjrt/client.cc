// Making and closing of clients, and what they say of their devices.
#include "pjrt/client.h"

#include <Python.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace covector::pjrt {

Owned::Owned(std::shared_ptr<Client> client) : client_(std::move(client)) {
  std::lock_guard lock(client_->mutex_);
  after_ = client_->first_;
  if (after_) after_->before_ = this;
  client_->first_ = this;
  listed_ = true;
}

Owned::~Owned() = default;

void Owned::leave() {
  // A child of a fork neither destroys anything nor waits for a lock that a thread of the parent
  // may have held.
  if (client_->generation_ != fork_generation()) return;
  {
    std::lock_guard lock(client_->mutex_);
    if (!listed_) return;
    (before_ ? before_->after_ : client_->first_) = after_;
    if (after_) after_->before_ = before_;
    listed_ = false;
  }
  destroy_handle();
}

std::shared_ptr<Client> Client::create(std::shared_ptr<Plugin> plugin, const Values& options,
                                       std::unique_ptr<Store> store) {
  std::vector<NamedValue> named = as_named(options);
  Call<ClientCreateArgs> args;
  // Threads of the plugin may call it after the client has ended.
  if (store) store.release()->offer(&args);
  args.create_options = named.data();
  args.num_options = named.size();
  plugin->invoke<kClient_Create>(&args);
  std::shared_ptr<Client> client(new Client(std::move(plugin), args.client));
  client->describe();
  return client;
}

Client::Client(std::shared_ptr<Plugin> plugin, ClientHandle* handle)
    : plugin_(std::move(plugin)), handle_(handle), generation_(fork_generation()) {}

Client::~Client() { close(); }

void Client::check() const {
  if (generation_ != fork_generation())
    throw Failure(kFailedPrecondition,
                  "this process was forked from the one that uses the devices of " +
                      name_ + ", and a device cannot be used by both. Start processes " +
                      "with multiprocessing's method 'spawn', or fork before the first array is " +
                      "made on a device");
  if (!handle_ || closing_)
    throw Failure(kFailedPrecondition, "the client of " + name_ + " is closed");
}

void Client::close() {
  if (!usable() || closing_.exchange(true)) return;
  // A call under way needs the GIL to end.
  std::unique_lock calls(calls_, std::try_to_lock);
  while (!calls.owns_lock()) {
    PyThreadState* state = PyGILState_Check() ? PyEval_SaveThread() : nullptr;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (state) PyEval_RestoreThread(state);
    (void)calls.try_lock();
  }
  for (;;) {
    Owned* one;
    {
      std::lock_guard lock(mutex_);
      one = first_;
      if (!one) break;
      first_ = one->after_;
      if (first_) first_->before_ = nullptr;
      one->listed_ = false;
    }
    one->destroy_handle();
  }
  Call<ClientArgs> args;
  args.client = handle_;
  handle_ = nullptr;
  // It may take leave of other processes, whose service is a thread of Python's.
  PyThreadState* state = PyGILState_Check() ? PyEval_SaveThread() : nullptr;
  Error* error = plugin_->call<kClient_Destroy>(&args);
  if (state) PyEval_RestoreThread(state);
  if (error) plugin_->destroy_error(error);
}

std::string description_text(const Plugin& plugin, DeviceDescription* description, Function f) {
  Call<DescriptionTextArgs> args;
  args.device_description = description;
  if (f == kDeviceDescription_Kind)
    plugin.invoke<kDeviceDescription_Kind>(&args);
  else
    plugin.invoke<kDeviceDescription_ToString>(&args);
  return {args.text, args.text_size};
}

Values description_attributes(const Plugin& plugin, DeviceDescription* description) {
  Call<DescriptionAttributesArgs> args;
  args.device_description = description;
  if (!plugin.has(kDeviceDescription_Attributes)) return {};
  plugin.invoke<kDeviceDescription_Attributes>(&args);
  return read_values(args.attributes, args.num_attributes);
}

void Client::describe() {
  Call<ClientTextArgs> text;
  text.client = handle_;
  plugin_->invoke<kClient_PlatformName>(&text);
  platform_name_.assign(text.text, text.text_size);
  name_ = platform_name_;
  on_cpu_ = platform_name_ == "cpu";
  plugin_->invoke<kClient_PlatformVersion>(&text);
  platform_version_.assign(text.text, text.text_size);
  Call<ClientIndexArgs> index;
  index.client = handle_;
  plugin_->invoke<kClient_ProcessIndex>(&index);
  process_index_ = index.process_index;
  Call<ClientDevicesArgs> here, all;
  here.client = all.client = handle_;
  plugin_->invoke<kClient_AddressableDevices>(&here);
  plugin_->invoke<kClient_Devices>(&all);
  DeviceHandle* const* end = here.devices + here.num_devices;
  for (size_t i = 0; i < all.num_devices; ++i)
    add_device(all.devices[i], std::find(here.devices, end, all.devices[i]) != end);
}

void Client::add_device(DeviceHandle* handle, bool addressable) {
  DeviceInfo info;
  info.handle = handle;
  info.addressable = addressable;
  Call<DeviceDescriptionArgs> described;
  described.device = handle;
  plugin_->invoke<kDevice_GetDescription>(&described);
  DeviceDescription* description = described.device_description;
  Call<DescriptionIndexArgs> index;
  index.device_description = description;
  plugin_->invoke<kDeviceDescription_Id>(&index);
  info.id = index.index;
  plugin_->invoke<kDeviceDescription_ProcessIndex>(&index);
  info.process_index = index.index;
  info.kind = description_text(*plugin_, description, kDeviceDescription_Kind);
  info.text = description_text(*plugin_, description, kDeviceDescription_ToString);
  info.attributes = description_attributes(*plugin_, description);
  info.local_hardware_id = -1;
  if (addressable) add_memories(&info);
  devices_.push_back(std::move(info));
}

void Client::add_memories(DeviceInfo* info) const {
  DeviceHandle* handle = info->handle;
  Call<DeviceIndexArgs> local;
  local.device = handle;
  local.local_hardware_id = -1;
  if (Error* error = plugin_->call<kDevice_LocalHardwareId>(&local)) plugin_->destroy_error(error);
  info->local_hardware_id = local.local_hardware_id;
  Call<DeviceMemoriesArgs> memories;
  memories.device = handle;
  plugin_->invoke<kDevice_AddressableMemories>(&memories);
  Call<DeviceMemoryArgs> standard;
  standard.device = handle;
  if (Error* error = plugin_->call<kDevice_DefaultMemory>(&standard))
    plugin_->destroy_error(error);
  for (size_t i = 0; i < memories.num_memories; ++i) {
    Call<MemoryIndexArgs> id;
    id.memory = memories.memories[i];
    plugin_->invoke<kMemory_Id>(&id);
    Call<MemoryTextArgs> kind;
    kind.memory = id.memory;
    plugin_->invoke<kMemory_Kind>(&kind);
    if (id.memory == standard.memory) info->default_memory = int(i);
    info->memories.push_back({id.memory, id.id, std::string(kind.kind, kind.kind_size)});
  }
}

Values Client::memory_stats(int device) const {
  check();
  Call<MemoryStatsArgs> args;
  args.device = devices_.at(size_t(device)).handle;
  if (!plugin_->has(kDevice_MemoryStats)) return {};
  if (Error* error = plugin_->call<kDevice_MemoryStats>(&args)) {
    Failure failure = plugin_->failure(error);
    if (failure.code == kUnimplemented) return {};
    throw failure;
  }
  Values out{{"bytes_in_use", args.bytes_in_use}};
  auto add = [&](const char* name, const MemoryStatsArgs::Optional& value) {
    if (value.is_set) out.emplace_back(name, value.value);
  };
  add("peak_bytes_in_use", args.peak_bytes_in_use);
  add("num_allocs", args.num_allocs);
  add("largest_alloc_size", args.largest_alloc_size);
  add("bytes_limit", args.bytes_limit);
  add("bytes_reserved", args.bytes_reserved);
  add("peak_bytes_reserved", args.peak_bytes_reserved);
  add("bytes_reservable_limit", args.bytes_reservable_limit);
  add("largest_free_block_bytes", args.largest_free_block_bytes);
  add("pool_bytes", args.pool_bytes);
  add("peak_pool_bytes", args.peak_pool_bytes);
  return out;
}

}  // namespace covector::pjrt
