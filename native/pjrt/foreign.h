// Native functions and Python's on the devices of a plugin, by its FFI extension.
#pragma once

#include <Python.h>

#include <string>
#include <utility>

#include "covector/ffi_abi.h"
#include "pjrt/plugin.h"

namespace covector::pjrt {

// The name that programs call Python functions by: an operand is what register_callback returned;
// if the attribute `ordered` is there, a second operand and the first result are only for the order.
inline constexpr const char* kCallbackTarget = "covector_callback";

// Registers what runs Python functions with a platform's name, once. The version of the interface
// that the plugin has.
std::pair<int, int> start_ffi(const Plugin& plugin, const std::string& platform);

// After `start_ffi`; what the plugin refuses is a Failure.
void register_handlers(const Plugin& plugin, const std::string& name, const std::string& platform,
                       const covector_ffi_bundle& handlers, uint32_t traits);
void register_handler_type(const Plugin& plugin, const std::string& name,
                           covector_ffi_type_id* type, const covector_ffi_type_info* info);

// Raises the exception of a callback that `message`, what a plugin reported, comes from, with a note
// of what the message begins with; false if it comes from none.
bool raise_callback_exception(const std::string& message);

}  // namespace covector::pjrt
