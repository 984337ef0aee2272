"""The factors of operations: what they say of blocks is true.

A factor that is in a dimension of operands and of results says that a device which has a block of
the former computes the block of the latter; one that results do not have, that it computes a term
of a sum. Each is tried on the equations of the property tables and of batches of their arguments.
"""

import zlib

import numpy as onp
import pytest

import covector as cv
from covector.core.avals import ShapedArray, aval_of
from covector.core.jaxpr import Literal, all_jaxprs
from covector.core.rules import collective_rules
from covector.core.structural import reduce_sum_p
from covector.primitives.dot import dot_general_p
from covector.primitives.sorting import search_p
from covector.sharding import AxisType, NamedSharding, propagate
from covector.sharding import PartitionSpec as P
from covector.sharding.factors import factor_rules, find_rule
from covector.sharding.propagate import forward
from tests import property_tables

TABLE = {**property_tables.CASES, **property_tables.DISCRETE}
# Their results are positions, of a block others; or they run along devices alone.
OTHER = {"iota", "argmax", "argmin", *(p.name for p in collective_rules)}


@pytest.fixture
def interpreted():
    """What is computed is in question here, not how: by NumPy, which compiles nothing."""
    with cv.default_device(cv.devices("toy")[0]):
        yield


def equations(case):
    """The first-order equations of a case, with values of their operands."""
    found = [cv.make_jaxpr(case.fun)(*case.args)]
    if case.batch:
        found.append(cv.make_jaxpr(cv.vmap(case.fun))(*[onp.stack([x, x]) for x in case.args]))
    for inner in [j for closed in found for j in all_jaxprs(closed.jaxpr)]:
        for eqn in inner.eqns:
            if find_rule(eqn.primitive) and eqn.primitive.name not in OTHER:
                yield eqn


def values(eqn, rng):
    out = []
    for a in eqn.invars:
        if isinstance(a, Literal):
            out.append(onp.asarray(a.val, a.aval.dtype))
            continue
        dtype = a.aval.dtype
        if dtype.kind in "iu":
            out.append(rng.integers(0, 2, a.aval.shape).astype(dtype))
        elif dtype.kind == "b":
            out.append(rng.integers(0, 2, a.aval.shape).astype(bool))
        else:
            x = rng.uniform(0.2, 0.8, a.aval.shape)
            out.append(x.astype(dtype) if dtype.kind != "c" else (x + 1j * x).astype(dtype))
    if eqn.primitive is search_p:  # in what is in order
        out[0] = onp.sort(out[0])
    return out


def blocks(x, dims, factor, n):
    """``x`` cut along the dimension that the factor is, or in no pieces; None if it cannot be."""
    for k, dim in enumerate(dims):
        if factor in dim:
            if dim != (factor,):
                return None
            return onp.split(onp.asarray(x), n, k)
    return [x] * n


def joined(parts, dims, factor):
    for k, dim in enumerate(dims):
        if factor in dim:
            return onp.concatenate([onp.asarray(p) for p in parts], k)
    return None


def tried(eqn, args):
    """How many factors of an equation were found true."""
    outs = [v.aval for v in eqn.outvars]
    factors = find_rule(eqn.primitive)([aval_of(x) for x in args], outs, eqn.params)
    bind = eqn.primitive.bind_params
    whole = bind(args, eqn.params)
    whole = whole if eqn.primitive.multiple_results else [whole]
    count = 0
    for factor, size in enumerate(factors.sizes):
        if size < 2 or factor in factors.whole:
            continue
        summed = factor in factors.summed
        if summed and eqn.primitive not in (dot_general_p, reduce_sum_p):
            continue
        cut = [blocks(x, d, factor, size) for x, d in zip(args, factors.operands, strict=True)]
        if any(c is None for c in cut):
            continue
        parts = []
        for each in zip(*cut, strict=True):
            try:
                avals, _ = eqn.primitive.infer([aval_of(x) for x in each], eqn.params)
            except (TypeError, ValueError):
                break  # its parameters say sizes, which the partitioner changes
            wanted = [
                tuple([1 if factor in d else n for n, d in zip(a.shape, dims, strict=True)])
                for a, dims in zip(outs, factors.results, strict=True)
            ]
            if [a.shape for a in avals] != wanted:
                break
            out = bind(list(each), eqn.params)
            parts.append(out if eqn.primitive.multiple_results else [out])
        if len(parts) < size:
            continue
        for k, (x, dims) in enumerate(zip(whole, factors.results, strict=True)):
            got = [p[k] for p in parts]
            found = sum(map(onp.asarray, got)) if summed else joined(got, dims, factor)
            if found is None:
                found = onp.asarray(got[0])
            if onp.asarray(x).dtype.kind in "fc":
                onp.testing.assert_allclose(found, x, rtol=1e-6, atol=1e-6, err_msg=str(eqn))
            else:
                onp.testing.assert_array_equal(found, x, err_msg=str(eqn))
        count += 1
    return count


@pytest.mark.parametrize("name", TABLE)
def test_blocks_of_operands_give_blocks_of_results(name, interpreted):
    rng = onp.random.default_rng(zlib.crc32(name.encode()))
    seen = set()
    with cv.enable_x64():
        for eqn in equations(TABLE[name]):
            key = (eqn.primitive, str(eqn.params), tuple(a.aval.shape for a in eqn.invars))
            if key not in seen and all(a.aval.dtype.kind in "iufcb" for a in eqn.invars):
                seen.add(key)
                tried(eqn, values(eqn, rng))


def test_most_rules_are_tried(interpreted):
    rng = onp.random.default_rng(0)
    found: dict = {}
    with cv.enable_x64():
        for name in ("add", "dot_general", "reduce_sum", "transpose", "cumsum", "sort", "select_n",
                     "gather", "cholesky", "fft", "concatenate", "rev", "pad"):  # fmt: skip
            for case_name, case in TABLE.items():
                if case_name.split(" ")[0] == name:
                    for eqn in equations(case):
                        if eqn.primitive.name == name:
                            n = tried(eqn, values(eqn, rng))
                            found[name] = found.get(name, 0) + n
    assert {k for k, v in found.items() if v > 0} == set(found)
    assert len(found) >= 8


@pytest.mark.parametrize("name", TABLE)
def test_shardings_of_results_divide_them(name):
    """Whatever the split of the operands, that of the results fits."""
    mesh = cv.make_mesh((2, 3), ("x", "y"), (AxisType.Auto,) * 2)
    sizes = dict(mesh.shape)
    rng = onp.random.default_rng(zlib.crc32(name.encode()))
    with cv.enable_x64():
        closed = cv.make_jaxpr(TABLE[name].fun)(*TABLE[name].args)
        for inner in all_jaxprs(closed.jaxpr):
            for eqn in inner.eqns:
                splits = []
                for a in eqn.invars:
                    axes = list(rng.permutation(["x", "y"]))
                    split = []
                    for n in a.aval.shape:
                        fits = [s for s in axes if n % sizes[s] == 0 and n]
                        split.append((str(fits[0]),) if fits else ())
                        axes = [s for s in axes if s not in fits[:1]]
                    splits.append(tuple(split))
                for v, out in zip(eqn.outvars, forward(eqn, splits, sizes), strict=True):
                    spec = propagate.spec_of(out)
                    NamedSharding(mesh, spec).shard_shape(v.aval.shape)


def test_a_dimension_that_is_several():
    rule = factor_rules[cv.lax.reshape_p]

    def of(a, b):
        f = rule([ShapedArray(a, "float32")], [ShapedArray(b, "float32")], {})
        return [[f.sizes[k] for k in d] for d in f.operands[0]], [
            [f.sizes[k] for k in d] for d in f.results[0]
        ]

    assert of((6, 4), (24,)) == ([[6], [4]], [[6, 4]])
    assert of((24,), (6, 4)) == ([[6, 4]], [[6], [4]])
    assert of((2, 6, 5), (4, 3, 5)) == ([[2], [2, 3], [5]], [[2, 2], [3], [5]])
    assert of((1, 8), (8, 1)) == ([[], [8]], [[8], []])
    assert of((3, 4), (2, 6))[0] == [[3], [4]]


def test_axes_of_a_dimension_split_its_factors_in_order():
    mesh = cv.make_mesh((4, 2), ("x", "y"), (AxisType.Auto,) * 2)
    x = cv.device_put(onp.zeros((8, 3), "float32"), NamedSharding(mesh, P(("x", "y"))))
    assert x.reshape(4, 2, 3).sharding.spec == P("x", "y")
    assert x.reshape(24).sharding.spec == P(("x", "y"))
    assert x.reshape(2, 12).sharding.spec == P()
