"""A network trained on several devices: each has a part of every batch, all have the parameters.

Twice: with `jit` over sharded arrays, where the compiler puts in what devices exchange, and with
`shard_map`, where the program says it. Both do what one device does."""

import os

os.environ.setdefault("COVECTOR_NUM_CPU_DEVICES", "4")

import covector as cv
import covector.numpy as np
from covector import lax
from covector.nn import log_softmax, relu
from covector.sharding import AxisType
from covector.sharding import PartitionSpec as P
from covector.tour.pictures import save

DEVICES, BATCH, STEPS = 4, 256, 60
mesh = cv.make_mesh((DEVICES,), ("batch",), (AxisType.Auto,))
over_batch, everywhere = (cv.NamedSharding(mesh, s) for s in (P("batch"), P()))


def points(key, n):
    """Points of the plane in three arms of a spiral, and which arm each is in."""
    arm, place, noise = cv.random.split(key, 3)
    labels = cv.random.randint(arm, (n,), 0, 3)
    r = cv.random.uniform(place, (n,), minval=0.1)
    angle = 4 * r + labels * (2 * np.pi / 3) + 0.15 * cv.random.normal(noise, (n,))
    return np.stack([r * np.cos(angle), r * np.sin(angle)], 1), labels


def init(key):
    keys = cv.random.split(key, 3)
    sizes = [(2, 64), (64, 64), (64, 3)]
    return [
        (cv.random.normal(k, s) * (2 / s[0]) ** 0.5, np.zeros(s[1]))
        for k, s in zip(keys, sizes, strict=True)
    ]


def logits(params, x):
    for w, b in params[:-1]:
        x = relu(x @ w + b)
    w, b = params[-1]
    return x @ w + b


def loss(params, x, y):
    return -np.mean(np.take_along_axis(log_softmax(logits(params, x)), y[:, None], 1))


def update(params, g):
    return cv.tree.map(lambda p, d: p - 0.3 * d, params, g)


@cv.jit
def step(params, x, y):
    value, g = cv.value_and_grad(loss)(params, x, y)
    return update(params, g), value


@cv.jit
@cv.shard_map(mesh=mesh, in_specs=(P(), P("batch"), P("batch")), out_specs=(P(), P()))
def step_by_hand(params, x, y):
    # The parameters are the same on all devices, so that their derivatives are sums over all.
    value, g = cv.value_and_grad(lambda p: lax.pmean(loss(p, x, y), "batch"))(params)
    return update(params, g), value


def train(step, put):
    params = put(init(cv.random.key(0)), everywhere)
    losses = []
    for i in range(STEPS):
        x, y = put(points(cv.random.fold_in(cv.random.key(1), i), BATCH), over_batch)
        params, value = step(params, x, y)
        losses.append(float(value))
    return params, losses


one, alone = train(step, lambda x, where: x)
many, together = train(step, cv.device_put)
hand, by_hand = train(step_by_hand, cv.device_put)
print(f"loss after {STEPS} steps: {alone[-1]:.5f} on one device, {together[-1]:.5f} on {DEVICES} "
      f"by jit, {by_hand[-1]:.5f} by shard_map")  # fmt: skip
assert np.allclose(np.array(alone), np.array(together), rtol=1e-4)
assert np.allclose(np.array(alone), np.array(by_hand), rtol=1e-3)
x, y = points(cv.random.key(9), 2000)
accuracy = np.mean(np.argmax(logits(many, x), 1) == y)
print(f"{100 * accuracy:.1f} % of new points are right")
assert accuracy > 0.9

side = np.linspace(-1.1, 1.1, 300)
plane = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
save("data_parallel.png", np.argmax(logits(many, plane), 1).reshape(300, 300) / 2)
print("what the network says of the plane is in data_parallel.png")
