"""Sums over devices that are not taken yet, in programs of several processes: what is sent."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.core.avals import ShapedArray
from covector.core.jaxpr import ClosedJaxpr
from covector.core.trace import trace_to_jaxpr
from covector.sharding import AbstractMesh, AxisType, NamedSharding
from covector.sharding import PartitionSpec as P
from covector.sharding.cost import cost
from covector.sharding.types import placed_aval
from tests.sharding import tables, virtual

R = onp.random.default_rng(7)
WHOLE, SUM = P(), P(unreduced={"x"})
W = R.normal(size=(3, 64, 64)).astype("float32") / 12
X = R.normal(size=(5, 16, 64)).astype("float32")
A = R.normal(size=(64, 64)).astype("float32")


def layers(ws, xs):
    return (lax.scan(lambda x, w: (np.tanh(x @ w), None), xs, ws)[0] ** 2).sum()


def microbatches(ws, xs):
    """Derivatives of a scan of layers, added up in a scan over parts of a batch, summed once."""

    def add(total, x):
        return total + cv.grad(layers)(ws, x), None

    start = cv.reshard(np.zeros(ws.shape, ws.dtype), SUM)
    return cv.reshard(lax.scan(add, start, xs)[0], P())


def each_summed(ws, xs):
    """The same, where each derivative is summed when it arises."""
    return lax.scan(lambda t, x: (t + cv.grad(layers)(ws, x), None), np.zeros_like(ws), xs)[0]


def program(f, *args):
    """The program of typed arguments: pairs of an array and its spec."""
    mesh = AbstractMesh((4,), ("x",), (AxisType.Explicit,))
    avals = [
        placed_aval(ShapedArray(x.shape, x.dtype), NamedSharding(mesh, s))
        for x, s in args
    ]  # fmt: skip
    with cv.sharding.use_abstract_mesh(mesh):
        jaxpr, consts = trace_to_jaxpr(lambda *xs: [f(*xs)], avals)
    return ClosedJaxpr(jaxpr, consts)


def run(monkeypatch, f, *args, out=WHOLE):
    """The result of four processes, and the bytes that each has sent."""
    closed = program(f, *args)
    mesh = virtual.mesh_of((4,), ("x",))
    ins = [P(*s) for _, s in args]
    results, engines = virtual.run(monkeypatch, closed, [x for x, _ in args], mesh, ins, [out])
    sent = {e.sent for e in engines.values()}
    assert len(sent) == 1
    return results[0][0][1], sent.pop()


ALL_REDUCE = 2 * 3 / 4  # of the bytes of an array, which each of four processes sends


def test_derivatives_are_summed_once(monkeypatch):
    late, sent = run(monkeypatch, microbatches, (W, P(reduced={"x"})), (X, P(None, "x")))
    assert sent == ALL_REDUCE * W.nbytes
    soon, more = run(monkeypatch, each_summed, (W, P()), (X, P(None, "x")))
    assert more == len(X) * ALL_REDUCE * W.nbytes
    want = sum(onp.asarray(cv.grad(layers)(W, x)) for x in X)
    onp.testing.assert_allclose(late, want, rtol=1e-5, atol=1e-4)
    onp.testing.assert_allclose(soon, want, rtol=1e-5, atol=1e-4)


PRODUCT = (A, P(None, "x")), (A, P("x"))
product = lambda a, b: np.matmul(a, b, out_sharding=SUM)  # noqa: E731
taken = lambda x: cv.reshard(x, P())  # noqa: E731
MASK = A > 0
# Functions of a product that is a sum of terms; the sum is taken at the end.
LINEAR = {
    "sum": lambda p: p + 2 * p - p / 3,
    "parts": lambda p: np.concatenate([p[2:5], p[:, ::2].T.reshape(-1, 64), np.pad(p, 1)[:, :64]]),
    "filled": lambda p: np.pad(p, 1, constant_values=3.0),
    "masked": lambda p: np.where(MASK, p, 0),
    "weights": lambda p: p @ A + A @ p,
    "cumulative": lambda p: np.cumsum(p[::-1], 0),
    "branch": lambda p: lax.cond(A[0, 0] > 0, lambda p: p.T, lambda p: 2 * p, p),
    "loop": lambda p: lax.fori_loop(0, 3, lambda i, c: c + p * i, p),
    "rows": lambda p: lax.scan(lambda c, row: (c + row, 2 * row), p[0], p)[1],
    "barrier": lambda p: lax.optimization_barrier(p) * 2,
    "checkpoint": lambda p: cv.checkpoint(lambda p: p * 3)(p),
    "indexed": lambda p: p.at[np.arange(64)[::-1] // 2].get(),
    "update": lambda p: p.at[2].add(p[3]),
    "called": lambda p: cv.jit(lambda p: p * 2)(p),
    "vmap": lambda p: cv.vmap(lambda row: row[::-1] * 2)(p),
    "half": lambda p: p.astype("bfloat16").astype("float32"),
}


@pytest.mark.parametrize("name", LINEAR)
def test_what_is_linear_is_done_with_terms(name, monkeypatch):
    f = LINEAR[name]
    got, sent = run(monkeypatch, lambda a, b: taken(f(product(a, b))), *PRODUCT)
    want = onp.asarray(f(cv.numpy.asarray(A @ A)))
    rtol, atol = (2e-2, 0.2) if name == "half" else (1e-4, 1e-3)
    onp.testing.assert_allclose(got, want, rtol, atol)
    assert sent == ALL_REDUCE * want.nbytes


def test_what_is_no_sum_becomes_one(monkeypatch):
    """Of a value that all have the first has the term; parts are terms beside zeros."""
    f = lambda a, b: taken(product(a, b) + cv.reshard(a, SUM) + cv.reshard(b, SUM))  # noqa: E731
    got, sent = run(monkeypatch, f, *PRODUCT)
    onp.testing.assert_allclose(got, A @ A + A + A, rtol=1e-4, atol=1e-4)
    assert sent == ALL_REDUCE * A.nbytes
    f = lambda a, b, c: taken(product(a, b) + cv.reshard(c, SUM))  # noqa: E731
    got, sent = run(monkeypatch, f, *PRODUCT, (A, P()))
    onp.testing.assert_allclose(got, A @ A + A, rtol=1e-4, atol=1e-4)
    assert sent == ALL_REDUCE * A.nbytes
    got, sent = run(monkeypatch, lambda a: taken(cv.reshard(a, SUM)), (A, P()))
    assert sent == 0
    onp.testing.assert_array_equal(got, A)


def test_a_sum_becomes_parts(monkeypatch):
    """Each process takes the sum of its part."""
    f = lambda a, b: cv.reshard(product(a, b) * 2, P("x"))  # noqa: E731
    got, sent = run(monkeypatch, f, *PRODUCT, out=P("x"))
    onp.testing.assert_allclose(got, (A @ A * 2)[:16], rtol=1e-4, atol=1e-4)
    assert sent == 3 / 4 * A.nbytes


def test_results_are_sums(monkeypatch):
    """What a program returns is the same in all processes."""
    got, sent = run(monkeypatch, lambda a, b: product(a, b), *PRODUCT)
    onp.testing.assert_allclose(got, A @ A, rtol=1e-4, atol=1e-4)
    assert sent == ALL_REDUCE * A.nbytes
    got, sent = run(monkeypatch, lambda a: taken(a * 2), (A, SUM))
    onp.testing.assert_array_equal(got, 2 * A)


def test_along_devices(monkeypatch):
    """In `shard_map`, terms are what devices have; its results are terms."""

    def f(a, b, c):
        mapped = cv.shard_map(
            lambda a, b, c: lax.pcast(a @ b, "x", to="unreduced") + c,
            in_specs=(P(None, "x"), P("x"), SUM), out_specs=SUM,
        )  # fmt: skip
        return taken(2 * mapped(a, b, c))

    got, sent = run(monkeypatch, f, *PRODUCT, (A, SUM))
    onp.testing.assert_allclose(got, 2 * (A @ A + A), rtol=1e-4, atol=1e-4)
    assert sent == ALL_REDUCE * A.nbytes

    def gradient(w, x):
        w = lax.pcast(w, "x", to="reduced")
        one = lambda w, x: (np.tanh(x @ w) ** 2).sum()  # noqa: E731
        total = cv.grad(one)(w, x[0]) + cv.grad(one)(w, x[1])
        return lax.psum(total, "x")

    f = cv.shard_map(gradient, in_specs=(P(), P(None, "x")), out_specs=P(), mesh=None)
    got, sent = run(monkeypatch, f, (W[0], P()), (X, P(None, "x")))
    want = cv.grad(lambda w: sum((np.tanh(x @ w) ** 2).sum() for x in X[:2]))(W[0])
    tables.check_equal(got, onp.asarray(want), 1e-4, 1e-4, "")
    assert sent == ALL_REDUCE * W[0].nbytes


def test_the_cost_is_of_one_sum():
    """`cost_analysis` counts what is sent."""
    mesh = AbstractMesh((4,), ("x",), (AxisType.Auto,))
    for f, spec, count in ((microbatches, P(reduced={"x"}), 1), (each_summed, P(), len(X))):
        closed = program(f, (W, spec), (X, P(None, "x")))
        found = cost(closed, mesh, (P(), P(None, "x")), P())
        assert found.bytes_sent == count * ALL_REDUCE * W.nbytes, found
