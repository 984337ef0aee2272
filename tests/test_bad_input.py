"""Every kind of bad input gives the documented error, which says what, where and what to do."""

import inspect
import os
import subprocess
import sys

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import errors, lax

x23 = np.ones((2, 3))
x4 = np.arange(4.0)


def leak():
    kept = []
    cv.jit(lambda x: kept.append(x) or x)(x4)
    return kept[0] + 1


def leak_from_grad():
    kept = []
    cv.grad(lambda x: kept.append(x) or x.sum())(x4)
    return np.sin(kept[0])


def use_donated():
    x = np.asarray(onp.arange(4, dtype=onp.float32))
    cv.jit(lambda x: x + 1, donate_argnums=0)(x)
    return x * 2


def bad_carry():
    def body(c, x):
        return {"a": c["a"] + 1, "b": np.zeros(3)}, x

    return lax.scan(body, {"a": 0.0, "b": np.zeros(2)}, x4)


def mapped(f, x):
    return cv.vmap(f, axis_name="i")(x)


def scan_without_jit():
    with cv.disable_jit():
        return lax.scan(lambda c, x: c, 0, x4)


# Name: the call, the class of the error, and what its message must contain.
CASES = {
    "add: shapes": (lambda: x23 + x4, TypeError, ["add", "float32[2,3]", "float32[4]"]),
    "where: shapes": (
        lambda: np.where(x23 > 0, x4, 1.0), TypeError, ["where", "bool[2,3]", "float32[4]"]
    ),
    "matmul: shapes": (lambda: x23 @ x4, TypeError, ["matmul", "float32[2,3]", "float32[4]"]),
    "einsum: sizes": (lambda: np.einsum("ij,jk", x23, x23), ValueError, ["'j'", "(2, 3), (2, 3)"]),
    "concatenate: shapes": (
        lambda: np.concatenate([x23, x4[None]]), TypeError, ["float32[2,3]", "float32[1,4]"]
    ),
    "reshape: size": (lambda: x23.reshape(4, 2), TypeError, ["float32[2,3]", "(4, 2)"]),
    "sum: axis": (lambda: np.sum(x23, axis=2), ValueError, ["axis 2", "float32[2,3]"]),
    "transpose: axes": (lambda: np.transpose(x23, (0, 0)), ValueError, ["axes", "float32[2,3]"]),
    "squeeze: not one": (lambda: np.squeeze(x23, 0), ValueError, ["float32[2,3]"]),
    "stack: nothing": (lambda: np.stack([]), ValueError, ["stack"]),
    "lax: dtypes": (lambda: lax.add(x4, np.arange(4)), TypeError, ["float32", "int32"]),
    "lax: shapes": (lambda: lax.add(x23, x4), TypeError, ["(2, 3)", "(4,)"]),
    "index: too many": (lambda: x4[0, 1], IndexError, ["float32[4]", "2 were"]),
    "index: float": (lambda: x4[1.5], TypeError, ["float 1.5"]),
    "index: mask shape": (
        lambda: x23[np.ones(3, bool)],
        IndexError, ["bool[3]", "dimension 0", "float32[2,3]"],
    ),
    "index: traced mask": (
        lambda: cv.jit(lambda x: x[x > 1])(x4), errors.NonConcreteBooleanIndexError,
        ["bool[4]", "argument x", "where"],
    ),
    "item assignment": (lambda: x4.__setitem__(0, 1.0), TypeError, [".at[", "float32[4]"]),
    "tracer: bool": (
        lambda: cv.jit(lambda flag: 1 if flag else 2)(True),
        errors.TracerBoolConversionError, ["bool[]", "argument flag", "static"],
    ),
    "tracer: int": (
        lambda: cv.jit(lambda n: [1, 2, 3][n])(1),
        errors.TracerIntegerConversionError, ["int32[]", "argument n", "static"],
    ),
    "tracer: float": (
        lambda: cv.jit(lambda v: float(v))(1.0),
        errors.ConcretizationTypeError, ["float32[]", "argument v"],
    ),
    "tracer: size": (
        lambda: cv.jit(lambda n: np.zeros(n))(3), TypeError, ["int32[]", "argument n", "static"],
    ),
    "tracer: range": (
        lambda: cv.jit(lambda n: [0 for _ in range(n)])(3),
        errors.TracerIntegerConversionError, ["int32[]", "argument n"],
    ),
    "tracer: numpy": (
        lambda: cv.jit(lambda v: onp.sin(v))(x4), errors.TracerArrayConversionError,
        ["float32[4]", "argument v"],
    ),
    "tracer: leaked": (leak, errors.UnexpectedTracerError, ["float32[4]"]),
    "tracer: leaked from grad": (leak_from_grad, errors.UnexpectedTracerError, ["float32[4]"]),
    "static: unhashable": (
        lambda: cv.jit(lambda x, opts: x, static_argnames="opts")(1.0, opts=[1]),
        ValueError, ["opts"],
    ),
    "donated: used again": (use_donated, RuntimeError, ["deleted", "(4,)", "float32"]),
    "grad: not scalar": (lambda: cv.grad(np.sin)(x4), TypeError, ["(4,)", "float32[4]"]),
    "grad: integer": (lambda: cv.grad(lambda x: x * 1.0)(3), TypeError, ["argument x", "int32[]"]),
    "grad: complex": (lambda: cv.grad(lambda x: x * 1j)(1.0), TypeError, ["complex64"]),
    "vmap: sizes": (
        lambda: cv.vmap(lambda x, y: x)(x23, x4),
        ValueError, ["argument x", "float32[2,3]", "argument y", "float32[4]"],
    ),
    "vmap: no axis": (lambda: cv.vmap(lambda x: x)(1.0), ValueError, ["argument x", "float32[]"]),
    "vmap: in_axes": (lambda: cv.vmap(lambda x: x, in_axes=(0, 1))(x23), ValueError, ["in_axes"]),
    "scan: carry": (bad_carry, TypeError, ["b", "float32[2]", "float32[3]"]),
    "scan: structure": (
        lambda: lax.scan(lambda c, x: ((c, c), x), 0.0, x4), TypeError, ["carry", "(*, *)"]
    ),
    "scan: lengths": (
        lambda: lax.scan(lambda c, x: (c, x[0]), 0.0, (x4, x23)),
        ValueError, ["xs[0] is float32[4]", "xs[1] is float32[2,3]"],
    ),
    "while: carry": (
        lambda: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1][:1]), (0, x4)),
        TypeError, ["carry[1]", "float32[4]", "float32[1]"],
    ),
    "while: condition": (
        lambda: lax.while_loop(lambda c: c, lambda c: c, x4), TypeError, ["bool", "float32[4]"]
    ),
    "while: reverse": (
        lambda: cv.grad(lambda x: lax.while_loop(lambda c: c < 9, lambda c: c * 2, x))(1.0),
        ValueError, ["while_loop", "fori_loop", "scan"],
    ),
    "cond: branches": (
        lambda: lax.cond(True, lambda x: x, lambda x: x[:2], x4),
        TypeError, ["result", "float32[4]", "float32[2]"],
    ),
    "cond: structure": (
        lambda: lax.cond(True, lambda x: (x, x), lambda x: x, x4), TypeError, ["true_fun", "(*, *)"]
    ),
    "array: object": (lambda: np.array([object()]), TypeError, ["object"]),
    "array: string": (lambda: np.array(["a", "b"]), TypeError, ["'a'"]),
    "array: ragged": (lambda: np.array([[1, 2], [3]]), ValueError, ["ragged"]),
    "array: dtype": (lambda: np.zeros(3, dtype="datetime64[s]"), TypeError, ["datetime64"]),
    "jit: argument": (lambda: cv.jit(lambda s: s)("text"), TypeError, ["argument s", "str"]),
    "jit: result": (lambda: cv.jit(lambda x: "text")(1.0), TypeError, ["text"]),
    "jit: not callable": (lambda: cv.jit(3), TypeError, ["3"]),
    "out given": (lambda: np.sum(x4, out=onp.zeros(())), NotImplementedError, ["out"]),
    "int overflow": (lambda: x4.astype(int) + 2**40, OverflowError, ["1099511627776", "int32"]),
    "reduce: empty max": (
        lambda: np.max(np.zeros((0, 3)), axis=0),
        ValueError, ["max", "float32[0,3]", "initial"],
    ),
    "argmax: empty": (lambda: np.argmax(np.zeros(0)), ValueError, ["argmax", "float32[0]"]),
    "random: key": (lambda: cv.random.uniform(np.ones(3)), TypeError, ["key", "float32[3]"]),
    "random: shape": (
        lambda: cv.random.normal(cv.random.key(0), (-1,)), ValueError, ["shape (-1,)"]
    ),
    "memory": (
        lambda: np.zeros((1 << 40, 1 << 10)),
        MemoryError, ["(1099511627776, 1024)", "float32"],
    ),
    "psum_scatter: size": (
        lambda: mapped(lambda x: lax.psum_scatter(x, "i"), x23), ValueError, ["float32[3]", "'i'"]
    ),
    "ppermute: name and pairs swapped": (
        lambda: mapped(lambda x: lax.ppermute(x, [(0, 1)], "i"), x4), TypeError,
        ["(x, axis_name, perm)", "pairs (source, destination)", "'i'"],
    ),
    "ppermute: value and name swapped": (
        lambda: mapped(lambda x: lax.ppermute("i", x, [(0, 1)]), x4), TypeError,
        ["the name of an axis", "(x, axis_name, ...)"],
    ),
    "ppermute: a number": (
        lambda: mapped(lambda x: lax.ppermute(x, "i", 3), x4), TypeError, ["pairs", "3"],
    ),
    "pshuffle: name and order swapped": (
        lambda: mapped(lambda x: lax.pshuffle(x, "i", "i"), x4), TypeError,
        ["(x, axis_name, perm)", "'i'"],
    ),
    "ppermute: element": (
        lambda: mapped(lambda x: lax.ppermute(x, "i", [(0, 7)]), x4), ValueError, ["7", "4", "'i'"]
    ),
    "pbroadcast: element": (
        lambda: mapped(lambda x: lax.pbroadcast(x, "i", -1), x4), ValueError, ["-1", "'i'"]
    ),
    "all_gather: axis": (
        lambda: mapped(lambda x: lax.all_gather(x, "i", axis=5), x4), ValueError, ["axis 5"]
    ),
    "all_to_all: axis": (
        lambda: mapped(lambda x: lax.all_to_all(x, "i", 7, 0), x23), ValueError, ["axis 7"]
    ),
    "associative_scan: axis": (
        lambda: lax.associative_scan(np.add, x4, axis=3), ValueError, ["axis 3", "float32[4]"]
    ),
    "associative_scan: scalar": (
        lambda: lax.associative_scan(np.add, 1.0), ValueError, ["axis 0", "float32[]"]
    ),
    "map: scalar": (
        lambda: lax.map(lambda x: x, 1.0, batch_size=2), ValueError, ["scalar", "float32[]"]
    ),
    "scan without jit: result": (scan_without_jit, TypeError, ["pair (carry, y)"]),
    "make_jaxpr: static": (
        lambda: cv.make_jaxpr(lambda a: a, static_argnums=5)(1), ValueError, ["argument 5"]
    ),
    "linear_transpose: product": (
        lambda: cv.linear_transpose(lambda x: x * x, 1.0)(1.0), TypeError, ["not linear", "mul"]
    ),
    "linear_transpose: function": (
        lambda: cv.linear_transpose(np.sin, 1.0)(1.0), NotImplementedError, ["sin", "linear"]
    ),
    "segment_max: complex": (
        lambda: cv.ops.segment_max(np.array([1j]), np.array([0])), TypeError, ["complex64[1]"]
    ),
    "device_put: no device": (lambda: cv.device_put(x4, "tpu"), TypeError, ["'tpu'"]),
    "bool of many": (lambda: bool(x4), ValueError, ["any()", "(4,)", "float32"]),
    "config": (lambda: cv.config.update("no_such_option", 1), AttributeError, ["no_such_option"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_error(name):
    call, kind, words = CASES[name]
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    for word in words:
        assert word in message, message


# Errors of the native core, of options and of memory: their traceback ends at the user's line.
WITHOUT_LINE = {"donated: used again", "int overflow", "memory", "bool of many", "config"}


@pytest.mark.parametrize("name", [n for n in CASES if n not in WITHOUT_LINE])
def test_error_names_the_users_line(name):
    call, kind, _ = CASES[name]
    with pytest.raises(kind) as caught:
        call()
    assert "test_bad_input.py" in str(caught.value)


@pytest.mark.parametrize("name", CASES)
def test_traceback_has_only_the_users_frames(name):
    call, kind, _ = CASES[name]
    with pytest.raises(kind) as caught:
        call()
    files = [entry.path for entry in caught.traceback]
    package = inspect.getfile(cv).rsplit("/", 1)[0]
    assert not [f for f in files if str(f).startswith(package)], files
    assert str(files[-1]).endswith("test_bad_input.py")


def test_nothing_is_left_half_changed_by_an_error_while_tracing():
    def f(x, bad):
        y = np.sin(x)
        if bad:
            raise KeyError("mine")
        return y

    g = cv.jit(f, static_argnums=1)
    with pytest.raises(KeyError, match="mine"):
        g(x4, True)
    assert onp.allclose(g(x4, False), onp.sin(onp.arange(4.0)), rtol=1e-6)
    assert float(np.sum(x4)) == 6.0


MODES = {
    None: (3.0, [0.0, 1.0, 2.0, 3.0]),
    "clip": (3.0, [0.0, 1.0, 2.0, 9.0]),
    "drop": (onp.nan, [0.0, 1.0, 2.0, 3.0]),
    "fill": (onp.nan, [0.0, 1.0, 2.0, 3.0]),
    "wrap": (3.0, [0.0, 1.0, 2.0, 9.0]),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("jit", [False, True])
def test_index_out_of_bounds(mode, jit):
    index = np.array([7])
    read, written = MODES[mode]
    wrapped = (lambda f: cv.jit(f)) if jit else (lambda f: f)
    if mode is None:
        got = wrapped(lambda i: x4[i])(index)
    else:
        got = wrapped(lambda i: x4.at[i].get(mode=mode))(index)
    assert onp.array_equal(got, [read], equal_nan=True)
    assert onp.array_equal(wrapped(lambda i: x4.at[i].set(9.0, mode=mode))(index), written)


def test_nan_and_infinity_are_kept():
    x = np.array([onp.nan, onp.inf, -onp.inf, -0.0])
    assert onp.array_equal(x + 1, [onp.nan, onp.inf, -onp.inf, 1.0], equal_nan=True)
    assert onp.isnan(np.max(x)) and onp.isnan(np.sum(x)) and onp.isnan(np.min(x))
    assert onp.signbit(onp.asarray(-x))[3] == onp.False_


@pytest.mark.parametrize("jit", [False, True])
def test_debug_nans(jit):
    cv.config.update("debug_nans", True)
    try:
        f = lambda x: np.log(x)  # noqa: E731
        with pytest.raises(FloatingPointError):
            (cv.jit(f) if jit else f)(np.array(-1.0))
        assert float(f(np.array(1.0))) == 0.0
    finally:
        cv.config.update("debug_nans", False)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
def test_empty_arrays(shape):
    x, ref = np.zeros(shape), onp.zeros(shape, onp.float32)
    for f in (
        lambda n, a: n.sin(a) + 1, lambda n, a: n.sum(a), lambda n, a: n.sum(a, axis=0),
        lambda n, a: n.prod(a, axis=-1), lambda n, a: n.cumsum(a, axis=0), lambda n, a: a.T,
        lambda n, a: n.concatenate([a, a], axis=0), lambda n, a: n.sort(a, axis=0),
        lambda n, a: a.reshape(-1), lambda n, a: n.flip(a), lambda n, a: n.any(a),
        lambda n, a: n.where(a > 0, a, 1), lambda n, a: n.all(a, axis=0),
    ):  # fmt: skip
        want = f(onp, ref)
        for got in (f(np, x), cv.jit(lambda a, f=f: f(np, a))(x)):
            assert got.shape == want.shape
            assert onp.array_equal(onp.asarray(got), want)


def test_empty_products():
    assert onp.array_equal(np.zeros((3, 0)) @ np.zeros((0, 4)), onp.zeros((3, 4)))
    assert (np.zeros((0, 3)) @ np.zeros((3, 4))).shape == (0, 4)
    assert float(np.dot(np.zeros(0), np.zeros(0))) == 0.0
    out, ys = lax.scan(lambda c, x: (c + x, c), 1.0, np.zeros(0))
    assert float(out) == 1.0 and ys.shape == (0,)
    assert cv.vmap(lambda x: x.sum())(np.zeros((0, 3))).shape == (0,)


# --- options ---


def _import_with(**variables):
    env = {k: v for k, v in os.environ.items() if not k.startswith("COVECTOR_")}
    env.update({f"COVECTOR_{k}": v for k, v in variables.items()})
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", "import covector"],
        env=env, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("NUMPY_RANK_PROMOTION", "foo", "takes one of ('allow', 'warn', 'raise'), got 'foo'"),
        ("TRACEBACK_FILTERING", "no", "takes one of ('auto', 'off', 'on', "),
        ("DEFAULT_MATMUL_PRECISION", "foo", "got 'foo'"),
        ("ENABLE_X64", "maybe", "is not a boolean (use 0 or 1)"),
        ("PLATFORMS", ",", "takes names of platforms separated by commas, got ','"),
    ],
)
def test_wrong_values_of_environment_variables(name, value, message):
    run = _import_with(**{name: value})
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert f"COVECTOR_{name}={value!r}" in last and message in last


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("ENABLE_X46", "1", "COVECTOR_ENABLE_X46 has no effect: there is no such option; did you "),
        ("NUM_THREADS", "abc", "COVECTOR_NUM_THREADS='abc' is not a positive number"),
    ],
)
def test_variables_without_effect(name, value, message):
    run = _import_with(**{name: value})
    assert run.returncode == 0 and message in run.stderr
    assert _import_with(NUM_THREADS="2", ENABLE_CHECKS="1", PLATFORMS="").stderr == ""


@pytest.mark.parametrize("value", ["", "a\0b", "/tmp/\ud800", 5, b"/tmp"])
def test_what_is_no_folder(value):
    with pytest.raises(TypeError, match="'compilation_cache_dir' takes the path of a folder"):
        cv.config.update("compilation_cache_dir", value)


def test_an_option_is_set_by_its_name_alone():
    with pytest.raises(AttributeError, match="unknown configuration option 'enable_x46'"):
        cv.config.enable_x46 = True
    with pytest.raises(TypeError, match="takes True or False"):
        cv.config.enable_x64 = "yes"
    before = cv.config.numpy_rank_promotion
    cv.config.numpy_rank_promotion = "warn"
    try:
        assert cv.config.read("numpy_rank_promotion") == "warn"
    finally:
        cv.config.update("numpy_rank_promotion", before)


def test_the_option_takes_the_precisions_that_products_take():
    from covector.core.options import OPTIONS
    from covector.lax.precision import _PRECISIONS

    assert set(OPTIONS["default_matmul_precision"].choices) == {None, *_PRECISIONS}


SHARDED = {
    "zeros": lambda s: np.zeros(3, out_sharding=s),
    "full_like": lambda s: np.ones_like(np.zeros(3), out_sharding=s),
    "arange": lambda s: np.arange(3, out_sharding=s),
    "einsum": lambda s: np.einsum("i->", np.zeros(3), out_sharding=s),
    "matmul": lambda s: np.matmul(np.eye(2), np.eye(2), out_sharding=s),
    "reshape": lambda s: np.reshape(np.zeros(4), (2, 2), out_sharding=s),
    "lax.reshape": lambda s: lax.reshape(np.zeros(4), (2, 2), out_sharding=s),
    "at.get": lambda s: np.zeros(3).at[0].get(out_sharding=s),
    "at.set": lambda s: np.zeros(3).at[0].set(1.0, out_sharding=s),
    "at.max": lambda s: np.zeros(3).at[0].max(1.0, out_sharding=s),
    "normal": lambda s: cv.random.normal(cv.random.key(0), out_sharding=s),
}


@pytest.mark.parametrize("name", SHARDED)
def test_an_out_sharding_is_not_ignored(name):
    with pytest.raises(TypeError, match="out_sharding must be a NamedSharding"):
        SHARDED[name](cv.sharding.SingleDeviceSharding(cv.devices()[0]))
    SHARDED[name](None)


@pytest.mark.parametrize("index", [-1, onp.array([-1, 1]), onp.array([[-2], [1]], onp.int8)])
@pytest.mark.parametrize("compiled", [False, True])
def test_negative_indices_that_do_not_wrap(index, compiled):
    x = np.arange(1.0, 6.0)
    run = cv.jit if compiled else (lambda f: f)
    kept = onp.asarray(index) >= 0
    at = onp.where(kept, index, 0)
    want = onp.arange(1.0, 6.0)
    want[onp.asarray(index)[kept]] = 9
    options = {"wrap_negative_indices": False}
    got = run(lambda x, i: x.at[i].get(**options))(x, index)
    assert onp.array_equal(got, onp.asarray(x)[at])
    got = run(lambda x, i: x.at[i].get(mode="fill", fill_value=7.0, **options))(x, index)
    assert onp.array_equal(got, onp.where(kept, onp.asarray(x)[at], 7))
    got = run(lambda x, i: x.at[i].set(9.0, **options))(x, index)
    assert onp.array_equal(got, want)
    got = run(lambda x, i: x.at[i].max(9.0, **options))(x, index)
    assert onp.array_equal(got, want)
