"""Random programs of references, in nested control flow, against the same with NumPy's arrays."""

import os
import random

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax

START = onp.array([[0.1, 0.2, 0.3, 0.4], [1, -2, 0.5, 0.7], [-0.3, 0.9, -0.8, 0.6]], onp.float32)
SEED = int(os.environ.get("COVECTOR_FUZZ_SEED", "0"))
SIMPLE = ("set", "add", "mix", "copy")
NESTED = ("fori", "while", "scan", "jit", "checkpoint", "local")


def program(rng, depth):
    """Statements ``(kind, a, b, i, rest)``: ``rest`` is an index, programs inside, or two."""
    out = []
    for _ in range(rng.randint(1, 3)):
        kind = rng.choice((*SIMPLE, *NESTED, "cond") if depth else SIMPLE)
        rest = rng.randrange(4)
        if kind in NESTED:
            rest = program(rng, depth - 1)
        elif kind == "cond":
            rest = (program(rng, depth - 1), program(rng, depth - 1))
        out.append((kind, rng.randrange(3), rng.randrange(3), rng.randrange(4), rest))
    return out


def with_numpy(statements, arrays, t):
    for kind, a, b, i, rest in statements:
        x, y = arrays[a], arrays[b]
        if kind == "set":
            x[i] = onp.sin(y[rest]) + t
        elif kind == "add":
            x[i] += y[rest] * onp.float32(0.5)
        elif kind == "mix":
            x[i] = x[i] * onp.float32(0.3) + y[(int(t) + rest) % 4]
        elif kind == "copy":
            x[:] = y[::-1].copy()
        elif kind in ("fori", "while"):
            for n in range(3):
                with_numpy(rest, arrays, onp.float32(n))
        elif kind == "scan":
            for v in y.copy():
                x[i] += v * onp.float32(0.1)
                with_numpy(rest, arrays, t)
        elif kind == "cond":
            with_numpy(rest[0] if x[i] > 0 else rest[1], arrays, t)
        elif kind == "local":
            local = y.copy()
            with_numpy(rest, [*arrays[:a], local, *arrays[a + 1 :]], t)
            y[i] = local[i] * onp.float32(0.5)
        else:
            with_numpy(rest, arrays, t)


def with_refs(statements, refs, t):
    for kind, a, b, i, rest in statements:
        x, y = refs[a], refs[b]
        if kind == "set":
            x[i] = np.sin(y[rest]) + t
        elif kind == "add":
            cv.ref.addupdate(x, i, y[rest] * 0.5)
        elif kind == "mix":
            x[i] = x[i] * 0.3 + y[(np.asarray(t).astype(int) + rest) % 4]
        elif kind == "copy":
            x[...] = y[::-1]
        elif kind == "local":
            local = cv.new_ref(y[...])
            with_refs(rest, [*refs[:a], local, *refs[a + 1 :]], t)
            y[i] = local[i] * 0.5
        elif kind == "cond":
            taken, other = rest
            lax.cond(
                x[i] > 0,
                lambda p=taken: with_refs(p, refs, t),
                lambda p=other: with_refs(p, refs, t),
            )
        else:
            LOOPS[kind](lambda t, p=rest: with_refs(p, refs, t), x, y, i, t)


def _while(run, x, y, i, t):
    def body(n):
        run(n.astype(np.float32))
        return n + 1

    lax.while_loop(lambda n: n < 3, body, np.int32(0))


def _scan(run, x, y, i, t):
    def body(c, v):
        x[i] += v * 0.1
        run(t)
        return c, None

    lax.scan(body, None, y[...])


LOOPS = {
    "fori": lambda run, x, y, i, t: lax.fori_loop(
        0, 3, lambda n, _: run(np.asarray(n).astype(np.float32)), None
    ),
    "while": _while,
    "scan": _scan,
    "jit": lambda run, x, y, i, t: cv.jit(run)(t),
    "checkpoint": lambda run, x, y, i, t: cv.checkpoint(run)(t),
}


def has_while(statements):
    return any(
        kind == "while"
        or (type(rest) is list and has_while(rest))
        or (type(rest) is tuple and any(map(has_while, rest)))
        for kind, *_, rest in statements
    )


@pytest.mark.parametrize("seed", range(SEED, SEED + 12))
def test_program(seed):
    statements = program(random.Random(seed), 2)
    want = START.copy()
    with_numpy(statements, list(want), onp.float32(1))

    def function(a):
        refs = [cv.new_ref(row) for row in a]
        with_refs(statements, refs, np.float32(1))
        return np.stack([cv.freeze(r) for r in refs])

    def close(got, want=want, tol=2e-4):
        onp.testing.assert_allclose(got, want, rtol=tol, atol=tol / 10)

    close(function(np.array(START)))
    close(cv.jit(cv.vmap(function))(np.stack([START, START * 0.5]))[0])
    refs = [cv.new_ref(row) for row in START]
    closed = cv.jit(lambda t: with_refs(statements, refs, t))
    given = cv.jit(lambda a, b, c, t: with_refs(statements, [a, b, c], t))
    closed(np.float32(1))
    close(onp.stack([onp.asarray(r) for r in refs]))
    given(*(others := [cv.new_ref(row) for row in START]), np.float32(1))
    close(onp.stack([onp.asarray(r) for r in others]))
    if not has_while(statements):
        ct = onp.arange(12, dtype=onp.float32).reshape(3, 4) / 10
        tangent = cv.jvp(function, (np.array(START),), (np.ones((3, 4)),))[1]
        gradient = cv.jit(lambda a: cv.vjp(function, a)[1](np.array(ct))[0])(np.array(START))
        close(float(gradient.sum()), float((tangent * ct).sum()), 2e-3)
