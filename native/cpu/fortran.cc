// The table of BLAS and LAPACK routines, and their number of threads.
#include "cpu/fortran.h"

#include <cstring>
#include <mutex>

namespace covector {
namespace {

constexpr const char* kTypes = "sdcz";
constexpr const char* kNames[] = {"gemm",  "gemv",  "trsm",  "potrf", "getrf", "geqrf",
                                  "geqp3", "orgqr", "syevd", "gesdd", "geev",  "syrk",
                                  "gesvd", "gehrd", "sytrd", "ormqr", "gees",  "trsyl",
                                  "stevd", "getrs"};
static_assert(sizeof(kNames) / sizeof(kNames[0]) == size_t(Routine::count));

void* routines[int(Routine::count)][4];
void (*set_threads)(int);
int (*get_threads)();

std::mutex mutex;
int users = 0;
int saved_threads = 1;

const char* real_name(const char* base) {
  if (std::strcmp(base, "ungqr") == 0) return "orgqr";
  if (std::strcmp(base, "unmqr") == 0) return "ormqr";
  if (std::strcmp(base, "hetrd") == 0) return "sytrd";
  if (std::strcmp(base, "heevd") == 0) return "syevd";
  return base;
}

}  // namespace

bool set_routine(const char* name, void* address) {
  if (std::strcmp(name, "set_num_threads") == 0) {
    set_threads = reinterpret_cast<void (*)(int)>(address);
    return true;
  }
  if (std::strcmp(name, "get_num_threads") == 0) {
    get_threads = reinterpret_cast<int (*)()>(address);
    return true;
  }
  const char* type = *name ? std::strchr(kTypes, *name) : nullptr;
  if (!type) return false;
  const char* base = real_name(name + 1);
  for (int i = 0; i < int(Routine::count); ++i)
    if (std::strcmp(base, kNames[i]) == 0) {
      routines[i][type - kTypes] = address;
      return true;
    }
  return false;
}

void* find_routine(Routine routine, int type) {
  return type < 0 ? nullptr : routines[int(routine)][type];
}

SingleThreadedBlas::SingleThreadedBlas() {
  if (!available()) return;
  std::lock_guard<std::mutex> lock(mutex);
  if (users++ == 0) {
    saved_threads = get_threads();
    if (saved_threads != 1) set_threads(1);
  }
}

SingleThreadedBlas::~SingleThreadedBlas() {
  if (!available()) return;
  std::lock_guard<std::mutex> lock(mutex);
  if (--users == 0 && saved_threads != 1) set_threads(saved_threads);
}

bool SingleThreadedBlas::available() { return set_threads && get_threads; }

}  // namespace covector
