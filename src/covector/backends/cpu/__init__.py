"""The compiler for CPUs: jaxpr → loop IR → schedule → LLVM IR → machine code."""

from covector.backends.cpu.backend import backend
from covector.core.backend import register_backend

register_backend(backend)
