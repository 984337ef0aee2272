"""Attention over a sequence that is split over devices: blocks of keys and values go round a ring,
while each device keeps its queries and what it has summed up so far.

    python ring_attention.py              # four devices of one process
    mpirun -n 2 python ring_attention.py  # one device in each of two processes
"""

import os

launched = "PMI_SIZE" in os.environ or "OMPI_COMM_WORLD_SIZE" in os.environ
os.environ.setdefault("COVECTOR_NUM_CPU_DEVICES", "1" if launched else "4")

import covector as cv
import covector.numpy as np
from covector import lax
from covector.nn import softmax
from covector.sharding import AxisType
from covector.sharding import PartitionSpec as P
from covector.tour.pictures import save

if launched:
    cv.distributed.initialize()
DEVICES, LENGTH, HEADS, SIZE = cv.device_count(), 256, 4, 32
mesh = cv.make_mesh((DEVICES,), ("ring",), (AxisType.Auto,))
around = [(i, (i + 1) % DEVICES) for i in range(DEVICES)]


def attention(q, k, v):
    """All of it at once; each query sees the keys before it."""
    scores = np.einsum("qhd,khd->hqk", q, k) / SIZE**0.5
    seen = np.arange(len(q))[:, None] >= np.arange(len(k))
    return np.einsum("hqk,khd->qhd", softmax(np.where(seen, scores, -np.inf)), v)


def ring(q, k, v):
    """The same on a block of queries, with one block of keys and values at a time."""
    me, n = lax.axis_index("ring"), len(q)
    rows = me * n + np.arange(n)

    def turn(state, i):
        k, v, largest, total, out = state
        scores = np.einsum("qhd,khd->hqk", q, k) / SIZE**0.5
        columns = (me - i) % DEVICES * n + np.arange(n)
        scores = np.where(rows[:, None] >= columns, scores, -np.inf)
        new = np.maximum(largest, scores.max(-1))
        safe = np.where(np.isfinite(new), new, 0)
        weights = np.exp(scores - safe[..., None])
        shrink = np.exp(largest - safe)
        total = total * shrink + weights.sum(-1)
        out = out * shrink[..., None] + np.einsum("hqk,khd->hqd", weights, v)
        k, v = (lax.ppermute(x, "ring", around) for x in (k, v))
        return (k, v, new, total, out), None

    nothing = np.zeros((HEADS, n))
    state = (k, v, nothing - np.inf, nothing, np.zeros((HEADS, n, SIZE)))
    (_, _, _, total, out), _ = lax.scan(turn, state, np.arange(DEVICES))
    return np.einsum("hqd->qhd", out / total[..., None])


spread = cv.shard_map(ring, mesh=mesh, in_specs=P("ring"), out_specs=P("ring"))
keys = cv.random.split(cv.random.key(0), 3)
q, k, v = (cv.random.normal(key, (LENGTH, HEADS, SIZE)) for key in keys)

whole, parts = cv.jit(attention)(q, k, v), cv.jit(spread)(q, k, v)
show = print if cv.process_index() == 0 else lambda text: None
show(f"of {parts.shape}, a device has {parts.addressable_shards[0].data.shape}")
show(f"largest difference from attention at once: {np.abs(whole - parts).max():.1e}")
assert np.allclose(whole, parts, atol=1e-5)

loss = lambda f: cv.jit(cv.grad(lambda q, k, v: (f(q, k, v) ** 2).sum(), (0, 1, 2)))  # noqa: E731
for name, a, b in zip("qkv", loss(attention)(q, k, v), loss(spread)(q, k, v), strict=True):
    show(f"derivative by {name}: largest difference {np.abs(a - b).max():.1e}")
    assert np.allclose(a, b, atol=1e-4)

head = cv.device_put(parts[:, 0, :], cv.NamedSharding(mesh, P()))
if cv.process_index() == 0:
    save("ring_attention.png", head)
show("the first head of the result is in ring_attention.png")
