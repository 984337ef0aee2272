// Dead results, kept for the next call.
#include "pjrt/spares.h"

#include <atomic>

#include "core/allocator.h"

namespace covector::pjrt {
namespace {

std::atomic<size_t> kept_bytes{0};

bool is_deleted(const Plugin& plugin, BufferHandle* handle) {
  Call<BufferDeletedArgs> args;
  args.buffer = handle;
  if (Error* error = plugin.call<kBuffer_IsDeleted>(&args)) {
    plugin.destroy_error(error);
    return true;
  }
  return args.is_deleted;
}

}  // namespace

void destroy_buffer(const Plugin& plugin, BufferHandle* handle) {
  Call<BufferArgs> args;
  args.buffer = handle;
  if (Error* error = plugin.call<kBuffer_Destroy>(&args)) plugin.destroy_error(error);
}

Spares::Spares(std::shared_ptr<Client> client, int device, std::vector<SpareType> types)
    : Owned(std::move(client)), device_(device), types_(std::move(types)), kept_(types_.size()) {}

bool Spares::keep(size_t output, BufferHandle* handle) {
  if (!open_) return false;
  for (size_t i = 0; i < types_.size(); ++i) {
    if (types_[i].output != output) continue;
    // As much as the allocator of the host keeps.
    if (kept_[i] || kept_bytes.load() + types_[i].nbytes > allocator_stats().cache_limit ||
        is_deleted(client()->plugin(), handle))
      return false;
    kept_[i] = handle;
    kept_bytes += types_[i].nbytes;
    return true;
  }
  return false;
}

BufferHandle* Spares::fresh(const SpareType& type) const {
  Call<UninitializedArgs> args;
  args.client = client()->handle();
  args.shape_dims = type.shape.data();
  args.shape_num_dims = type.shape.size();
  args.shape_element_type = type.type;
  args.device = client()->devices().at(size_t(device_)).handle;
  client()->plugin().invoke<kClient_CreateUninitializedBuffer>(&args);
  return args.buffer;
}

void Spares::take(BufferHandle** out) {
  for (size_t i = 0; i < types_.size(); ++i) {
    if (kept_[i]) {
      out[i] = std::exchange(kept_[i], nullptr);
      kept_bytes -= types_[i].nbytes;
      continue;
    }
    try {
      out[i] = fresh(types_[i]);
    } catch (...) {
      for (size_t k = 0; k < i; ++k) destroy_buffer(client()->plugin(), out[k]);
      throw;
    }
  }
}

void Spares::destroy_handle() {
  open_ = false;
  for (size_t i = 0; i < types_.size(); ++i)
    if (kept_[i]) {
      destroy_buffer(client()->plugin(), std::exchange(kept_[i], nullptr));
      kept_bytes -= types_[i].nbytes;
    }
}

}  // namespace covector::pjrt
