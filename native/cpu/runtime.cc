// The runtime table. The callback slot is filled by the Python bindings.
#include "cpu/runtime.h"

#include "core/allocator.h"
#include "core/thread_pool.h"
#include "cpu/blas.h"
#include "cpu/lapack.h"
#include "cpu/sort.h"

namespace covector {
namespace {

void parallel_for_slot(const void*, LoopBody body, void* frame, int64_t n, int64_t grain) {
  parallel_for(body, frame, n, grain);
}

}  // namespace

void* runtime_table[kSlots] = {
    reinterpret_cast<void*>(parallel_for_slot),
    reinterpret_cast<void*>(gemm),
    reinterpret_cast<void*>(sort_rows),
    reinterpret_cast<void*>(sort_multi),
    reinterpret_cast<void*>(top_k),
    nullptr,
    reinterpret_cast<void*>(allocate_unsized),
    reinterpret_cast<void*>(deallocate_unsized),
    reinterpret_cast<void*>(cholesky),
    reinterpret_cast<void*>(triangular_solve),
    reinterpret_cast<void*>(lu),
    reinterpret_cast<void*>(pivots_to_permutation),
    reinterpret_cast<void*>(qr),
    reinterpret_cast<void*>(geqrf),
    reinterpret_cast<void*>(householder_product),
    reinterpret_cast<void*>(eigh),
    reinterpret_cast<void*>(svd),
    reinterpret_cast<void*>(eig),
};

}  // namespace covector
