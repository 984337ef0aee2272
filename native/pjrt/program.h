// Programs compiled by a plugin.
#pragma once

#include <Python.h>

#include <memory>
#include <string>
#include <vector>

#include "pjrt/client.h"

namespace covector::pjrt {

// A program loaded on devices of a client.
class Loaded final : public Owned {
 public:
  Loaded(std::shared_ptr<Client> client, LoadedHandle* handle)
      : Owned(std::move(client)), handle_(handle) {}
  ~Loaded() override { leave(); }

  static std::shared_ptr<Loaded> compile(const std::shared_ptr<Client>& client,
                                         const std::string& text, const std::string& options);
  static std::shared_ptr<Loaded> deserialize(const std::shared_ptr<Client>& client,
                                             const std::string& bytes);

  LoadedHandle* handle() const { return handle_; }
  std::string serialize() const;
  std::string optimized_program() const;  // a serialised HloModuleProto
  Values memory_stats() const;
  Values cost_analysis() const;
  size_t num_outputs() const;

 private:
  void destroy_handle() override;
  // What `work` gives of the ExecutableHandle, which lives as long as the call.
  template <class Work>
  auto with_executable(Work&& work) const;

  LoadedHandle* handle_;
};

// Runs a program on several devices, in the order of its assignment: `arguments[d]` are the arrays
// of device `devices[d]`, on it, and the result holds lists of the results on each. Those of the
// arguments whose numbers are in `donated` may be overwritten. A new reference; null with an
// exception.
PyObject* execute_on(const std::shared_ptr<Loaded>& loaded, const std::vector<int>& devices,
                     PyObject* arguments, PyObject* out_specs, const std::vector<int>& placements,
                     const std::vector<int64_t>& donated, const std::string& text);

extern PyTypeObject* PjrtExecutableType;
// PjrtExecutable: `text` stands for the program in messages of the plugin's; `spares` are the results that have a buffer to be written into as a last argument
// each; `callbacks`, a list, keeps the Python functions that the program calls. If there are any, a
// call waits until the program has run.
PyObject* make_executable(const std::shared_ptr<Loaded>& loaded, int device, PyObject* in_specs,
                          PyObject* out_specs, PyObject* constants, PyObject* name,
                          const std::string& text, PyObject* placement, PyObject* spares, PyObject* callbacks);
bool init_pjrt_executable(PyObject* module);

std::string serialize_executable(const Plugin& plugin, ExecutableHandle* executable);

}  // namespace covector::pjrt
