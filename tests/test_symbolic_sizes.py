"""Sizes that are expressions: arithmetic, comparisons, texts, and programs traced with them."""

import random

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import export
from covector.core.dims import is_nonnegative, lower_bound, substituted
from covector.errors import InconclusiveDimensionOperation
from tests.symbolic_cases import CASES

A, B = export.symbolic_shape("a, b")


def same_scope(*texts, constraints=()):
    scope = export.SymbolicScope(constraints)
    return [export.symbolic_shape(t, scope=scope)[0] for t in texts]


@pytest.mark.parametrize(
    "made, text",
    [
        (A + B * 2 - 1, "a + 2*b - 1"),
        (2 * A * B + B, "2*a*b + b"),
        ((A + B) ** 2, "a^2 + 2*a*b + b^2"),
        ((A * B) // B, "a"),
        ((2 * A + 4) // 2, "a + 2"),
        ((2 * A + 3) // 2, "a + 1"),
        ((A * A - 1) // (A + 1), "a - 1"),
        (A // 2 * 2 + A % 2, "a"),
        (A - A % 2, "2*floordiv(a, 2)"),
        (A - 8 * (A // 8), "mod(a, 8)"),
        (B * (A + -A % 8), "8*b*floordiv(a + 7, 8)"),
        (-(-A // 3), "floordiv(a + 2, 3)"),
        ((A - 1) // 4 + 1, "floordiv(a + 3, 4)"),
        ((8 - A % 8) % 4, "mod(-a, 4)"),
        (7 // A, "floordiv(7, a)"),
        (-A, "-a"),
        (1 - A, "1 - a"),
        (cv.core.max_dim(B, A), "max(a, b)"),
        (cv.core.min_dim(A, 1), "1"),
        (cv.core.max_dim(A, 0), "a"),
    ],
)
def test_the_form_is_canonical(made, text):
    assert str(made) == text
    if text != "1":
        # One scope for both sides.
        again = same_scope(text)[0]
        assert str(again) == text


def test_what_is_a_number_is_an_integer():
    for made, n in (
        (A - A, 0), ((A + 3) - A, 3), ((2 * A) // A, 2), ((3 * A) % A, 0), ((2 * A + 1) % 2, 1),
    ):  # fmt: skip
        assert type(made) is int and made == n


def test_random_expressions_have_the_values_of_integers():
    """Whatever is simplified, decided or bounded holds for all values that are tried."""
    rng = random.Random(0)
    names = ("a", "b", "c")
    scope = export.SymbolicScope(["a >= 3", "b <= 6", "c >= b"])
    variables = dict(zip(names, export.symbolic_shape("a, b, c", scope=scope), strict=True))
    values = [
        v for _ in range(60)
        if (v := {"a": rng.randint(3, 12), "b": rng.randint(1, 6), "c": rng.randint(1, 12)})["c"]
        >= v["b"]
    ]  # fmt: skip

    def make(depth):
        """An expression, and a function of the values that computes it."""
        if not depth or rng.random() < 0.2:
            if rng.random() < 0.3:
                n = rng.randint(-3, 4)
                return n, lambda v: n
            name = rng.choice(names)
            return variables[name], lambda v: v[name]
        (x, f), (y, g) = make(depth - 1), make(depth - 1)
        match rng.choice(["+", "-", "*", "//", "%", "max", "min"]):
            case "+":
                return x + y, lambda v: f(v) + g(v)
            case "-":
                return x - y, lambda v: f(v) - g(v)
            case "*":
                return x * y, lambda v: f(v) * g(v)
            case "max":
                return cv.core.max_dim(x, y), lambda v: max(f(v), g(v))
            case "min":
                return cv.core.min_dim(x, y), lambda v: min(f(v), g(v))
            case op:
                k = rng.randint(1, 5)
                d, h = (k, lambda v: k) if rng.random() < 0.6 else (
                    variables["a"], lambda v: v["a"])  # fmt: skip
                if op == "//":
                    return x // d, lambda v: f(v) // h(v)
                return x % d, lambda v: f(v) % h(v)

    decided = 0
    for _ in range(600):
        e, f = make(3)
        sign, low = is_nonnegative(e), lower_bound(e)
        again = export.symbolic_shape(str(e), scope=scope)[0]
        assert again == e
        decided += sign is not None
        for v in values:
            x = f(v)
            assert substituted(e, v) == x, (str(e), v)
            assert low <= x, (str(e), v)
            assert sign is None or sign == (x >= 0), (str(e), v)
    assert decided > 200


def test_products_divide_by_their_factors():
    rng = random.Random(1)
    a, b, c = export.symbolic_shape("a, b, c")

    def polynomial():
        terms = []
        for _ in range(3):
            i, j, k = rng.randint(0, 2), rng.randint(0, 1), rng.randint(0, 2)
            terms.append(rng.randint(1, 4) * a**i * b**j * c**k)
        return sum(terms, 0)

    for _ in range(100):
        p, q = polynomial(), polynomial()
        assert (p * q) // q == p and (p * q) % q == 0
        # What does not divide is right, too.
        for v in ({"a": 2, "b": 3, "c": 5}, {"a": 7, "b": 1, "c": 2}):
            x, y = substituted(p, v), substituted(q, v)
            assert substituted(p // q, v) == x // y and substituted(p % q, v) == x % y


def test_comparisons():
    assert A >= 1 and A > 0 and not A <= 0 and A != 0 and not A == 0 and A + 1 > A
    assert A != B and A == A and hash(A + B) == hash(B + A)
    assert 4 * (A // 4) <= A and A % 3 < 3 and cv.core.max_dim(A, 5) >= 5
    assert cv.core.min_dim(A, 5) <= A
    for question in (lambda: A >= 2, lambda: A > B, lambda: bool(A - 1)):
        with pytest.raises(InconclusiveDimensionOperation, match="depends on the sizes"):
            question()


@pytest.mark.parametrize(
    "question, constraints",
    [
        (lambda a, b: a > 2, ["a >= 3", "a <= 2"]),
        (lambda a, b: a <= 2, ["a >= 3", "a <= 2"]),
        (lambda a, b: b < a, ["b >= a", "b <= a - 1"]),
        (lambda a, b: a * b - 1 <= 2**31 - 1, ["a*b - 1 <= 2147483647"]),
        (lambda a, b: bool(a - 1), ["a - 1 >= 1"]),
        (lambda a, b: bool(a % 2), ["mod(a, 2) == 0"]),
    ],
)
def test_the_constraints_that_are_proposed_decide(question, constraints):
    with pytest.raises(InconclusiveDimensionOperation) as e:
        question(*export.symbolic_shape("a, b"))
    proposal = str(e.value).split("such as ")[1].split("\n")[0]
    assert proposal == " or ".join([f"'{c}'" for c in constraints])
    for c in constraints:
        question(*export.symbolic_shape("a, b", constraints=[c]))


@pytest.mark.parametrize(
    "constraints, question, answer",
    [
        (["a >= 16"], lambda a, b: a >= 10, True),
        (["a <= 8"], lambda a, b: a <= 9, True),
        (["a >= b"], lambda a, b: a - b + 1 >= 1, True),
        (["a >= b", "b >= 4"], lambda a, b: a >= 3, True),
        (["2*a >= b + 3"], lambda a, b: 4 * a - 2 * b >= 6, True),
        (["mod(a, 2) == 0"], lambda a, b: (a % 2, 2 * (a // 2) == a), (0, True)),
        (["mod(a, 4) == 3"], lambda a, b: (a % 4, 4 * (a // 4) == a - 3), (3, True)),
        (["a == 2*b"], lambda a, b: (a // b, a % 2), (2, 0)),
        (["floordiv(a, 2) == b"], lambda a, b: str(a // 2), "b"),
        (["a*b == 12"], lambda a, b: a * b, 12),
        (["2*a == b"], lambda a, b: 2 * a == b, True),
    ],
)
def test_constraints(constraints, question, answer):
    assert question(*export.symbolic_shape("a, b", constraints=constraints)) == answer


@pytest.mark.parametrize(
    "constraint, message",
    [
        ("a > 3", "must have one of"),
        ("a - 1 == b", "left side"),
        ("0 == a", "left side"),
        ("a <= 0", "never holds"),
        ("2 >= 3", "never holds"),
        ("a >= (b", "syntax error"),
    ],
)
def test_constraints_that_say_nothing(constraint, message):
    with pytest.raises(ValueError, match=message):
        export.symbolic_shape("a, b", constraints=[constraint])


def test_texts_of_shapes():
    assert str(export.symbolic_shape("max(a, b), floordiv(a, 2), mod(a, 3), a^2, -a + b + 4")) == (
        "(max(a, b), floordiv(a, 2), mod(a, 3), a^2, b + 4 - a)"
    )
    assert export.symbolic_shape("") == () and export.symbolic_shape("()") == ()
    assert export.symbolic_shape("3, 4") == (3, 4) == export.symbolic_shape("(3, 4,)")
    assert str(export.symbolic_shape("a,")) == "(a,)"
    assert str(export.symbolic_shape("a, _, ...", like=(2, 3, 4, 5))) == "(a, 3, 4, 5)"
    assert export.symbolic_shape(None, like=(2, 3)) == (2, 3)
    assert str(export.symbolic_shape("(a + 1)*b")) == "(a*b + b,)"


@pytest.mark.parametrize(
    "text, message",
    [
        ("a b", "expected ','"),
        ("a, b // 2", "expected ','"),
        ("2*", "a name or a number, found the end"),
        ("a^b", "expected a number"),
        ("sin(a, b)", "operations"),
        ("max(a)", "expected ','"),
        ("..., a", "'...' stands for all the rest"),
        ("a, b, c", "3 dimensions"),
        ("a", "1 dimensions"),
        ("(a, b", "expected '\\)'"),
    ],
)
def test_texts_that_are_no_shape(text, message):
    with pytest.raises(ValueError, match=message):
        export.symbolic_shape(text, like=(2, 3))


def test_sizes_of_an_argument_that_is_not_given():
    for text in ("_", "a, ..."):
        with pytest.raises(ValueError, match="not given"):
            export.symbolic_shape(text)
    with pytest.raises(ValueError, match="not given"):
        export.symbolic_shape("_", like=(None,))
    with pytest.raises(TypeError, match="text of a shape"):
        export.symbolic_shape((3, 4))


def test_scopes_do_not_mix():
    (other,) = export.symbolic_shape("a")
    with pytest.raises(ValueError, match="different symbolic scopes"):
        A + other
    assert A != other
    x = [cv.ShapeDtypeStruct((d,), "float32") for d in (A, other)]
    with pytest.raises((ValueError, TypeError), match="scopes|shapes"):
        export.export(cv.jit(lambda x, y: x + y))(*x)
    with pytest.raises(ValueError, match="give constraints to"):
        export.symbolic_shape("a", scope=A.scope, constraints=["a >= 2"])
    with pytest.raises(ValueError, match="sequence of texts"):
        export.SymbolicScope("a >= 2")
    with pytest.raises(TypeError, match="a constraint is a string such as 'a >= 8', got 3"):
        export.SymbolicScope([3])


def test_specs_of_arguments():
    args = (onp.ones((3, 4), "float32"), {"k": onp.ones(3, "int32")})
    x, rest = export.symbolic_args_specs(args, ("a, 4", {"k": "a"}))
    assert str(x.shape) == "(a, 4)" and rest["k"].shape == x.shape[:1]
    assert rest["k"].dtype == onp.int32
    x, rest = export.symbolic_args_specs(args, "a, ...")
    assert str(x.shape) == "(a, 4)" and rest["k"].shape == x.shape[:1]
    x, rest = export.symbolic_args_specs(args, (None, "b"))
    assert x.shape == (3, 4) and str(rest["k"].shape) == "(b,)"
    with pytest.raises(ValueError, match="structure"):
        export.symbolic_args_specs(args, ("a, 4", {"l": "a"}))


# --- programs ----------------------------------------------------------------------------------

VALUES = [
    {"a": 3, "b": 4, "c": 5, "d": 3, "t": 6, "s": 7, "h": 9, "w": 10},
    {"a": 2, "b": 2, "c": 1, "d": 2, "t": 1, "s": 3, "h": 3, "w": 4},
    {"a": 1, "b": 7, "c": 2, "d": 1, "t": 2, "s": 1, "h": 4, "w": 3},
]
R = onp.random.RandomState(0)


def argument(aval, values):
    shape = tuple(substituted(d, values) for d in aval.shape)
    if aval.dtype.kind == "f":
        return R.uniform(0.1, 0.9, shape).astype(aval.dtype)
    return R.randint(0, 2, shape).astype(aval.dtype)


@pytest.mark.parametrize("name", CASES)
def test_a_program_for_all_sizes_is_that_for_each(name):
    fun, types = CASES[name]
    exported = export.export(cv.jit(fun))(*types)
    loaded = export.deserialize(exported.serialize())
    assert [str(a) for a in loaded.in_avals] == [str(a) for a in exported.in_avals]
    assert [str(a) for a in loaded.out_avals] == [str(a) for a in exported.out_avals]
    for values in VALUES:
        if name == "resh5":
            values = {**values, "a": 4}
        scope = next(d.scope for t in types for d in t.shape if export.is_symbolic_dim(d))
        if scope.check(values) is not None:
            continue
        args = [argument(t, values) for t in types]
        if name in ("chol", "solve", "inv"):
            args[0] = args[0] @ args[0].T + onp.eye(len(args[0]), dtype="float32")
        want = cv.tree.leaves(cv.jit(fun)(*args))
        for f in (exported, loaded) if values is VALUES[0] else (exported,):
            got = cv.tree.leaves(f.call(*args))
            for x, y in zip(got, want, strict=True):
                assert x.shape == y.shape and x.dtype == y.dtype
                onp.testing.assert_allclose(onp.asarray(x), onp.asarray(y), 1e-5, 1e-6)


@pytest.mark.parametrize(
    "fun, types",
    [
        (lambda x: [0] * int(x.shape[0]), "a, b"),
        (lambda x: [x for _ in range(x.shape[0])], "a, b"),
        (lambda x: x[: len(x) - 1], "a, b"),
        (lambda x: np.asarray(onp.zeros(x.shape[0])), "a, b"),
        (lambda x: x if x.shape[0] > 4 else 2 * x, "a, b"),
        (lambda x: np.stack(list(x)), "a, b"),
    ],
)
def test_where_a_number_is_needed_the_error_says_so(fun, types):
    x = cv.ShapeDtypeStruct(export.symbolic_shape(types), "float32")
    with pytest.raises(InconclusiveDimensionOperation, match="not known while .*traced") as e:
        export.export(cv.jit(fun))(x)
    assert "test_symbolic_sizes.py" in str(e.value)


def test_positions_that_decide_what_is_left_are_asked_for():
    x = cv.ShapeDtypeStruct(export.symbolic_shape("a"), "float32")
    for fun in (lambda x: np.delete(x, 2), lambda x: np.cov(x[:, None])):
        with pytest.raises(InconclusiveDimensionOperation, match="such as 'a >= "):
            export.export(cv.jit(fun))(x)
    # Others are moved into bounds, as traced ones are.
    f = export.export(cv.jit(lambda x: np.insert(x, 2, 9.0)))(x)
    assert f.call(onp.ones(1, "float32")).tolist() == [1, 9]
    assert cv.jit(lambda x, i: np.insert(x, i, 9.0))(np.ones(1), 2).tolist() == [1, 9]


def test_shapes_that_differ():
    x = [cv.ShapeDtypeStruct(s, "float32") for s in [export.symbolic_shape("a")]]
    y = cv.ShapeDtypeStruct((x[0].shape[0] + 1,), "float32")
    for fun in (lambda x, y: x + y, lambda x, y: x @ y):
        with pytest.raises(ValueError, match="a"):
            export.export(cv.jit(fun))(x[0], y)


def test_sizes_have_no_value_where_nothing_is_traced():
    with pytest.raises(InconclusiveDimensionOperation, match="only where a function is traced"):
        A * 2.5
    with pytest.raises((InconclusiveDimensionOperation, TypeError)):
        np.zeros((A,))


def test_sizes_are_integers_that_give_way():
    f = cv.jit(lambda x: (x * x.shape[0], x.shape[0] / 2, x.shape[0] * 1.5, np.asarray(x.shape[0])))
    types = [cv.ShapeDtypeStruct(export.symbolic_shape("a"), t) for t in ("float16", "int8")]
    for t in types:
        x = onp.ones(3, t.dtype)
        for got, want in zip(export.export(f)(t).call(x), f(x), strict=True):
            assert got.dtype == want.dtype and onp.array_equal(got, want)


# --- calls -------------------------------------------------------------------------------------


def exported(*shapes, constraints=(), fun=lambda *xs: xs[0] * 2):
    scope = export.SymbolicScope(constraints)
    types = [cv.ShapeDtypeStruct(export.symbolic_shape(s, scope=scope), "float32") for s in shapes]
    return export.export(cv.jit(fun))(*types)


@pytest.mark.parametrize(
    "shapes, constraints, given, message",
    [
        (["a, a"], (), [(3, 4)], r"args\[0\].shape\[1\] is 4, .*exported for a, that is 3, a = 3"),
        (["a, 2*b"], (), [(3, 5)], r"args\[0\].shape\[1\] is 5, .*for 2\*b, .* no integer b"),
        (["a + 2"], (), [(2,)], "variable a would be 0"),
        (["a"], (), [(0,)], "variable a would be 0"),
        (["a"], ["a >= 4"], [(3,)], "a = 3 do not keep the constraint 'a >= 4'"),
        (["a"], ["mod(a, 2) == 0"], [(3,)], "constraint 'mod"),
        (["a", "b"], ["a == 2*b"], [(3,), (2,)], "shape"),
        (["a*b"], (), [(6,)], "do not say what the variables in a[*]b"),
        (["floordiv(a, 2)"], (), [(6,)], "do not say"),
        (["a, b"], (), [(3,)], r"args\[0\] is float32\[3\], .*exported for float32\[a,b\]"),
    ],
)
def test_sizes_that_do_not_fit(shapes, constraints, given, message):
    f = exported(*shapes, constraints=constraints)
    with pytest.raises(ValueError, match=message):
        f.call(*[onp.ones(s, "float32") for s in given])


@pytest.mark.parametrize(
    "shapes, given",
    [
        (["a, a"], [(3, 3)]),
        (["a + 2, 3*b - 1"], [(4, 5)]),
        (["a*b", "b"], [(6,), (3,)]),
        (["a*b + c, b", "c, 2*c"], [(9, 2), (3, 6)]),
        (["floordiv(a, 2), a"], [(3, 7)]),
        (["max(a, b), b, a"], [(4, 2, 4)]),
    ],
)
def test_sizes_that_fit(shapes, given):
    f = exported(*shapes)
    args = [onp.ones(s, "float32") for s in given]
    assert onp.array_equal(f.call(*args), 2 * args[0])


def test_an_exported_function_inside_another_with_sizes_of_its_own():
    inner = exported("n, 2*m", fun=lambda x: x.reshape(-1))
    loaded = export.deserialize(inner.serialize())
    for f in (inner, loaded):
        outer = exported("p + 1, 4*q", fun=lambda x, f=f: f.call(x + 1).sum() + x.shape[0])
        assert outer.call(onp.ones((3, 8), "float32")) == 51
        with pytest.raises((ValueError, InconclusiveDimensionOperation), match="q"):
            exported("p, q", fun=lambda x, f=f: f.call(x))


def test_each_size_is_refined_once():
    f = exported("a, b")
    one, two = onp.ones((2, 3), "float32"), onp.ones((3, 3), "float32")
    for x in (one, two, one):
        f.call(x)
    assert len(f._compiled) == 2


@pytest.mark.peer
def test_what_is_decided_is_what_jax_decides():
    jax = pytest.importorskip("jax.export")
    texts = ["a", "b", "a + b", "2*a", "a*b", "floordiv(a, 2)", "mod(a, 3)", "max(a, b)", "a - b"]
    for constraints in ((), ("a >= b",), ("a >= 16", "b <= 4"), ("mod(a, 2) == 0",)):
        ours = export.symbolic_shape(", ".join(texts), constraints=constraints)
        theirs = jax.symbolic_shape(", ".join(texts), constraints=constraints)
        for i in range(len(texts)):
            for j in range(len(texts)):
                assert (ours[i] == ours[j]) == (theirs[i] == theirs[j])
                answers = []
                for x in (ours, theirs):
                    try:
                        answers.append(x[i] >= x[j])
                    except Exception:
                        answers.append(None)
                assert answers[1] is None or answers[0] == answers[1], (texts[i], texts[j])
