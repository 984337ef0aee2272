"""Random programs: compiled, eager and NumPy results agree."""

import functools

import numpy as onp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import covector as cv
import covector.numpy as np
from covector import lax

# Each operation takes a library (NumPy or covector.numpy), a list of arrays of the program so
# far and three numbers in [0, 1) that choose operands and parameters.


def pick(values, u):
    return values[int(u * len(values))]


def axis_of(x, u):
    return int(u * x.ndim)


def soft(n, x):
    """Something bounded, so that values do not blow up."""
    return x / (1 + n.abs(x))


def binary(name):
    def op(n, values, a, b, c):
        x, y = pick(values, a), pick(values, b)
        if x.shape != y.shape:
            y = onp.float32(2 * c - 1)
        return getattr(n, name)(x, y)

    return op


def unary(f):
    return lambda n, values, a, b, c: f(n, pick(values, a))


def on_axis(f):
    """An operation along an axis of an array that has one."""

    def op(n, values, a, b, c):
        x = pick(values, a)
        return f(n, x, axis_of(x, b), c) if x.ndim else None

    return op


def slice_(n, x, axis, c):
    start = int(c * x.shape[axis])
    index = [slice(None)] * x.ndim
    index[axis] = slice(start, None, 1 + int(3 * c))
    return x[tuple(index)]


def update(n, x, axis, c):
    if not x.shape[0]:
        return None
    k = int(c * x.shape[0])
    if n is onp:
        out = x.copy()
        out[k] = -2 * x[0]
        return out
    return x.at[k].set(-2 * x[0])


def add_at(n, x, axis, c):
    if not x.shape[0]:
        return None
    index = onp.array([0, int(c * x.shape[0]), 0])
    if n is onp:
        out = x.copy()
        onp.add.at(out, index, 1.5)
        return out
    return x.at[index].add(1.5)


def scan(n, x, axis, c):
    if n is onp:
        carry, rows = onp.zeros(x.shape[1:], x.dtype), []
        for row in x:
            carry = carry * 0.5 + row
            rows.append(carry * 2)
        return onp.stack(rows) if rows else x * 2
    step = lambda s, r: (s * 0.5 + r, (s * 0.5 + r) * 2)  # noqa: E731
    return lax.scan(step, n.zeros(x.shape[1:]), x)[1]


def repeat(n, values, a, b, c):
    x, count = pick(values, a), int(4 * b)
    if n is onp:
        for i in range(count):
            x = x * 0.5 + i
        return x
    return lax.fori_loop(0, count, lambda i, y: y * 0.5 + i, x)


def choose(n, values, a, b, c):
    x = pick(values, a)
    if n is onp:
        return x * 2 if c > 0.5 else x - 1
    return lax.cond(np.float32(c) > 0.5, lambda y: y * 2, lambda y: y - 1, x)


def rounds_of_branches(n, values, a, b, c):
    """Branches that return, update and exchange what a loop carries."""
    x = pick(values, a)
    if not x.ndim or not x.shape[0]:
        return None
    last, odd = x.shape[0] - 1, int(2 * b)
    if n is onp:
        p, q = x.copy(), soft(n, x)
        for i in range(4):
            if i % 2 == odd:
                p[min(i, last)] = q[last] * 0.5
            elif c > 0.6:
                p, q = q, p.copy()
            elif c > 0.3:
                q = soft(n, p) - q
        return n.concatenate([p, q])

    def update(p, q, i):
        return p.at[n.minimum(i, last)].set(q[last] * 0.5), q

    def other(p, q, i):
        return (q, p) if c > 0.6 else (p, soft(n, p) - q) if c > 0.3 else (p, q)

    def body(i, s):
        return lax.cond(i % 2 == odd, update, other, *s, i)

    return n.concatenate(lax.fori_loop(0, 4, body, (x, soft(n, x))))


def gram(n, values, a, b, c):
    x = soft(n, pick(values, a))
    return x @ x.T if x.ndim == 2 else None


def product_of_parts(n, values, a, b, c):
    x = soft(n, pick(values, a))
    if x.ndim != 2:
        return None
    rows, columns = int((1 + b) / 2 * x.shape[0]), int((1 + c) / 2 * x.shape[1])
    return x[:rows, :columns] @ x[:rows, :columns].T


OPERATIONS = {
    "add": binary("add"), "multiply": binary("multiply"), "maximum": binary("maximum"),
    "subtract": binary("subtract"),
    "neg": unary(lambda n, x: -x), "soft": unary(soft), "tanh": unary(lambda n, x: n.tanh(x)),
    "exp": unary(lambda n, x: n.exp(-n.abs(x))),
    "where": lambda n, v, a, b, c: n.where(pick(v, a) > c - 0.5, pick(v, a), -pick(v, a) * 0.5),
    "sum": on_axis(lambda n, x, k, c: n.sum(x, axis=k)),
    "max": on_axis(lambda n, x, k, c: n.max(x, axis=k) if x.shape[k] else None),
    "mean": unary(lambda n, x: n.mean(x) if x.size else None),
    "cumsum": on_axis(lambda n, x, k, c: n.cumsum(soft(n, x), axis=k)),
    "argmax": on_axis(lambda n, x, k, c: n.argmax(x, axis=k) * 1.0 if x.shape[k] else None),
    "sort": on_axis(lambda n, x, k, c: n.sort(x, axis=k)),
    "flip": on_axis(lambda n, x, k, c: n.flip(x, k)),
    "slice": on_axis(slice_), "update": on_axis(update), "add_at": on_axis(add_at),
    "concatenate": on_axis(lambda n, x, k, c: n.concatenate([x, -x, x], axis=k)),
    "pad": on_axis(lambda n, x, k, c: n.pad(
        x, [(1, 2) if d == k else (0, 0) for d in range(x.ndim)], constant_values=0.5)),
    "roll": on_axis(lambda n, x, k, c: n.roll(x, int(5 * c), axis=k)),
    "take": on_axis(lambda n, x, k, c: n.take(
        x, onp.array([0, int(c * x.shape[k])]), axis=k) if x.shape[k] else None),
    "transpose": unary(lambda n, x: x.T), "ravel": unary(lambda n, x: x.reshape(-1)),
    "reshape": unary(lambda n, x: x.reshape(x.shape[::-1])),
    "broadcast": unary(lambda n, x: n.broadcast_to(x, (3, *x.shape))),
    "scan": on_axis(scan), "repeat": repeat, "cond": choose, "gram": gram,
    "branches": rounds_of_branches, "product of parts": product_of_parts,
}  # fmt: skip

numbers = st.integers(0, 999).map(lambda k: k / 1000)
programs = st.lists(
    st.tuples(st.sampled_from(sorted(OPERATIONS)), numbers, numbers, numbers),
    min_size=1, max_size=9,
)  # fmt: skip
sizes = st.sampled_from([0, 1, 2, 3, 5, 8, 17, 33, 70])


def run(n, program, x, y):
    values = [x, y]
    for name, a, b, c in program:
        out = OPERATIONS[name](n, values, a, b, c)
        if out is not None and onp.prod(out.shape) < 20_000:
            values.append(out)
    return values[2:]


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs, sizes, sizes, st.integers(0, 10))
def test_compiled_eager_and_numpy_agree(program, m, k, seed):
    rng = onp.random.default_rng(seed)
    x = rng.normal(size=(m, k)).astype(onp.float32)
    y = rng.normal(size=k).astype(onp.float32)
    reference = run(onp, program, x.astype(onp.float64), y.astype(onp.float64))
    args = np.asarray(x), np.asarray(y)
    eager = run(np, program, *args)
    compiled = cv.jit(functools.partial(run, np, program))(*args)
    assert len(eager) == len(compiled) == len(reference)
    for got_eager, got, want in zip(eager, compiled, reference, strict=True):
        assert got.shape == got_eager.shape == want.shape
        scale = 1 + (onp.abs(want).max() if want.size else 0)
        assert onp.allclose(got, want, rtol=1e-3, atol=1e-3 * scale), program
        assert onp.allclose(got_eager, want, rtol=1e-3, atol=1e-3 * scale), program


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs, sizes, sizes, st.integers(0, 10))
def test_vmap_equals_a_loop(program, m, k, seed):
    rng = onp.random.default_rng(seed)
    x = np.asarray(rng.normal(size=(3, m, k)).astype(onp.float32))
    y = np.asarray(rng.normal(size=k).astype(onp.float32))
    f = functools.partial(run, np, program)
    batched = cv.jit(cv.vmap(f, in_axes=(0, None)))(x, y)
    rows = [cv.jit(f)(x[i], y) for i in range(3)]
    for k, got in enumerate(batched):
        for i in range(3):
            want = onp.asarray(rows[i][k])
            scale = 1 + (onp.abs(want).max() if want.size else 0)
            assert onp.allclose(got[i], want, rtol=1e-3, atol=1e-3 * scale), program
