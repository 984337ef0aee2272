"""Accelerators, and XLA's compiler for CPUs: StableHLO text, and the PJRT plugins that compile it."""
