"""A transformer's block whose heads and hidden units are split over devices: the first matrix of
each pair by columns, the second by rows, so that two sums over devices are all that is sent."""

import os

os.environ.setdefault("COVECTOR_NUM_CPU_DEVICES", "4")

import covector as cv
import covector.numpy as np
from covector.nn import gelu, softmax
from covector.sharding import AxisType
from covector.sharding import PartitionSpec as P
from covector.tour.pictures import save

DEVICES, BATCH, LENGTH, WIDTH, HEADS = 4, 8, 64, 128, 8
SIZE = WIDTH // HEADS
mesh = cv.make_mesh((DEVICES,), ("tensor",), (AxisType.Auto,))

specs = {
    "qkv": P(None, None, "tensor"),  # by columns: each device has some heads
    "out": P("tensor"),  # by rows: the sum over heads is a sum over devices
    "up": P(None, "tensor"),
    "down": P("tensor"),
}
shapes = {
    "qkv": (3, WIDTH, HEADS, SIZE),
    "out": (HEADS, SIZE, WIDTH),
    "up": (WIDTH, 4 * WIDTH),
    "down": (4 * WIDTH, WIDTH),
}


def norm(x):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)


def attention(w, x):
    """What each place looks at, and what it finds there."""
    q, k, v = np.einsum("bsd,cdhk->cbhsk", norm(x), w["qkv"])
    scores = np.einsum("bhqk,bhsk->bhqs", q, k) / SIZE**0.5
    seen = np.arange(LENGTH)[:, None] >= np.arange(LENGTH)
    weights = softmax(np.where(seen, scores, -np.inf))
    return weights, np.einsum("bhqs,bhsk,hkd->bqd", weights, v, w["out"])


def block(w, x):
    x = x + attention(w, x)[1]
    return x + gelu(norm(x) @ w["up"]) @ w["down"]


def loss(w, x):
    return (block(w, x) ** 2).mean()


keys = cv.random.split(cv.random.key(0), len(shapes) + 1)
w = {
    name: cv.random.normal(key, shape) * (2.0 if name == "qkv" else 1.0) / WIDTH**0.5
    for key, (name, shape) in zip(keys, shapes.items(), strict=False)
}
x = cv.random.normal(keys[-1], (BATCH, LENGTH, WIDTH))

where = {name: cv.NamedSharding(mesh, spec) for name, spec in specs.items()}
everywhere = cv.NamedSharding(mesh, P())
step = cv.jit(
    cv.value_and_grad(loss), in_shardings=(where, everywhere), out_shardings=(everywhere, where)
)
parts = cv.device_put(w, where)
for name, part in parts.items():
    print(f"of {name} {part.shape}, a device has {part.addressable_shards[0].data.shape}")

alone, derivative = cv.jit(cv.value_and_grad(loss))(w, x)
together, split = step(parts, cv.device_put(x, everywhere))
print(f"loss: {alone:.6f} on one device, {together:.6f} on {DEVICES}")
assert np.allclose(alone, together, rtol=1e-5)
for name, g in split.items():
    assert g.sharding.is_equivalent_to(where[name], g.ndim)
    assert np.allclose(g, derivative[name], atol=1e-5)

compiled = cv.jit(block, out_shardings=everywhere).lower(parts, x).compile()
found = compiled.cost_analysis()
sent = found["bytes sent, all-reduce over tensor"]
print(f"forwards, each device computes {found['flops'] / 1e6:.0f} million operations and sends "
      f"{sent:,.0f} bytes")  # fmt: skip
assert sent == 2 * 2 * (DEVICES - 1) / DEVICES * x.nbytes

weights, _ = attention(w, x)
rows = weights[0].reshape(DEVICES, HEADS // DEVICES * LENGTH, LENGTH)
save("tensor_parallel.png", np.sqrt(np.concatenate(list(rows), 1)), scale=2)
print(
    "what places look at is in tensor_parallel.png: a column a device, its heads below each other"
)
