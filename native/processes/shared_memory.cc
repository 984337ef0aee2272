// Collectives through shared memory: the segment, waiting, and what each collective does in steps.
#include "processes/shared_memory.h"

#include <alloca.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <system_error>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

#include "core/dtype.h"
#include "core/forks.h"
#include "core/spin_lock.h"
#include "cpu/runtime.h"

namespace covector::processes {
namespace {

constexpr size_t kInline = 96;     // bytes that go with a post itself
constexpr size_t kText = 240;      // what is shown of a text
constexpr size_t kAlign = 128;     // two lines: processors fetch them in pairs
constexpr int kMaxProcesses = 1 << 12;
// Arrays of up to this many bytes are reduced by all processes, larger ones in parts.
constexpr size_t kWhole = 4096;
// How a process waits: it looks many times, then lets others run, then sleeps.
constexpr int kSpins = 4000, kFewSpins = 10;
constexpr auto kYielding = std::chrono::milliseconds(1);
constexpr long kSleep = 20'000'000;  // nanoseconds until it looks out for failures and signals

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

void futex_wait(const std::atomic<uint32_t>& word, uint32_t value) {
  timespec limit{0, kSleep};
#if defined(__linux__)
  syscall(SYS_futex, &word, FUTEX_WAIT, value, &limit, nullptr, 0);
#else
  limit.tv_nsec /= 100;
  if (word.load() == value) nanosleep(&limit, nullptr);
#endif
}

void futex_wake(const std::atomic<uint32_t>& word) {
#if defined(__linux__)
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
#else
  (void)word;
#endif
}

// FNV-1a, by words.
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (size_t at = 0; at < text.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, std::min<size_t>(8, text.size() - at));
    hash = (hash ^ word) * 0x100000001B3;
    hash ^= hash >> 29;
  }
  return (hash ^ text.size()) * 0x100000001B3;
}

void copy(void* to, const void* from, size_t bytes) {
  if (bytes && to != from) std::memcpy(to, from, bytes);
}

const char* at(const void* base, size_t offset) { return static_cast<const char*>(base) + offset; }
char* at(void* base, size_t offset) { return static_cast<char*>(base) + offset; }

// The part of [0, count) that each process reduces, at boundaries of lines.
struct Shares {
  Shares(int64_t count, int size, size_t itemsize) : count(count) {
    const int64_t line = int64_t(kAlign / itemsize);
    each = (count + size - 1) / size;
    each = (each + line - 1) / line * line;
  }
  int64_t begin(int k) const { return std::min(count, each * k); }
  int64_t length(int k) const { return begin(k + 1) - begin(k); }
  int64_t count, each;
};

}  // namespace

// What a process says at a step. The step is in the same lines as short data.
struct alignas(kAlign) Channel::Post {
  std::atomic<uint32_t> step;
  std::atomic<uint32_t> sleepers;
  uint64_t count;
  uint64_t hash;
  char data[kInline];
};
static_assert(sizeof(std::atomic<uint32_t>) == 4 && std::atomic<uint32_t>::is_always_lock_free);

// What is read only when something is wrong.
struct alignas(kAlign) Channel::Notice {
  std::atomic<uint32_t> left;
  uint32_t length;
  char text[kText];
};

// For whom a process waits.
struct alignas(kAlign) Channel::Board {
  std::atomic<uint64_t> wait;   // its number, and below it that of the process, from 1; 0: none
  std::atomic<uint32_t> looks;  // how often it has looked whether that one has come
  uint32_t length;
  uint64_t count;
  char text[kText];
};

namespace {
constexpr size_t kPost = 128, kNotice = 256, kBoard = 384;

size_t head_bytes(int size) {
  return round_up(size_t(size) * (2 * kPost + 2 * kNotice + kBoard), 4096);
}
}  // namespace

size_t Channel::segment_bytes(int size, size_t slot) {
  static_assert(sizeof(Post) == kPost && sizeof(Notice) == kNotice && sizeof(Board) == kBoard);
  return head_bytes(size) + size_t(size) * 2 * slot;
}

Channel::Post& Channel::post(int process, uint32_t step) const {
  return *reinterpret_cast<Post*>(memory_ + (size_t(process) * 2 + (step & 1)) * kPost);
}

Channel::Notice& Channel::notice(int process, uint32_t step) const {
  return *reinterpret_cast<Notice*>(memory_ + size_t(size_) * 2 * kPost +
                                    (size_t(process) * 2 + (step & 1)) * kNotice);
}

char* Channel::slot(int process, uint32_t step) const {
  return memory_ + head_bytes(size_) + (size_t(process) * 2 + (step & 1)) * slot_;
}

Channel::Board& Channel::board(int process) const {
  const Channel& all = whole_ ? *whole_ : *this;
  return *reinterpret_cast<Board*>(all.memory_ + size_t(all.size_) * 2 * (kPost + kNotice) +
                                   size_t(process) * kBoard);
}

Channel::Channel(int fd, int rank, int size, size_t slot, std::shared_ptr<Channel> whole,
                 std::vector<int> members)
    : rank_(rank),
      size_(size),
      slot_(slot),
      generation_(fork_generation()),
      whole_(std::move(whole)),
      members_(std::move(members)) {
  if (size < 1 || size > kMaxProcesses || rank < 0 || rank >= size || slot % 4096 ||
      slot < kAlign * size_t(size + 1) || (whole_ && members_.size() != size_t(size)))
    throw std::system_error(EINVAL, std::generic_category(), "a channel");
  void* mapped =
      mmap(nullptr, segment_bytes(size, slot), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  memory_ = static_cast<char*>(mapped);
  spins_ = kSpins;
}

Channel::~Channel() { close(); }

void Channel::close() {
  closing_.store(true, std::memory_order_relaxed);
  // A forked process has its parent's channel, which does not leave with it; nor may it lock it.
  const bool own = generation_ == fork_generation();
  std::unique_lock lock(mutex_, std::defer_lock);
  if (own) lock.lock();
  if (!memory_) return;
  if (own) {
    notice(rank_, 0).left.store(1, std::memory_order_seq_cst);
    for (uint32_t bank : {0u, 1u}) futex_wake(post(rank_, bank).step);
  }
  munmap(memory_, segment_bytes(size_, slot_));
  memory_ = nullptr;
}

Channel::Difference Channel::difference() {
  std::lock_guard lock(mutex_);
  return difference_;
}

// --- steps ----------------------------------------------------------------------------------

bool Channel::end(Status status, int peer) {
  outcome_ = {status, peer};
  return false;
}

bool Channel::differ(int peer) {
  const Notice& shown = notice(peer, step_);
  difference_ = {count_, post(peer, step_).count,
                 std::string(shown.text, std::min<size_t>(shown.length, kText))};
  return end(kDiffers, peer);
}

// Whether the collective must end, for what has happened here.
bool Channel::ended() {
  if (failed_.load(std::memory_order_relaxed)) return !end(kFailed, -1);
  if (closing_.load(std::memory_order_relaxed)) return !end(kClosed, -1);
  if (interrupted()) return !end(kInterrupted, -1);
  return false;
}

void Channel::publish(uint32_t step) {
  Post& mine = post(rank_, step);
  // In one order with what sleepers do: they are seen here, or see this.
  mine.step.store(step, std::memory_order_seq_cst);
  if (mine.sleepers.load(std::memory_order_seq_cst)) futex_wake(mine.step);
}

bool Channel::wait(int peer, uint32_t step) {
  const std::atomic<uint32_t>& word = post(peer, step).step;
  for (int k = 0; k < spins_; ++k) {
    if (word.load(std::memory_order_acquire) == step) {
      if (k > 0) spins_ = std::min(spins_ + spins_ / 8 + 1, kSpins);
      return true;
    }
    cpu_relax();
  }
  // Perhaps the peer waits for this very processor.
  spins_ = std::max(spins_ / 2, kFewSpins);
  // By the clock: where many want a processor, a turn of theirs is longer than all of it.
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + kYielding;
  do {
    if (word.load(std::memory_order_acquire) == step) return true;
    sched_yield();
  } while (Clock::now() < until);
  return sleep(peer, step);
}

// What the board says while this process waits.
class Channel::Waiting {
 public:
  Waiting(Channel& channel, int peer)
      : channel_(channel), me_(number(channel.rank_)), mine_(channel.board(me_)) {
    mine_.count = channel.count_;
    mine_.length = uint32_t(std::min(channel.text_.size(), kText));
    std::memcpy(mine_.text, channel.text_.data(), mine_.length);
    last_ = mine_.wait.load(std::memory_order_relaxed) >> 32;
    mine_.wait.store((last_ + 1) << 32 | uint64_t(number(peer) + 1), std::memory_order_seq_cst);
  }
  ~Waiting() { mine_.wait.store((last_ + 2) << 32, std::memory_order_seq_cst); }

  // Says that this process has looked once more; whether all in a circle have waited for each other
  // since that was found. Each has looked again then, so that none has been overlooked.
  bool stuck() {
    mine_.looks.fetch_add(1, std::memory_order_seq_cst);
    std::vector<Seen> now;
    const int all = (channel_.whole_ ? *channel_.whole_ : channel_).size_;
    for (int at = me_; int(now.size()) <= all;) {
      const Board& there = channel_.board(at);
      const uint32_t looks = there.looks.load(std::memory_order_seq_cst);
      const uint64_t wait = there.wait.load(std::memory_order_seq_cst);
      now.push_back({wait, looks});
      at = int(uint32_t(wait)) - 1;
      if (at < 0) break;
      if (at == me_) return persists(std::move(now));
    }
    circle_.clear();
    return false;
  }

 private:
  struct Seen {
    uint64_t wait;
    uint32_t looks;
  };

  int number(int k) const { return channel_.whole_ ? channel_.members_[size_t(k)] : k; }

  bool persists(std::vector<Seen> now) {
    bool same = now.size() == circle_.size(), again = true;
    for (size_t k = 0; same && k < now.size(); ++k) {
      same = now[k].wait == circle_[k].wait;
      again = again && now[k].looks - circle_[k].looks >= 2;
    }
    if (!same) circle_ = std::move(now);
    return same && again;
  }

  Channel& channel_;
  const int me_;
  Board& mine_;
  uint64_t last_;
  std::vector<Seen> circle_;
};

bool Channel::sleep(int peer, uint32_t step) {
  Post& theirs = post(peer, step);
  Waiting waiting(*this, peer);
  for (;;) {
    theirs.sleepers.fetch_add(1, std::memory_order_seq_cst);
    const uint32_t found = theirs.step.load(std::memory_order_seq_cst);
    if (found != step) futex_wait(theirs.step, found);
    theirs.sleepers.fetch_sub(1, std::memory_order_seq_cst);
    // Whether it has left is looked at first: it may have come, and left since.
    const bool left = notice(peer, 0).left.load(std::memory_order_seq_cst);
    if (theirs.step.load(std::memory_order_seq_cst) == step) return true;
    if (ended()) return false;
    if (left) return end(kLeft, peer);
    if (waiting.stuck()) {
      const Board& shown = board(whole_ ? members_[size_t(peer)] : peer);
      difference_ = {count_, shown.count,
                     std::string(shown.text, std::min<size_t>(shown.length, kText))};
      return end(kDiffers, peer);
    }
  }
}

// One call of a collective.
class Channel::Collective {
 public:
  Collective(Channel& channel, std::string_view text)
      : channel_(channel), lock_(channel.mutex_, std::defer_lock) {
    if (channel.generation_ != fork_generation()) {
      // Some thread of the parent may have had the lock.
      channel.outcome_ = {kForked, -1};
      open_ = false;
      return;
    }
    lock_.lock();
    if (!channel.memory_)
      channel.outcome_ = {kClosed, -1};
    else if (channel.outcome_.status != kDone)
      channel.outcome_ = {kUnusable, -1};
    else if (channel.failed_.load(std::memory_order_relaxed))
      channel.outcome_ = {kFailed, -1};
    open_ = channel.outcome_.status == kDone;
    if (!open_) return;
    ++channel.count_;
    channel.text_ = text;
  }

  // Whether steps can be taken.
  explicit operator bool() const { return open_; }
  Outcome outcome() const { return channel_.outcome_; }

  // Where this process writes, and others have written, `bytes` at the step to come and the last.
  char* mine(size_t bytes) { return place(channel_.rank_, channel_.step_ + 1, bytes); }
  const char* theirs(int process, size_t bytes) { return place(process, channel_.step_, bytes); }

  // Says that all is written, and has `take(peer)` read what each of the others has.
  template <class Take>
  bool step(Take take) {
    Channel& c = channel_;
    const uint32_t now = ++c.step_;
    if (first_)
      announce(now);
    else if (c.ended())
      return open_ = false;
    c.publish(now);
    for (int k = 1; k < c.size_; ++k) {
      const int peer = (c.rank_ + k) % c.size_;
      if (!c.wait(peer, now)) return open_ = false;
      if (first_ && !same(peer, now)) return open_ = c.differ(peer);
      take(peer);
    }
    first_ = false;
    return true;
  }
  bool step() {
    return step([](int) {});
  }

 private:
  char* place(int process, uint32_t step, size_t bytes) {
    return bytes <= kInline ? channel_.post(process, step).data : channel_.slot(process, step);
  }

  void announce(uint32_t now) {
    Post& mine = channel_.post(channel_.rank_, now);
    mine.count = channel_.count_;
    const std::string_view text = channel_.text_;
    mine.hash = hash_of(text);
    Notice& shown = channel_.notice(channel_.rank_, now);
    shown.length = uint32_t(std::min(text.size(), kText));
    std::memcpy(shown.text, text.data(), shown.length);
  }

  bool same(int peer, uint32_t now) const {
    const Post &mine = channel_.post(channel_.rank_, now), &other = channel_.post(peer, now);
    return mine.count == other.count && mine.hash == other.hash;
  }

  Channel& channel_;
  std::unique_lock<std::mutex> lock_;
  bool first_ = true, open_;
};

// --- collectives ----------------------------------------------------------------------------

Outcome Channel::allreduce(std::string_view text, const void* in, void* out, int64_t count,
                           int code, Reduction op) {
  Collective call(*this, text);
  if (!call) return call.outcome();
  const size_t item = kBuiltinItemsize[code], bytes = size_t(count) * item;
  const void** rows = static_cast<const void**>(alloca(sizeof(void*) * size_t(size_)));
  if (bytes <= std::min(kWhole, slot_)) {
    copy(call.mine(bytes), in, bytes);
    if (!call.step()) return call.outcome();
    for (int k = 0; k < size_; ++k) rows[k] = k == rank_ ? in : call.theirs(k, bytes);
    reduce_rows(code, op, out, rows, size_, count);
    return call.outcome();
  }
  // A slot has the parts of the others of one piece, and this process's sums of the last.
  const int64_t most = int64_t(slot_ / (kAlign * size_t(size_ + 1)) * (kAlign / item)) * size_;
  const int64_t pieces = (count + most - 1) / most;
  int64_t piece = (count + pieces - 1) / pieces;
  const int64_t grain = size_ * int64_t(kAlign / item);
  piece = (piece + grain - 1) / grain * grain;
  const size_t sums = size_t(piece) * item;  // where they begin
  auto shares = [&](int64_t from) { return Shares(std::min(piece, count - from), size_, item); };
  for (int64_t from = 0; from < count + piece; from += piece) {
    char* slot = call.mine(slot_);
    if (from > 0) {
      // What all have of the last piece is in the other bank.
      const Shares last = shares(from - piece);
      const int64_t own = last.begin(rank_);
      for (int k = 0; k < size_; ++k)
        rows[k] = k == rank_ ? at(in, size_t(from - piece + own) * item)
                             : at(call.theirs(k, slot_), size_t(own) * item);
      reduce_rows(code, op, slot + sums, rows, size_, last.length(rank_));
      copy(at(out, size_t(from - piece + own) * item), slot + sums,
           size_t(last.length(rank_)) * item);
    }
    if (from < count) {
      const Shares next = shares(from);
      const size_t own = size_t(next.begin(rank_)) * item;
      const size_t end = own + size_t(next.length(rank_)) * item;
      copy(slot, at(in, size_t(from) * item), own);
      copy(slot + end, at(in, size_t(from) * item + end), size_t(next.count) * item - end);
    }
    auto take = [&](int peer) {
      if (from == 0) return;
      const Shares last = shares(from - piece);
      copy(at(out, size_t(from - piece + last.begin(peer)) * item),
           call.theirs(peer, slot_) + sums, size_t(last.length(peer)) * item);
    };
    if (!call.step(take)) break;
  }
  return call.outcome();
}

Outcome Channel::reduce_scatter(std::string_view text, const void* in, void* out, int64_t count,
                                int code, Reduction op) {
  Collective call(*this, text);
  if (!call) return call.outcome();
  const size_t item = kBuiltinItemsize[code];
  const void** rows = static_cast<const void**>(alloca(sizeof(void*) * size_t(size_)));
  const int64_t piece = std::max<int64_t>(1, int64_t(slot_ / item) / size_);
  for (int64_t from = 0; from == 0 || from < count; from += piece) {
    const int64_t length = std::min(piece, count - from);
    const size_t bytes = size_t(length) * item, all = bytes * size_t(size_);
    for (int k = 0; k < size_; ++k)
      if (k != rank_)
        copy(call.mine(all) + size_t(k) * bytes, at(in, size_t(k * count + from) * item), bytes);
    if (!call.step()) break;
    for (int k = 0; k < size_; ++k)
      rows[k] = k == rank_ ? at(in, size_t(rank_ * count + from) * item)
                           : call.theirs(k, all) + size_t(rank_) * bytes;
    reduce_rows(code, op, at(out, size_t(from) * item), rows, size_, length);
  }
  return call.outcome();
}

Outcome Channel::allgather(std::string_view text, const void* in, void* out, size_t bytes) {
  Collective call(*this, text);
  if (!call) return call.outcome();
  for (size_t from = 0; from == 0 || from < bytes; from += slot_) {
    const size_t length = std::min(slot_, bytes - from);
    copy(call.mine(length), at(in, from), length);
    copy(at(out, size_t(rank_) * bytes + from), at(in, from), length);
    auto take = [&](int peer) {
      copy(at(out, size_t(peer) * bytes + from), call.theirs(peer, length), length);
    };
    if (!call.step(take)) break;
  }
  return call.outcome();
}

Outcome Channel::broadcast(std::string_view text, const void* in, void* out, size_t bytes,
                           int root) {
  Collective call(*this, text);
  if (!call) return call.outcome();
  for (size_t from = 0; from == 0 || from < bytes; from += slot_) {
    const size_t length = std::min(slot_, bytes - from);
    if (rank_ == root) copy(call.mine(length), at(in, from), length);
    auto take = [&](int peer) {
      if (peer == root) copy(at(out, from), call.theirs(peer, length), length);
    };
    if (!call.step(take)) break;
  }
  if (rank_ == root) copy(out, in, bytes);
  return call.outcome();
}

Outcome Channel::alltoall(std::string_view text, const void* in, void* out, size_t bytes) {
  Collective call(*this, text);
  if (!call) return call.outcome();
  const size_t piece = slot_ / size_t(size_);
  copy(at(out, size_t(rank_) * bytes), at(in, size_t(rank_) * bytes), bytes);
  for (size_t from = 0; from == 0 || from < bytes; from += piece) {
    const size_t length = std::min(piece, bytes - from), all = length * size_t(size_);
    for (int k = 0; k < size_; ++k)
      if (k != rank_)
        copy(call.mine(all) + size_t(k) * length, at(in, size_t(k) * bytes + from), length);
    auto take = [&](int peer) {
      copy(at(out, size_t(peer) * bytes + from), call.theirs(peer, all) + size_t(rank_) * length,
           length);
    };
    if (!call.step(take)) break;
  }
  return call.outcome();
}

Outcome Channel::sendrecv(std::string_view text, const void* in, void* out, size_t bytes,
                          int source, bool sends) {
  Collective call(*this, text);
  if (!call) return call.outcome();
  for (size_t from = 0; from == 0 || from < bytes; from += slot_) {
    const size_t length = std::min(slot_, bytes - from);
    if (sends) copy(call.mine(length), at(in, from), length);
    auto take = [&](int peer) {
      if (peer == source) copy(at(out, from), call.theirs(peer, length), length);
    };
    if (!call.step(take)) break;
  }
  if (source == rank_) copy(out, in, bytes);
  if (source < 0 && bytes) std::memset(out, 0, bytes);
  return call.outcome();
}

Outcome Channel::barrier(std::string_view text) {
  Collective call(*this, text);
  if (call) call.step();
  return call.outcome();
}

}  // namespace covector::processes
