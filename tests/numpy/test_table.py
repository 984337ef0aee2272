"""Every public function of `covector.numpy` on every dtype it takes, against NumPy.

The functions stand in tables; the tests are properties of all of them. Some functions of one dtype
run together in a compiled program.
"""

import dataclasses
import functools

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector.core import dtypes
from tests.numpy.table import (
    DOCUMENTED,
    DTYPES,
    KIND,
    arguments,
    compare,
    compiled,
    inexact,
    kind_of,
    leaves,
    reference,
    together,
)  # fmt: skip
from tests.numpy.table_arrays import SHAPES
from tests.numpy.table_elementwise import ELEMENTWISE
from tests.numpy.table_host import HOST
from tests.numpy.table_reductions import REDUCTIONS

FAMILIES = {"elementwise": ELEMENTWISE, "arrays": SHAPES, "reductions": REDUCTIONS}
ALL_DTYPES = [d for names in DTYPES.values() for d in names]
# Functions in one program: complex ones are long.
TOGETHER = {"c": 1}


@functools.cache
def cases_of(family):
    """The cases of a family; of two names of one function only the first."""
    seen, out = set(), []
    for name, cases in FAMILIES[family].items():
        function = getattr(np, name)
        if id(function) not in seen:
            seen.add(id(function))
            many = len(cases) > 1
            out += [
                dataclasses.replace(c, name=f"{name}#{k}" if many else name)
                for k, c in enumerate(cases)
            ]
    return out


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64(), onp.errstate(all="ignore"):
        yield


def groups(items, size):
    return [items[k : k + size] for k in range(0, len(items), size)]


def fail_with(failed):
    if failed:
        pytest.fail(f"{len(failed)} cases:\n" + "\n".join(failed), pytrace=False)


def check_all(items, dtype, what=""):
    """Compare compiled results of (case, arguments, wanted)."""
    failed = []
    size = TOGETHER.get(KIND[dtype], 6)
    for group in groups(items, size):
        cases, args, want = zip(*group, strict=True)
        for case, ref, got in zip(cases, want, compiled(cases, args), strict=True):
            try:
                compare(case, dtype, got, ref, f"{case.name} of {dtype} {what}")
            except AssertionError as error:
                failed.append(str(error))
    fail_with(failed)


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_values(family, dtype):
    items = []
    for case in cases_of(family):
        if dtype in case.dtypes() and case.traced:
            xs = arguments(case, dtype, special=case.special)
            items.append((case, xs, reference(case, dtype, xs)))
    check_all(items, dtype)


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32", "complex64"])
@pytest.mark.parametrize("family", FAMILIES)
def test_eager(family, dtype):
    """Without `jit`: the functions whose results have sizes that depend on values, and all."""
    failed = []
    for case in cases_of(family):
        if dtype in case.dtypes() and (dtype == "float32" or not case.traced):
            xs = arguments(case, dtype, special=case.special)
            want = reference(case, dtype, xs)
            got = case.f(np, *[np.asarray(x) for x in xs])
            try:
                compare(case, dtype, got, want, f"{case.name} of {dtype} eagerly")
            except AssertionError as error:
                failed.append(str(error))
    fail_with(failed)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
@pytest.mark.parametrize("family", FAMILIES)
def test_edges(family, dtype):
    """Sizes of zero and one and rank 0; where NumPy raises an exception, so does Covector."""
    items, failed = [], []
    for case in cases_of(family):
        if dtype not in case.dtypes():
            continue
        for shapes in case.all_edges():
            xs = arguments(case, dtype, shapes)
            what = f"{case.name} of {dtype} {shapes}"
            try:
                want = reference(case, dtype, xs)
            except Exception:
                want = None
            try:
                cv.eval_shape(lambda *a, f=case.f: leaves(f(np, *a)), *xs)
            except DOCUMENTED as error:
                # NumPy takes the axes 0 and -1 of a number, of which it has none.
                axis_of_number = not any(shapes) and "is out of bounds for" in str(error)
                if want is not None and not axis_of_number:
                    failed.append(f"{what} raises {type(error).__name__}: {error}")
                continue
            if want is None:
                failed.append(f"{what} does not raise an exception")
            else:
                items.append((dataclasses.replace(case, name=what), xs, want))
    fail_with(failed)
    check_all(items, dtype, "at an edge")


@pytest.mark.parametrize("dtype", ["int32", "float32"])
@pytest.mark.parametrize("family", FAMILIES)
def test_vmap_equals_a_loop(family, dtype):
    cases = [c for c in cases_of(family) if dtype in c.dtypes() and c.traced and c.batched]
    failed = []
    for group in groups(cases, 8):
        each = [
            [arguments(dataclasses.replace(c, name=f"{c.name}{k}"), dtype) for c in group]
            for k in range(2)
        ]
        stacked = [
            [onp.stack(pair) for pair in zip(*both, strict=True)]
            for both in zip(*each, strict=True)
        ]
        run = cv.jit(together(group))
        one_by_one = [run(args) for args in each]
        got = cv.jit(together(group, cv.vmap))(stacked)
        for case, g, *rows in zip(group, got, *one_by_one, strict=True):
            want = [onp.stack([onp.asarray(r) for r in pair]) for pair in zip(*rows, strict=True)]
            try:
                compare(case, dtype, g, want, f"vmap of {case.name}")
            except AssertionError as error:
                failed.append(str(error))
    fail_with(failed)


@pytest.mark.parametrize("family", FAMILIES)
def test_derivatives(family):
    """jvp against central differences, vjp against jvp, in float64."""
    cases = [c for c in cases_of(family) if "f" in c.kinds and c.traced and c.diff]
    failed = []
    step = 1e-6
    for group in groups(cases, 8):
        xs = [arguments(c, "float64") for c in group]
        ts = [arguments(dataclasses.replace(c, domain="any"), "float64") for c in group]
        ts = [[t + 0.25 for t in row] for row in ts]

        def program(args, group=group):
            return [inexact(out) for out in together(group)(args)]

        def shifted(h, xs=xs, ts=ts):
            return [[x + h * t for x, t in zip(a, b, strict=True)]
                    for a, b in zip(xs, ts, strict=True)]  # fmt: skip

        run = cv.jit(program)
        _, tangents = cv.jit(lambda a, b, f=program: cv.jvp(f, (a,), (b,)))(xs, ts)
        high, low = run(shifted(step)), run(shifted(-step))
        cts = [[onp.cos(onp.arange(y.size)).reshape(y.shape).astype(y.dtype) for y in out]
               for out in high]  # fmt: skip
        (back,) = cv.jit(lambda a, c, f=program: cv.vjp(f, a)[1](c))(xs, cts)
        for case, tangent, up, down, ct, t, b in zip(
            group, tangents, high, low, cts, ts, back, strict=True
        ):
            forward = 0.0
            for d, u, v, c in zip(tangent, up, down, ct, strict=True):
                d, u, v = (onp.asarray(a) for a in (d, u, v))
                want = (u - v) / (2 * step)
                if not onp.allclose(d, want, rtol=1e-5, atol=1e-5 * max(1.0, onp.abs(want).max())):
                    failed.append(f"jvp of {case.name}: {d} in place of {want}")
                forward += onp.sum(d * c)
            backward = sum(onp.sum(onp.asarray(x) * y) for x, y in zip(b, t, strict=True))
            if not onp.allclose(forward, backward, rtol=1e-9, atol=1e-9):
                failed.append(f"vjp of {case.name}: {backward} in place of {forward}")
    fail_with(failed)


@pytest.mark.peer
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float32", "complex64"])
@pytest.mark.parametrize("family", FAMILIES)
def test_result_types_are_those_of_jax(family, dtype):
    import jax
    import jax.numpy as jnp

    failed = []
    with jax.enable_x64(True):
        for case in cases_of(family):
            # The array standard, and NumPy, sum and multiply small integers in wider ones.
            if dtype not in case.dtypes() or not case.traced or case.name == "cumulative_prod":
                continue
            xs = arguments(case, dtype)
            try:
                want = jax.eval_shape(lambda *a, f=case.f: leaves(f(jnp, *a)), *xs)
            except Exception:  # what JAX does not do
                continue
            got = cv.eval_shape(lambda *a, f=case.f: leaves(f(np, *a)), *xs)
            types = [
                [(kind_of(y.dtype), y.dtype.itemsize, y.shape, y.weak_type) for y in out]
                for out in (got, want)
            ]
            if types[0] != types[1]:
                failed.append(f"{case.name} of {dtype}: {types[0]} in place of {types[1]}")
    fail_with(failed)


@pytest.mark.parametrize("name", HOST)
def test_functions_of_other_objects(name, tmp_path):
    for call in HOST[name]:
        got, want = (call(module, tmp_path) for module in (np, onp))
        got, want = leaves(got), leaves(want)
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            if isinstance(w, (onp.ndarray, onp.generic)):
                onp.testing.assert_allclose(onp.asarray(g), w, rtol=1e-6)
            else:
                assert g == w


# --- nothing is left out ----------------------------------------------------------------------

# Held by `test_small_dtypes.py`.
SMALL = {t.name for t in dtypes.SMALL}
CONSTANTS = {
    "e", "euler_gamma", "inf", "nan", "newaxis", "pi", "bfloat16", "bool", "bool_", "cdouble",
    "character", "complex128", "complex64", "complex_", "complexfloating", "csingle", "double",
    "dtype", "flexible", "float16", "float32", "float64", "float_", "floating", "generic",
    "inexact", "int16", "int32", "int64", "int8", "int_", "integer", "number", "object_",
    "signedinteger", "single", "uint", "uint16", "uint32", "uint64", "uint8", "unsignedinteger",
    "ComplexWarning", "ndarray",
}  # fmt: skip


def test_constants_and_types_are_those_of_numpy():
    own = {"bfloat16", "ndarray"}
    renamed = {"complex_": "complex128", "float_": "float64", "ComplexWarning": None}
    for name in sorted(CONSTANTS - own):
        theirs = renamed.get(name, name)
        if theirs is None:
            assert issubclass(np.ComplexWarning, Warning)
            continue
        ours, theirs = getattr(np, name), getattr(onp, theirs)
        if isinstance(theirs, float) or theirs is None or name == "dtype":
            assert ours is theirs or ours == theirs or onp.isnan(ours)
        elif issubclass(theirs, onp.generic) and ours is not theirs:
            assert onp.dtype(ours) == onp.dtype(theirs)
            assert np.asarray(1).astype(ours).dtype == onp.dtype(theirs)


def test_every_public_function_is_in_a_table():
    tables = (*FAMILIES.values(), HOST)
    known = CONSTANTS | SMALL
    missing = [n for n in np.__all__ if n not in known and not any(n in t for t in tables)]
    assert not missing
    unknown = [n for t in (*tables, CONSTANTS) for n in t if n not in np.__all__]
    assert not unknown
