"""What programs cost on each device, beside formulas by hand, and beside what XLA makes of them."""

import json
import os
import re
import subprocess
import sys
import textwrap

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from benchmarks import scaling
from covector import lax
from covector.core.jaxpr import ClosedJaxpr, all_jaxprs
from covector.sharding import AbstractMesh, AxisType, NamedSharding
from covector.sharding import PartitionSpec as P
from covector.sharding.cost import Collective, cost
from tests import property_tables
from tests.sharding import virtual

MESH = AbstractMesh((4, 2), ("data", "model"))
TABLE = {**property_tables.CASES, **property_tables.DISCRETE}


def of(shape, dtype="float32"):
    return cv.ShapeDtypeStruct(shape, dtype)


def cost_of(f, specs, *shapes, out=None, mesh=MESH, **options):
    return cost(cv.make_jaxpr(f)(*map(of, shapes)), mesh, specs, out, **options)


def sent(found):
    """Bytes by kind and axes."""
    return {(c.kind, *c.axes): c.bytes for c in found.collectives}


M, K, N = 512, 1024, 256
PRODUCT = (M, K), (K, N)


# --- products --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "w", "devices", "wanted"),
    [
        (P(), P(), 1, {}),
        (P("data"), P(), 4, {}),
        (P("data"), P(None, "model"), 8, {}),
        (P(("data", "model")), P(), 8, {}),
        (P(None, "model"), P("model"), 2, {("all-reduce", "model"): 2 * 1 / 2 * M * N * 4}),
        (P("data", "model"), P("model"), 8,
         {("all-reduce", "model"): 2 * 1 / 2 * M // 4 * N * 4}),
        (P(None, ("data", "model")), P(("data", "model")), 8,
         {("all-reduce", "data", "model"): 2 * 7 / 8 * M * N * 4}),
        # The rows are split over the same devices as the sum: the first operand decides.
        (P("data"), P("data"), 4, {("all-gather", "data"): 3 / 4 * K * N * 4}),
        (P("data"), P("data", "model"), 8, {("all-gather", "data"): 3 / 4 * K * N / 2 * 4}),
    ],
)  # fmt: skip
def test_a_matrix_product(x, w, devices, wanted):
    found = cost_of(lambda x, w: x @ w, (x, w), *PRODUCT)
    assert found.flops == 2 * M * N * K / devices
    assert sent(found) == wanted


def test_the_result_is_laid_out():
    f = lambda x, w: x @ w  # noqa: E731
    specs = (P(None, "data"), P("data"))
    whole = M * N * 4
    found = cost_of(f, specs, *PRODUCT, out=P("data"))
    assert sent(found) == {("reduce-scatter", "data"): 3 / 4 * whole}
    assert found.output_bytes == whole / 4
    found = cost_of(f, specs, *PRODUCT, out=P("model"))
    assert sent(found) == {("all-reduce", "data"): 2 * 3 / 4 * whole}
    found = cost_of(f, (P("data"), P()), *PRODUCT, out=P())
    assert sent(found) == {("all-gather", "data"): 3 / 4 * whole}
    assert found.output_bytes == whole
    found = cost_of(f, (P("data"), P()), *PRODUCT, out=P(None, "data"))
    assert sent(found) == {("all-to-all", "data"): 3 / 4 * whole / 4}


def test_bytes_accessed():
    found = cost_of(lambda x, w: x @ w, (P("data"), P(None, "model")), *PRODUCT)
    assert found.bytes_accessed == 4 * (M * K / 4 + K * N / 2 + M * N / 8)
    # Elements are computed while they are summed up.
    found = cost_of(lambda x: np.sin(2 * x + 1).sum(), P("data"), (M, K))
    assert found.bytes_accessed == 4 * M * K / 4 + 4
    assert found.flops == 4 * M * K / 4
    assert found.temp_bytes == 0
    found = cost_of(lambda x: lax.dynamic_slice(x, (3, 0), (2, K)), P(), (M, K))
    assert found.bytes_accessed == 2 * 2 * K * 4


def test_temporary_memory():
    # Both of the first two products are there at once.
    found = cost_of(lambda x, w: (x @ w) @ (w.T @ x.T), P(), *PRODUCT)
    assert found.temp_bytes == 2 * 4 * M * N
    found = cost_of(lambda x: ((x @ x) @ x) @ x, P(), (64, 64))
    assert found.temp_bytes == 2 * 4 * 64 * 64
    assert found.memory_bytes == 4 * 4 * 64 * 64
    found = cost_of(lambda x: x @ x, P(), (64, 64), donated=(0,))
    assert found.memory_bytes == 4 * 64 * 64
    # The gathered copy of w.
    found = cost_of(lambda x, w: x @ w, (P("data"), P("data")), *PRODUCT)
    assert found.temp_bytes == 3 / 4 * K * N * 4


@pytest.mark.parametrize(
    ("f", "shape", "flops"),
    [
        (np.linalg.cholesky, (900, 900), 900**3 / 3),
        (np.fft.fft, (8, 1024), 5 * 8 * 1024 * 10),
        (np.sort, (4, 1024), 4 * 1024 * 10),
        (lambda x: lax.conv(x[None, None], np.ones((8, 1, 3, 3)), (1, 1), "SAME"), (16, 16),
         2 * 16 * 16 * 8 * 9),
        (lambda x: x.T.reshape(-1)[None], (16, 16), 0),
    ],
)  # fmt: skip
def test_arithmetic(f, shape, flops):
    closed = cv.make_jaxpr(f)(of(shape, "complex64" if f is np.fft.fft else "float32"))
    assert cost(closed, MESH, P()).flops == pytest.approx(flops, rel=0.02)


# --- programs --------------------------------------------------------------------------------


def mlp(w, x, y):
    return ((np.tanh(x @ w[0]) @ w[1] - y) ** 2).mean()


def descend(w, x, y):
    return cv.tree.map(lambda p, g: p - 0.1 * g, w, cv.grad(mlp)(w, x, y))


B, D, H = 4096, 256, 1024
TYPES = (of((D, H)), of((H, D))), of((B, D)), of((B, D))
PARAMETERS = 2 * D * H * 4


def step_cost(first, second, mesh=MESH):
    closed = cv.make_jaxpr(descend)(*TYPES)
    x = P("data")
    return cost(closed, mesh, ((first, second), x, x), (first, second), donated=(0,))


@pytest.mark.parametrize("n", [1, 2, 8, 256])
def test_data_parallel(n):
    """Derivatives are added up on all devices."""
    found = step_cost(P(), P(), AbstractMesh((n,), ("data",)))
    products = 5 * 2 * B * D * H
    assert products / n < found.flops < 1.02 * products / n + 3 * PARAMETERS
    wanted = {("all-reduce", "data"): 2 * (n - 1) / n * PARAMETERS} if n > 1 else {}
    assert sent(found) == wanted
    assert found.argument_bytes == PARAMETERS + 2 * B // n * D * 4
    assert found.output_bytes == found.donated_bytes == PARAMETERS


def test_tensor_parallel():
    """The second product is a sum over devices; backwards no derivative by x is asked for."""
    found = step_cost(P(None, "model"), P("model"))
    assert sent(found) == {
        ("all-reduce", "model"): 2 * 1 / 2 * B // 4 * D * 4,
        ("all-reduce", "data"): 2 * 3 / 4 * PARAMETERS / 2,
    }


def test_fully_sharded():
    """Parameters are gathered, derivatives added up and split."""
    found = step_cost(P("data", "model"), P("model", "data"))
    share = 3 / 4 * PARAMETERS / 2
    assert found.sent("all-gather") == found.sent("reduce-scatter") == share
    assert found.sent("all-reduce") == B // 4 * D * 4
    assert found.sent(axis="data") == 2 * share
    assert found.bytes_sent == 2 * share + B // 4 * D * 4
    assert found.argument_bytes == PARAMETERS / 8 + 2 * B // 4 * D * 4


def test_loops():
    def f(w, x):
        return lax.scan(lambda x, w: (np.tanh(x @ w), None), x, w)[0]

    found = cost_of(f, (P(None, "model"), P()), (10, K, K), (M, K))
    assert found.collectives == (
        Collective("all-reduce", ("model",), 10 * 2 * 1 / 2 * M * K * 4, 10),
    )
    assert found.flops == 10 * (2 * M * K * K / 2 + M * K)
    # Accumulated derivatives are added up in each turn.
    g = lambda w, xs: lax.scan(lambda s, x: (s + x.T @ (x @ w), None), w * 0, xs)[0]  # noqa: E731
    found = cost_of(g, (P(), P(None, "data")), (K, K), (6, M, K))
    assert sent(found) == {("all-reduce", "data"): 6 * 2 * 3 / 4 * K * K * 4}
    turns = cost_of(lambda x: lax.while_loop(lambda x: x.sum() < 3, np.sin, x), P("data"), (M,))
    assert turns.flops == 2 * M / 4 + 1
    assert sent(turns) == {("all-reduce", "data"): 2 * 3 / 4 * 4}
    branches = [lambda x: x, lambda x: x @ x, lambda x: x @ x @ x]
    found = cost_of(lambda i, x: lax.switch(i.astype(int), branches, x), P(), (), (64, 64))
    assert found.flops == pytest.approx(2 * 2 * 64**3, rel=0.01)


def test_terms_are_added_up_once():
    f = cv.jit(np.sin)
    found = cost_of(lambda x, w: f(x @ w) + f(x @ w) * np.cos(x @ w), (P(None, "data"), P("data")),
                    *PRODUCT)  # fmt: skip
    share = 2 * 3 / 4 * M * N * 4
    assert sent(found) == {("all-reduce", "data"): 3 * share}

    def g(x, w):
        y = x @ w
        return f(2 * y.T).sum() + f(y).sum() + np.cos(y).sum()

    found = cost_of(g, (P(None, "data"), P("data")), *PRODUCT)
    assert sent(found) == {("all-reduce", "data"): 2 * share}  # 2 * y.T is another value


def test_sums_of_updates():
    """Each device adds up the rows that its indices name."""
    f = lambda table, i, x: table.at[i.astype(int)].add(x)  # noqa: E731
    found = cost_of(f, (P(), P("data"), P("data")), (K, N), (M,), (M, N))
    assert sent(found) == {("all-reduce", "data"): 2 * 3 / 4 * K * N * 4}


def test_what_a_program_says():
    def f(x, w):
        y = lax.with_sharding_constraint(x @ w, NamedSharding(MESH, P("data")))
        return y, lax.with_sharding_constraint(y, NamedSharding(MESH, P(None, "data")))

    found = cost_of(f, (P(None, "data"), P("data")), *PRODUCT)
    share = 3 / 4 * M * N * 4
    assert sent(found) == {
        ("reduce-scatter", "data"): share, ("all-to-all", "data"): share / 4,
    }  # fmt: skip


def test_explicit_axes():
    mesh = AbstractMesh((4, 2), ("data", "model"), (AxisType.Explicit,) * 2)
    with cv.sharding.use_abstract_mesh(mesh):
        types = [
            cv.ShapeDtypeStruct(s, "float32", sharding=NamedSharding(mesh, spec))
            for s, spec in zip(PRODUCT, (P("data", "model"), P("model")), strict=True)
        ]
        closed = cv.make_jaxpr(
            lambda x, w: lax.dot(x, w, out_sharding=P("data", "model"))
        )(*types)  # fmt: skip
    found = cost(closed, mesh, (P("data", "model"), P("model")))
    assert sent(found) == {("reduce-scatter", "model"): 1 / 2 * M / 4 * N * 4}


def test_shard_map():
    def f(x):
        y = lax.psum(x.sum(0), "data")
        z = lax.ppermute(x, "model", [(0, 1), (1, 0)])
        g = lax.all_gather(x, "data")
        t = lax.all_to_all(x, "data", 0, 0, tiled=True)
        return y.sum() + z.sum() + g.sum() + t.sum()

    mapped = cv.shard_map(f, mesh=MESH, in_specs=P("data", "model"), out_specs=P(), check_vma=False)
    local = M // 4 * K // 2 * 4
    assert sent(cost_of(mapped, P("data", "model"), (M, K))) == {
        ("all-reduce", "data"): 2 * 3 / 4 * K // 2 * 4,
        ("permute", "model"): local,
        ("all-gather", "data"): 3 * local,
        ("all-to-all", "data"): 3 / 4 * local,
    }
    found = cost_of(mapped, P(), (M, K))
    assert found.sent("all-gather") == 3 * local


@pytest.mark.parametrize("name", [n for n in TABLE if n not in ("shard_map", "pcast")])
def test_every_operation_has_a_cost(name):
    case = TABLE[name]
    closed = cv.make_jaxpr(case.fun)(*case.args)
    avals = [v.aval for v in closed.jaxpr.invars]
    found = cost(closed, MESH, P())
    assert found.collectives == ()
    assert found.flops >= 0 and found.bytes_accessed >= 0 and found.temp_bytes >= 0
    assert found.output_bytes == sum(v.aval.size * v.aval.dtype.itemsize
                                     for v in closed.jaxpr.outvars)  # fmt: skip
    for k in range(max([len(a.shape) for a in avals], default=0)):
        specs = [
            P(*[None] * k, "model") if k < len(a.shape) and a.shape[k] % 2 == 0 else P()
            for a in avals
        ]
        split = cost(closed, MESH, specs)
        assert split.flops <= found.flops
        assert len(list(all_jaxprs(closed.jaxpr))) >= 1


def test_bad_arguments():
    closed = cv.make_jaxpr(lambda x, w: x @ w)(*map(of, PRODUCT))
    other = cv.make_jaxpr(TABLE["shard_map"].fun)(*TABLE["shard_map"].args)
    with pytest.raises(ValueError, match="the program maps a function over the mesh"):
        cost(other, MESH, P())
    for error, text, args in [
        (ValueError, "in_specs must be one PartitionSpec, or one for each array", [[P()]]),
        (ValueError, "out_specs must be one PartitionSpec", [P(), [P(), P()]]),
        (
            ValueError,
            "donated holds numbers of arguments, got 2; the program has 2",
            [P(), None, (2,)],
        ),
        (ValueError, "'z'", [P("z")]),
        (ValueError, "at least 3 dimensions", [P(None, None, "data")]),
        (TypeError, "is a tree of PartitionSpec", [["x", P()]]),
    ]:
        with pytest.raises(error, match=re.escape(text)) as info:
            cost(closed, MESH, *args)
        assert "test_cost.py" in str(info.value)
    for f in (descend, cv.jit(descend)):
        with pytest.raises(TypeError, match=r"takes a program, as covector.make_jaxpr\(f\)"):
            cost(f, MESH, P())
    bare = ClosedJaxpr(closed.jaxpr.replace(debug_info=None), closed.consts)
    with pytest.raises(ValueError, match="in_specs has 1 specs, and the program has 2 arguments"):
        cost(bare, MESH, [P()])
    assert cost(bare, MESH, P(), donated=(1,)) == cost(closed, MESH, P(), donated=(1,))


def test_prefixes_and_donated_arguments():
    closed = cv.make_jaxpr(descend)(*TYPES)
    x = P("data")
    each = cost(closed, MESH, ((P("data"), P("data")), x, x), (P("data"), P("data")))
    assert each == cost(closed, MESH, (P("data"), x, x), P("data"))
    assert each == cost(closed, MESH, [P("data"), x, x], P("data"))
    assert each.donated_bytes == 0
    given = cost(closed, MESH, (P("data"), x, x), P("data"), donated=(0,))
    assert given.donated_bytes == given.output_bytes == PARAMETERS / 4
    assert given == cost(closed, MESH, (P("data"), x, x), P("data"), donated=(0, -3))
    nested = cv.make_jaxpr(lambda p: (p["a"] + 1, p))({"a": of((8, 8)), "b": of((8, 8))})
    found = cost(nested, MESH, ({"a": P("data"), "b": None},), (P("data"), None))
    assert found.bytes_of_arguments == (64, 256) and found.output_bytes == 64 + 2 * 256


# --- of compiled programs ----------------------------------------------------------------------


def test_of_a_compiled_program():
    mesh = cv.make_mesh((4, 2), ("data", "model"), (AxisType.Auto,) * 2)
    put = lambda s, spec: cv.device_put(np.ones(s), NamedSharding(mesh, spec))  # noqa: E731
    x, w = put(PRODUCT[0], P("data", "model")), put(PRODUCT[1], P("model"))
    compiled = cv.jit(lambda x, w: (x @ w, x + 1), donate_argnums=0).lower(x, w).compile()
    found = compiled.cost_analysis()
    assert found["flops"] == 2 * M * N * K / 8 + M * K / 8
    assert found["bytes sent, all-reduce over model"] == 2 * 1 / 2 * M // 4 * N * 4
    memory = compiled.memory_analysis()
    assert memory.argument_size_in_bytes == (M * K / 8 + K * N / 2) * 4
    assert memory.output_size_in_bytes == (M * N / 4 + M * K / 8) * 4
    assert memory.alias_size_in_bytes == M * K / 8 * 4
    # Arguments that are not there yet, or anywhere, lie as in_shardings say.
    where = (x.sharding, w.sharding)
    for args in (tuple(map(of, PRODUCT)), (onp.ones(PRODUCT[0], "f4"), np.ones(PRODUCT[1]))):
        asked = cv.jit(lambda x, w: (x @ w, x + 1), in_shardings=where).lower(*args).compile()
        assert asked.input_shardings[0] == where
        assert asked.memory_analysis().argument_size_in_bytes == memory.argument_size_in_bytes
        assert asked.cost_analysis() == found
        assert asked(x, w)[1].sharding == x.sharding
        onp.testing.assert_array_equal(asked(*map(np.ones, PRODUCT))[0], K)
    alone = cv.jit(lambda x, w: x @ w).lower(*map(of, PRODUCT))
    assert alone.cost_analysis() == alone.compile().cost_analysis() == {
        "flops": 2 * M * N * K, "bytes accessed": (M * K + K * N + M * N) * 4,
    }  # fmt: skip


# What XLA says of the step of `descend`: operations, memory, and which arrays it exchanges.
PEER = """
    import json, os, re, sys
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    from jax.numpy import tanh
    from jax.sharding import AxisType, NamedSharding, PartitionSpec

    sizes, specs = json.loads(sys.argv[1])
    mesh = jax.make_mesh((4, 2), ("data", "model"), (AxisType.Auto,) * 2)
    of = lambda *shape: jax.ShapeDtypeStruct(shape, "float32")
    where = lambda *spec: NamedSharding(mesh, PartitionSpec(*spec))
    mlp = lambda w, x, y: ((tanh(x @ w[0]) @ w[1] - y) ** 2).mean()

    def descend(w, x, y):
        return jax.tree.map(lambda p, g: p - 0.1 * g, w, jax.grad(mlp)(w, x, y))

    b, d, h = sizes
    parts = tuple(where(*s) for s in specs)
    compiled = jax.jit(
        descend, in_shardings=(parts, where("data"), where("data")), out_shardings=parts
    ).lower((of(d, h), of(h, d)), of(b, d), of(b, d)).compile()
    sent = {}
    for line in compiled.as_text().splitlines():
        found = re.search(r"= (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all)[(]", line)
        if found:
            for dims in re.findall(r"f32[[]([0-9,]*)[]]", found[1]):
                size = 4
                for n in dims.split(","):
                    size *= int(n)
                sent[found[2]] = sent.get(found[2], 0) + size
    memory = compiled.memory_analysis()
    print(json.dumps([compiled.cost_analysis()["flops"], memory.argument_size_in_bytes,
                      memory.temp_size_in_bytes, sent]))
"""


@pytest.mark.peer
@pytest.mark.parametrize("specs", [((), ()), ((None, "model"), ("model",)),
                                   (("data", "model"), ("model", "data"))])  # fmt: skip
def test_what_xla_makes_of_it(specs):
    pytest.importorskip("jax")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PEER), json.dumps([[B, D, H], specs])],
        env=dict(os.environ), capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    operations, arguments, temporary, arrays = json.loads(done.stdout)
    found = step_cost(*[P(*s) for s in specs])
    assert found.flops == pytest.approx(operations, rel=1e-3)
    assert found.argument_bytes == arguments
    assert found.temp_bytes == pytest.approx(temporary, rel=0.3)
    # XLA's CPU does not know the reduce-scatter: it adds up whole arrays, and cuts them.
    summed = found.sent("all-reduce", "data") / (2 * 3 / 4)
    summed += found.sent("reduce-scatter", "data") / (3 / 4)
    summed += found.sent("all-reduce", "model")
    assert summed == arrays["all-reduce"]
    assert found.sent("all-gather") / (3 / 4) == arrays.get("all-gather", 0)


# --- seven billion parameters ------------------------------------------------------------------


@pytest.mark.parametrize(("data", "tensor"), [(8, 1), (4, 2), (1, 8), (16, 4), (512, 8)])
def test_a_step_of_a_large_transformer(data, tensor):
    found = scaling.cost_on(data, tensor)
    n, d = data * tensor, scaling.WIDTH
    parameters = scaling.parameters()
    vectors = (2 * scaling.LAYERS + 1) * d  # of the norms, which are not split
    table = scaling.WORDS * d
    matrices = parameters - vectors - table
    in_layers = matrices - table
    # Each number and two moments, four bytes each.
    tokens = (scaling.LENGTH + 1) * tensor * 4
    assert found.argument_bytes == 12 * ((parameters - vectors) // n + vectors) + tokens
    # Forwards, again when it is differentiated, but for the last product of a layer, and twice that
    # for derivatives; the scores of attention are products, too.
    attention = scaling.LAYERS * 2 * 2 * scaling.LENGTH * d
    last = scaling.LAYERS * scaling.HIDDEN * d
    products = (8 * in_layers - 2 * last + 6 * table + 4 * attention) * scaling.LENGTH
    assert products < found.flops < 1.02 * products
    # Over data: matrices in bfloat16, of layers twice; their derivatives in bfloat16; the table
    # whole, and its derivative in all.
    if data > 1:
        share = (data - 1) / data / tensor
        gathered = 2 * (2 * in_layers + table) + 2 * table
        assert found.sent("all-gather", "data") == pytest.approx(share * gathered, rel=0.03)
        assert found.sent("reduce-scatter", "data") == pytest.approx(share * 2 * matrices, rel=0.03)
    # Over tensor: in each layer two sums forwards, one again, two backwards, in bfloat16.
    if tensor > 1:
        activations = tensor * scaling.LENGTH * d * 2
        each = 2 * (tensor - 1) / tensor * activations
        assert found.sent("all-reduce", "tensor") == pytest.approx(
            (5 * scaling.LAYERS + 1) * each, rel=0.05
        )
    assert found.donated_bytes == onp.sum([found.output_bytes]) - 4


def _layers(w, x):
    for m in w:
        x = np.tanh(x @ m)
    return x


MATRIX = onp.random.default_rng(0).normal(size=(128, 128)).astype("float32")
BATCH = onp.random.default_rng(1).normal(size=(256, 128)).astype("float32")
SENT = {
    "rows": (lambda a, b: a @ b, (MATRIX, MATRIX), (P("x"), P()), P("x")),
    "terms": (lambda a, b: a @ b, (MATRIX, MATRIX), (P(None, "x"), P("x")), P()),
    "terms in parts": (lambda a, b: a @ b, (MATRIX, MATRIX), (P(None, "x"), P("x")), P("x")),
    "columns of rows": (lambda a: a * 2, (MATRIX,), (P("x"),), P(None, "x")),
    "gathered": (lambda a: a.T, (MATRIX,), (P("x"),), P()),
    "batches": (
        cv.grad(lambda w, x: (_layers(w, x) ** 2).sum()), ((MATRIX, MATRIX), BATCH),
        (P(), P(), P("x")), (P(), P()),
    ),
    "columns, then rows": (
        lambda w, x: np.tanh(x @ w[0]) @ w[1], ((MATRIX, MATRIX), BATCH),
        (P(None, "x"), P("x"), P()), P(),
    ),
    "weights split, too": (
        cv.grad(lambda w, x: (_layers(w, x) ** 2).sum()), ((MATRIX, MATRIX), BATCH),
        (P("x"), P("x"), P("x")), (P("x"), P("x")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SENT)
@pytest.mark.parametrize("processes", [2, 4])
def test_bytes_are_those_that_processes_send(name, processes, monkeypatch):
    fun, args, ins, outs = SENT[name]
    closed = cv.make_jaxpr(fun)(*args)
    found = cost(closed, AbstractMesh((processes,), ("x",)), ins, outs)
    flat = cv.tree_util.tree_leaves(args)
    outs = [outs] if isinstance(outs, P) else list(outs)
    mesh = virtual.mesh_of((processes,), ("x",))
    _, engines = virtual.run(monkeypatch, closed, flat, mesh, list(ins), outs)
    counted = sum(c.bytes for c in found.collectives)
    assert {e.sent for e in engines.values()} == {counted}, (found.collectives, counted)
