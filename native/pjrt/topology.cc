// Compilation for devices that are not there.
#include "pjrt/topology.h"

#include "pjrt/client.h"
#include "pjrt/program.h"

namespace covector::pjrt {

std::shared_ptr<Topology> Topology::create(std::shared_ptr<Plugin> plugin, const std::string& name,
                                           const Values& options) {
  std::vector<NamedValue> named = as_named(options);
  Call<TopologyCreateArgs> args;
  args.topology_name = name.data();
  args.topology_name_size = name.size();
  args.create_options = named.data();
  args.num_options = named.size();
  plugin->invoke<kTopologyDescription_Create>(&args);
  return std::shared_ptr<Topology>(new Topology(std::move(plugin), args.topology));
}

Topology::~Topology() {
  Call<TopologyArgs> args;
  args.topology = handle_;
  if (Error* error = plugin_->call<kTopologyDescription_Destroy>(&args))
    plugin_->destroy_error(error);
}

std::string Topology::platform_name() const {
  Call<TopologyTextArgs> args;
  args.topology = handle_;
  plugin_->invoke<kTopologyDescription_PlatformName>(&args);
  return {args.text, args.text_size};
}

std::string Topology::platform_version() const {
  Call<TopologyTextArgs> args;
  args.topology = handle_;
  plugin_->invoke<kTopologyDescription_PlatformVersion>(&args);
  return {args.text, args.text_size};
}

std::vector<AbsentDevice> Topology::devices() const {
  Call<TopologyDescriptionsArgs> args;
  args.topology = handle_;
  plugin_->invoke<kTopologyDescription_GetDeviceDescriptions>(&args);
  std::vector<AbsentDevice> out;
  for (size_t i = 0; i < args.num_descriptions; ++i) {
    DeviceDescription* description = args.descriptions[i];
    Call<DescriptionIndexArgs> index;
    index.device_description = description;
    plugin_->invoke<kDeviceDescription_Id>(&index);
    AbsentDevice device;
    device.id = index.index;
    plugin_->invoke<kDeviceDescription_ProcessIndex>(&index);
    device.process_index = index.index;
    device.kind = description_text(*plugin_, description, kDeviceDescription_Kind);
    device.text = description_text(*plugin_, description, kDeviceDescription_ToString);
    device.attributes = description_attributes(*plugin_, description);
    out.push_back(std::move(device));
  }
  return out;
}

std::string Topology::compile(const std::string& text, const std::string& options) const {
  Call<Program> program;
  program.code = text.data();
  program.code_size = text.size();
  program.format = "mlir";
  program.format_size = 4;
  Call<CompileArgs> args;
  args.topology = handle_;
  args.program = &program;
  args.compile_options = options.data();
  args.compile_options_size = options.size();
  plugin_->invoke<kCompile>(&args);
  std::string bytes;
  Call<ExecutableArgs> destroyed;
  destroyed.executable = args.executable;
  try {
    bytes = serialize_executable(*plugin_, args.executable);
  } catch (...) {
    if (Error* error = plugin_->call<kExecutable_Destroy>(&destroyed))
      plugin_->destroy_error(error);
    throw;
  }
  if (Error* error = plugin_->call<kExecutable_Destroy>(&destroyed)) plugin_->destroy_error(error);
  return bytes;
}

}  // namespace covector::pjrt
