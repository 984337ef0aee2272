// The instruction sets that kernels are compiled for, each once (CMakeLists.txt), and the best of
// them that the processor has.
#pragma once

namespace covector {

enum InstructionSet { kBaseline, kAvx2, kAvx512, kInstructionSets };

inline InstructionSet instruction_set() {
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

}  // namespace covector
