// What generated code may call: a table of function pointers with fixed slots.
#pragma once

#include <cstdint>

namespace covector {

enum RuntimeSlot {
  kSlotParallelFor = 0,
  kSlotGemm = 1,
  kSlotSortRows = 2,
  kSlotSortMulti = 3,
  kSlotTopK = 4,
  kSlotCallback = 5,
  kSlotAlloc = 6,
  kSlotFree = 7,
  kSlotCholesky = 8,
  kSlotTriangularSolve = 9,
  kSlotLu = 10,
  kSlotPivotsToPermutation = 11,
  kSlotQr = 12,
  kSlotGeqrf = 13,
  kSlotHouseholderProduct = 14,
  kSlotEigh = 15,
  kSlotSvd = 16,
  kSlotEig = 17,
  kSlots = 64,
};

// What an entry point of generated code returns.
enum Status : int32_t {
  kOk = 0,
  kOutOfMemory = 1,
  kPythonError = 2,  // the calling thread's Python exception is set
};

using Entry = int32_t (*)(void** bufs, const int64_t* params, const void* rt);
using CallbackFn = int32_t (*)(int64_t id, int64_t nin, void** ins, int64_t nout, void** outs);

extern void* runtime_table[kSlots];

}  // namespace covector
