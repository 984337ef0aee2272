// Arrays in a device's memory: a Storage whose context is a Buffer.
#pragma once

#include <Python.h>

#include <memory>
#include <string>

#include "host/array.h"
#include "pjrt/client.h"
#include "pjrt/spares.h"

namespace covector::pjrt {

extern const Memory kDeviceMemory;

class Buffer final : public Owned {
 public:
  // Takes over the handle. `program` is what computed it, for messages; it may be null.
  Buffer(std::shared_ptr<Client> client, int device, BufferHandle* handle, int ndim,
         std::shared_ptr<const std::string> program)
      : Owned(std::move(client)),
        device_(device),
        ndim_(ndim),
        handle_(handle),
        program_(std::move(program)) {}
  ~Buffer() override { leave(); }

  // Has the memory kept for the next results of its program when the array is dead.
  void spare(std::shared_ptr<Spares> spares, size_t output) {
    spares_ = std::move(spares);
    output_ = output;
  }

  int ndim() const { return ndim_; }
  int device() const { return device_; }  // its index among those of the client
  // Its memory's index among those of the device; -1 for the one where programs have their arrays.
  int memory() const { return memory_; }
  void in_memory(int memory) { memory_ = memory; }
  BufferHandle* handle() const { return handle_; }
  const std::shared_ptr<const std::string>& program() const { return program_; }

  // Waits until the elements are there; throws what went wrong while they were computed.
  void wait() const;
  bool is_ready() const;
  // Host memory with the elements in row-major order: a new reference. `start_reading` begins it.
  Storage* read(size_t nbytes);
  void start_reading(size_t nbytes);
  uintptr_t address() const;
  size_t size_on_device() const;

 private:
  void destroy_handle() override;
  [[noreturn]] void fail(Error* error) const;
  struct Copy {
    Storage* to;
    Event* done;
  };
  Copy copy_to_host(size_t nbytes) const;

  int device_, ndim_, memory_ = -1;
  BufferHandle* handle_;
  std::shared_ptr<const std::string> program_;
  std::shared_ptr<Spares> spares_;
  size_t output_ = 0;
  Copy begun_{};  // a copy that nobody has waited for; under the GIL
};

// The buffer of an array in the memory of a device; null for other arrays.
inline const Buffer* buffer_of(const ArrayObject* a) {
  if (!a->storage || a->storage->memory != &kDeviceMemory) return nullptr;
  return static_cast<const Buffer*>(a->storage->context);
}

// Sets a Python exception from a Failure.
void raise_failure(const Failure& failure);
// Whether `work` is done; a Python exception is set where it throws.
template <class Work>
bool guarded(Work&& work) {
  try {
    work();
    return true;
  } catch (const Failure& failure) {
    raise_failure(failure);
  } catch (const Interrupted&) {
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  }
  return false;
}
extern PyObject* DeviceErrorType;  // a RuntimeError with an attribute `code`
extern PyObject* error_maker;      // (code, text) -> the exception to raise instead; may be null

// The number by which plugins know the elements of a dtype; kInvalid if they have no such.
BufferType buffer_type(int code);
void set_buffer_type(int code, int type);

// An array of a buffer; takes over `buffer`, also on failure. A Python exception is set then.
ArrayObject* wrap_buffer(std::unique_ptr<Buffer> buffer, int code, bool weak, int ndim,
                         const int64_t* shape, Placement placement);
// A copy of an array, wherever it is, on a device.
ArrayObject* put_array(const std::shared_ptr<Client>& client, int device, int memory,
                       ArrayObject* array, Placement placement);
// A buffer of host elements; `storage` owns them, or is null where they are read at once.
std::unique_ptr<Buffer> put_elements(const std::shared_ptr<Client>& client, int device, int memory,
                                     const void* data, int code, int ndim, const int64_t* shape,
                                     Storage* storage);

}  // namespace covector::pjrt
