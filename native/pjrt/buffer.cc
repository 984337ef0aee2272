// Transfers between the host and devices, and arrays on devices.
#include "pjrt/buffer.h"

#include <cstring>
#include <utility>

#include "host/registry.h"
#include "pjrt/foreign.h"
#include "python/ref.h"

namespace covector::pjrt {

PyObject* DeviceErrorType = nullptr;
PyObject* error_maker = nullptr;

namespace {

int buffer_types[kMaxCodes] = {};

const Buffer& body_of(const Storage& storage) {
  return *static_cast<const Buffer*>(storage.context);
}

Storage* read_storage(const Storage& from) {
  Storage* to = nullptr;
  guarded([&] { to = static_cast<Buffer*>(from.context)->read(from.nbytes); });
  return to;
}

bool start_reading_storage(const Storage& from) {
  return guarded([&] { static_cast<Buffer*>(from.context)->start_reading(from.nbytes); });
}

bool address_of_storage(const Storage& storage, uintptr_t* out) {
  return guarded([&] { *out = body_of(storage).address(); });
}

bool size_of_storage(const Storage& storage, size_t* out) {
  return guarded([&] { *out = body_of(storage).size_on_device(); });
}

bool wait_storage(const Storage& storage) {
  return guarded([&] { body_of(storage).wait(); });
}

bool storage_is_ready(const Storage& storage) {
  return body_of(storage).is_ready();
}

void release_buffer(void* context) { delete static_cast<Buffer*>(context); }

// The host's memory that a plugin reads, and which plugin.
struct Lent {
  const Plugin* plugin;
  Storage* storage;
};

// Takes it back; called by a thread of the plugin.
void take_back(Error* error, void* context) {
  std::unique_ptr<Lent> lent(static_cast<Lent*>(context));
  if (error) lent->plugin->destroy_error(error);  // the buffer reports it
  lent->storage->drop();
}

}  // namespace

const Memory kDeviceMemory{read_storage,          wait_storage,       storage_is_ready,
                           start_reading_storage, address_of_storage, size_of_storage};

void raise_failure(const Failure& failure) {
  if (PyErr_Occurred() || raise_callback_exception(failure.what())) return;
  if (error_maker) {
    Ref text(PyUnicode_DecodeUTF8(failure.what(), Py_ssize_t(std::strlen(failure.what())),
                                  "replace"));
    Ref made(text ? PyObject_CallFunction(error_maker, "iO", failure.code, text.get()) : nullptr);
    if (made) PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(made.get())), made.get());
    return;
  }
  PyObject* type = failure.code == kResourceExhausted ? PyExc_MemoryError : DeviceErrorType;
  Ref value(PyObject_CallFunction(type, "s", failure.what()));
  if (!value) {
    // Not UTF-8.
    PyErr_Clear();
    value = Ref(PyObject_CallFunction(type, "y", failure.what()));
  }
  Ref code(PyLong_FromLong(failure.code));
  if (!value || !code) return;
  if (type == DeviceErrorType && PyObject_SetAttrString(value.get(), "code", code.get()) < 0)
    return;
  PyErr_SetObject(type, value.get());
}

BufferType buffer_type(int code) { return BufferType(buffer_types[code]); }
void set_buffer_type(int code, int type) { buffer_types[code] = type; }

void Buffer::destroy_handle() {
  if (begun_.to) {
    client()->plugin().destroy_event(begun_.done);
    std::exchange(begun_.to, nullptr)->drop();
  }
  BufferHandle* handle = std::exchange(handle_, nullptr);
  if (!spares_ || !spares_->keep(output_, handle)) destroy_buffer(client()->plugin(), handle);
}

void Buffer::fail(Error* error) const {
  Failure failure = client()->plugin().failure(error);
  if (!program_) throw failure;
  throw Failure(failure.code, "while running " + *program_ + ": " + failure.what());
}

void Buffer::wait() const {
  client()->check();
  const Plugin& plugin = client()->plugin();
  Call<BufferEventArgs> args;
  args.buffer = handle_;
  plugin.invoke<kBuffer_ReadyEvent>(&args);
  if (Error* error = plugin.await(args.event)) fail(error);
}

bool Buffer::is_ready() const {
  if (!client()->usable()) return true;
  const Plugin& plugin = client()->plugin();
  Call<BufferEventArgs> args;
  args.buffer = handle_;
  if (Error* error = plugin.call<kBuffer_ReadyEvent>(&args)) {
    plugin.destroy_error(error);
    return true;  // reading it reports what is wrong
  }
  Call<EventReadyArgs> ready;
  ready.event = args.event;
  Error* error = plugin.call<kEvent_IsReady>(&ready);
  if (error) plugin.destroy_error(error);
  plugin.destroy_event(args.event);
  return error || ready.is_ready;
}

Buffer::Copy Buffer::copy_to_host(size_t nbytes) const {
  client()->check();
  const Plugin& plugin = client()->plugin();
  int64_t order[kMaxDims];
  for (int i = 0; i < ndim_; ++i) order[i] = ndim_ - 1 - i;
  Call<MemoryLayout> layout;
  layout.tiled.size = sizeof(MemoryLayout::Tiled);
  layout.tiled.minor_to_major = order;
  layout.tiled.minor_to_major_size = size_t(ndim_);
  layout.type = MemoryLayout::kTiled;
  Storage* to = Storage::create(nbytes);
  if (!to) throw std::bad_alloc();
  Call<BufferToHostArgs> args;
  args.src = handle_;
  args.dst = to->data;
  args.dst_size = nbytes;
  if (ndim_ > 1) args.host_layout = &layout;
  if (Error* error = plugin.call<kBuffer_ToHostBuffer>(&args)) {
    to->drop();
    fail(error);
  }
  // The plugin writes there for as long as it takes, whoever waits for it.
  Call<EventOnReadyArgs> ready;
  ready.event = args.event;
  ready.callback = take_back;
  ready.user_arg = new Lent{&plugin, to->share()};
  if (Error* error = plugin.call<kEvent_OnReady>(&ready)) {
    plugin.destroy_event(args.event);
    to->drop();
    fail(error);
  }
  return {to, args.event};
}

Storage* Buffer::read(size_t nbytes) {
  if (!nbytes) {
    wait();
    if (Storage* none = Storage::create(0)) return none;
    throw std::bad_alloc();
  }
  client()->check();
  Copy copy = begun_.to ? std::exchange(begun_, {}) : copy_to_host(nbytes);
  struct Held {
    Storage* to;
    ~Held() {
      if (to) to->drop();
    }
  } held{copy.to};
  if (Error* error = client()->plugin().await(copy.done)) fail(error);
  return std::exchange(held.to, nullptr);
}

void Buffer::start_reading(size_t nbytes) {
  if (nbytes && !begun_.to) begun_ = copy_to_host(nbytes);
}

uintptr_t Buffer::address() const {
  wait();
  Call<BufferPointerArgs> args;
  args.buffer = handle_;
  client()->plugin().invoke<kBuffer_UnsafePointer>(&args);
  return args.buffer_pointer;
}

size_t Buffer::size_on_device() const {
  client()->check();
  Call<BufferSizeArgs> args;
  args.buffer = handle_;
  client()->plugin().invoke<kBuffer_OnDeviceSizeInBytes>(&args);
  return args.on_device_size_in_bytes;
}

ArrayObject* wrap_buffer(std::unique_ptr<Buffer> buffer, int code, bool weak, int ndim,
                         const int64_t* shape, Placement placement) {
  int64_t size = count_elements(code, ndim, shape);
  if (size < 0) return nullptr;
  Storage* storage = Storage::wrap(nullptr, size_t(size) * itemsizes[code], release_buffer,
                                   buffer.get(), &kDeviceMemory);
  if (!storage) {
    PyErr_NoMemory();
    return nullptr;
  }
  buffer.release();
  ArrayObject* a = array_wrap(code, weak, ndim, shape, storage, nullptr);
  if (a) a->placement = placement;
  return a;
}

std::unique_ptr<Buffer> put_elements(const std::shared_ptr<Client>& client, int device, int memory,
                                     const void* data, int code, int ndim, const int64_t* shape,
                                     Storage* storage) {
  client->check();
  const Plugin& plugin = client->plugin();
  const DeviceInfo& info = client->devices().at(size_t(device));
  BufferType type = buffer_type(code);
  if (type == kInvalid)
    throw Failure(kUnimplemented,
                  std::string("devices have no elements of dtype ") + dtype_name(code));
  Call<BufferFromHostArgs> args;
  args.client = client->handle();
  args.data = data;
  args.type = type;
  args.dims = shape;
  args.num_dims = size_t(ndim);
  args.host_buffer_semantics = !storage            ? kOnlyDuringCall
                               : client->on_cpu() ? kZeroCopy
                                                  : kUntilTransferCompletes;
  if (memory >= 0)
    args.memory = info.memories.at(size_t(memory)).handle;
  else
    args.device = info.handle;
  plugin.invoke<kClient_BufferFromHostBuffer>(&args);
  auto buffer = std::make_unique<Buffer>(client, device, args.buffer, ndim, nullptr);
  if (!storage) {
    if (Error* error = plugin.await(args.done_with_host_buffer)) plugin.fail(error);
    return buffer;
  }
  Call<EventOnReadyArgs> ready;
  ready.event = args.done_with_host_buffer;
  ready.callback = take_back;
  ready.user_arg = new Lent{&plugin, storage->share()};
  Error* error = plugin.call<kEvent_OnReady>(&ready);
  plugin.destroy_event(args.done_with_host_buffer);
  if (error) {
    take_back(nullptr, ready.user_arg);
    plugin.fail(error);
  }
  return buffer;
}

namespace {

std::unique_ptr<Buffer> copy_buffer(const Buffer& from, const std::shared_ptr<Client>& client,
                                    int device, int memory) {
  client->check();
  const Plugin& plugin = client->plugin();
  const DeviceInfo& info = client->devices().at(size_t(device));
  BufferHandle* made;
  // A copy to a device goes to its usual memory only from other devices.
  if (memory < 0 && from.memory() >= 0) memory = info.default_memory;
  if (memory >= 0) {
    Call<BufferToMemoryArgs> args;
    args.buffer = from.handle();
    args.dst_memory = info.memories.at(size_t(memory)).handle;
    plugin.invoke<kBuffer_CopyToMemory>(&args);
    made = args.dst_buffer;
  } else {
    Call<BufferToDeviceArgs> args;
    args.buffer = from.handle();
    args.dst_device = info.handle;
    plugin.invoke<kBuffer_CopyToDevice>(&args);
    made = args.dst_buffer;
  }
  return std::make_unique<Buffer>(client, device, made, from.ndim(), from.program());
}

}  // namespace

ArrayObject* put_array(const std::shared_ptr<Client>& client, int device, int memory,
                       ArrayObject* array, Placement placement) {
  ArrayObject* out = nullptr;
  bool ok = guarded([&] {
    const Buffer* from = buffer_of(array);
    std::unique_ptr<Buffer> made;
    if (from && from->client() == client) {
      made = copy_buffer(*from, client, device, memory);
    } else {
      ArrayObject* host = on_host(array);
      if (!host) throw Interrupted();
      made = put_elements(client, device, memory, host->data, host->code, host->ndim, host->shape,
                          host->storage);
    }
    made->in_memory(memory);
    out = wrap_buffer(std::move(made), array->code, array->weak, array->ndim, array->shape,
                      placement);
  });
  return ok ? out : nullptr;
}

}  // namespace covector::pjrt
