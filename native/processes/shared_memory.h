// Collectives between processes of one machine, through memory that they share.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "processes/reduce.h"

namespace covector::processes {

// How a collective has ended.
enum Status : int32_t {
  kDone = 0,
  kFailed = 1,       // `fail` was called: a process is known to have failed
  kDiffers = 2,      // the peer is at another collective
  kLeft = 3,         // the peer has closed its channel
  kInterrupted = 4,  // by a signal; the thread's Python exception is set
  kUnusable = 5,     // an earlier one has ended so
  kClosed = 6,
  kForked = 7,       // this process was forked from the one that made the channel
};

struct Outcome {
  Status status = kDone;
  int peer = -1;
};

// One of the processes that share a segment, all of which call the same collectives in the same
// order.
//
// A collective is made of steps. In each, a process writes what the others are to have into memory
// of its own, says so, waits until all others have said so, and reads theirs. There are two banks
// of that memory, which steps take in turn: who is at a step has read what was written two steps
// before, for everybody waits for everybody.
//
// The first step shows that all are at the same collective: its number, and a text that says what
// is called. Of two channels that share members, each may wait for a process that waits at the
// other one. So who waits for long says for whom on a board, and looks there for a circle.
class Channel {
 public:
  // The bytes of a segment. `slot`, a multiple of 4096, is how much a process writes in one step.
  static size_t segment_bytes(int size, size_t slot);

  // Maps a segment, whose bytes were zero at first; throws std::system_error. A group has the
  // channel of all processes, and the numbers of its members there.
  Channel(int fd, int rank, int size, size_t slot, std::shared_ptr<Channel> whole = nullptr,
          std::vector<int> members = {});
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  // Results may lie where the arguments do, or elsewhere without overlap.
  Outcome allreduce(std::string_view text, const void* in, void* out, int64_t count, int code,
                    Reduction op);
  // Of what allreduce would give, the part of this process; `count` is that of a part.
  Outcome reduce_scatter(std::string_view text, const void* in, void* out, int64_t count, int code,
                         Reduction op);
  // The rest moves bytes: those of one process. Results do not overlap with arguments.
  Outcome allgather(std::string_view text, const void* in, void* out, size_t bytes);
  Outcome broadcast(std::string_view text, const void* in, void* out, size_t bytes, int root);
  // `bytes` for each process.
  Outcome alltoall(std::string_view text, const void* in, void* out, size_t bytes);
  // What `source` has; zeros if it is -1. Whether this process `sends` saves a copy.
  Outcome sendrecv(std::string_view text, const void* in, void* out, size_t bytes, int source,
                   bool sends);
  Outcome barrier(std::string_view text);

  // After kDiffers: what this process and the peer call, as numbers and a text.
  struct Difference {
    uint64_t count = 0, other = 0;
    std::string text;  // its beginning
  };
  Difference difference();

  // Ends the collective that waits and all to come; for any thread.
  void fail() { failed_.store(true, std::memory_order_relaxed); }
  // Says to the others that this process leaves. Those of other threads end.
  void close();

 private:
  struct Post;
  struct Notice;
  struct Board;
  class Collective;
  class Waiting;

  Post& post(int process, uint32_t step) const;
  Notice& notice(int process, uint32_t step) const;
  char* slot(int process, uint32_t step) const;
  bool ended();
  bool wait(int peer, uint32_t step);
  bool sleep(int peer, uint32_t step);
  Board& board(int process) const;  // by its number in the whole
  void publish(uint32_t step);
  bool end(Status status, int peer);
  bool differ(int peer);

  const int rank_, size_;
  const size_t slot_;
  const unsigned generation_;
  const std::shared_ptr<Channel> whole_;
  const std::vector<int> members_;
  std::string_view text_;  // of the collective that runs
  int spins_;
  char* memory_ = nullptr;
  std::mutex mutex_;
  uint32_t step_ = 0;
  uint64_t count_ = 0;
  Outcome outcome_;
  Difference difference_;
  std::atomic<bool> failed_{false}, closing_{false};
};

}  // namespace covector::processes
