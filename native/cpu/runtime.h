// What generated code may call: a table of function pointers with fixed slots.
#pragma once

#include <cstdint>

namespace covector {

// The functions, in the order of their slots: X(name, name in Python, function). The callback's is
// filled by the Python bindings.
#define COVECTOR_RUNTIME_SLOTS(X)                                        \
  X(ParallelFor, "parallel_for", parallel_for_slot)                      \
  X(Gemm, "gemm", gemm)                                                  \
  X(SortRows, "sort_rows", sort_rows)                                    \
  X(SortMulti, "sort_multi", sort_multi)                                 \
  X(TopK, "top_k", top_k)                                                \
  X(Callback, "callback", no_function)                                   \
  X(Alloc, "alloc", allocate_unsized)                                    \
  X(Free, "free", deallocate_unsized)                                    \
  X(Cholesky, "cholesky", cholesky)                                      \
  X(TriangularSolve, "triangular_solve", triangular_solve)               \
  X(Lu, "lu", lu)                                                        \
  X(PivotsToPermutation, "pivots_to_permutation", pivots_to_permutation) \
  X(Qr, "qr", qr)                                                        \
  X(Geqrf, "geqrf", geqrf)                                               \
  X(HouseholderProduct, "householder_product", householder_product)      \
  X(Eigh, "eigh", eigh)                                                  \
  X(Svd, "svd", svd)                                                     \
  X(Eig, "eig", eig)                                                     \
  X(Convolution, "convolution", convolution)                             \
  X(Fft, "fft", fft)                                                     \
  X(SymmetricProduct, "symmetric_product", symmetric_product)            \
  X(Hessenberg, "hessenberg", hessenberg)                                \
  X(Tridiagonal, "tridiagonal", tridiagonal)                             \
  X(Ormqr, "ormqr", ormqr)                                               \
  X(Schur, "schur", schur)                                               \
  X(TriangularSylvester, "triangular_sylvester", triangular_sylvester)   \
  X(TridiagonalSolve, "tridiagonal_solve", tridiagonal_solve)            \
  X(EighTridiagonal, "eigh_tridiagonal", eigh_tridiagonal)               \
  X(CholeskyUpdate, "cholesky_update", cholesky_update)                  \
  X(Exponential, "exponential", exponential)                             \
  X(Poll, "poll", poll_slot)                                             \
  X(Partition, "partition", partition)                                   \
  X(SearchRows, "search_rows", search_rows)

enum RuntimeSlot {
#define X(name, python, function) kSlot##name,
  COVECTOR_RUNTIME_SLOTS(X)
#undef X
      kSlots = 64,
};

// What an entry point of generated code returns: X(name, name in Python). With kPythonError the
// calling thread's Python exception is set.
#define COVECTOR_STATUSES(X)      \
  X(Ok, "ok")                     \
  X(OutOfMemory, "out_of_memory") \
  X(PythonError, "python_error")

enum Status : int32_t {
#define X(name, python) k##name,
  COVECTOR_STATUSES(X)
#undef X
};

using Entry = int32_t (*)(void** bufs, const int64_t* params, const void* rt);
using CallbackFn = int32_t (*)(int64_t id, int64_t nin, void** ins, int64_t nout, void** outs);

extern void* runtime_table[kSlots];

// Whether the running program is to end, with the thread's Python exception set; the Python
// bindings put theirs here.
extern bool (*interrupted)();

}  // namespace covector
