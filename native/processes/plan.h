// A collective of which all is known but where its arrays are, which compiled programs call.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "processes/shared_memory.h"

namespace covector::processes {

enum Kind : uint8_t {
  kAllreduce,
  kReduceScatter,
  kAllgather,
  kBroadcast,
  kAlltoall,
  kSendrecv,
  kBarrier,
  kNumKinds
};
inline constexpr const char* kKindName[kNumKinds] = {
    "allreduce", "reduce_scatter", "allgather", "broadcast", "alltoall", "sendrecv", "barrier"};

struct Plan {
  std::shared_ptr<Channel> channel;
  Kind kind;
  std::string text;      // what is called, for the others to compare
  int64_t count;         // of elements: given to it, or for each process of reduce_scatter, alltoall
  size_t itemsize;
  int code = -1;         // of reductions
  Reduction op = kSum;
  int peer = -1;         // the root, or the source
  bool sends = false;

  // How many elements go in and come out.
  int64_t count_in() const;
  int64_t count_out() const;
  Outcome run(const void* in, void* out) const;
};

// Plans have numbers, so that one of a job that is over is not called.
int64_t add_plan(std::shared_ptr<const Plan> plan);
void remove_plan(int64_t ident);
std::shared_ptr<const Plan> find_plan(int64_t ident);  // null if there is none

}  // namespace covector::processes

// For programs that call it by address: a Status (shared_memory.h), and the peer it is about.
extern "C" int32_t covector_run_plan(int64_t ident, const void* in, void* out, int32_t* peer);
