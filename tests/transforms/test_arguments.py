"""What functions take and return: odd callables, arguments that are no arrays, operands of `cond`,
types in place of values; tracing that stops for what is known."""

from __future__ import annotations

import enum
import inspect
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp
from covector import flatten_util, lax, random, tree_util

# --- ensure_compile_time_eval ------------------------------------------------------------


def partly_known(x: Any) -> Any:
    with cv.ensure_compile_time_eval():
        y = cnp.where(x > 0, 1.0, 2.0)
        k = int(cnp.sum(cnp.arange(3))) + int(lax.cond(True, lambda: 1, lambda: 2))
        k += int(cv.jit(lambda a: a + 1)(2)) + float(cv.grad(lambda v: v * v)(3.0))
        slope = cv.grad(lambda v: v * x)(3.0)
    return y + k * x + slope


@pytest.mark.parametrize(
    "wrap", [cv.jit, lambda f: lambda x: cv.vmap(f)(x[None])[0], cv.remat, lambda f: cv.jit(f)]
)
def test_ensure_compile_time_eval_on_traced_values(wrap: Any) -> None:
    assert wrap(partly_known)(cnp.array(2.0)) == 1 + 13 * 2 + 2
    assert cv.grad(wrap(partly_known))(cnp.array(2.0)) == 14
    assert partly_known(-2.0) == 2 - 26 - 2


# --- inline, eval_shape, signatures ----------------------------------------------------------


def test_inline_functions_get_arrays() -> None:
    f = cv.jit(lambda a: (a + a).astype(a.dtype), inline=True)
    assert cv.jit(lambda x: x * f(1.0))(2.0) == 4
    assert cv.grad(lambda x: x * f(x))(2.0) == 8
    assert f(2.0) == 4
    assert "jit" not in str(cv.make_jaxpr(lambda x: f(x))(2.0))
    closing = lambda y: cv.jit(lambda x: x * y, inline=True)  # noqa: E731
    assert cv.grad(lambda y: closing(y)(3.0))(2.0) == 3


def test_eval_shape_of_functions_that_return_types() -> None:
    struct = cv.ShapeDtypeStruct((2,), np.float32)
    assert cv.eval_shape(lambda: struct) == struct
    f = lambda x: (x, {"y": struct})  # noqa: E731
    assert cv.eval_shape(f, cnp.ones(3))[1] == {"y": struct}
    assert cv.eval_shape(cv.jit(f), cnp.ones(3))[1] == {"y": struct}
    with pytest.raises(TypeError, match="is not an array or number"):
        cv.jit(f)(cnp.ones(3))


def test_signatures_of_compiled_functions() -> None:
    f = cv.jit(lambda x, *, y=1: x)
    for follow in (True, False):
        assert str(inspect.signature(f, follow_wrapped=follow)) == "(x, *, y=1)"


class Nameless:
    __name__ = None

    def __call__(self, x: Any) -> Any:
        return x * 2


@pytest.mark.parametrize(
    "transform",
    [
        cv.jit, cv.grad, cv.remat, cv.value_and_grad, cv.jacfwd, cv.jacrev, cv.hessian,
        cv.make_jaxpr, cv.custom_jvp, cv.custom_vjp, lambda f: lambda x: cv.vmap(f)(x[None]),
        lambda f: lambda x: cv.linearize(f, x)[0], lambda f: lambda x: cv.vjp(f, x)[0],
        lambda f: lambda x: lax.fori_loop(0, 2, lambda i, c: f(c), x),
        lambda f: lambda x: cv.linear_transpose(f, x)(x),
    ],
)  # fmt: skip
def test_callables_whose_name_is_no_string(transform: Any) -> None:
    f = transform(Nameless())
    if not isinstance(f, (cv.custom_jvp, cv.custom_vjp)):
        f(cnp.array(1.0))


# --- arguments -----------------------------------------------------------------------------


class Number(enum.IntEnum):
    ONE = 1
    TWO = 2


class Convertible:
    def __jax_array__(self) -> Any:
        return cnp.array([1.0, 2.0])


def test_integer_enumerations_as_arguments() -> None:
    assert cv.jit(lambda x: x + x)(Number.TWO) == 4
    assert lax.fori_loop(0, Number.TWO, lambda i, c: c + 1, 0) == 2
    assert cnp.arange(3)[Number.TWO] == 2
    assert (cnp.ones(2) + Number.TWO).tolist() == [3, 3]
    assert lax.cond(Number.ONE, lambda: 1, lambda: 2) == 1


def test_objects_that_convert_themselves() -> None:
    for f in (lambda x: x + x, cnp.add, lambda x, y=1: x * 2):
        assert cv.jit(f)(*[Convertible()] * (2 if f is cnp.add else 1)).tolist() == [2, 4]
    assert (cnp.ones(2) + Convertible()).tolist() == [2, 3]
    assert cv.jit(lambda x: x * cnp.sin(Convertible()))(0.0).tolist() == [0, 0]
    with pytest.raises(TypeError, match="convert it with covector.numpy.asarray"):
        cv.grad(lambda x: x.sum())(Convertible())


@pytest.mark.parametrize(
    "use",
    [
        lambda x: cv.jit(lambda x: x)(x), cnp.array, cnp.asarray, cnp.sin,
        lambda x: x + cnp.ones(3),
        lambda x: cnp.ones(3) + x, lambda x: cv.grad(lambda x: x.sum())(x), cv.device_put,
        lambda x: cv.vmap(lambda x: x)(x), lambda x: lax.scan(lambda c, y: (c, y), 0, x),
        lambda x: cv.jit(lambda y: x)(1.0), lambda x: cv.jit(lambda y: y * cnp.asarray(x))(1.0),
        lambda x: lax.add(x, x), lambda x: cnp.ones(3).at[:].set(x),
        lambda x: cnp.ones(3)[x.astype(int)], lambda x: cnp.ones(3)[x.astype(bool)],
        lambda x: cnp.ones(3).at[x.astype(int)].add(1), lambda x: cv.eval_shape(lambda x: x, x),
    ],
)  # fmt: skip
def test_masked_arrays_are_an_error(use: Any) -> None:
    x = np.ma.array([1.0, 2.0, 3.0], mask=[1, 0, 0])
    with pytest.raises(ValueError, match="masked arrays of NumPy cannot be operands"):
        use(x)
    assert cv.jit(lambda x: x)(x.filled(0)).tolist() == [0, 2, 3]


class Series:
    """As pandas has them."""

    def to_numpy(self) -> Any:
        return np.ones(2)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.to_numpy()

    def __repr__(self) -> str:
        return "0  1.0\n1  1.0"


def test_what_is_no_array_is_named_once() -> None:
    with pytest.raises(TypeError) as e:
        cnp.sin(Series())
    text = str(e.value)
    assert text.count("neither an array nor a number") == 1 and "to_numpy()" in text
    assert cnp.array(Series()).tolist() == [1, 1]
    import dataclasses

    @dataclasses.dataclass
    class Point:
        x: float

    for f in (cv.jit(lambda p: p), cv.grad(lambda p: p), cv.vmap(lambda p: p)):
        with pytest.raises(TypeError, match="register_dataclass"):
            f(Point(1.0))


@pytest.mark.parametrize(
    "use",
    [
        lambda k: k * 1.0, lambda k: 1 + k, lambda k: k + k, lambda k: k < k, lambda k: -k,
        cnp.sin, lambda k: cnp.concatenate([k[None], cnp.ones(2)]), lambda k: lax.lt(k, k),
    ],
)  # fmt: skip
def test_keys_are_no_numbers(use: Any) -> None:
    key = random.key(0)
    for f in (use, cv.jit(use)):
        with pytest.raises(TypeError, match="key"):
            f(key)
    assert bool(key == key) and not bool(key != key)


# --- cond, loops, callbacks -----------------------------------------------------------------


def test_cond_with_an_operand_for_each_branch() -> None:
    for wrap in (lambda f: f, cv.jit):
        f = wrap(lambda p: lax.cond(p, 1.0, lambda x: x + 1, (2.0,), lambda x: x[0] * 2))
        assert (f(True), f(False)) == (2, 4)
    with pytest.raises(TypeError, match="cond takes"):
        lax.cond(True, 1.0, 2.0, 3.0)


def test_fori_loop_with_float_bounds() -> None:
    add = lambda i, c: c + i  # noqa: E731
    assert lax.fori_loop(1.0, 3.0, add, 1.0) == 4
    assert lax.fori_loop(0.5, 2.0, add, 0.0) == 2
    assert lax.fori_loop(3.0, 1.0, add, 1.0) == 1
    assert cv.jit(lambda n: lax.fori_loop(0.0, n, add, 1.0))(2.5) == 4
    assert cv.grad(lambda x: lax.fori_loop(1.0, 3.0, lambda i, c: c * i, x))(1.0) == 2
    with cv.disable_jit():
        assert lax.fori_loop(0.5, 2.0, add, 0.0) == 2
    for bad in (2.5, 1j, True):
        with pytest.raises(TypeError, match="fori_loop"):
            lax.fori_loop(0, bad, add, 0)


def test_map_without_batches() -> None:
    for size in (None, 0, 1, 2, 10):
        assert lax.map(lambda x: x * 2, cnp.arange(3), batch_size=size).tolist() == [0, 2, 4]
    with pytest.raises(ValueError, match="must not be negative"):
        lax.map(lambda x: x, cnp.arange(3), batch_size=-1)


def test_disabled_jit_leaves_numpy_carries_alone() -> None:
    def body(c: Any) -> Any:
        x, y = c
        x += 1
        return x, y + x

    with cv.disable_jit():
        v = np.array(1.0)
        assert lax.while_loop(lambda c: c[0] < 10, body, (v, v))[1] == 55
        lax.fori_loop(0, 2, lambda i, c: body((c, c))[0], v)
        lax.scan(lambda c, _: (body((c, c))[0], None), v, length=2)
        assert v == 1


def test_structures_of_callback_results() -> None:
    struct = cv.ShapeDtypeStruct((), "float32")
    out = cv.pure_callback(lambda x: {"y": [x]}, {"y": [struct]}, [np.float32(2)])
    assert cv.tree.map(float, out) == {"y": [2.0]}
    out = cv.pure_callback(lambda x: (x, x), [struct, struct], np.float32(2))
    assert cv.tree.map(float, out) == [2.0, 2.0]
    pair = cv.ShapeDtypeStruct((2,), "float32")
    assert cv.pure_callback(lambda: [[1.0, 2.0]], [pair])[0].tolist() == [1, 2]
    with pytest.raises(ValueError, match="was announced to return"):
        cv.pure_callback(lambda x: (x, x), struct, np.float32(2))


# --- errors of derivatives -----------------------------------------------------------------


def test_types_of_linear_functions() -> None:
    double = lambda x: 2 * x  # noqa: E731
    assert cv.linear_transpose(double, 1)(1) == (2,)
    for fun, x in ((lambda x: 2.0 * x, 1), (lambda x: x.astype(int), 1.0), (lambda x: x > 0, 1.0)):
        with pytest.raises(TypeError, match="linear_transpose takes functions from"):
            cv.linear_transpose(fun, x)
    with pytest.raises(ValueError, match="a tangent given to the linearized function"):
        cv.linearize(cnp.sin, 1.0)[1](1)
    for f in (cv.grad, cv.value_and_grad):
        with pytest.raises(TypeError, match="positional argument 0"):
            f(lambda x: x)(x=1.0)


def test_transposes_are_pytrees() -> None:
    transpose = lambda x: cv.linear_transpose(lambda y: 2.0 * y, x)  # noqa: E731
    assert cv.jit(lambda f, x: f(x))(cv.jit(transpose)(1.0), 3.0) == (6,)
    assert cv.jit(lambda a: cv.linear_transpose(lambda y: a * y, 1.0))(3.0)(2.0) == (6,)
    assert cv.grad(lambda a: cv.linear_transpose(lambda y: a * y, 1.0)(2.0)[0])(3.0) == 2
    assert cv.vmap(lambda x: transpose(x)(x))(cnp.ones(2))[0].tolist() == [2, 2]


def test_unravel_functions_are_equal() -> None:
    x, y = ({"a": cnp.full(2, v)} for v in (1.0, 2.0))
    (_, f), (_, g) = flatten_util.ravel_pytree(x), flatten_util.ravel_pytree(y)
    assert f == g and hash(f) == hash(g)
    for other in ({"a": cnp.ones(3)}, {"b": cnp.ones(2)}, {"a": cnp.arange(2)}):
        assert f != flatten_util.ravel_pytree(other)[1]
    traces = []

    def traced(v: Any, unravel: Any) -> Any:
        traces.append(1)
        return unravel(v)

    for static in (cv.jit(traced, static_argnums=1), cv.jit(traced)):
        traces.clear()
        assert static(cnp.ones(2), f)["a"].tolist() == static(cnp.ones(2), g)["a"].tolist()
        assert len(traces) == 1


# --- options and places ----------------------------------------------------------------------


def test_unknown_compiler_options() -> None:
    lowered = cv.jit(lambda x: x).lower(1.0)
    assert lowered.compile(compiler_options={})(1.0) == 1
    for use in (
        lambda: lowered.compile(compiler_options={"fast": 1}),
        lambda: cv.jit(lambda x: x, compiler_options={"fast": 1})(1.0),
    ):
        with pytest.raises(cv.errors.JaxRuntimeError, match="no such compile option.*'fast'"):
            use()
    with pytest.warns(UserWarning, match="xla_some are of XLA, which does not compile for cpu"):
        assert cv.jit(lambda x: x + 2, compiler_options={"xla_some": True})(1.0) == 3


@pytest.mark.parametrize("bad", [{"xla_some": None}, {1: True}, ["xla_some"], 3])
def test_compiler_options_that_are_none(bad: Any) -> None:
    for use in (
        lambda: cv.jit(lambda x: x, compiler_options=bad),
        lambda: cv.jit(lambda x: x).lower(1.0).compile(bad),
    ):
        with pytest.raises(TypeError, match="compiler_options"):
            use()


def test_compiler_options_are_of_a_whole_program() -> None:
    f = cv.jit(lambda x: x * 2, compiler_options={"xla_some": True})
    for use in (cv.jit(lambda x: f(x) + 1), cv.grad(f), cv.checkpoint(f)):
        with pytest.raises(ValueError, match=r"xla_some.*outermost jit"):
            use(1.0)


def test_default_device_fails_at_once() -> None:
    with pytest.raises(RuntimeError, match="unknown backend 'nope'"):
        cv.default_device("nope").__enter__()
    assert cnp.ones(1).tolist() == [1]


def test_places_that_do_not_fit() -> None:
    x, device = cnp.ones(2), cv.devices()[0]
    with pytest.raises(ValueError, match="device_put: device must be one value, or a tree"):
        cv.device_put([x, x], [device])
    with pytest.raises(ValueError, match="device_put: device must be"):
        cv.device_put((x, x), [device, device])
    with pytest.raises(TypeError, match="a sharding that says where"):
        cv.device_put(x, cv.sharding.Sharding())


@pytest.mark.parametrize("name", ["sharding", "committed", "devices", "device"])
@pytest.mark.parametrize("wrap", [cv.jit, cv.vmap, lambda f: cv.grad(lambda x: f(x).sum())])
def test_traced_arrays_have_no_place(name: str, wrap: Any) -> None:
    def f(x: Any) -> Any:
        assert not hasattr(x, name)
        assert cv.typeof(x).sharding is None
        with pytest.raises(AttributeError, match=f"{name}' is not available on a traced array"):
            getattr(x, name)
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            x.nothing  # noqa: B018
        return x

    wrap(f)(cnp.ones(2))


# --- pytrees -----------------------------------------------------------------------------------


def test_names_of_key_path_entries() -> None:
    assert tree_util.DictKey(key="a") == tree_util.DictKey("a")
    assert tree_util.SequenceKey(idx=1) == tree_util.SequenceKey(1)
    assert tree_util.GetAttrKey(name="x") == tree_util.GetAttrKey("x")
    assert tree_util.FlattenedIndexKey(key=2) == tree_util.FlattenedIndexKey(2)


class Described:
    """A node that says its own structure beside its leaves."""

    def __init__(self, leaves: Any, treedef: Any) -> None:
        self.leaves, self.treedef = leaves, treedef


def described(x: Any) -> Described:
    return Described(*tree_util.tree_flatten(x))


tree_util.register_pytree_node(
    Described,
    lambda d: (d.leaves, d.treedef),
    lambda treedef, leaves: described(tree_util.tree_unflatten(treedef, leaves)),
)


def test_tree_transpose() -> None:
    structure = tree_util.tree_structure
    outer = structure(described({"a": 1, "b": 2}))
    found = tree_util.tree_transpose(
        outer, structure([1, 2]), described({"a": [3, 4], "b": [5, 6]})
    )
    assert [d.leaves for d in found] == [[3, 5], [4, 6]]
    for outer, inner, tree in (
        ([1, 1, 1], [1, 1], [[1, 2], [3, 4]]),
        ([1, 1], [1, 1], [[1, 2], [3, 4, 5]]),
        ([1, 1], (1, 1), [[1, 2], [3, 4]]),
    ):
        with pytest.raises(TypeError, match="does not have the structure"):
            tree_util.tree_transpose(structure(outer), structure(inner), tree)


def test_one_level_of_the_registry() -> None:
    registry = tree_util.default_registry
    assert registry.flatten_one_level({"b": 1, "a": [2]}) == (([2], 1), ("a", "b"))
    assert registry.flatten_one_level((1, (2,))) == ((1, (2,)), None)
    assert registry.flatten_one_level(None) == ((), None)
    assert registry.flatten_one_level(1) is None
    pairs, _ = registry.flatten_one_level_with_keys([5])
    assert pairs == ((tree_util.SequenceKey(0), 5),)


def test_orders_of_keys() -> None:
    import collections

    for tree in (
        {"b": 1, "a": 2}, collections.defaultdict(int, {"b": 1, "a": 2}), {"x": 1, 1: 2}
    ):  # fmt: skip
        leaves, treedef = tree_util.tree_flatten(tree)
        assert leaves == [2, 1]
        assert list(tree_util.tree_unflatten(treedef, leaves)) == list(tree)
        assert list(cv.jit(lambda x: x)(tree)) == list(tree)


def test_deep_trees() -> None:
    tree: Any = np.float32(1)
    for _ in range(900):
        tree = [tree]
    f = cv.jit(lambda t: tree_util.tree_map(lambda x: x + 1, t))
    for _ in range(2):
        assert tree_util.tree_leaves(f(tree)) == [2]
    assert tree_util.tree_leaves(cv.grad(lambda t: tree_util.tree_leaves(t)[0] * 2)(tree)) == [2]


def test_lists_that_contain_themselves() -> None:
    code = (
        "import sys, covector as cv; sys.setrecursionlimit(100000)\\n"
        "l = []; l.append(l)\\n"
        "for f in (cv.jit(lambda x: x), cv.tree.leaves, cv.grad(lambda x: x)):\\n"
        "    try: f(l)\\n"
        "    except RecursionError: print('caught')\\n"
    )
    code = code.replace("\\\\n", "\\n").encode().decode("unicode_escape")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["caught"] * 3


def test_functions_with_two_names_are_one_object() -> None:
    names: dict[int, list[str]] = {}
    for name in dir(cnp):
        value = getattr(cnp, name)
        inner = getattr(value, "__wrapped__", None)
        if inner is not None and type(value).__name__ == "Boundary":
            names.setdefault(id(inner), []).append(name)
    aliases = [group for group in names.values() if len(group) > 1]
    assert aliases
    for group in aliases:
        assert len({id(getattr(cnp, name)) for name in group}) == 1
        for name in group:
            assert pickle.loads(pickle.dumps(getattr(cnp, name))) is getattr(cnp, group[0])
