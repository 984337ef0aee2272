"""Further backends: every primitive has a rule there, and computes what it does on the CPU.

``toy`` interprets programs with NumPy; ``xla_cpu`` is XLA's compiler, by its PJRT plugin."""

import importlib
import pathlib
import pkgutil
import re

import covector_toy
import ml_dtypes
import numpy as onp
import pytest
from covector_toy.interpreter import IMPOSSIBLE, RULES

import covector as cv
import covector.backends.pjrt.rules  # fills the table
import covector.numpy
from covector import lax
from covector.ad_checkpoint import checkpoint_name
from covector.backends.pjrt import lower as pjrt
from covector.core.backend import get_backend
from covector.core.trace import Primitive
from tests import programs, test_random_programs
from tests.lax import test_dtypes, test_functions, test_linalg, test_rules
from tests.property_tables import CASES, DISCRETE
from tests.random import test_streams
from tests.random.cases import CLOSE, EXACT
from tests.transforms import programs as small_programs
from tests.transforms import test_control_flow, test_solves

pytestmark = pytest.mark.platform
PROGRAMS = programs.programs(cv, covector.numpy)


TABLES = {"toy": (RULES, IMPOSSIBLE), "xla_cpu": (pjrt.RULES, pjrt.IMPOSSIBLE)}


@pytest.fixture(params=TABLES)
def platform(request):
    cv.devices(request.param)  # loads its rules
    return request.param


@pytest.fixture
def device(platform):
    return cv.devices(platform)[0]


def _ordinary(values):
    """Values without what XLA's compiler for CPUs takes as zero: subnormal numbers, the sign of
    zeros (docs/differences.md)."""

    def made(name, shape, seed, special=True):
        x = values(name, shape, seed, special)
        if name in test_dtypes.FLOATS:
            least = ml_dtypes.finfo(x.dtype).smallest_normal
            x = onp.where(onp.abs(x) < least, x.dtype.type(0), x)
        return x

    return made


@pytest.fixture
def on_device(platform, device, monkeypatch):
    """All is computed on the device: the CPU's backend is asked for nothing."""
    if platform == "xla_cpu":
        monkeypatch.setattr(test_dtypes, "values", _ordinary(test_dtypes.values))

    def lower(self, jaxpr, donated, name):
        raise AssertionError(f"the CPU was asked to run {name}")

    monkeypatch.setattr(type(get_backend("cpu")), "lower", lower)
    with cv.default_device(device):
        yield


@pytest.fixture
def x64():
    with cv.enable_x64(), onp.errstate(all="ignore"):
        yield


def leaves(tree):
    return [onp.asarray(x) for x in cv.tree_util.tree_leaves(tree)]


def close(got, want, rtol=1e-9, atol=1e-10):
    for g, w in zip(leaves(got), leaves(want), strict=True):
        assert g.dtype == w.dtype and g.shape == w.shape
        onp.testing.assert_allclose(g, w, rtol, atol)


def test_every_primitive_has_a_rule_and_every_rule_a_primitive(platform):
    rules, impossible = TABLES[platform]
    ours = set()
    for found in pkgutil.walk_packages(cv.__path__, "covector."):
        if not found.name.endswith("_native"):
            values = vars(importlib.import_module(found.name)).values()
            ours |= {p for p in values if isinstance(p, Primitive) and p._abstract_eval}
    assert ours - rules.keys() == impossible.keys() and not rules.keys() - ours
    assert len(impossible) <= 15 and all(impossible.values())


def test_what_is_impossible_says_why(device):
    f = cv.jit(lambda x: lax.psum_p.bind(x, axis_name="i"), device=device)
    with pytest.raises(NotImplementedError, match="cannot run .*psum: one device has no"):
        f(1.0)


def test_the_toy_uses_neither_the_compiler_nor_the_backend_of_the_cpu():
    for file in pathlib.Path(covector_toy.__file__).parent.rglob("*.py"):
        assert not re.search(
            r"covector\.(compiler|backends)|import (compiler|backends)", file.read_text()
        )


# --- the property tables -------------------------------------------------------------------


@pytest.mark.parametrize("name", [*CASES, *DISCRETE])
def test_values_are_those_of_the_cpu(name, device, x64):
    fun, args = (CASES[name] if name in CASES else DISCRETE[name])[:2]
    fun = test_rules.flat(fun)
    outs = fun(*cv.device_put(args, device))
    assert all(x.device is device and x.committed for x in outs)
    close(outs, fun(*args))


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name, x64, on_device):
    test_rules.test_jvp_against_differences_and_vjp_against_jvp(name)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.batch])
def test_vmap(name, x64, on_device):
    test_rules.test_vmap_equals_loop(name)


@pytest.mark.parametrize("name", [n for n, c in DISCRETE.items() if c.batch])
def test_vmap_of_discrete_functions(name, x64, on_device):
    test_rules.test_vmap_of_discrete_functions_equals_loop(name)


@pytest.mark.parametrize("shape", test_dtypes.SHAPES, ids=str)
@pytest.mark.parametrize("dtype", test_dtypes.ALL)
def test_elements_of_every_dtype(dtype, shape, x64, on_device):
    test_dtypes.test_exact(dtype, shape)
    test_dtypes.test_structure(dtype, shape)
    if dtype in test_dtypes.FLOATS + test_dtypes.COMPLEX:
        test_dtypes.test_elementary(dtype, shape)
    if shape:
        test_dtypes.test_reductions(dtype, shape)
        if dtype not in test_dtypes.COMPLEX:
            test_dtypes.test_ordering(dtype, shape)


@pytest.mark.parametrize("dtype", test_dtypes.ALL)
def test_conversions_indices_and_products_of_every_dtype(dtype, x64, on_device):
    test_dtypes.test_convert(dtype)
    test_dtypes.test_indexed(dtype)
    test_dtypes.test_products(dtype, ((3, 5), (5, 4)))


@pytest.mark.parametrize("name", test_functions.FUNCTIONS)
def test_functions_of_lax(name, on_device):
    test_functions.test_function(name)


@pytest.mark.parametrize("name", test_linalg.RULES)
def test_linear_algebra(name, x64, on_device):
    test_linalg.test_jvp_against_differences_and_vjp_against_jvp(name)
    if "(2, 3, 3)" not in name:
        test_linalg.test_vmap_equals_loop_and_jit_equals_eager(name)


def test_permutations_of_row_exchanges(device):
    a = onp.random.RandomState(0).randn(2, 4, 3).astype("float32")
    packed, pivots, permutation = lax.linalg.lu(cv.device_put(a, device))
    close(lax.linalg.lu_pivots_to_permutation(pivots, 4), permutation)
    close([packed, pivots, permutation], lax.linalg.lu(a), 1e-5, 1e-5)


@pytest.mark.parametrize("value", [onp.nan, -onp.inf])
@pytest.mark.parametrize("name", test_linalg.CALLS)
def test_linear_algebra_of_what_is_not_finite(name, value, x64, on_device):
    test_linalg.test_nan_and_infinity_give_nan_and_leave_the_rest_of_a_batch(
        name, "complex128", value
    )


def test_singular_systems(x64, on_device):
    test_linalg.test_singular_systems()


@pytest.mark.parametrize("name", test_solves.CASES)
def test_linear_solves(name, x64, on_device):
    test_solves.test_linear_solve(name)


def test_calls_that_are_linear(x64, on_device):
    test_solves.test_linear_call()
    test_solves.test_linear_call_in_a_derivative_rule()


@pytest.mark.parametrize("name", test_control_flow.TYPES)
def test_types_and_values_of_control_flow(name, on_device):
    test_control_flow.test_results(name)


@pytest.mark.parametrize("dtype", test_dtypes.INTS)
def test_upper_halves_of_products(dtype, device, x64):
    x, y = (test_dtypes.values(dtype, (37,), seed) for seed in (0, 1))
    exact = [int(a) * int(b) >> 8 * x.dtype.itemsize for a, b in zip(x, y, strict=True)]
    close(cv.jit(lax.mulhi, device=device)(x, y), onp.array(exact, dtype))
    close(lax.mulhi(x, y), onp.array(exact, dtype))


def test_names_of_values(device, x64):
    f = cv.checkpoint(
        lambda x: lax.sin(checkpoint_name(lax.exp(x), "e")),
        policy=cv.checkpoint_policies.save_only_these_names("e"),
    )
    close(cv.grad(f)(cv.device_put(0.5, device)), cv.grad(f)(0.5))


# --- random numbers and programs -----------------------------------------------------------


@pytest.mark.parametrize("name", EXACT)
def test_random_numbers_are_the_same_to_the_bit(name, on_device):
    test_streams.test_recorded_exact(name, 42)


@pytest.mark.parametrize("name", CLOSE)
def test_random_numbers_through_elementary_functions(name, on_device):
    test_streams.test_recorded_close(name, 42)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name, device):
    want = PROGRAMS[name]()
    with cv.default_device(device):
        got = PROGRAMS[name]()
    # Hundreds of float32 operations, in another order.
    close(got, want, 2e-3, 2e-4)


@pytest.mark.parametrize("name", small_programs.PROGRAMS)
def test_small_programs(name, device, x64):
    f, point, modes = small_programs.PROGRAMS[name]
    x = cv.device_put(point, device)
    close(cv.jit(f)(x), f(point))
    close(f(x), f(point))
    close(cv.vmap(f)(x[None])[0], f(point))
    if "r" in modes:
        close(cv.jit(cv.grad(f))(x), cv.grad(f)(point))
    if "f" in modes:
        close(cv.jit(lambda a: cv.jvp(f, (a,), (1.0,)))(x), cv.jvp(f, (point,), (1.0,)))


def test_random_programs_agree_with_numpy(on_device):
    test_random_programs.test_compiled_eager_and_numpy_agree()
    test_random_programs.test_vmap_equals_a_loop()
