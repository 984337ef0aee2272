// Plans: their register, and how they are called.
#include "processes/plan.h"

#include <mutex>
#include <unordered_map>

#include "core/spin_lock.h"

namespace covector::processes {
namespace {

struct Register {
  SpinLock lock;
  int64_t last = 0;
  std::unordered_map<int64_t, std::shared_ptr<const Plan>> plans;
};

Register& all() {
  static auto* found = new Register;  // programs may outlive what is destroyed at the end
  return *found;
}

}  // namespace

int64_t Plan::count_in() const {
  return kind == kReduceScatter || kind == kAlltoall ? count * channel->size() : count;
}

int64_t Plan::count_out() const {
  return kind == kAllgather || kind == kAlltoall ? count * channel->size() : count;
}

Outcome Plan::run(const void* in, void* out) const {
  const size_t bytes = size_t(count) * itemsize;
  switch (kind) {
    case kAllreduce: return channel->allreduce(text, in, out, count, code, op);
    case kReduceScatter: return channel->reduce_scatter(text, in, out, count, code, op);
    case kAllgather: return channel->allgather(text, in, out, bytes);
    case kBroadcast: return channel->broadcast(text, in, out, bytes, peer);
    case kAlltoall: return channel->alltoall(text, in, out, bytes);
    case kSendrecv: return channel->sendrecv(text, in, out, bytes, peer, sends);
    default: return channel->barrier(text);
  }
}

int64_t add_plan(std::shared_ptr<const Plan> plan) {
  std::lock_guard guard(all().lock);
  all().plans[++all().last] = std::move(plan);
  return all().last;
}

void remove_plan(int64_t ident) {
  std::shared_ptr<const Plan> last;  // destroyed without the lock
  std::lock_guard guard(all().lock);
  auto found = all().plans.find(ident);
  if (found == all().plans.end()) return;
  last = std::move(found->second);
  all().plans.erase(found);
}

std::shared_ptr<const Plan> find_plan(int64_t ident) {
  std::lock_guard guard(all().lock);
  auto found = all().plans.find(ident);
  return found == all().plans.end() ? nullptr : found->second;
}

}  // namespace covector::processes

extern "C" int32_t covector_run_plan(int64_t ident, const void* in, void* out, int32_t* peer) {
  auto plan = covector::processes::find_plan(ident);
  if (!plan) return covector::processes::kClosed;
  const covector::processes::Outcome outcome = plan->run(in, out);
  *peer = outcome.peer;
  return outcome.status;
}
