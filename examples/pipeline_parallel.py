"""Layers on different devices, as in a pipeline: while one computes on a part of a batch, the one
before it computes on the next part. Parts go on by `ppermute`, and backwards their derivatives."""

import os

os.environ.setdefault("COVECTOR_NUM_CPU_DEVICES", "4")
os.environ.setdefault("MPLBACKEND", "Agg")

from matplotlib import pyplot

import covector as cv
import covector.numpy as np
from covector import lax
from covector.sharding import AxisType
from covector.sharding import PartitionSpec as P

STAGES, PARTS, SIZE, WIDTH = 4, 8, 16, 32
TICKS = PARTS + STAGES - 1
mesh = cv.make_mesh((STAGES,), ("stage",), (AxisType.Auto,))
onwards = [(i, i + 1) for i in range(STAGES - 1)]


def layer(w, x):
    return x + np.tanh(x @ w)


def in_turn(w, x):
    """All layers on one device."""
    return lax.scan(lambda x, w: (layer(w, x), None), x.reshape(-1, WIDTH), w)[0].reshape(x.shape)


def pipeline(w, x):
    """The layer of one device, on one part after the other; and when it was at which part."""
    stage = lax.axis_index("stage")

    def tick(coming, t):
        part = t - stage
        busy = (part >= 0) & (part < PARTS)
        given = np.where(stage == 0, x[np.clip(t, 0, PARTS - 1)], coming)
        made = layer(w[0], given)
        return lax.ppermute(made, "stage", onwards), (made, np.where(busy, part, -1))

    nothing = lax.pcast(np.zeros((SIZE, WIDTH)), "stage", to="varying")
    _, (made, when) = lax.scan(tick, nothing, np.arange(TICKS))
    # The last device has the results, from the tick on at which the first part has come to it.
    found = np.where(stage == STAGES - 1, made[STAGES - 1 :], 0)
    return lax.psum(found, "stage"), when[None]


spread = cv.shard_map(pipeline, mesh=mesh, in_specs=(P("stage"), P()), out_specs=(P(), P("stage")))

keys = cv.random.split(cv.random.key(0), 3)
w = cv.random.normal(keys[0], (STAGES, WIDTH, WIDTH)) / WIDTH**0.5
x, wanted = cv.random.normal(keys[1], (2, PARTS, SIZE, WIDTH))
w = cv.device_put(w, cv.NamedSharding(mesh, P("stage")))

at_once = cv.jit(in_turn)(w, x)
piped, when = cv.jit(spread)(w, x)
print(f"largest difference from one device: {np.abs(at_once - piped).max():.1e}")
assert np.allclose(at_once, piped, atol=1e-5)


def loss(f):
    return cv.jit(cv.grad(lambda w: ((f(w) - wanted) ** 2).mean()))


one, many = loss(lambda w: in_turn(w, x))(w), loss(lambda w: spread(w, x)[0])(w)
print(f"derivative: largest difference {np.abs(one - many).max():.1e}, "
      f"it lies as {many.sharding.spec}")  # fmt: skip
assert np.allclose(one, many, atol=1e-6)

for stage, row in enumerate(when):
    print(f"device {stage}: " + " ".join(f"{k}" if k >= 0 else "." for k in row.tolist()))
print(f"{PARTS * STAGES} of {TICKS * STAGES} turns are used: {PARTS / TICKS:.0%}")
assert np.sum(when >= 0) == PARTS * STAGES

figure, axes = pyplot.subplots(figsize=(7, 2.6), layout="constrained")
axes.imshow(np.where(when >= 0, when, np.nan), cmap="Blues", vmin=-4, vmax=PARTS + 4)
for stage, row in enumerate(when.tolist()):
    for turn, part in enumerate(row):
        axes.text(turn, stage, f"{part}" if part >= 0 else "", ha="center", va="center")
axes.set(xlabel="turn", ylabel="device", title="which part of the batch is where")
figure.savefig("pipeline_parallel.png", dpi=120)
print("the schedule is in pipeline_parallel.png")
