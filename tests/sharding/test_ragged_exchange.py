"""`lax.ragged_all_to_all`: slices of different sizes, sent along an axis."""

import re

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.sharding import AxisType
from covector.sharding import PartitionSpec as P

N, ROWS, OUT = 4, 24, 32


def plan(seed, slices=1, n=N, groups=None):
    """Slices for each pair, that do not overlap in what is sent and received."""
    rng = onp.random.default_rng(seed)
    groups = [list(range(n))] if groups is None else groups
    k = slices * len(groups[0])
    starts, sizes, to, received = (onp.zeros((n, k), "int32") for _ in range(4))
    for group in groups:
        used = dict.fromkeys(group, 0)
        for i in group:
            sizes[i] = rng.integers(0, ROWS // k + 1, k)
            starts[i] = onp.cumsum([0, *sizes[i][:-1]]) + rng.integers(0, 2)
            starts[i] = onp.minimum(starts[i], ROWS - sizes[i])
        for a, i in enumerate(group):
            for b, j in enumerate(group):
                for s in range(slices):
                    to[i, b * slices + s] = used[j]
                    received[j, a * slices + s] = sizes[i, b * slices + s]
                    used[j] += sizes[i, b * slices + s]
    return starts, sizes, to, received


def by_hand(operand, output, starts, sizes, to, received, groups=None):
    """What the slices make of the outputs, one after the other."""
    out = onp.array(output)
    groups = [list(range(len(operand)))] if groups is None else groups
    for group in groups:
        slices = starts.shape[1] // len(group)
        for i in group:
            for m in range(starts.shape[1]):
                j = group[m // slices]
                piece = operand[i, starts[i, m] : starts[i, m] + sizes[i, m]]
                out[j, to[i, m] : to[i, m] + sizes[i, m]] = piece
    return out


def values(*more, dtype="float32"):
    operand = onp.arange(1, 1 + N * ROWS * onp.prod(more, dtype=int))
    output = -onp.arange(N * OUT * onp.prod(more, dtype=int))
    operand, output = operand.astype(dtype), output.astype(dtype)
    if dtype == "bool":
        output = ~output
    return operand.reshape(N, ROWS, *more), output.reshape(N, OUT, *more)


def along_vmap(**options):
    return cv.vmap(lambda *xs: lax.ragged_all_to_all(*xs, axis_name="x", **options), axis_name="x")


def along_devices(**options):
    mesh = cv.make_mesh((N, 2), ("x", "y"), (AxisType.Auto,) * 2)

    def f(*xs):
        return lax.ragged_all_to_all(*[x[0] for x in xs], axis_name="x", **options)[None]

    return cv.shard_map(f, mesh=mesh, in_specs=P("x"), out_specs=P("x"))


HOW = {"vmap": along_vmap, "shard_map": along_devices}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize(
    ("seed", "slices", "more", "dtype"),
    [(0, 1, (), "float32"), (1, 2, (3,), "int32"), (2, 1, (2, 2), "complex64"), (3, 3, (), "bool")],
)
def test_slices_go_where_they_are_sent(how, jitted, seed, slices, more, dtype):
    operand, output = values(*more, dtype=dtype)
    args = plan(seed, slices)
    f = HOW[how]()
    out = (cv.jit(f) if jitted else f)(operand, output, *args)
    wanted = by_hand(operand, output, *args)
    assert (wanted != output).any()
    onp.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("how", HOW)
def test_in_groups(how):
    groups = [[0, 2], [3, 1]]
    operand, output = values(2)
    args = plan(5, 2, groups=groups)
    out = HOW[how](axis_index_groups=groups)(operand, output, *args)
    onp.testing.assert_array_equal(out, by_hand(operand, output, *args, groups=groups))


def test_along_several_axes():
    operand, output = values()
    args = plan(6)
    f = lambda *xs: lax.ragged_all_to_all(*xs, axis_name=("a", "b"))  # noqa: E731
    folded = [x.reshape(2, 2, *x.shape[1:]) for x in (operand, output, *args)]
    out = cv.vmap(cv.vmap(f, axis_name="b"), axis_name="a")(*folded)
    onp.testing.assert_array_equal(out.reshape(N, OUT), by_hand(operand, output, *args))


def test_under_a_further_vmap():
    operand, output = values()
    plans = [plan(seed) for seed in (7, 8)]
    args = [onp.stack(each) for each in zip(*plans, strict=True)]
    out = cv.vmap(along_devices(), in_axes=(None, None, 0, 0, 0, 0))(operand, output, *args)
    for found, p in zip(out, plans, strict=True):
        onp.testing.assert_array_equal(found, by_hand(operand, output, *p))


@pytest.mark.parametrize("how", HOW)
def test_derivatives(how):
    with cv.enable_x64():
        operand, output = values(2, dtype="float64")
        args = plan(9, 2)
        f = HOW[how]()
        g = lambda a, b: np.sum(np.sin(f(a / 50, b / 50, *args)))  # noqa: E731
        cv.test_util.check_grads(g, (operand, output), order=2, modes=("fwd", "rev"))
        # What is written over has no part in the result.
        _, back = cv.grad(lambda a, b: f(a, b, *args).sum(), (0, 1))(operand, output)
        written = by_hand(operand, output, *args) > 0
        onp.testing.assert_array_equal(back == 0, written)


def test_nothing_to_exchange():
    operand, output = values()
    args = plan(10)
    f = along_vmap()
    onp.testing.assert_array_equal(f(operand[:, :0], output, *[0 * a for a in args]), output)
    assert f(operand, output[:, :0], *args).shape == (N, 0)


def test_offsets_out_of_bounds_read_nothing_else():
    operand, output = values()
    starts, sizes, to, received = plan(11)
    out = along_vmap()(operand, output, starts + 1000, sizes, to, received)
    assert onp.isin(out, onp.concatenate([operand.ravel(), output.ravel()])).all()


def test_it_is_a_primitive_too():
    operand, output = values()
    args = plan(12)
    f = cv.vmap(lambda *xs: lax.ragged_all_to_all_p.bind(*xs, axis_name="x"), axis_name="x")
    onp.testing.assert_array_equal(f(operand, output, *args), by_hand(operand, output, *args))


def fails(error, text, *args, **options):
    with pytest.raises(error, match=re.escape(text)) as info:
        along_vmap(**options)(*args)
    assert "test_ragged_exchange.py" in str(info.value)


def test_errors():
    operand, output = values(2)
    args = plan(13)
    fails(TypeError, "must have one dtype, got float32[24,2] and int32[32,2]",
          operand, output.astype("int32"), *args)  # fmt: skip
    fails(ValueError, "the same shape but for the first axis, got float32[24,2] and float32[32,1]",
          operand, output[..., :1], *args)  # fmt: skip
    fails(TypeError, "send_sizes must hold integers", operand, output, args[0],
          args[1].astype("float32"), *args[2:])  # fmt: skip
    fails(ValueError, "a multiple of the size of the axis, 4, got input_offsets of the shape (3,)",
          operand, output, *[a[:, :3] for a in args])  # fmt: skip
    fails(ValueError, "recv_sizes of the shape (8,)", operand, output, *args[:3],
          onp.concatenate([args[3]] * 2, 1))  # fmt: skip
    fails(ValueError, "the axis_index_groups must be of one size", operand, output, *args,
          axis_index_groups=[[0], [1, 2, 3]])  # fmt: skip
    with pytest.raises(NameError, match="unbound axis name: 'z'"):
        lax.ragged_all_to_all(operand[0], output[0], *[a[0] for a in args], axis_name="z")
