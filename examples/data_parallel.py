"""A network that reads digits, trained on several devices: each has a part of every batch, all have
the parameters.

Twice: with `jit` over sharded arrays, where the compiler puts in what devices exchange, and with
`shard_map`, where the program says it. Both do what one device does.

    python data_parallel.py              # four devices of one process
    mpirun -n 2 python data_parallel.py  # one device in each of two processes
"""

import os

launched = "PMI_SIZE" in os.environ or "OMPI_COMM_WORLD_SIZE" in os.environ
os.environ.setdefault("COVECTOR_NUM_CPU_DEVICES", "1" if launched else "4")

from sklearn.datasets import load_digits

import covector as cv
import covector.numpy as np
from covector import lax
from covector.nn import log_softmax, relu
from covector.sharding import AxisType
from covector.sharding import PartitionSpec as P
from covector.tour.pictures import save

if launched:
    cv.distributed.initialize()
DEVICES, BATCH, STEPS = cv.device_count(), 256, 200
mesh = cv.make_mesh((DEVICES,), ("batch",), (AxisType.Auto,))
over_batch, everywhere = (cv.NamedSharding(mesh, s) for s in (P("batch"), P()))


digits = load_digits()
images, labels = (digits.data / 16).astype("float32"), digits.target.astype("int32")
TRAINED = 1500


def batch(i):
    """Some of the digits to train with, others for each step."""
    chosen = cv.random.randint(cv.random.fold_in(cv.random.key(1), i), (BATCH,), 0, TRAINED)
    return images[chosen], labels[chosen]


def init(key):
    keys = cv.random.split(key, 3)
    sizes = [(64, 64), (64, 64), (64, 10)]
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
    return cv.tree.map(lambda p, d: p - 0.5 * d, params, g)


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
        x, y = put(batch(i), over_batch)
        params, value = step(params, x, y)
        losses.append(float(value))
    return params, losses


one, alone = train(step, lambda x, where: x)
many, together = train(step, cv.device_put)
hand, by_hand = train(step_by_hand, cv.device_put)
first = cv.process_index() == 0
if first:
    print(f"loss after {STEPS} steps: {alone[-1]:.5f} on one device, {together[-1]:.5f} on "
          f"{DEVICES} by jit, {by_hand[-1]:.5f} by shard_map")  # fmt: skip
# Rounding errors grow from step to step, and jump where a rectifier is on in one and not in the
# other.
assert np.allclose(np.array(alone[:50]), np.array(together[:50]), rtol=1e-4)
assert np.allclose(np.array(alone[:25]), np.array(by_hand[:25]), rtol=1e-4)
assert abs(alone[-1] - by_hand[-1]) < 0.01
said = np.argmax(logits(many, images[TRAINED:]), 1)
right = said == labels[TRAINED:]
accuracy = np.mean(right)
assert accuracy > 0.9
if first:
    print(f"{100 * accuracy:.1f} % of the digits that it has not seen are read right")
    shown = images[TRAINED : TRAINED + 128].reshape(128, 8, 8)
    shown = np.where(right[:128, None, None], shown, 1 - shown)
    save("data_parallel.png", shown.reshape(8, 16, 8, 8).transpose(0, 2, 1, 3).reshape(64, 128))
    print("some of them are in data_parallel.png, those that are read wrong in white")
