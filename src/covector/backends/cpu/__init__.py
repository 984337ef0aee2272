"""The CPU's backend: the loops of a schedule become LLVM IR and machine code."""
