"""Cases of the property tables, and random ways to split what they take and give."""

import numpy as onp

import covector as cv
from covector.sharding import PartitionSpec
from tests import property_tables

TABLE = {**property_tables.CASES, **property_tables.DISCRETE}
# They name a mesh of their own.
PLACED = {
    "shard_map", "pcast", "reshard", "sharding_constraint",
    "host_local_array_to_global_array", "global_array_to_host_local_array",
}  # fmt: skip
NAMES = [n for n in TABLE if n.split(" ")[0] not in PLACED]


def batched(name, size):
    """A case on a batch of its arguments."""
    case = TABLE[name]
    return cv.vmap(case.fun), tuple(onp.stack([x] * size) for x in case.args)


def specs_for(rng, arrays, mesh):
    """Random specs that divide arrays."""
    sizes = dict(mesh.shape)
    found = []
    for x in arrays:
        axes = [str(a) for a in rng.permutation(list(sizes))]
        parts = []
        for n in x.shape:
            taken = []
            while axes and rng.uniform() < 0.7 and n and n % sizes[axes[0]] == 0:
                n //= sizes[axes[0]]
                taken.append(axes.pop(0))
            parts.append(tuple(taken) or None)
        found.append(PartitionSpec(*parts))
    return found


def check_equal(x, want, rtol, atol, message):
    """A result, or a block of it, is what it is to be."""
    assert x.shape == want.shape, message
    got = onp.asarray(x)
    if got.dtype.kind in "fcV":
        onp.testing.assert_allclose(got.astype(want.dtype), want, rtol, atol, err_msg=message)
    else:
        onp.testing.assert_array_equal(got, want, err_msg=message)
