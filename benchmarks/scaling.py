"""What one training step of a transformer of 7 billion parameters costs on up to 4,096 devices.

    python -m benchmarks.scaling

Nothing is computed: the step is traced for types, and `covector.sharding.cost` walks over it on
abstract meshes. Parameters, and the moments of AdamW, are split over both axes, ``data`` and
``tensor``; a layer's are gathered over ``data`` when it runs, in bfloat16. Each device has one
sequence for each of its ``tensor`` group.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import covector as cv
import covector.numpy as np
from covector import lax
from covector.sharding import AbstractMesh, NamedSharding
from covector.sharding import PartitionSpec as P
from covector.sharding.cost import Cost, cost

LAYERS, WIDTH, HEADS, HIDDEN, WORDS, LENGTH = 32, 4096, 32, 11008, 32000, 2048
MESHES = [(8, 1), (4, 2), (1, 8), (64, 1), (16, 4), (8, 8), (128, 4), (64, 8), (512, 8)]

SHAPES = {
    "embed": (WORDS, WIDTH),
    "layers": {
        "norm1": (LAYERS, WIDTH),
        "q": (LAYERS, WIDTH, HEADS, WIDTH // HEADS),
        "k": (LAYERS, WIDTH, HEADS, WIDTH // HEADS),
        "v": (LAYERS, WIDTH, HEADS, WIDTH // HEADS),
        "o": (LAYERS, HEADS, WIDTH // HEADS, WIDTH),
        "norm2": (LAYERS, WIDTH),
        "gate": (LAYERS, WIDTH, HIDDEN),
        "up": (LAYERS, WIDTH, HIDDEN),
        "down": (LAYERS, HIDDEN, WIDTH),
    },
    "norm": (WIDTH,),
    "out": (WIDTH, WORDS),
}
SPECS = {
    "embed": P(None, ("data", "tensor")),
    "layers": {
        "norm1": P(),
        "q": P(None, "data", "tensor"),
        "k": P(None, "data", "tensor"),
        "v": P(None, "data", "tensor"),
        "o": P(None, "tensor", None, "data"),
        "norm2": P(),
        "gate": P(None, "data", "tensor"),
        "up": P(None, "data", "tensor"),
        "down": P(None, "tensor", "data"),
    },
    "norm": P(),
    "out": P("data", "tensor"),
}
is_shape = lambda x: isinstance(x, tuple) and not isinstance(x, P)  # noqa: E731
is_spec = lambda x: isinstance(x, P)  # noqa: E731


def normal(x: Any, scale: Any) -> Any:
    """Root mean square normalisation (Zhang and Sennrich, 2019)."""
    size = lax.rsqrt((x.astype("float32") ** 2).mean(-1, keepdims=True) + 1e-6)
    return (x * size * scale).astype("bfloat16")


def layer(mesh: Any, x: Any, w: Any) -> Any:
    """Attention and a gated network, each added to its argument."""
    lie = lambda y, *spec: lax.with_sharding_constraint(y, NamedSharding(mesh, P(*spec)))  # noqa: E731
    # As the parameters lie, so do their derivatives.
    w = {k: lie(v, *SPECS["layers"][k][1:]) for k, v in w.items()}
    w = {k: v.astype("bfloat16") if v.ndim > 1 else v for k, v in w.items()}
    h = normal(x, w["norm1"])
    q, k, v = (np.einsum("bsd,dhk->bhsk", h, w[n]) for n in "qkv")
    scores = np.einsum("bhqk,bhsk->bhqs", q, k).astype("float32") * (WIDTH // HEADS) ** -0.5
    seen = np.arange(LENGTH)[:, None] >= np.arange(LENGTH)
    weights = cv.nn.softmax(np.where(seen, scores, -1e30)).astype("bfloat16")
    seen_values = np.einsum("bhqs,bhsk->bhqk", weights, v)
    x = lie(x + np.einsum("bhqk,hkd->bqd", seen_values, w["o"]), "data")
    h = normal(x, w["norm2"])
    h = cv.nn.silu(h @ w["gate"]) * (h @ w["up"])
    return lie(x + h @ w["down"], "data")


def loss(params: Any, tokens: Any, mesh: Any) -> Any:
    """The mean of the logarithms of what the next words are thought to be."""
    lie = lambda y, *spec: lax.with_sharding_constraint(y, NamedSharding(mesh, P(*spec)))  # noqa: E731
    table = lie(params["embed"].astype("bfloat16"), None, "tensor")
    x = lie(table[tokens[:, :-1]], "data")
    body = cv.checkpoint(lambda x, w: (layer(mesh, x, w), None))
    x, _ = lax.scan(body, x, params["layers"])
    out = lie(params["out"], "data", "tensor").astype("bfloat16")
    logits = (normal(x, params["norm"]) @ out).astype("float32")
    right = tokens[:, 1:, None] == np.arange(WORDS)
    logits = logits - lax.stop_gradient(logits.max(-1, keepdims=True))
    return (np.log(np.exp(logits).sum(-1)) - np.where(right, logits, 0.0).sum(-1)).mean()


def step(params: Any, first: Any, second: Any, tokens: Any, *, mesh: Any) -> Any:
    """A step of AdamW (Loshchilov and Hutter, 2019)."""
    value, grads = cv.value_and_grad(loss)(params, tokens, mesh)
    first = cv.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
    second = cv.tree.map(lambda v, g: 0.95 * v + 0.05 * g * g, second, grads)
    params = cv.tree.map(
        lambda p, m, v: p - 3e-4 * (m / (np.sqrt(v) + 1e-8) + 0.1 * p), params, first, second
    )
    return params, first, second, value


def parameters() -> int:
    """How many there are."""
    types = cv.tree.map(lambda s: cv.ShapeDtypeStruct(s, "float32"), SHAPES, is_leaf=is_shape)
    return sum(x.size for x in cv.tree.leaves(types))


def cost_on(data: int, tensor: int) -> Cost:
    """What the step costs on a mesh."""
    mesh = AbstractMesh((data, tensor), ("data", "tensor"))
    types = cv.tree.map(lambda s: cv.ShapeDtypeStruct(s, "float32"), SHAPES, is_leaf=is_shape)
    tokens = cv.ShapeDtypeStruct((data * tensor, LENGTH + 1), "int32")
    closed = cv.make_jaxpr(partial(step, mesh=mesh))(types, types, types, tokens)
    state = (SPECS, SPECS, SPECS)
    return cost(closed, mesh, (*state, P("data")), (*state, P()), range(3))


def main() -> None:
    """Print the table."""
    print(f"{parameters() / 1e9:.2f} billion parameters, {LENGTH} words a device\n")
    print("| devices | data × tensor | arithmetic, TFLOP | sent over data, GB | over tensor, GB "
          "| operations a byte sent | state, GB | all memory, GB |")  # fmt: skip
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    for data, tensor in MESHES:
        c = cost_on(data, tensor)
        print(f"| {data * tensor:,} | {data} × {tensor} | {c.flops / 1e12:.0f} "
              f"| {c.sent(axis='data') / 1e9:.1f} | {c.sent(axis='tensor') / 1e9:.1f} "
              f"| {c.flops / c.bytes_sent:,.0f} | {c.argument_bytes / 1e9:.2f} "
              f"| {c.memory_bytes / 1e9:.1f} |")  # fmt: skip


if __name__ == "__main__":
    main()
