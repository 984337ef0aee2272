"""Programs on four absent devices: a training step, products, exchanges, every collective."""

from __future__ import annotations

import covector as cv
import covector.numpy as np
from covector import lax
from covector.experimental import topologies
from covector.sharding import PartitionSpec as P

PAIRS = [(0, 1), (1, 0)]


def exchange(a):
    there = lax.ppermute(a, "x", PAIRS)
    return there * lax.psum(a.sum(), ("x", "y")) + lax.all_gather(a, "y").sum(0)


def mean_loss(w, a):
    return lax.pmean(((a @ w) ** 2).mean(), ("x", "y"))


def ragged(a):
    sizes = np.arange(2, dtype="int32") + lax.axis_index("x")
    return lax.ragged_all_to_all(a, np.zeros_like(a), sizes, sizes, sizes, sizes, axis_name="x")


# What each device does with a block of 32 × 16.
COLLECTIVES = {
    "psum": lambda a: lax.psum(a, ("x", "y")) + a,
    "pmean": lambda a: lax.pmean(a, "x") + a,
    "pmax": lambda a: lax.pmax(a, "y") + a,
    "pmin": lambda a: lax.pmin(a, ("x", "y")) + a,
    "all_gather": lambda a: lax.all_gather(a, ("x", "y"), tiled=True)[:32] + a,
    "psum_scatter": lambda a: np.tile(lax.psum_scatter(a, "x", tiled=True), (2, 1)),
    "all_to_all": lambda a: lax.all_to_all(a, "y", 1, 0, tiled=True).reshape(a.shape),
    "ppermute": lambda a: lax.ppermute(a, "x", PAIRS),
    "pshuffle": lambda a: lax.pshuffle(a, "y", [1, 0]),
    "pbroadcast": lambda a: lax.pbroadcast(a, "x", 1) + a,
    "axis_index": lambda a: a * lax.axis_index(("x", "y")),
    "ragged_all_to_all": ragged,
    "exchange": exchange,
}


def programs(platform: str, name: str, options: dict):
    """Names, functions, and the types of their arguments with where they lie."""
    mesh = topologies.make_mesh(
        topologies.get_topology_desc(name, platform, **options), (2, 2), ("x", "y")
    )

    def array(*shape, spec=None):
        spec = P() if spec is None else spec
        return cv.ShapeDtypeStruct(shape, "float32", sharding=cv.NamedSharding(mesh, spec))

    def loss(w, x):
        return ((np.tanh(x @ w[0]) @ w[1]) ** 2).mean()

    def step(w, x):
        return [p - 0.1 * g for p, g in zip(w, cv.grad(loss)(w, x), strict=True)]

    weights = [array(64, 128, spec=P(None, "y")), array(128, 64, spec=P("y"))]
    spread = P("x", "y")
    yield "training step", step, (weights, array(256, 64, spec=P("x")))
    for k, (a, b) in enumerate([(P("x"), P(None, "y")), (P(None, "y"), P("y")), (spread, spread)]):
        yield f"product {k}", np.matmul, (array(256, 64, spec=a), array(64, 128, spec=b))
    constrained = lambda x: lax.with_sharding_constraint(  # noqa: E731
        x @ x.T, cv.NamedSharding(mesh, P("y"))
    )
    yield "constraint", constrained, (array(256, 64, spec=spread),)
    for what, fun in COLLECTIVES.items():
        mapped = cv.shard_map(
            fun, mesh=mesh, in_specs=spread, out_specs=spread, check_vma=what != "all_gather"
        )
        yield what, mapped, (array(64, 32, spec=spread),)
    gradient = cv.shard_map(cv.grad(mean_loss), mesh=mesh, in_specs=(P(), spread), out_specs=P())
    yield "derivatives of a mean", gradient, (array(16, 8), array(64, 32, spec=spread))


def compiled(platform: str, name: str, options: dict) -> tuple[int, int]:
    """How many programs were compiled, and of how many processes the devices are."""
    count = 0
    for what, fun, args in programs(platform, name, options):
        found = cv.jit(fun).lower(*args).compile()
        assert len(found.runtime_executable().data) > 1000, what
        count += 1
    devices = args[0].sharding.mesh.devices.flat
    return count, len({d.process_index for d in devices})
