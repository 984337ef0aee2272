// Memory of dead results, which the next call of their program writes its results into: fresh pages
// cost more than the arithmetic of many programs.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "pjrt/client.h"

namespace covector::pjrt {

struct SpareType {
  size_t output;  // of the program
  BufferType type;
  std::vector<int64_t> shape;
  size_t nbytes;
};

// The spare buffers of one program, at most one for each of some of its results.
class Spares final : public Owned {
 public:
  Spares(std::shared_ptr<Client> client, int device, std::vector<SpareType> types);
  ~Spares() override { leave(); }

  const std::vector<SpareType>& types() const { return types_; }
  // Keeps the buffer of a dead result; false if it is to be destroyed instead.
  bool keep(size_t output, BufferHandle* handle);
  // A buffer for each of `types`, kept or new; they are the caller's.
  void take(BufferHandle** out);

 private:
  void destroy_handle() override;
  BufferHandle* fresh(const SpareType& type) const;

  int device_;
  std::vector<SpareType> types_;
  std::vector<BufferHandle*> kept_;  // null where there is none
  bool open_ = true;
};

void destroy_buffer(const Plugin& plugin, BufferHandle* handle);

}  // namespace covector::pjrt
