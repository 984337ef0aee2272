// The instruction sets that kernels are compiled for, each once (CMakeLists.txt), and the best of
// them that the processor has.
#pragma once

#include <atomic>

namespace covector {

enum InstructionSet { kBaseline, kAvx2, kAvx512, kInstructionSets };

// Kernels are of this set at most, and of it with what the processor has beyond it only where it is
// kInstructionSets; for tests of the others.
inline std::atomic<int> most_instructions = kInstructionSets;

inline InstructionSet processor_instruction_set() {
#if defined(COVECTOR_X86_KERNELS)
  static const InstructionSet best = [] {
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    return avx2 ? avx512 ? kAvx512 : kAvx2 : kBaseline;
  }();
  return best;
#else
  return kBaseline;
#endif
}

inline InstructionSet instruction_set() {
  const int most = most_instructions.load(std::memory_order_relaxed);
  const InstructionSet best = processor_instruction_set();
  return best <= most ? best : InstructionSet(most);
}

// Whether the processor multiplies and adds small integers in one instruction.
inline bool has_integer_products() {
#if defined(COVECTOR_X86_KERNELS)
  static const bool vnni = __builtin_cpu_supports("avx512vnni");
  return vnni && instruction_set() == kAvx512 &&
         most_instructions.load(std::memory_order_relaxed) == kInstructionSets;
#else
  return false;
#endif
}

}  // namespace covector
