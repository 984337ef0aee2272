// Devices that are not there: what a plugin compiles for without a client.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pjrt/plugin.h"

namespace covector::pjrt {

struct AbsentDevice {
  int id, process_index;
  std::string kind, text;
  Values attributes;
};

class Topology {
 public:
  static std::shared_ptr<Topology> create(std::shared_ptr<Plugin> plugin, const std::string& name,
                                          const Values& options);
  ~Topology();
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;

  std::string platform_name() const;
  std::string platform_version() const;
  std::vector<AbsentDevice> devices() const;
  // The compiled program, serialised.
  std::string compile(const std::string& text, const std::string& options) const;

 private:
  Topology(std::shared_ptr<Plugin> plugin, TopologyHandle* handle)
      : plugin_(std::move(plugin)), handle_(handle) {}

  std::shared_ptr<Plugin> plugin_;
  TopologyHandle* handle_;
};

}  // namespace covector::pjrt
