"""Settings of all tests: every jaxpr traced and every LLVM module made is checked, and new
memory is full of rubbish."""

import os

os.environ.setdefault("COVECTOR_ENABLE_CHECKS", "1")
os.environ.setdefault("COVECTOR_POISON_MEMORY", "1")
