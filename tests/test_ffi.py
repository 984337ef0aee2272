"""Native functions of users: the example of the documentation, attributes, mapping, errors."""

import ctypes
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector.extend.core import Primitive
from covector.interpreters import mlir

PAGE = (Path(__file__).parents[1] / "docs" / "native-functions.md").read_text()

MORE = """
#include "covector/ffi.h"

/* The sum of an integer, a float, the length of a string and an array, for every attribute. */
static int32_t attributes(const covector_ffi_call* call) {
  double total = 0;
  for (int k = 0; k < call->num_attrs; ++k) {
    const covector_ffi_attr* a = &call->attrs[k];
    if (a->kind == COVECTOR_ATTR_INT) total += (double)a->i;
    if (a->kind == COVECTOR_ATTR_FLOAT) total += a->f;
    if (a->kind == COVECTOR_ATTR_STRING) total += (double)strlen(a->s);
    if (a->kind == COVECTOR_ATTR_ARRAY)
      for (int64_t i = 0; i < a->array.size; ++i) total += ((const double*)a->array.data)[i];
  }
  ((double*)call->results[0].data)[0] = total;
  return 0;
}

/* Dot product of two vectors, the number of axes of the first. */
static int32_t dot(const covector_ffi_call* call) {
  const covector_ffi_buffer x = call->args[0], y = call->args[1];
  if (x.ndim != 1) return covector_ffi_fail(call, "x must be a vector");
  float total = 0;
  for (int64_t i = 0; i < x.size; ++i) total += ((float*)x.data)[i] * ((float*)y.data)[i];
  *(float*)call->results[0].data = total;
  *(int32_t*)call->results[1].data = x.ndim;
  return 0;
}

/* Adds to what its result holds already, and says whether that is the argument's memory. */
static int32_t accumulate(const covector_ffi_call* call) {
  const covector_ffi_buffer y = call->results[0];
  if (call->args[0].data != y.data) return covector_ffi_fail(call, "not in place");
  for (int64_t i = 0; i < y.size; ++i) ((float*)y.data)[i] += ((float*)call->args[1].data)[i];
  return 0;
}

static int64_t calls;
static int32_t count(const covector_ffi_call* call) {
  (void)call;
  ++calls;
  return 0;
}
COVECTOR_FFI_EXPORT int64_t number_of_calls(void) { return calls; }

static int32_t silent(const covector_ffi_call* call) { return call->num_args + 7; }

COVECTOR_FFI_TARGET(attributes_target, attributes, 0, 1);
COVECTOR_FFI_TARGET(dot_target, dot, 2, 2);
COVECTOR_FFI_TARGET(accumulate_target, accumulate, 2, 1);
COVECTOR_FFI_TARGET(count_target, count, -1, -1);
COVECTOR_FFI_TARGET(silent_target, silent, -1, -1);
COVECTOR_FFI_EXPORT const covector_ffi_target old_target;
const covector_ffi_target old_target = {COVECTOR_FFI_MAGIC, 0, 0, 0, 8, 0};
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The functions of this file and of the page, compiled by the command of the page."""
    folder = tmp_path_factory.mktemp("ffi")
    (code,) = re.findall(r"^```c\n(.*?)^```$", PAGE, re.M | re.S)
    (command,) = re.findall(r"^cc .*?-lm$", PAGE, re.M | re.S)
    (python,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
    command = re.sub(r"\$\(.*?\)\s", shlex.quote(cv.ffi.include_dir()) + " ", command)
    (folder / "rms_norm.c").write_text(code)
    (folder / "more.c").write_text(MORE)
    command = command.replace("\\\n", " ").replace("-O2", "-O2 -Wall -Wextra -Werror")
    subprocess.run([*shlex.split(command), "more.c"], cwd=folder, check=True)
    names = {}
    exec(python.replace('"./librms_norm.so"', repr(str(folder / "librms_norm.so"))), names)
    lib = names["library"]
    for name in ("attributes", "dot", "accumulate", "count", "silent"):
        cv.ffi.register_ffi_target(name, cv.ffi.pycapsule(getattr(lib, f"{name}_target")))
    lib.normalised = names["normalised"]
    lib.number_of_calls.restype = ctypes.c_int64
    return lib


F32 = cv.ShapeDtypeStruct((), "float32")
I32 = cv.ShapeDtypeStruct((), "int32")


def test_the_example_of_the_page(library):
    x = onp.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    want = x / onp.sqrt((x**2).mean(1, keepdims=True) + 1e-5)
    onp.testing.assert_allclose(library.normalised(x), want, rtol=1e-6)
    eager = cv.ffi.ffi_call("rms_norm", cv.ShapeDtypeStruct(x.shape, x.dtype))(x, eps=1e-5)
    onp.testing.assert_allclose(eager, want, rtol=1e-6)
    fused = cv.jit(lambda x: library.normalised(-x) + 1)(x)
    onp.testing.assert_allclose(fused, 1 - want, rtol=1e-5, atol=1e-6)
    onp.testing.assert_allclose(cv.vmap(library.normalised)(x), want, rtol=1e-6)


def test_attributes(library):
    with cv.enable_x64():
        call = cv.ffi.ffi_call("attributes", cv.ShapeDtypeStruct((), "float64"))
        given = dict(a=3, b=0.25, c="four", d=onp.array([[1.5], [2.5]]), e=True, f=onp.float32(0.5))
        assert cv.jit(lambda: call(**given))() == 3 + 0.25 + 4 + 4 + 1 + 0.5
        assert call() == 0
    with pytest.raises(TypeError, match="attribute 'g'.*number, a string or an array"):
        call(g=object())
    with pytest.raises(TypeError, match="'g' .* must be known when the function is traced"):
        cv.jit(lambda x: call(g=x))(1.0)


@pytest.mark.parametrize("method", ["sequential", "sequential_unrolled"])
def test_each_element_is_a_call_of_its_own(library, method):
    call = cv.ffi.ffi_call("dot", [F32, I32], vmap_method=method)
    x = onp.arange(24, dtype="float32").reshape(2, 3, 4)
    y = onp.arange(8, dtype="float32").reshape(2, 4)
    got, ndim = cv.jit(cv.vmap(cv.vmap(call, (0, None)), (0, 0)))(x, y)
    onp.testing.assert_array_equal(got, onp.einsum("ijk,ik->ij", x, y))
    assert ndim.shape == (2, 3) and (ndim == 1).all()
    got, _ = cv.vmap(call, (1, None))(x[0].T, y[0])
    onp.testing.assert_array_equal(got, x[0] @ y[0])
    assert cv.vmap(call)(x[0, :0], x[0, :0])[0].shape == (0,)


def test_one_call_for_a_batch(library):
    rows = cv.ShapeDtypeStruct((4,), "float32")
    for method in ("broadcast_all", "expand_dims"):
        call = cv.ffi.ffi_call("rms_norm", rows, vmap_method=method)
        x = np.ones((3, 4))
        assert cv.vmap(lambda x, call=call: call(x, eps=0.0))(x).shape == (3, 4)
    with pytest.raises(NotImplementedError, match="give ffi_call a vmap_method"):
        cv.vmap(lambda x: cv.ffi.ffi_call("rms_norm", rows)(x, eps=0.0))(np.ones((3, 4)))


def test_an_argument_in_the_memory_of_a_result(library):
    vector = cv.ShapeDtypeStruct((3,), "float32")
    call = cv.ffi.ffi_call("accumulate", vector, input_output_aliases={0: 0})
    x, y = np.arange(3.0), np.ones(3)
    assert cv.jit(call)(x, y).tolist() == [1, 2, 3]
    assert x.tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match="native function accumulate failed: not in place"):
        cv.ffi.ffi_call("accumulate", vector)(x, y)
    with pytest.raises(ValueError, match="argument 0 the memory of result 0"):
        call(np.ones(2), y)


def test_side_effects(library):
    before = library.number_of_calls()
    cv.jit(lambda x: (cv.ffi.ffi_call("count", [])(x), x)[1])(1.0)
    assert library.number_of_calls() == before
    f = cv.jit(lambda x: (cv.ffi.ffi_call("count", [], has_side_effect=True)(x), x)[1])
    f(1.0), f(1.0)
    assert library.number_of_calls() == before + 2


def test_a_primitive_that_a_native_function_computes(library):
    norm_p = Primitive("test_norm_of_rows")
    norm_p.def_abstract_eval(lambda x, *, eps: x)
    mlir.register_lowering(norm_p, cv.ffi.ffi_lowering("rms_norm"))
    x = np.array([[3.0, 4.0]])
    want = library.normalised(x)
    assert (cv.jit(lambda x: norm_p.bind(x, eps=1e-5))(x) == want).all()
    assert (norm_p.bind(x, eps=1e-5) == want).all()


def test_errors_of_functions(library):
    with pytest.raises(RuntimeError, match="rms_norm failed: the attribute eps must be a number"):
        cv.ffi.ffi_call("rms_norm", F32)(np.float32(1))
    with pytest.raises(RuntimeError, match="rms_norm failed: x must be of dtype float32"):
        cv.jit(lambda x: cv.ffi.ffi_call("rms_norm", I32)(x, eps=0.0))(np.int32(1))
    with pytest.raises(RuntimeError, match="silent failed: it says no more"):
        cv.ffi.ffi_call("silent", F32)(1.0)
    with pytest.raises(ValueError, match="ffi_call of dot cannot be differentiated"):
        cv.grad(lambda x: cv.ffi.ffi_call("dot", [F32, I32])(x, x)[0])(np.ones(3))


def test_what_is_not_called(library):
    with pytest.raises(ValueError, match="no native function 'nothing'.*registered: accumulate,"):
        cv.ffi.ffi_call("nothing", F32)(1.0)
    with pytest.raises(ValueError, match="'dot' has 2 arguments, ffi_call gives it 1"):
        cv.ffi.ffi_call("dot", [F32, I32])(1.0)
    with pytest.raises(ValueError, match="'dot' has 2 results, ffi_call gives it 1"):
        cv.jit(cv.ffi.ffi_call("dot", F32))(1.0, 2.0)
    with pytest.raises(ValueError, match="row-major"):
        cv.ffi.ffi_call("dot", F32, input_layouts=[(1, 0)])(np.ones((2, 2)))
    with pytest.raises(ValueError, match="custom_call_api_version"):
        cv.ffi.ffi_call("dot", F32, custom_call_api_version=3)


def test_what_is_not_registered(library):
    register, capsule = cv.ffi.register_ffi_target, cv.ffi.pycapsule
    with pytest.raises(ValueError, match="no target of covector/ffi.h"):
        register("function", capsule(library.number_of_calls))
    with pytest.raises(ValueError, match="compiled with version 0"):
        register("old", capsule(library.old_target))
    with pytest.raises(ValueError, match="another native function 'dot'"):
        register("dot", capsule(library.count_target))
    register("dot", capsule(library.dot_target))
    with pytest.raises(TypeError, match="takes what ffi.pycapsule returns"):
        register("dot", library.dot_target)
    with pytest.raises(ValueError, match="platform='gpu'"):
        register("dot", capsule(library.dot_target), platform="gpu")


def test_large_programs_and_threads(library):
    """Where the lock of the interpreter is released, and where several threads call."""
    fails = cv.jit(lambda x: cv.ffi.ffi_call("silent", F32)(x @ x) + 1)
    norm = cv.jit(lambda x: library.normalised(x @ x).sum())
    x = np.ones((600, 600))
    with pytest.raises(RuntimeError, match="silent failed"):
        fails(x)
    want = float(norm(x))
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: float(norm(x)), range(12))) == {want}


def test_exceptions_of_cpp(tmp_path):
    (tmp_path / "throws.cc").write_text("""
#include "covector/ffi.h"
#include <stdexcept>
static int32_t throws(const covector_ffi_call*) { throw std::runtime_error("from C++"); }
COVECTOR_FFI_TARGET(throws_target, throws, -1, -1);
""")
    command = ["c++", "-shared", "-fPIC", "-I", cv.ffi.include_dir(), "throws.cc", "-o", "lib.so"]
    subprocess.run(command, cwd=tmp_path, check=True)
    target = ctypes.CDLL(str(tmp_path / "lib.so")).throws_target
    cv.ffi.register_ffi_target("throws", cv.ffi.pycapsule(target))
    with pytest.raises(RuntimeError, match="native function throws failed: from C\\+\\+"):
        cv.jit(lambda x: cv.ffi.ffi_call("throws", F32)(x))(1.0)
