"""What people are told: the name of what they called, what was wrong, what to do, their line."""

import dataclasses
import importlib
import math
import operator
import pathlib

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import export, lax, random
from covector.experimental import sparse
from covector.sharding import AbstractMesh
from covector.sharding import PartitionSpec as P
from covector.sharding.cost import cost


@dataclasses.dataclass
class Point:
    x: float = 1.0


class Series:
    """What a column of a table looks like to us."""

    def to_numpy(self):
        return onp.ones(3)


def _of_dict(p, x):
    return p["a"] + p["b"] + x


def _compiled():
    return cv.jit(_of_dict).lower(PAIR, 1.0).compile()


def _ref():
    return cv.new_ref(np.ones(3))


REF = _ref()
KEYS = random.split(random.key(0))
EYE = sparse.BCOO.fromdense(np.eye(3))
MESH = AbstractMesh((8,), ("i",))
PAIR = {"a": 1.0, "b": 2.0}
MESSAGES = {
    "shape for a key": (
        lambda: random.uniform((3,)), TypeError, ["uniform", "PRNG key", "random.key(seed)"]
    ),
    "seed for a key": (lambda: random.normal(3), TypeError, ["normal", "random.key(seed)"]),
    "fori_loop without result": (
        lambda: lax.fori_loop(0, 3, lambda i, c: None, 1.0), TypeError,
        ["fori_loop: ", "returned None", "return the new carry"],
    ),
    "fori_loop of traced bounds without result": (
        lambda: cv.jit(lambda n: lax.fori_loop(0, n, lambda i, c: None, 1.0))(3), TypeError,
        ["fori_loop: ", "returned None", "return the new carry"],
    ),
    "fori_loop of another shape": (
        lambda: lax.fori_loop(0, 3, lambda i, c: c[:1], np.ones(3)), TypeError,
        ["fori_loop: ", "float32[3]", "float32[1]"],
    ),
    "while_loop without result": (
        lambda: lax.while_loop(lambda c: True, lambda c: None, 1.0), TypeError,
        ["while_loop: ", "returned None"],
    ),
    "format of an array": (
        lambda: f"{np.ones(3):.2f}", TypeError,
        ["'.2f'", "float32[3]", "rank 0", "covector.numpy.array_str"],
    ),
    "traced key of a dictionary": (
        lambda: cv.jit(lambda x: {x: 1})(1.0), TypeError,
        ["cannot be a key of a dictionary", "float32[]", "static_argnums", "argument x"],
    ),
    "dataclass": (
        lambda: cv.jit(lambda p: p.x)(Point()), TypeError,
        ["argument p", "Point", "register_dataclass"],
    ),
    "dataclass for grad": (
        lambda: cv.grad(lambda p: p.x)(Point()), TypeError, ["grad", "register_dataclass"]
    ),
    "series": (lambda: np.sin(Series()), TypeError, ["sin: ", "Series", "to_numpy()"]),
    "string": (lambda: cv.jit(lambda s: 1)("a"), TypeError, ["argument s", "static_argnums"]),
    "shapes in +": (
        lambda: np.ones(3) + np.ones(4), ValueError, ["add", "float32[3]", "float32[4]"]
    ),
    "too deep": (lambda: np.array(_nested(70)), ValueError, ["70 deep", "at most 64"]),
    "format of a traced value": (
        lambda: cv.jit(lambda x: f"{x:.2f}")(1.0), cv.errors.ConcretizationTypeError,
        ["'.2f'", "float32[]", "argument x", "debug.print"],
    ),
    "times a list": (lambda: np.ones(2) * [1, 2], TypeError, ["multiply", "list", "numpy.array()"]),
    "a list times": (lambda: [1, 2] * np.ones(2), TypeError, ["multiply", "list", "numpy.array()"]),
    "traced and None": (
        lambda: cv.jit(lambda x: x + None)(1.0), TypeError, ["add", "NoneType", "position 1"]
    ),
    "a reference plus": (
        lambda: np.ones(3).at[0] + 1, TypeError, ["x.at[0] is not an array", "x.at[0].add(y)"]
    ),
    "two sizes": (lambda: np.zeros(3, 3), TypeError, ["3 is not understood", "tuple", "(3, 3)"]),
    "misspelt dtype": (lambda: np.zeros(3, "flaot32"), TypeError, ["'flaot32'", "'float32'"]),
    "no brackets": (
        lambda: np.concatenate(np.ones(3), np.ones(3)), ValueError, ["concatenate([x, y])"]
    ),
    "scan of one result": (
        lambda: lax.scan(lambda c, x: c, 0.0, np.ones(3)), TypeError,
        ["pair (carry, y)", "one array", "return carry, None"],
    ),
    "grad of nothing": (lambda: cv.grad(lambda x: None)(1.0), TypeError, ["returned None"]),
    "split by a traced number": (
        lambda: cv.jit(lambda n: random.split(random.key(0), n))(2), TypeError,
        ["num must consist of concrete integers", "argument n"],
    ),
    "linspace of a traced number": (
        lambda: cv.jit(lambda n: np.linspace(0, 1, n))(3), TypeError,
        ["linspace: num", "argument n", "static"],
    ),
    "range of a traced number": (
        lambda: cv.jit(lambda n: [i for i in range(n)])(3), cv.errors.TracerIntegerConversionError,
        ["range(n)", "fori_loop"],
    ),
    "math of a traced number": (
        lambda: cv.jit(math.sin)(1.0), cv.errors.ConcretizationTypeError, ["covector.numpy"]
    ),
    "where of a traced condition": (
        lambda: cv.jit(lambda x: np.where(x > 0))(np.ones(3)), cv.errors.ConcretizationTypeError,
        ["argument of where", "size="],
    ),
    "sum of keys": (lambda: np.sum(KEYS), TypeError, ["key<fry>[2]", "random.key_data"]),
    "sort of keys": (lambda: np.sort(KEYS), TypeError, ["no order", "random.key_data"]),
    "unique keys": (lambda: np.unique(KEYS), TypeError, ["no order"]),
    "any of keys": (lambda: np.any(KEYS), TypeError, ["any: ", "neither true nor false"]),
    "psum of keys": (
        lambda: cv.vmap(lambda k: lax.psum(k, "i"), axis_name="i")(KEYS), TypeError, ["key_data"]
    ),
    "largest key": (lambda: KEYS.at[0].max(KEYS[1]), TypeError, ["max", "replaced"]),
    "added key": (lambda: KEYS.at[np.array([0, 1])].add(KEYS), TypeError, ["replaced"]),
    "bits of keys": (
        lambda: lax.bitcast_convert_type(KEYS, "uint32"), TypeError, ["random.key_data"]
    ),
    "triangle of keys": (lambda: np.tril(KEYS[None]), TypeError, ["PRNG keys"]),
    "ragged": (lambda: np.array([[1, 2], [3]]), ValueError, ["ragged", "length"]),
    "policy of remat": (
        lambda: cv.remat(lambda x: x, policy="dots"), TypeError,
        ["policy must be a function", "checkpoint_policies", "'dots'"],
    ),
    "one_hot of a traced number": (
        lambda: cv.jit(cv.nn.one_hot)(np.arange(3), 3), cv.errors.ConcretizationTypeError,
        ["num_classes of one_hot", "int32[]", "static_argnums"],
    ),
    "list of lists": (
        lambda: np.linalg.inv([[1.0], [3.0]]), TypeError, ["inv", "got list of 2 items at"]
    ),
    "bins": (lambda: np.histogram(np.ones(3), -1), ValueError, ["bins must be", "-1"]),
    "sine of a reference": (lambda: np.sin(_ref()), TypeError, ["Ref{float32[3]}", "ref[...]"]),
    "sum of a reference": (lambda: np.sum(_ref()), TypeError, ["Ref{float32[3]}", "ref[...]"]),
    "sine of a reference in jit": (
        lambda: cv.jit(np.sin)(_ref()), TypeError, ["Ref{float32[3]}", "ref[...]"]
    ),
    "printed reference": (
        lambda: cv.jit(lambda r: cv.debug.print("{}", r))(_ref()), TypeError,
        ["Ref{float32[3]}", "ref[...]"],
    ),
    "exported reference": (
        lambda: export.export(cv.jit(lambda r: r[0]))(_ref()), NotImplementedError,
        ["the argument r of <lambda> is a reference", "ref[...]"],
    ),
    "reference for pmap": (
        lambda: cv.pmap(lambda r: r[...])(_ref()), TypeError,
        ["pmap of <lambda>: the argument r", "ref[...]"],
    ),
    "reference inside of pmap": (
        lambda: cv.pmap(lambda x: x + REF[0])(np.ones(1)), NotImplementedError,
        ["used in pmap of <lambda>", "read its value before"],
    ),
    "shape for a reference": (
        lambda: cv.empty_ref((3,)), TypeError, ["empty_ref takes", "ShapeDtypeStruct", "(3,)"]
    ),
    "sparse ==": (lambda: EYE == EYE, NotImplementedError, ["BCOO has no __eq__", "todense()"]),
    "sparse inv": (
        lambda: np.linalg.inv(EYE), TypeError, ["inv", "BCOO float32[3,3]", "sparsify", "todense()"]
    ),
    "sparse array": (lambda: np.array(EYE), TypeError, ["BCOO float32[3,3]", "todense()"]),
    "sparse stack": (lambda: np.stack([EYE, EYE]), TypeError, ["BCOO float32[3,3]", "todense()"]),
    "sparse lax": (lambda: lax.add(EYE, 1.0), TypeError, ["BCOO float32[3,3]", "todense()"]),
    "inv of a string": (
        lambda: np.linalg.inv("a"), TypeError, ["inv: the argument a", "numbers and booleans"]
    ),
    "linspace of a string": (
        lambda: np.linspace("a", 1, 3), TypeError, ["linspace: the argument start", "'a'"]
    ),
    "grad of a string": (
        lambda: cv.grad(lambda x, s: x, (0, 1))(1.0, "a"), TypeError, ["grad", "close over it"]
    ),
    "remat of a string": (
        lambda: cv.remat(lambda x, s: x)(1.0, "a"), TypeError, ["argument s", "of checkpoint"]
    ),
    "mesh of too many devices": (
        lambda: cv.make_mesh((99,), ("i",)), ValueError,
        ["config.update('num_cpu_devices', 99), at any time"],
    ),
    "compiled for another type": (
        lambda: _compiled()(PAIR, np.ones(3)), TypeError,
        ["the argument x: made for float32[], called with float32[3]"],
    ),
    "compiled for another type inside": (
        lambda: _compiled()({"a": 1.0, "b": 2}, 1.0), TypeError, ["the argument p['b']: made for"],
    ),
    "cost of a split": (
        lambda: cost(cv.make_jaxpr(_of_dict)(PAIR, np.ones(3)), MESH, (P(), P("i"))),
        ValueError, ["in_specs of the argument x", "shape (3,)"],
    ),
    "sent along an axis that is not there": (
        lambda: cost(cv.make_jaxpr(np.sum)(np.ones(8)), MESH, P("i")).sent("all-reduce", "foo"),
        ValueError, ["one of 'i'", "got 'foo'"],
    ),
    "roll by a float": (lambda: np.roll(np.ones(3), 1.5), TypeError, ["roll: shift", "1.5"]),
    "shard_map of too few": (
        lambda: cv.shard_map(lambda x, w: x, mesh=cv.make_mesh((1,), ("i",)),
                             in_specs=(P("i"), P()), out_specs=P("i"))(np.ones(8)),
        TypeError, ["shard_map of <lambda>", "missing", "'w'"],
    ),
    "unique in jit": (
        lambda: cv.jit(np.unique)(np.ones(3)), cv.errors.ConcretizationTypeError,
        ["argument of unique", "float32[3]", "size="],
    ),
}  # fmt: skip


def _nested(depth):
    x = 1.0
    for _ in range(depth):
        x = [x]
    return x


@pytest.mark.parametrize("what", MESSAGES)
def test_message(what):
    run, kind, words = MESSAGES[what]
    with pytest.raises(kind) as caught:
        run()
    text = str(caught.value)
    for word in words:
        assert word in text, text
    assert text.count("array argument") <= 1 and text.count("neither an array") <= 1, text
    assert "PyTreeSpec" not in text
    assert "test_messages.py" in text, text


SHAPES = {
    "add": lambda: np.ones(3) + np.ones(4),
    "lax.add": lambda: lax.add(np.ones(3), np.ones(4)),
    "where": lambda: np.where(np.ones(3) > 0, np.ones(4), 0.0),
    "matmul": lambda: np.ones((2, 3)) @ np.ones((4, 2)),
    "dot": lambda: np.dot(np.ones(3), np.ones(4)),
    "dot_general": lambda: lax.dot_general(np.ones(3), np.ones(4), (((0,), (0,)), ((), ()))),
    "vdot": lambda: np.vdot(np.ones(3), np.ones(4)),
    "tensordot": lambda: np.tensordot(np.ones((2, 3)), np.ones((4, 2)), 1),
    "concatenate": lambda: np.concatenate([np.ones((2, 3)), np.ones((2, 4))]),
    "reshape": lambda: np.ones(6).reshape(4, -1),
    "broadcast_shapes": lambda: np.broadcast_shapes((3,), (4,)),
    "lax.broadcast_shapes": lambda: lax.broadcast_shapes((3,), (4,)),
}


@pytest.mark.parametrize("what", SHAPES)
@pytest.mark.parametrize("kind", [TypeError, ValueError])
def test_shapes_that_do_not_fit_are_both_kinds_of_error(what, kind):
    with pytest.raises(kind):
        SHAPES[what]()
    with pytest.raises(cv.errors.ShapeMismatchError):
        SHAPES[what]()


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("arry", "it has 'array'"),
        ("testing", "docs/differences.md"),
        ("linspce", "it has 'linspace'"),
    ],
)
def test_names_that_are_not_there(name, word):
    with pytest.raises(AttributeError, match="module 'covector.numpy' has no attribute") as caught:
        getattr(np, name)
    assert word in str(caught.value)


def test_formats_of_text_and_of_scalars():
    assert f"{np.ones(2)!s:>10}" == "   [1. 1.]"
    assert f"{np.array(1.5):.2f}" == "1.50"
    assert f"{np.ones(2)}" == "[1. 1.]"


def _missing():
    text = (pathlib.Path(__file__).parents[1] / "docs" / "differences.md").read_text()
    rows = text.split("## What is missing")[1].splitlines()
    names = [n for row in rows if row.startswith("| `") for n in row.split("|")[1].split(",")]
    return [n.strip().strip("`") for n in names]


# Of its own working, which nobody looks for here.
NUMPYS_OWN = {
    "busday_offset", "busdaycalendar", "core", "datetime_as_string", "datetime_data", "f2py",
    "get_include", "getbufsize", "info", "is_busday", "little_endian", "setbufsize", "show_config",
    "show_runtime", "test",
}  # fmt: skip


@pytest.mark.parametrize("module", ["numpy", "numpy.linalg", "numpy.fft"])
def test_what_is_missing_of_numpy_is_in_the_documents(module):
    theirs, ours = importlib.import_module(module), operator.attrgetter(module)(cv)
    names = {n for n in dir(theirs) if n[0] != "_" and not hasattr(ours, n)} - NUMPYS_OWN
    assert names <= {n.removeprefix(f"{module}.") for n in _missing()}


@pytest.mark.parametrize("name", _missing())
def test_what_the_documents_call_missing_is(name):
    module, _, attribute = name.removeprefix("covector.").rpartition(".")
    owner = operator.attrgetter(module)(cv) if module else cv
    with pytest.raises(AttributeError, match=f"has no attribute {attribute!r}"):
        getattr(owner, attribute)
