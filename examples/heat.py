"""The heat equation on a plate, cut into blocks of rows: each device has one, and neighbours
exchange the rows at the edges.

    python heat.py              # four devices of one process
    mpirun -n 2 python heat.py  # one device in each of two processes
"""

import os

launched = "PMI_SIZE" in os.environ or "OMPI_COMM_WORLD_SIZE" in os.environ
os.environ.setdefault("COVECTOR_NUM_CPU_DEVICES", "1" if launched else "4")

import time

import covector as cv
import covector.numpy as np
from covector import lax
from covector.sharding import AxisType
from covector.sharding import PartitionSpec as P
from covector.tour.pictures import save

if launched:
    cv.distributed.initialize()
DEVICES = cv.device_count()
N, STEPS, K = 512, 400, 0.24

mesh = cv.make_mesh((DEVICES,), ("rows",), (AxisType.Auto,))
down = [(i, i + 1) for i in range(DEVICES - 1)]
up = [(b, a) for a, b in down]


def neighbours(u):
    """The block with a row of each neighbour above and below; outside of the plate it is cold."""
    above = lax.ppermute(u[-1:], "rows", down)
    below = lax.ppermute(u[:1], "rows", up)
    return np.pad(np.concatenate([above, u, below]), ((0, 0), (1, 1)))


def step(u):
    v = neighbours(u)
    return u + K * (v[:-2, 1:-1] + v[2:, 1:-1] + v[1:-1, :-2] + v[1:-1, 2:] - 4 * u)


@cv.jit
@cv.shard_map(mesh=mesh, in_specs=P("rows"), out_specs=(P("rows"), P()))
def simulate(u):
    u = lax.fori_loop(0, STEPS, lambda i, u: step(u), u)
    return u, lax.psum(u.sum(), "rows")


x = np.linspace(-1, 1, N)
hot = ((x[:, None] + 0.3) ** 2 + (x - 0.2) ** 2 < 0.1) | (np.abs(x[:, None] - 0.5) + abs(x) < 0.2)
plate = cv.device_put(hot.astype(np.float32), cv.NamedSharding(mesh, P("rows")))
for shard in plate.addressable_shards:
    print(f"{shard.device}: rows {shard.index[0].start or 0} to {shard.index[0].stop}")

start = time.perf_counter()
after, heat = cv.block_until_ready(simulate(plate))
seconds = time.perf_counter() - start
first = cv.process_index() == 0
if first:
    print(f"{STEPS} steps of {N} x {N} in {seconds:.2f} s with compilation")
left = heat / plate.sum()
if first:
    print(f"heat left: {left:.4f} of what there was; sharding {after.sharding.spec}")

# The same on one device.
one = hot.astype(np.float32)
for _ in range(3):
    v = np.pad(one, 1)
    one = one + K * (v[:-2, 1:-1] + v[2:, 1:-1] + v[1:-1, :-2] + v[1:-1, 2:] - 4 * one)
three = cv.shard_map(
    lambda u: step(step(step(u))), mesh=mesh, in_specs=P("rows"), out_specs=P("rows")
)(plate)
assert np.allclose(one, three, atol=1e-6)

# All of it on each device, to be looked at.
plates = cv.device_put(np.concatenate([plate, after], axis=1), cv.NamedSharding(mesh, P()))
if first:
    save("heat.png", plates)
    print("the plate before and after is in heat.png")
