"""Programs of several processes compute what one computes: the partitioner, on virtual ones."""

import inspect
import zlib

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.core.jaxpr import all_jaxprs
from covector.sharding import PartitionSpec as P
from covector.sharding.partition.mesh import ProcessMesh
from covector.sharding.partition.program import partition
from tests.sharding import tables, virtual

# Meshes of virtual processes; what is stacked divides by each.
MESHES = [
    ((2,), ("x",)),
    ((4,), ("x",)),
    ((3,), ("x",)),
    ((2, 2), ("x", "y")),
    ((2, 3), ("x", "y")),
]
STACKED = 12


def programs(name):
    """A case, on its arguments and on a batch of them."""
    case = tables.TABLE[name]
    yield case.fun, case.args
    if case.batch:
        yield tables.batched(name, STACKED)


@pytest.mark.platform
@pytest.mark.parametrize("name", tables.NAMES)
def test_parts_are_those_of_the_whole(name, monkeypatch):
    rng = onp.random.default_rng(zlib.crc32(name.encode()))
    with cv.enable_x64():
        for fun, args in programs(name):
            closed = cv.make_jaxpr(fun)(*args)
            want = [onp.asarray(x) for x in cv.tree_util.tree_leaves(cv.jit(fun)(*args))]
            shape, names = MESHES[rng.integers(len(MESHES))]
            virtual.check(
                monkeypatch, rng, closed, [onp.asarray(x) for x in args],
                virtual.mesh_of(shape, names), want,
            )  # fmt: skip


def compare(monkeypatch, fun, *args, seed=0, meshes=MESHES, rtol=1e-6):
    """``fun`` on all meshes, on random shardings; the bytes sent by each process in the last."""
    rng = onp.random.default_rng(seed)
    closed = cv.make_jaxpr(fun)(*args)
    flat = [onp.asarray(x) for x in cv.tree_util.tree_leaves(args)]
    want = [onp.asarray(x) for x in cv.tree_util.tree_leaves(cv.jit(fun)(*args))]
    for shape, names in meshes:
        mesh = virtual.mesh_of(shape, names)
        engines = virtual.check(monkeypatch, rng, closed, flat, mesh, want, rtol, 1e-5)
    return [e.sent for e in engines.values()]


def mlp(params, x):
    for w, b in params[:-1]:
        x = np.tanh(x @ w + b)
    w, b = params[-1]
    return x @ w + b


def mlp_params(rng):
    sizes = [12, 24, 12, 12]
    return [
        (rng.normal(size=(n, m)).astype("float32") / 4, onp.zeros(m, "float32"))
        for n, m in zip(sizes, sizes[1:], strict=False)
    ]


R = onp.random.default_rng(1)
X12 = R.normal(size=(12, 12)).astype("float32")


def scanned(x):
    def step(c, row):
        c = c + np.outer(row, row)
        return c, (c.sum(0), row * 2)

    return lax.scan(step, np.zeros((12, 12)), x)


def until(x):
    def body(c):
        k, v = c
        return k + 1, v @ x / np.linalg.norm(v)

    return lax.while_loop(lambda c: (c[0] < 5) & (c[1].sum() < 1e6), body, (0, x))


def branching(x):
    return lax.cond(x.sum() > 0, lambda a: a.T * 2, lambda a: a - 1, x)


def attention(q, k, v):
    s = np.einsum("bqhd,bkhd->bhqk", q, k)
    return np.einsum("bhqk,bkhd->bqhd", cv.nn.softmax(s, -1), v)


QKV = R.normal(size=(3, 12, 4, 6, 2)).astype("float32")
PROGRAMS = {
    "mlp": (mlp, mlp_params(R), X12),
    "gradient": (
        cv.grad(lambda p, x: (mlp(p, x) ** 2).mean()), mlp_params(R), X12,
    ),
    "remat": (
        cv.grad(lambda p, x: (cv.checkpoint(mlp)(p, x) ** 2).mean()), mlp_params(R), X12,
    ),
    "scan": (scanned, X12),
    "gradient of a scan": (cv.grad(lambda x: scanned(x)[1][0].sum()), X12),
    "while": (until, X12),
    "cond": (branching, X12),
    "gradient of a cond": (cv.grad(lambda x: (branching(x) ** 2).sum()), X12),
    "attention": (attention, *QKV),
    "gradient of attention": (cv.grad(lambda *a: (attention(*a) ** 2).sum(), (0, 1, 2)), *QKV),
    "random": (lambda k, x: x + cv.random.normal(cv.random.wrap_key_data(k), x.shape),
               onp.array([0, 7], "uint32"), X12),
    "linear algebra": (lambda x: np.linalg.solve(x @ x.T + 12 * np.eye(12), x), X12),
    "indices": (lambda x: x[np.array([3, 1, 7])] + x.at[2].add(1.0)[:, ::-1][:3], X12),
    "sorting": (lambda x: (np.sort(x, 0), np.argsort(x, 1), np.argmax(x, 0), np.median(x)), X12),
    "stencil": (lambda x: x[1:-1, 1:-1] * 4 - x[:-2, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2], X12),
    "concatenation": (lambda x: np.concatenate([x, x.T * 2, x[:6]], 0), X12),
    "convolution": (
        lambda x, k: lax.conv_general_dilated(x, k, (1, 1), "SAME"),
        R.normal(size=(12, 6, 5, 5)).astype("float32"),
        R.normal(size=(4, 6, 3, 3)).astype("float32"),
    ),
    "small floats": (lambda x: (x.astype("bfloat16") @ x.T.astype("bfloat16")).sum(0), X12),
    "booleans": (lambda x: ((x > 0).all(0), (x > 1).any(), np.cumsum(x > 0, 1)), X12),
    "statistics": (lambda x: (x.mean(0), x.var(), np.prod(x, 1), np.max(x), np.min(x, 1)), X12),
    "a matrix as rows": (lambda x: x.reshape(4, 3, 12).transpose(1, 0, 2).reshape(12, 12), X12),
    "custom derivatives": (cv.grad(lambda x: cv.nn.relu(np.sort(x, 0)).sum()), X12),
}  # fmt: skip


@pytest.mark.platform
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name, seed, monkeypatch):
    fun, *args = PROGRAMS[name]
    loose = 3e-2 if name == "small floats" else 2e-5
    compare(monkeypatch, fun, *args, seed=seed, rtol=loose)


def mapped(fun, mesh, in_specs, out_specs, **options):
    """The same function, mapped over a mesh of virtual processes and over one of this process."""
    axes = dict(mesh.shape)
    here = cv.make_mesh(tuple(axes.values()), tuple(axes), (cv.sharding.AxisType.Auto,) * len(axes))
    over = [
        cv.shard_map(fun, mesh=m, in_specs=in_specs, out_specs=out_specs, **options)
        for m in (mesh, here)
    ]
    return over


def ring(x):
    def step(c, _):
        block, total = c
        block = lax.ppermute(block, "x", [(i, (i + 1) % 4) for i in range(4)])
        return (block, total + block * lax.axis_index("x")), block.sum()

    zero = lax.pcast(np.zeros(x.shape), "x", to="varying")
    return lax.scan(step, (x, zero), None, 4)


def uneven(x):
    n = lax.axis_index("x")
    return lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * 2), (n * 0, x))[1]


MAPPED = {
    "psum": (lambda x: (lax.psum(x, "x"), lax.pmax(x, "x"), lax.pmean(x, "x")), P("x"), P()),
    "all_gather": (lambda x: lax.all_gather(x, "x").sum((0, 1)) * x, P("x"), P("x")),
    "all_to_all": (lambda x: lax.all_to_all(x, "x", 1, 0, tiled=True), P("x"), P("x", None)),
    "psum_scatter": (lambda x: lax.psum_scatter(x, "x", tiled=True, scatter_dimension=1), P("x"),
                     P(None, "x")),
    "ring": (ring, P("x"), ((P("x"), P("x")), P("x"))),
    "uneven": (uneven, P("x"), P("x")),
    "replicated": (lambda x: x * 2 + lax.axis_index("x"), P(), P("x")),
}  # fmt: skip
X8 = R.normal(size=(8, 8)).astype("float32")


@pytest.mark.parametrize("owners", [[0, 1, 2, 3], [0, 0, 1, 1]], ids=["alone", "in pairs"])
@pytest.mark.parametrize("name", MAPPED)
def test_shard_map(name, owners, monkeypatch):
    fun, ins, outs = MAPPED[name]
    mesh = virtual.mesh_of((4,), ("x",), owners)
    check = name not in ("all_gather", "psum_scatter", "ring")
    there, here = mapped(fun, mesh, ins, outs, check_vma=check and name != "replicated")
    want = [onp.asarray(x) for x in cv.tree_util.tree_leaves(cv.jit(here)(X8))]
    closed = cv.make_jaxpr(there)(X8)
    for seed in range(3):
        rng = onp.random.default_rng(seed)
        virtual.check(monkeypatch, rng, closed, [X8], mesh, want, 1e-5, 1e-6)


@pytest.mark.parametrize("owners", [[[0, 1], [2, 3]], [[0, 0], [1, 1]]], ids=["alone", "in pairs"])
def test_shard_map_over_one_of_two_axes(owners, monkeypatch):
    mesh = virtual.mesh_of((2, 2), ("x", "y"), owners)
    there, here = mapped(
        lambda a: lax.psum(np.sin(a), "x") + a, mesh, P("x"), P("x"), axis_names={"x"}
    )
    want = [onp.asarray(cv.jit(here)(X8))]
    closed = cv.make_jaxpr(there)(X8)
    for seed in range(4):
        rng = onp.random.default_rng(seed)
        virtual.check(monkeypatch, rng, closed, [X8], mesh, want, 1e-5, 1e-6)


def test_a_process_never_makes_the_whole_of_what_it_has_a_part_of(monkeypatch):
    mesh = virtual.mesh_of((4,), ("x",))
    key = onp.array([0, 1], "uint32")

    def f(k):
        noise = cv.random.normal(cv.random.wrap_key_data(k), (4096, 16))
        return noise + np.arange(4096.0)[:, None] + np.zeros((4096, 16))

    closed = cv.make_jaxpr(f)(key)
    pm = ProcessMesh(mesh, 1)
    split = pm.split(P("x"), (4096, 16))
    local = virtual.partition(closed, [], [((),)], [split], pm)
    largest = max(v.aval.size for eqn in local.eqns for v in eqn.outvars)
    assert largest <= 4096 * 16 // 4
    results, engines = virtual.run(monkeypatch, closed, [key], mesh, [P()], [P("x")])
    assert all(e.sent == 0 for e in engines.values())
    whole = onp.asarray(cv.jit(f)(key))
    for ((block, x),) in results.values():
        onp.testing.assert_array_equal(x, whole[block])


def test_bytes_that_are_sent(monkeypatch):
    """Of a matrix product, as many as the algorithm needs."""
    mesh = virtual.mesh_of((4,), ("x",))
    a = R.normal(size=(64, 64)).astype("float32")
    closed = cv.make_jaxpr(lambda a, b: a @ b)(a, a)

    def sent(ins, out):
        _, engines = virtual.run(monkeypatch, closed, [a, a], mesh, ins, [out])
        return [e.sent for e in engines.values()]

    assert sent([P("x"), P()], P("x")) == [0] * 4  # rows by all
    assert sent([P(), P(None, "x")], P(None, "x")) == [0] * 4
    # Sums of terms: all-reduce of 16 KiB, each sends 3/4 of it twice.
    assert sent([P(None, "x"), P("x")], P()) == [2 * 3 * a.nbytes // 4] * 4
    # The same, of which each wants a part: it sends 3/4 of it once.
    assert sent([P(None, "x"), P("x")], P("x")) == [3 * a.nbytes // 4] * 4
    assert sent([P(None, "x"), P("x")], P(None, "x")) == [3 * a.nbytes // 4] * 4
    # Rows become columns: each sends 3/4 of its quarter.
    assert sent([P("x"), P()], P(None, "x")) == [3 * a.nbytes // 16] * 4


def test_terms_are_added_before_they_are_sent(monkeypatch):
    """Sums over the same processes are one; of parameters that are split, each has its part."""
    mesh = virtual.mesh_of((4,), ("x",))
    a = R.normal(size=(64, 64)).astype("float32")

    def sent(f, ins, out):
        closed = cv.make_jaxpr(f)(a, a)
        _, engines = virtual.run(monkeypatch, closed, [a, a], mesh, ins, [out])
        return {e.sent for e in engines.values()}

    split = [P(None, "x"), P("x")]
    assert sent(lambda a, b: a @ b - a @ (2 * b) + a @ (b * b), split, P()) == {
        2 * 3 * a.nbytes // 4
    }
    # Batches split, weights split and gathered: their derivatives come in parts.
    fsdp = cv.grad(lambda w, x: ((x @ w) ** 2).sum())
    assert sent(fsdp, [P("x"), P("x")], P("x")) == {3 * a.nbytes // 4 + 3 * a.nbytes // 4}


def test_devices_that_are_no_blocks():
    with pytest.raises(NotImplementedError, match="must be a block of the mesh"):
        ProcessMesh(virtual.mesh_of((4,), ("x",), [0, 1, 0, 1]), 0)
    pm = ProcessMesh(virtual.mesh_of((2, 2), ("x", "y"), [[0, 0], [1, 1]]), 0)
    with pytest.raises(NotImplementedError, match=r"axes over several processes \('x'\) come"):
        pm.split(P(("y", "x")), (8,), "f")
    assert pm.split(P(("x", "y")), (8,)) == (("x",),)
    with pytest.raises(ValueError, match="none of this one, which is process 7"):
        ProcessMesh(virtual.mesh_of((4,), ("x",)), 7)


BORDERS = {
    "shift": lambda x: x[1:] - x[:-1],
    "stencil": lambda x: np.pad(x, 1)[2:, 1:-1] + np.pad(x, 1)[:-2, 1:-1] - 2 * x,
    "both": lambda x: np.pad(x, ((2, 2), (1, 3)), constant_values=3)[1:-3, 2:-2] * x,
    "wrapped": lambda x: np.pad(x, 1, mode="wrap")[:-2, :-2] + x,
    "roll": lambda x: np.roll(x, 1, 0) + np.roll(x, -2, 1),
    "turned": lambda x: np.roll(x, 5, (0, 1)),
    "halves": lambda x: (x[:6], x[6:], x[:, 6:].sum(0)),
    "strides": lambda x: (x[::2], x[1::3], x[2:10:4, ::2]),
    "nothing": lambda x: (x[5:5], np.concatenate([x[3:3], x])),
    "cut off": lambda x: lax.pad(x, 0.5, ((-3, 3, 0), (1, -1, 0))),
    "wide": lambda x: lax.pad(x, 0.5, ((12, 24, 0), (0, 0, 1))),
    "joined": lambda x: np.concatenate([x, 2 * x, x[:6], np.ones((6, 12))]),
    "columns": lambda x: np.concatenate([x[:, :2], x, x[:, -2:]], 1)[:, 1:-3],
    "loop": lambda x: lax.fori_loop(0, 3, lambda i, c: np.roll(c, 1, 0) + np.pad(c, 1)[2:, 2:], x),
    "derivative": lambda x: cv.grad(lambda x: ((x[2:] - x[:-2]) ** 2).sum())(x),
    "sum": lambda x: (lambda y: y[1:] + y[:-1])(x @ x),
}


@pytest.mark.parametrize("name", BORDERS)
def test_what_lies_across_borders(name, monkeypatch):
    for seed in range(3):
        compare(monkeypatch, BORDERS[name], X12, seed=seed)


def test_borders_are_what_is_sent(monkeypatch):
    n, a = 4, onp.arange(12 * 1000, dtype="float32").reshape(12, 1000)
    mesh = virtual.mesh_of((n,), ("x",))
    row = a.nbytes // 12

    def sent(f, x=a):
        closed = cv.make_jaxpr(f)(x)
        ins, outs = [P("x")], [P("x")] * len(closed.out_avals)
        results, engines = virtual.run(monkeypatch, closed, [x], mesh, ins, outs)
        want = cv.tree_util.tree_leaves(f(x))
        for found in results.values():
            for (block, got), w in zip(found, want, strict=True):
                onp.testing.assert_array_equal(got, onp.asarray(w)[block])
        return [e.sent // row for e in sorted(engines.values(), key=lambda e: e.rank)]

    assert sent(lambda x: np.pad(x, ((1, 1), (0, 0)))[2:] + x) == [0, 1, 1, 1]
    assert sent(lambda x: np.pad(x, ((1, 1), (0, 0)))[2:] - np.pad(x, ((1, 1), (0, 0)))[:-2]) == [
        1, 2, 2, 1,
    ]  # fmt: skip
    assert sent(lambda x: np.roll(x, 1, 0)) == [1] * n
    assert sent(lambda x: np.roll(x, -2, 0)) == [2] * n
    assert sent(lambda x: lax.pad(x, 0.0, ((-1, 1, 0), (0, 0, 0)))) == [0, 1, 1, 1]
    assert sent(lambda x: x[:, 3:] * 2) == [0] * n  # along another dimension
    rolled = lambda x: lax.fori_loop(0, 5, lambda i, c: np.roll(c, 1, 0), x)  # noqa: E731
    assert sent(rolled) == [5] * n


def lines_of(closed):
    """The lines of this file, beside names of operations, inside of others too."""
    return [
        (eqn.primitive.name, eqn.source_info and eqn.source_info[1])
        for jaxpr in all_jaxprs(closed.jaxpr)
        for eqn in jaxpr.eqns
    ]


def test_equations_say_where_they_come_from():
    x = onp.ones(8, "float32")
    cv.make_jaxpr(np.median)(x)  # what is traced here is called below
    inner = cv.jit(lambda x: np.cumsum(np.sin(x)))
    first = inspect.currentframe().f_lineno + 3

    def program(x):
        y = inner(x)
        z = np.median(x)
        total, _ = lax.scan(lambda c, a: (c + a.sum(), None), 0.0, x[:, None])
        return y, z, total, np.exp(x)

    closed = cv.make_jaxpr(program)(x)
    mesh = ProcessMesh(virtual.mesh_of((2,), ("x",)), 0)
    whole = [((),) * a.ndim for a in closed.out_avals]
    local = partition(closed, [], [(("x",),)], whole, mesh)
    found = lines_of(local)
    at = {name: {line - first for n, line in found if n == name} for name, _ in found}
    assert at["sin"] == at["cumsum"] == {-4}
    assert at["partition"] == {1}
    assert at["add"] <= {1, 2} and at["scan"] == {2}
    assert at["exp"] == {3}
    # What processes send comes from what needs it, or, of results, from what makes them.
    assert at["collective"] == {-4, 1, 2, 3}
