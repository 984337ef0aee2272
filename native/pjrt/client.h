// A client of a plugin: its devices, and everything that lives on them.
//
// Arrays and programs hold their client, so that handles may die in any order. `close`, called
// before the interpreter ends, destroys what is left; a forked child destroys nothing, because the
// plugin's threads are the parent's.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "core/forks.h"
#include "pjrt/plugin.h"
#include "pjrt/store.h"

namespace covector::pjrt {

class Client;

// Something of the plugin's that belongs to a client: a link of the client's list.
class Owned {
 public:
  explicit Owned(std::shared_ptr<Client> client);
  virtual ~Owned();  // a subclass calls `leave` first
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;

  const std::shared_ptr<Client>& client() const { return client_; }

 protected:
  friend class Client;
  virtual void destroy_handle() = 0;  // called once, with the client alive
  // Takes the object from the list and destroys its handle, unless the client has done so.
  void leave();

 private:
  std::shared_ptr<Client> client_;
  Owned *before_ = nullptr, *after_ = nullptr;
  bool listed_ = false;
};

struct MemoryInfo {
  MemoryHandle* handle;
  int id;
  std::string kind;
};

struct DeviceInfo {
  DeviceHandle* handle;
  int id, process_index, local_hardware_id;
  std::string kind, text;
  Values attributes;
  bool addressable;  // whether it is of this process; of others no more is known than what is above
  std::vector<MemoryInfo> memories;
  int default_memory = -1;  // an index into `memories`
};

class Client : public std::enable_shared_from_this<Client> {
 public:
  // What Client_Create calls; `options` are the plugin's. `store` is null for a process alone.
  static std::shared_ptr<Client> create(std::shared_ptr<Plugin> plugin, const Values& options,
                                        std::unique_ptr<Store> store);
  ~Client();

  // Throws in a forked child, and once the client is closed.
  void check() const;
  bool usable() const { return handle_ && !closing_ && generation_ == fork_generation(); }
  // Waits for calls that are under way, with the GIL where the caller has it.
  void close();
  // Held by whoever calls the plugin without the GIL: the client is not closed meanwhile.
  std::shared_mutex& calls() const { return calls_; }

  const Plugin& plugin() const { return *plugin_; }
  ClientHandle* handle() const { return handle_; }
  const std::string& platform_name() const { return platform_name_; }
  // What messages call it: the plugin's own name may be that of another platform.
  void call(const std::string& name) { name_ = name; }
  const std::string& platform_version() const { return platform_version_; }
  int process_index() const { return process_index_; }
  const std::vector<DeviceInfo>& devices() const { return devices_; }  // those of all processes
  Values memory_stats(int device) const;
  bool on_cpu() const { return on_cpu_; }

 private:
  friend class Owned;
  Client(std::shared_ptr<Plugin> plugin, ClientHandle* handle);
  void describe();
  void add_device(DeviceHandle* handle, bool addressable);
  void add_memories(DeviceInfo* info) const;

  std::shared_ptr<Plugin> plugin_;
  ClientHandle* handle_;
  unsigned generation_;
  std::string platform_name_, platform_version_, name_;
  int process_index_ = 0;
  bool on_cpu_ = false;
  std::vector<DeviceInfo> devices_;
  std::mutex mutex_;
  mutable std::shared_mutex calls_;
  std::atomic<bool> closing_{false};
  Owned* first_ = nullptr;
};

std::string description_text(const Plugin& plugin, DeviceDescription* description, Function f);
Values description_attributes(const Plugin& plugin, DeviceDescription* description);

}  // namespace covector::pjrt
