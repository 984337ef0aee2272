// The Python side of plugins: covector._native.pjrt, made when it is first asked for.
#include "pjrt/module.h"

#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "host/registry.h"
#include "pjrt/buffer.h"
#include "pjrt/client.h"
#include "pjrt/foreign.h"
#include "pjrt/layout.h"
#include "pjrt/program.h"
#include "pjrt/topology.h"

namespace nb = nanobind;

namespace covector::pjrt {
namespace {

nb::object as_python(const Value& value) {
  return std::visit(
      [](const auto& v) -> nb::object {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
          nb::list out;
          for (int64_t k : v) out.append(k);
          return out;
        } else if constexpr (std::is_same_v<T, std::string>) {
          return nb::steal(PyUnicode_DecodeUTF8(v.data(), Py_ssize_t(v.size()), "replace"));
        } else {
          return nb::cast(v);
        }
      },
      value);
}

nb::dict as_python(const Values& values) {
  nb::dict out;
  for (const auto& [name, value] : values) out[name.c_str()] = as_python(value);
  return out;
}

Value from_python(const std::string& name, nb::handle value) {
  if (nb::isinstance<nb::bool_>(value)) return nb::cast<bool>(value);
  if (nb::isinstance<nb::int_>(value)) return nb::cast<int64_t>(value);
  if (nb::isinstance<nb::float_>(value)) return nb::cast<double>(value);
  if (nb::isinstance<nb::str>(value)) return nb::cast<std::string>(value);
  if (nb::isinstance<nb::list>(value) || nb::isinstance<nb::tuple>(value)) {
    std::vector<int64_t> out;
    for (nb::handle item : value) out.push_back(nb::cast<int64_t>(item));
    return out;
  }
  throw nb::type_error(("the option " + name + " must be a bool, an int, a float, a str or a list "
                        "of ints").c_str());
}

Values from_python(nb::dict options) {
  Values out;
  for (auto [key, value] : options) {
    auto name = nb::cast<std::string>(key);
    out.emplace_back(name, from_python(name, value));
  }
  return out;
}

std::string bytes_of(nb::bytes b) { return {b.c_str(), b.size()}; }
nb::bytes as_bytes(const std::string& s) { return nb::bytes(s.data(), s.size()); }

nb::dict describe(const DeviceInfo& d) {
  nb::dict out;
  out["id"] = d.id;
  out["process_index"] = d.process_index;
  out["local_hardware_id"] = d.local_hardware_id;
  out["addressable"] = d.addressable;
  out["kind"] = d.kind;
  out["text"] = d.text;
  out["attributes"] = as_python(d.attributes);
  nb::list memories;
  for (const MemoryInfo& m : d.memories) memories.append(nb::make_tuple(m.id, m.kind));
  out["memories"] = memories;
  out["default_memory"] = d.default_memory;
  return out;
}

nb::object checked(PyObject* made) {
  if (!made) throw nb::python_error();
  return nb::steal(made);
}

void add_client(nb::module_& m) {
  nb::class_<Plugin>(m, "Plugin")
      .def_prop_ro("path", &Plugin::path)
      .def_prop_ro("version",
                   [](const Plugin& p) { return nb::make_tuple(p.major(), p.minor()); })
      .def("attributes", [](const Plugin& p) { return as_python(p.attributes()); })
      .def("start_ffi", start_ffi, nb::arg("platform"),
           "The version of XLA's FFI interface that the plugin has.")
      .def("register_handlers",
           [](const Plugin& p, const std::string& name, const std::string& platform,
              std::tuple<uintptr_t, uintptr_t, uintptr_t, uintptr_t> addresses, uint32_t traits) {
             auto at = [](uintptr_t a) { return reinterpret_cast<covector_ffi_handler*>(a); };
             auto [instantiate, prepare, initialize, execute] = addresses;
             register_handlers(p, name, platform,
                               {at(instantiate), at(prepare), at(initialize), at(execute)}, traits);
           })
      .def("register_type",
           [](const Plugin& p, const std::string& name, uintptr_t type, uintptr_t info) {
             register_handler_type(p, name, reinterpret_cast<covector_ffi_type_id*>(type),
                                   reinterpret_cast<const covector_ffi_type_info*>(info));
           })
      .def("has_extension", [](const Plugin& p, int type) { return p.extension(type) != nullptr; });
  m.def(
      "load",
      [](const std::string& path) {
        nb::gil_scoped_release without;
        return Plugin::load(path);
      },
      nb::arg("path"), "Load a plugin and look at its version.");
  nb::class_<Client>(m, "Client")
      .def_prop_ro("platform_name", &Client::platform_name)
      .def_prop_ro("platform_version", &Client::platform_version)
      .def_prop_ro("process_index", &Client::process_index)
      .def_prop_ro("usable", &Client::usable)
      .def("devices",
           [](const Client& c) {
             nb::list out;
             for (const DeviceInfo& d : c.devices()) out.append(describe(d));
             return out;
           })
      .def("call", &Client::call, nb::arg("name"), "Name the client in messages.")
      .def("memory_stats",
           [](const Client& c, int device) { return as_python(c.memory_stats(device)); })
      .def("put",
           [](const std::shared_ptr<Client>& c, nb::handle array, int device, int memory,
              nb::handle placement) {
             Placement where;
             ArrayObject* a = require_array(array.ptr());
             if (!a || !check_alive(a) || !parse_placement(placement.ptr(), &where))
               throw nb::python_error();
             return checked(as_object(put_array(c, device, memory, a, where)));
           })
      .def("compile",
           [](const std::shared_ptr<Client>& c, nb::bytes text, nb::bytes options) {
             std::string program = bytes_of(text), given = bytes_of(options);
             nb::gil_scoped_release without;
             return Loaded::compile(c, program, given);
           })
      .def("deserialize",
           [](const std::shared_ptr<Client>& c, nb::bytes bytes) {
             std::string given = bytes_of(bytes);
             nb::gil_scoped_release without;
             return Loaded::deserialize(c, given);
           })
      .def("close", &Client::close, "Destroy the client and what is left on its devices.");
  m.def(
      "create_client",
      [](std::shared_ptr<Plugin> plugin, nb::dict options, nb::object store) {
        Values values = from_python(options);
        std::unique_ptr<Store> shared;
        if (!store.is_none()) {
          auto [host, port, token, prefix] =
              nb::cast<std::tuple<std::string, int, std::string, std::string>>(store);
          shared = std::make_unique<Store>(host, port, token, prefix);
        }
        nb::gil_scoped_release without;
        return Client::create(std::move(plugin), values, std::move(shared));
      },
      nb::arg("plugin"), nb::arg("options"), nb::arg("store").none() = nb::none(),
      "A client; `store` is (host, port, token, prefix) of the processes' key–value service.");
}

void add_programs(nb::module_& m) {
  nb::class_<Loaded>(m, "Loaded")
      .def("serialize", [](const Loaded& l) { return as_bytes(l.serialize()); })
      .def("optimized_program", [](const Loaded& l) { return as_bytes(l.optimized_program()); })
      .def("memory_stats", [](const Loaded& l) { return as_python(l.memory_stats()); })
      .def("cost_analysis", [](const Loaded& l) { return as_python(l.cost_analysis()); })
      .def_prop_ro("num_outputs", &Loaded::num_outputs)
      .def("executable",
           [](const std::shared_ptr<Loaded>& l, int device, nb::object in_specs,
              nb::object out_specs, nb::object constants, nb::str name, const std::string& text,
              nb::object placement, nb::object spares, nb::list callbacks) {
             return checked(make_executable(l, device, in_specs.ptr(), out_specs.ptr(),
                                            constants.ptr(), name.ptr(), text, placement.ptr(),
                                            spares.ptr(), callbacks.ptr()));
           });
  m.def(
      "execute_on",
      [](const std::shared_ptr<Loaded>& loaded, const std::vector<int>& devices,
         nb::object arguments, nb::object out_specs, const std::vector<int>& placements,
         const std::vector<int64_t>& donated, const std::string& text) {
        return checked(execute_on(loaded, devices, arguments.ptr(), out_specs.ptr(), placements,
                                  donated, text));
      },
      nb::arg("loaded"), nb::arg("devices"), nb::arg("arguments"), nb::arg("out_specs"),
      nb::arg("placements"), nb::arg("donated"), nb::arg("text"),
      "Run a program on several devices; lists of the arrays on each.");
  nb::class_<Topology>(m, "Topology")
      .def_prop_ro("platform_name", &Topology::platform_name)
      .def_prop_ro("platform_version", &Topology::platform_version)
      .def("devices",
           [](const Topology& t) {
             nb::list out;
             for (const AbsentDevice& d : t.devices()) {
               nb::dict one;
               one["id"] = d.id;
               one["process_index"] = d.process_index;
               one["kind"] = d.kind;
               one["text"] = d.text;
               one["attributes"] = as_python(d.attributes);
               out.append(one);
             }
             return out;
           })
      .def("compile", [](const Topology& t, nb::bytes text, nb::bytes options) {
        std::string program = bytes_of(text), given = bytes_of(options), made;
        {
          nb::gil_scoped_release without;
          made = t.compile(program, given);
        }
        return as_bytes(made);
      });
  m.def(
      "create_topology",
      [](std::shared_ptr<Plugin> plugin, const std::string& name, nb::dict options) {
        Values values = from_python(options);
        nb::gil_scoped_release without;
        return Topology::create(std::move(plugin), name, values);
      },
      nb::arg("plugin"), nb::arg("name"), nb::arg("options"));
}

void set_types(nb::dict types) {
  for (auto [code, type] : types) {
    int k = nb::cast<int>(code);
    if (!is_code(k)) throw nb::value_error("unknown dtype code");
    set_buffer_type(k, nb::cast<int>(type));
  }
}

}  // namespace

void add_pjrt(nb::module_ parent) {
  nb::module_ m = parent.def_submodule("pjrt", "Plugins of the PJRT interface.");
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const Failure& failure) {
      raise_failure(failure);
    } catch (const Interrupted&) {
    }
  });
  DeviceErrorType = PyErr_NewExceptionWithDoc(
      "covector._native.pjrt.DeviceError", "What a device or its compiler refused.",
      PyExc_RuntimeError, nullptr);
  if (!DeviceErrorType || PyModule_AddObjectRef(m.ptr(), "DeviceError", DeviceErrorType) < 0 ||
      !init_pjrt_executable(m.ptr()))
    throw nb::python_error();
  add_client(m);
  add_programs(m);
  m.def("set_types", set_types, nb::arg("types"),
        "Register the plugins' element type of each dtype code.");
  m.def("set_error_maker", [](nb::object maker) { Py_XSETREF(error_maker, maker.release().ptr()); },
        nb::arg("maker"), "Register what makes an exception of a code and a text.");
  m.def("layout", [] {
    nb::list out;
    for (const Member& member : members())
      out.append(nb::make_tuple(member.structure, member.name, member.offset, member.size));
    return out;
  }, "The offsets and sizes of the members that are used.");
}

}  // namespace covector::pjrt
