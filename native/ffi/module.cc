// The Python side of native functions: covector._native.ffi, made when it is first asked for.
#include "ffi/module.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "ffi/call.h"

namespace nb = nanobind;

namespace covector::ffi {
namespace {

using Addresses = std::tuple<uintptr_t, uintptr_t, uintptr_t, uintptr_t>;

covector_ffi_handler* handler_at(uintptr_t address) {
  return reinterpret_cast<covector_ffi_handler*>(address);
}

std::string bytes_of(nb::handle value) {
  auto bytes = nb::cast<nb::bytes>(value);
  return {bytes.c_str(), bytes.size()};
}

// Attributes from pairs of a name and ("scalar", dtype, bytes), ("array", dtype, bytes, count),
// ("string", bytes) or ("dict", pairs).
void fill(Attributes& all, nb::handle pairs) {
  for (nb::handle pair : pairs) {
    auto name = nb::cast<std::string>(pair[0]);
    nb::object value = pair[1];
    auto kind = nb::cast<std::string>(value[0]);
    if (kind == "string") {
      all.add(name, COVECTOR_FFI_STRING, all.text(bytes_of(value[1])));
    } else if (kind == "dict") {
      Attributes& inner = all.inner();
      fill(inner, value[1]);
      all.add(name, COVECTOR_FFI_DICT, inner.view());
    } else {
      auto dtype = covector_ffi_dtype(nb::cast<int>(value[1]));
      std::string bytes = bytes_of(value[2]);
      if (kind == "scalar")
        all.add(name, COVECTOR_FFI_SCALAR, all.scalar(dtype, bytes));
      else
        all.add(name, COVECTOR_FFI_ARRAY, all.array(dtype, nb::cast<size_t>(value[3]), bytes));
    }
  }
}

std::vector<ArrayType> types_of(nb::handle arrays) {
  std::vector<ArrayType> out;
  for (nb::handle a : arrays)
    out.push_back({covector_ffi_dtype(nb::cast<int>(a[0])), nb::cast<std::vector<int64_t>>(a[1]),
                   nb::cast<int64_t>(a[2])});
  return out;
}

void make_call(Call* self, const std::string& name, Addresses addresses, int minor,
               nb::object args, nb::object results, nb::object attributes, nb::object levels,
               nb::object aliases) {
  auto [instantiate, prepare, initialize, execute] = addresses;
  Handlers handlers{name,
                    {handler_at(instantiate), handler_at(prepare), handler_at(initialize),
                     handler_at(execute)},
                    minor};
  std::deque<Attributes> tree(1);
  fill(tree.front(), attributes);
  std::vector<Level> mapped;
  for (nb::handle l : levels)
    mapped.push_back({nb::cast<int64_t>(l[0]), nb::cast<std::vector<int64_t>>(l[1])});
  std::vector<Alias> shared;
  for (nb::handle a : aliases)
    shared.push_back({nb::cast<size_t>(a[0]), nb::cast<size_t>(a[1]), nb::cast<int64_t>(a[2])});
  std::vector<ArrayType> ins = types_of(args), outs = types_of(results);
  nb::gil_scoped_release without;
  new (self) Call(std::move(handlers), ins, outs, std::move(tree), std::move(mapped),
                  std::move(shared));
}

// (major, minor, traits)
nb::tuple metadata_of(uintptr_t address, int minor) {
  covector_ffi_metadata found;
  {
    nb::gil_scoped_release without;
    found = describe(handler_at(address), minor);
  }
  return nb::make_tuple(found.version.major_version, found.version.minor_version, found.traits);
}

int64_t type_number(const std::string& name, uintptr_t type, uintptr_t info) {
  auto* id = reinterpret_cast<covector_ffi_type_id*>(type);
  covector_ffi_error* error =
      register_type(name, id, reinterpret_cast<const covector_ffi_type_info*>(info));
  if (!error) return id->id;
  Failure failure(error->code, error->message);
  delete error;
  throw failure;
}

}  // namespace

void add_ffi(nb::module_ parent) {
  nb::module_ m = parent.def_submodule("ffi", "Native functions of users.");
  nb::exception<Failure>(m, "Failure", PyExc_RuntimeError);
  nb::class_<Call>(m, "Call")
      .def("__init__", make_call, nb::arg("name"), nb::arg("handlers"), nb::arg("minor"),
           nb::arg("args"), nb::arg("results"), nb::arg("attributes"), nb::arg("levels"),
           nb::arg("aliases"))
      .def_prop_ro("ident", [](const Call& c) { return reinterpret_cast<uintptr_t>(&c); },
                   "What compiled code calls it by: an even number, those of callbacks are odd.");
  m.def("metadata", metadata_of, nb::arg("handler"), nb::arg("minor"),
        "(major, minor, traits) that a handler tells who has version 0.minor of the interface.");
  m.def("register_type", type_number, nb::arg("name"), nb::arg("type"), nb::arg("info"));
  m.attr("version") = nb::make_tuple(COVECTOR_FFI_MAJOR, COVECTOR_FFI_MINOR);
}

}  // namespace covector::ffi
