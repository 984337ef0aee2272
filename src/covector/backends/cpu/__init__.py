"""The compiler for CPUs: jaxpr → loop IR → schedule → LLVM IR → machine code."""

from covector.backends.cpu.backend import backend as _backend
from covector.core.backend import register_backend

register_backend(_backend)
