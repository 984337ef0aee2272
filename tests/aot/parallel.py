"""Programs on four absent devices: a training step, an exchange, a partitioned product."""

from __future__ import annotations

import covector as cv
import covector.numpy as np
from covector import lax
from covector.experimental import topologies
from covector.sharding import PartitionSpec as P


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

    def exchange(a):
        there = lax.ppermute(a, "x", [(0, 1), (1, 0)])
        return there * lax.psum(a.sum(), ("x", "y")) + lax.all_gather(a, "y").sum(0)

    weights = [array(64, 128, spec=P(None, "y")), array(128, 64, spec=P("y"))]
    spread = P("x", "y")
    yield "training step", step, (weights, array(256, 64, spec=P("x")))
    mapped = cv.shard_map(exchange, mesh=mesh, in_specs=spread, out_specs=spread)
    yield "shard_map", mapped, (array(64, 32, spec=spread),)
    constrained = lambda x: lax.with_sharding_constraint(  # noqa: E731
        x @ x.T, cv.NamedSharding(mesh, P("y"))
    )
    yield "constraint", constrained, (array(256, 64, spec=spread),)


def compiled(platform: str, name: str, options: dict) -> int:
    """How many programs were compiled."""
    count = 0
    for what, fun, args in programs(platform, name, options):
        found = cv.jit(fun).lower(*args).compile()
        assert len(found.runtime_executable().data) > 1000, what
        count += 1
    return count
