"""Passes over jaxprs: each rule text against text, each pass left out, their list and steps."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax, nn
from covector.backends.cpu import backend as cpu
from covector.compiler import passes
from covector.compiler.passes import counters, manager
from covector.compiler.passes.rewriter import Rewriter, Table, by_primitive
from covector.core.jaxpr import check_jaxpr

from .jaxpr_text import parse, traced

# For each rule: a program before and after the table of the rule, dead code left out.
CASES = {
    "operation on literals = literal": (
        """{ lambda  ; a:f32[]. let
    b:f32[] = mul 2.0:f32[]* 3.0:f32[]*
    c:f32[] = add a b
  in (c,) }""",
        """{ lambda  ; a:f32[]. let
    b:f32[] = add a 6.0:f32[]
  in (b,) }""",
    ),
    "clamp of literals = literal": (
        """{ lambda  ; a:f32[]. let
    b:f32[] = clamp 0.0:f32[]* 3.0:f32[]* 2.0:f32[]*
    c:f32[] = add a b
    d:f32[] = clamp 0.0:f32[] -0.0:f32[] 2.0:f32[]
    e:f32[] = add c d
  in (e,) }""",
        """{ lambda  ; a:f32[]. let
    b:f32[] = add a 2.0:f32[]
    c:f32[] = clamp 0.0:f32[] -0.0:f32[] 2.0:f32[]
    d:f32[] = add b c
  in (d,) }""",
    ),
    "product of reshaped vectors = product of what is reshaped": (
        """{ lambda  ; a:f32[2,3] b:f32[2,3]. let
    c:f32[6] = reshape[new_sizes=(6,)] a
    d:f32[6] = reshape[new_sizes=(6,)] b
    e:f32[] = dot_general[dimension_numbers=(((0,), (0,)), ((), ()))] c d
  in (e,) }""",
        """{ lambda  ; a:f32[2,3] b:f32[2,3]. let
    c:f32[] = dot_general[dimension_numbers=(((0, 1), (0, 1)), ((), ()))] a b
  in (c,) }""",
    ),
    "convert of a literal = literal": (
        """{ lambda  ; a:f32[]. let
    b:f32[] = convert_element_type[new_dtype=float32 weak_type=False] 3:i32[]*
    c:f32[] = add a b
  in (c,) }""",
        """{ lambda  ; a:f32[]. let
    b:f32[] = add a 3.0:f32[]
  in (b,) }""",
    ),
    "mul x 1 = x": (
        """{ lambda  ; a:f32[3]. let
    b:f32[3] = mul a 1.0:f32[]*
    c:f32[3] = neg b
  in (c,) }""",
        """{ lambda  ; a:f32[3]. let
    b:f32[3] = neg a
  in (b,) }""",
    ),
    "mul 1 x = x": (
        """{ lambda  ; a:f32[3]. let
    b:f32[3] = mul 1.0:f32[]* a
  in (b,) }""",
        """{ lambda  ; a:f32[3]. let  in (a,) }""",
    ),
    "add x 0 = x": (
        """{ lambda  ; a:i32[3] b:f32[3]. let
    c:i32[3] = add a 0:i32[]*
    d:f32[3] = add b 0.0:f32[]*
  in (c, d) }""",
        """{ lambda  ; a:i32[3] b:f32[3]. let
    c:f32[3] = add b 0.0:f32[]*
  in (a, c) }""",
    ),
    "add 0 x = x": (
        """{ lambda  ; a:i32[3]. let
    b:i32[3] = add 0:i32[]* a
  in (b,) }""",
        """{ lambda  ; a:i32[3]. let  in (a,) }""",
    ),
    "sub x 0 = x": (
        """{ lambda  ; a:i32[3]. let
    b:i32[3] = sub a 0:i32[]*
  in (b,) }""",
        """{ lambda  ; a:i32[3]. let  in (a,) }""",
    ),
    "select_n of a literal = the case": (
        """{ lambda  ; a:i32[3] b:i32[3]. let
    c:i32[3] = select_n 1:i32[]* a b
  in (c,) }""",
        """{ lambda  ; a:i32[3] b:i32[3]. let  in (b,) }""",
    ),
    "select_n of one case several times = it": (
        """{ lambda  ; a:bool[3] b:f32[3]. let
    c:f32[3] = select_n a b b
  in (c,) }""",
        """{ lambda  ; a:bool[3] b:f32[3]. let  in (b,) }""",
    ),
    "convert to the same type = x": (
        """{ lambda  ; a:f32[3]*. let
    b:f32[3] = convert_element_type[new_dtype=float32 weak_type=False] a
    c:f32[3] = neg b
  in (c,) }""",
        """{ lambda  ; a:f32[3]*. let
    b:f32[3] = neg a
  in (b,) }""",
    ),
    "reshape to the same shape = x": (
        """{ lambda  ; a:f32[3]. let
    b:f32[3] = reshape[new_sizes=(3,)] a
  in (b,) }""",
        """{ lambda  ; a:f32[3]. let  in (a,) }""",
    ),
    "reshape of a scalar = broadcast": (
        """{ lambda  ; a:f32[]. let
    b:f32[1,1] = reshape[new_sizes=(1, 1)] a
  in (b,) }""",
        """{ lambda  ; a:f32[]. let
    b:f32[1,1] = broadcast_in_dim[broadcast_dimensions=() shape=(1, 1)] a
  in (b,) }""",
    ),
    "reshape of broadcast of a scalar = broadcast": (
        """{ lambda  ; a:f32[]. let
    b:f32[6] = broadcast_in_dim[broadcast_dimensions=() shape=(6,)] a
    c:f32[2,3] = reshape[new_sizes=(2, 3)] b
  in (c,) }""",
        """{ lambda  ; a:f32[]. let
    b:f32[2,3] = broadcast_in_dim[broadcast_dimensions=() shape=(2, 3)] a
  in (b,) }""",
    ),
    "reshape of reshape = reshape": (
        """{ lambda  ; a:f32[6]. let
    b:f32[2,3] = reshape[new_sizes=(2, 3)] a
    c:f32[3,2] = reshape[new_sizes=(3, 2)] b
    d:f32[6] = reshape[new_sizes=(6,)] c
  in (c, d) }""",
        """{ lambda  ; a:f32[6]. let
    b:f32[3,2] = reshape[new_sizes=(3, 2)] a
  in (b, a) }""",
    ),
    "broadcast to the same shape = x": (
        """{ lambda  ; a:f32[3]. let
    b:f32[3] = broadcast_in_dim[broadcast_dimensions=(0,) shape=(3,)] a
  in (b,) }""",
        """{ lambda  ; a:f32[3]. let  in (a,) }""",
    ),
    "broadcast of broadcast of a scalar = broadcast": (
        """{ lambda  ; a:f32[]. let
    b:f32[3] = broadcast_in_dim[broadcast_dimensions=() shape=(3,)] a
    c:f32[2,3] = broadcast_in_dim[broadcast_dimensions=(1,) shape=(2, 3)] b
  in (c,) }""",
        """{ lambda  ; a:f32[]. let
    b:f32[2,3] = broadcast_in_dim[broadcast_dimensions=() shape=(2, 3)] a
  in (b,) }""",
    ),
    "transpose that changes nothing = x": (
        """{ lambda  ; a:f32[2,3]. let
    b:f32[2,3] = transpose[permutation=(0, 1)] a
  in (b,) }""",
        """{ lambda  ; a:f32[2,3]. let  in (a,) }""",
    ),
    "transpose of transpose = transpose": (
        """{ lambda  ; a:f32[2,3,4]. let
    b:f32[3,4,2] = transpose[permutation=(1, 2, 0)] a
    c:f32[2,4,3] = transpose[permutation=(2, 1, 0)] b
    d:f32[2,3,4] = transpose[permutation=(0, 2, 1)] c
  in (c, d) }""",
        """{ lambda  ; a:f32[2,3,4]. let
    b:f32[2,4,3] = transpose[permutation=(0, 2, 1)] a
  in (b, a) }""",
    ),
    "dynamic_slice at literals = slice": (
        """{ lambda  ; a:f32[9]. let
    b:f32[2] = dynamic_slice[slice_sizes=(2,)] a 8:i32[]*
  in (b,) }""",
        """{ lambda  ; a:f32[9]. let
    b:f32[2] = slice[limit_indices=(9,) start_indices=(7,)] a
  in (b,) }""",
    ),
    "slice of an update = slice of what it wrote or left": (
        """{ lambda  ; a:f32[9] b:f32[2]. let
    c:f32[9] = dynamic_update_slice a b 4:i32[]*
    d:f32[2] = slice[limit_indices=(6,) start_indices=(4,)] c
    e:f32[1] = slice[limit_indices=(6,) start_indices=(5,)] c
    f:f32[3] = slice[limit_indices=(3,) start_indices=(0,)] c
    g:f32[3] = slice[limit_indices=(5,) start_indices=(2,)] c
  in (d, e, f, g) }""",
        """{ lambda  ; a:f32[9] b:f32[2]. let
    c:f32[9] = dynamic_update_slice a b 4:i32[]*
    d:f32[1] = slice[limit_indices=(2,) start_indices=(1,)] b
    e:f32[3] = slice[limit_indices=(3,) start_indices=(0,)] a
    f:f32[3] = slice[limit_indices=(5,) start_indices=(2,)] c
  in (b, d, e, f) }""",
    ),
    "update of a known array by a known one = constant": (
        """{ lambda  ; a:f32[3]. let
    b:f32[3] = broadcast_in_dim[broadcast_dimensions=() shape=(3,)] 1.0:f32[]
    c:f32[1] = broadcast_in_dim[broadcast_dimensions=() shape=(1,)] 2.0:f32[]
    d:f32[3] = dynamic_update_slice b c 1:i32[]*
    e:f32[3] = add a d
  in (e,) }""",
        """{ lambda a:f32[3] ; b:f32[3]. let
    c:f32[3] = add b a
  in (c,) }""",
    ),
    "reshape of a known array = constant": (
        """{ lambda  ; a:f32[3,1]. let
    b:f32[3] = broadcast_in_dim[broadcast_dimensions=() shape=(3,)] 1.0:f32[]
    c:f32[1] = broadcast_in_dim[broadcast_dimensions=() shape=(1,)] 2.0:f32[]
    d:f32[3] = dynamic_update_slice b c 1:i32[]*
    e:f32[3,1] = reshape[new_sizes=(3, 1)] d
    f:f32[3,1] = add a e
  in (f,) }""",
        """{ lambda a:f32[3,1] ; b:f32[3,1]. let
    c:f32[3,1] = add b a
  in (c,) }""",
    ),
    "add_any x (update of zeros) = update of x": (
        """{ lambda  ; a:f32[9] b:f32[2]. let
    c:f32[9] = broadcast_in_dim[broadcast_dimensions=() shape=(9,)] 0.0:f32[]
    d:f32[9] = dynamic_update_slice c b 4:i32[]*
    e:f32[9] = add_any a d
  in (e,) }""",
        """{ lambda  ; a:f32[9] b:f32[2]. let
    c:f32[2] = dynamic_slice[slice_sizes=(2,)] a 4:i32[]*
    d:f32[2] = add_any c b
    e:f32[9] = dynamic_update_slice a d 4:i32[]*
  in (e,) }""",
    ),
}
X = np.linspace(0.1, 1.0, 6)
M = np.linspace(0.1, 2.0, 12).reshape(3, 4)
RULES = {rule.name: table for table in manager.TABLES for rule in table.rules}


def rewritten(table, text):
    """The text of a program after one table of rules, its dead code left out."""
    before = parse(text)
    check_jaxpr(before.jaxpr)
    after = Rewriter(by_primitive([table]), True, lambda inner: inner).run(before)
    check_jaxpr(after.jaxpr)
    return str(manager._drop_dead(after))


@pytest.mark.parametrize("name", CASES)
def test_rule(name):
    before, after = CASES[name]
    assert rewritten(RULES[name], before) == after
    # Where nothing is to be done, nothing changes.
    assert rewritten(RULES[name], after) == after


def test_product_is_computed_transposed():
    text = traced(lambda a, b: (a @ b).T, np.ones((2, 3)), np.ones((3, 4)))
    after = rewritten(manager.LAYOUT, text)
    assert "transpose" not in after and "((0,), (1,))" in after
    read_twice = traced(lambda c, b: (lambda ab: (ab.T, ab + 1))(c @ b), M, M.T)
    assert "transpose" in rewritten(manager.LAYOUT, read_twice)


def simplified(fun, *args):
    return str(passes.simplify(cv.make_jaxpr(fun)(*args)))


def test_sums_with_an_element_are_added_to_it():
    def changed(op):
        return lambda x, i, v: x.at[i].set(op(x, i, v))

    for op in (lambda x, i, v: x[i] + v, lambda x, i, v: v + x[i]):
        text = simplified(changed(op), X, 1, 2.0)
        assert "scatter_add" in text and "dynamic_slice" not in text
        text = simplified(lambda x, i, v: changed(op)(x, (i, i), v), M, 1, 2.0)  # noqa: B023
        assert "scatter_add" in text and "dynamic_slice" not in text
    for op in (lambda x, i, v: x[i + 1] + v, lambda x, i, v: x[i] * v, lambda x, i, v: X[i] + v):
        assert "scatter_add" not in simplified(changed(op), X, 1, 2.0)


def test_counters_index_element_by_element():
    def loop(start, stop):
        return lambda x: lax.fori_loop(start, stop, lambda i, s: s + x[i], 0.0)

    def counted(fun):
        return str(counters.count(cv.make_jaxpr(fun)(X)))

    assert "dynamic_slice" in str(cv.make_jaxpr(loop(0, 6))(X))
    assert "dynamic_slice" not in counted(loop(0, 6))
    for start, stop in ((1, 6), (-1, 5), (0, 5), (0, 7)):
        assert "dynamic_slice" in counted(loop(start, stop))
    # Not of a carry, and not where it goes backwards.
    assert "dynamic_slice" in counted(
        lambda x: lax.fori_loop(0, 6, lambda i, x: x.at[0].add(x[i]), x)
    )
    assert "dynamic_slice" in counted(
        lambda x: lax.scan(lambda i, _: (i + 1, x[i]), 0, length=6, reverse=True)
    )
    # What is not negative is not counted from the end.
    assert "lt" not in counted(loop(1, 4)).split("scan")[1]


def test_every_rule_has_a_case():
    beside = {
        "transpose of A B, read once = transposed B times transposed A",
        "scatter of a sum with what is there = scatter_add",
    }
    assert set(RULES) == set(CASES) | beside
    assert sum(len(t.rules) for t in manager.TABLES) == len(RULES)


def test_sharing_tells_constants_apart():
    text = """{ lambda  ; a:f32[3]. let
    b:f32[3] = mul a 0.0:f32[]*
    c:f32[3] = mul a -0.0:f32[]*
    d:f32[3] = mul a 0.0:f32[]*
  in (b, c, d) }"""
    after = """{ lambda  ; a:f32[3]. let
    b:f32[3] = mul a 0.0:f32[]*
    c:f32[3] = mul a -0.0:f32[]*
  in (b, c, b) }"""
    assert rewritten(Table("none"), text) == after


def layer_norm(x, w):
    y = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return (y * w).sum()


def loops(x):
    def body(i, a):
        return a.at[i].set(np.sin(a[i - 1]) * 1.0 + nn.relu(a[0]))

    return lax.fori_loop(1, 5, body, x), cv.jit(lambda y: y.T.T.reshape(-1) + 0)(x)


def updates(x):
    a = np.zeros(6).at[2].set(x[0]).at[3].set(2.0)
    return a[2] + a[3] + a[4], np.arange(6)[3] * 1, x.at[1].add(x[1])


def histogram(x, at):
    def body(i, state):
        counts, table = state
        counts = counts.at[at[i]].set(x[i] + counts[at[i]])
        return counts, table.at[at[i], i].set(table[at[i], i] + 2.0)

    return lax.fori_loop(0, 6, body, (x[:3], np.ones((3, 6))))


PROGRAMS = {
    "layer norm": (cv.grad(layer_norm, argnums=(0, 1)), (M, M[0])),
    "loops": (loops, (X,)),
    "updates": (updates, (X,)),
    "histogram": (histogram, (X, np.array([0, 2, -1, 9, 0, 1]))),
    "gradient of updates": (cv.grad(lambda x: sum(map(np.sum, updates(np.sin(x))))), (X,)),
    "linear solve": (lambda m: np.linalg.solve(m @ m.T + np.eye(3), m), (M,)),
    "custom rule": (cv.grad(lambda x: nn.gelu(nn.relu(x)).sum()), (X,)),
}


def results(closed, args):
    module = cpu.CpuModule(closed, [False] * len(args), "f")
    program = module.compile(cv.devices("cpu")[0], 0)
    return [onp.asarray(x) for x in program.executable.call(list(args))]


@pytest.mark.parametrize("left_out", [(p,) for p in sorted(manager.OPTIONAL)] + [manager.OPTIONAL])
@pytest.mark.parametrize("name", PROGRAMS)
def test_results_without_a_pass(name, left_out):
    fun, args = PROGRAMS[name]
    closed = cv.make_jaxpr(fun)(*args)
    want = results(closed, args)
    with passes.without(*left_out):
        got = results(closed, args)
    for g, w in zip(got, want, strict=True):
        # Other loops may sum in another order.
        onp.testing.assert_allclose(g, w, rtol=2e-6, atol=1e-7)


def test_steps_lead_to_what_programs_get():
    closed = cv.make_jaxpr(updates)(X)
    steps = list(passes.steps(closed))
    assert [s.name for s in steps] == [p.name for p in passes.PASSES]
    assert steps[0].before is closed and all(s.seconds >= 0 for s in steps)
    for one, two in zip(steps, steps[1:], strict=False):
        assert two.before is one.after
    assert str(steps[-1].after) == str(passes.simplify(closed))
    changed = {s.name for s in steps if str(s.before) != str(s.after)}
    assert {"regions", "dead code"} <= changed


def test_unknown_pass():
    with pytest.raises(ValueError, match="no pass inlining that can be left out; there are coun"):
        with passes.without("inlining"):
            pass


def test_equal_operations_of_which_other_results_are_used():
    """One operation gives all that either of two equal ones is asked for."""
    x = onp.random.default_rng(0).normal(size=(3, 4)).astype("float32")

    def f(x):
        values, _ = lax.top_k(x, 2)
        _, places = lax.top_k(x, 2)
        again, _ = lax.top_k(x, 2)
        return values, places, again

    values, places, again = cv.jit(f)(x)
    order = onp.argsort(-x, 1)[:, :2]
    onp.testing.assert_array_equal(places, order)
    onp.testing.assert_array_equal(values, onp.take_along_axis(x, order, 1))
    onp.testing.assert_array_equal(again, values)
    assert cv.jit(f).lower(x).as_text("simplified").count("top_k") == 1
