"""The native module on its own, and small programs in LLVM IR to run with it."""

import importlib.util
import os
import pathlib
import sys

import llvmlite.binding as llvm
import ml_dtypes
import numpy as np
import pytest

NAMES = "bool i8 i16 i32 i64 u8 u16 u32 u64 f16 bf16 f32 f64 c64 c128 key".split()
CODE = {name: code for code, name in enumerate(NAMES)}
DTYPES = [np.dtype(bool)]
DTYPES += [np.dtype(t) for t in "i1 i2 i4 i8 u1 u2 u4 u8 f2".split()]
DTYPES += [np.dtype(ml_dtypes.bfloat16)] + [np.dtype(t) for t in "f4 f8 c8 c16".split()]


def _load():
    built = os.environ.get("COVECTOR_TEST_NATIVE")  # another build, such as a sanitized one
    try:
        if built:
            raise ImportError
        import covector

        covector.Array  # noqa: B018 - the package is complete
    except Exception:
        pass
    else:
        return sys.modules["covector._native"]
    if "covector._native" in sys.modules:
        module = sys.modules["covector._native"]
    else:
        source = pathlib.Path(__file__).parents[2] / "src" / "covector"
        path = built or next(source.glob("_native*.so"))
        spec = importlib.util.spec_from_file_location("covector._native", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["covector._native"] = module
        spec.loader.exec_module(module)
    assert not built or module.__file__ == built, "the package's own build was loaded before"
    # The package would have registered these.
    module.set_dtypes(DTYPES + ["key"])
    module.set_aval_factory(lambda shape, dtype, weak: (shape, dtype, weak))
    module.set_numpy_types(np.ndarray, np.generic)
    module.set_converter(lambda x: from_numpy(module, np.asarray(x)))
    module.set_eval_trace("eval")
    return module


def from_numpy(native, x, weak=False, alias=False):
    code = DTYPES.index(x.dtype)
    shape = x.shape
    if code == CODE["bf16"]:
        x = x.view(np.uint16)
    return native.array_from_buffer(np.ascontiguousarray(x), code, shape, weak, alias)


@pytest.fixture(scope="session")
def native():
    return _load()


@pytest.fixture(scope="session")
def array(native):
    def make(x, dtype=None, **kwargs):
        return from_numpy(native, np.asarray(x, dtype), **kwargs)

    return make


# Programs. bufs: inputs, constants, outputs, workspace; params[0] is a length.
LOOP = """
define i32 @{name}(ptr %bufs, ptr %params, ptr %rt) {{
entry:
  %n = load i64, ptr %params
  %a = load ptr, ptr %bufs
  %pb = getelementptr ptr, ptr %bufs, i64 1
  %b = load ptr, ptr %pb
  %pc = getelementptr ptr, ptr %bufs, i64 {out}
  %c = load ptr, ptr %pc
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %loop, label %done
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  %pa = getelementptr float, ptr %a, i64 %i
  %x = load float, ptr %pa
  {second}
  %z = fadd float %x, %y
  %po = getelementptr float, ptr %c, i64 %i
  store float %z, ptr %po
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret i32 0
}}
"""
ONE = "%y = fadd float 0.0, 1.0"
LOAD = "%q = getelementptr float, ptr %b, i64 %i\n  %y = load float, ptr %q"
CALLBACK = """
define i32 @callback(ptr %bufs, ptr %params, ptr %rt) {
  %id = load i64, ptr %params
  %slot = getelementptr ptr, ptr %rt, i64 5
  %f = load ptr, ptr %slot
  %outs = getelementptr ptr, ptr %bufs, i64 1
  %r = call i32 %f(i64 %id, i64 1, ptr %bufs, i64 1, ptr %outs)
  ret i32 %r
}
"""
STATUS = """
define i32 @status(ptr %bufs, ptr %params, ptr %rt) {
  %s = load i64, ptr %params
  %r = trunc i64 %s to i32
  ret i32 %r
}
"""
PAIR = """
define i32 @pair(ptr %bufs, ptr %params, ptr %rt) {
  %a = load ptr, ptr %bufs
  %x = load float, ptr %a
  %y = fadd float %x, 1.0
  %z = fadd float %x, 2.0
  %p1 = getelementptr ptr, ptr %bufs, i64 1
  %o1 = load ptr, ptr %p1
  %p2 = getelementptr ptr, ptr %bufs, i64 2
  %o2 = load ptr, ptr %p2
  store float %y, ptr %o1
  store float %z, ptr %o2
  ret i32 0
}
"""
# Doubles into the workspace, then writes workspace + const[0].
WORKSPACE = """
define i32 @workspace(ptr %bufs, ptr %params, ptr %rt) {
  %a = load ptr, ptr %bufs
  %p1 = getelementptr ptr, ptr %bufs, i64 1
  %c = load ptr, ptr %p1
  %p2 = getelementptr ptr, ptr %bufs, i64 2
  %o = load ptr, ptr %p2
  %p3 = getelementptr ptr, ptr %bufs, i64 3
  %w = load ptr, ptr %p3
  %x = load float, ptr %a
  %y = fadd float %x, %x
  store float %y, ptr %w
  %z = load float, ptr %w
  %k = load float, ptr %c
  %r = fadd float %z, %k
  store float %r, ptr %o
  ret i32 0
}
"""
# Casts its scalar input to f32 from i32, for conversions of Python scalars.
FROM_INT = """
define i32 @from_int(ptr %bufs, ptr %params, ptr %rt) {
  %a = load ptr, ptr %bufs
  %x = load i32, ptr %a
  %y = sitofp i32 %x to float
  %p1 = getelementptr ptr, ptr %bufs, i64 1
  %o = load ptr, ptr %p1
  store float %y, ptr %o
  ret i32 0
}
"""


@pytest.fixture(scope="session")
def code():
    """name -> address of machine code."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    text = "\n".join(
        [
            LOOP.format(name="add_one", out=1, second=ONE),
            LOOP.format(name="add_one_donated", out=1, second=ONE),
            LOOP.format(name="add", out=2, second=LOAD),
            CALLBACK,
            STATUS,
            PAIR,
            WORKSPACE,
            FROM_INT,
        ]
    )
    module = llvm.parse_assembly(text)
    machine = llvm.Target.from_default_triple().create_target_machine(opt=2)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()

    def address(name):
        return engine.get_function_address(name)

    address.engine = engine
    return address


@pytest.fixture(scope="session")
def program(native, code):
    """Executables over f32 arrays of one shape."""

    def make(name, shape=(), n_in=1, n_out=1, **kwargs):
        size = int(np.prod(shape, dtype=np.int64))
        kwargs.setdefault("params", [size])
        kwargs.setdefault("in_specs", [(CODE["f32"], shape)] * n_in)
        kwargs.setdefault("out_specs", [(CODE["f32"], shape, False)] * n_out)
        kwargs.setdefault("out_kinds", [-1] * len(kwargs["out_specs"]))
        kwargs.setdefault("consts", [])
        return native.CpuExecutable(entry=code(name), keepalive=code.engine, name=name, **kwargs)

    return make
