// The places of elements among those of rows in order.
#include <algorithm>

#include "core/thread_pool.h"
#include "cpu/order_kernels.h"
#include "cpu/sort.h"

namespace covector {
namespace {

constexpr int64_t kGrain = 16 * 1024;

}  // namespace

int32_t search_rows(int32_t code, int32_t right, const void* ordered, const void* queries,
                    int32_t* out, int64_t rows, int64_t n, int64_t m) {
  if (rows <= 0 || m <= 0) return 0;
  if (code < 0 || code >= kNumCodes || n > INT32_MAX) return 3;
  auto search = order_kernels(code).search;
  if (!search) return 3;
  const int64_t size = kBuiltinItemsize[code];
  const char *a = static_cast<const char*>(ordered), *q = static_cast<const char*>(queries);
  // Queries of all rows in one line, cut where that is best, and where a row ends.
  parallel_for(rows * m, kGrain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      int64_t row = begin / m, stop = std::min(end, (row + 1) * m);
      search(a + row * n * size, n, q + begin * size, stop - begin, right != 0, out + begin);
      begin = stop;
    }
  });
  return 0;
}

}  // namespace covector
