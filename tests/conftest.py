"""Settings of all tests: every jaxpr traced and every LLVM module made is checked."""

import os

os.environ.setdefault("COVECTOR_ENABLE_CHECKS", "1")
