"""Accelerators, and XLA's compiler for CPUs: StableHLO as text, compiled by PJRT plugins."""
