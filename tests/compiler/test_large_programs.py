"""Programs that are long or deep: they compile, in time that grows as they do."""

import os
import subprocess
import sys

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.core.jaxpr import jaxpr_as_fun


@pytest.mark.parametrize("join", ["concatenate", "stack", "array"])
def test_many_arrays_joined(join):
    parts = [onp.arange(2.0, dtype=onp.float32) + k for k in range(1200)]
    arrays = [np.asarray(p) for p in parts]
    want = getattr(onp, join)(parts)
    if join == "array":
        assert onp.array_equal(np.array(arrays), want)
    else:
        assert onp.array_equal(cv.jit(lambda *xs: getattr(np, join)(xs))(*arrays), want)


def test_parts_of_different_lengths():
    rng = onp.random.default_rng(0)
    parts = [rng.normal(size=(int(n), 3)).astype("f") for n in rng.integers(0, 5, 40)]
    want = onp.concatenate(parts)
    assert onp.array_equal(cv.jit(lambda *xs: np.concatenate(xs))(*parts), want)
    # Fused into what reads it, forwards and backwards.
    got = cv.jit(lambda *xs: np.concatenate(xs)[::-1] * 2)(*parts)
    assert onp.array_equal(got, want[::-1] * 2)
    gradient = cv.grad(lambda xs: (np.concatenate(xs) ** 2).sum())(parts)
    for g, p in zip(gradient, parts, strict=True):
        assert onp.allclose(g, 2 * p)


# Who writes functions within functions so deeply has to allow for it. In a process of its own,
# without the checks that tests make after each pass.
NESTED = """
import sys, threading, time
import covector as cv, covector.numpy as np
from covector import lax

def nested(depth, last):
    def f(x, d=depth):
        if d == 0:
            return x + last
        return lax.cond(x > d, lambda y: y * 2.0, lambda y: f(y, d - 1), x)
    return f

def seconds_to_compile(depth, last):
    x = np.asarray(0.5)
    traced = cv.jit(nested(depth, last)).trace(x)
    start = time.thread_time()
    f = traced.lower().compile()
    end = time.thread_time()
    assert f(x) == 0.5 + last and f(np.asarray(depth + 2.5)) == 2 * (depth + 2.5)
    return end - start

def run():
    seconds_to_compile(10, 1)
    # The better of two, of programs that differ.
    print(*[min(seconds_to_compile(depth, last) for last in (1, 2)) for depth in (100, 800)])

sys.setrecursionlimit(100_000)
threading.stack_size(1 << 29)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def test_nested_branches_take_linear_time():
    env = {**os.environ, "COVECTOR_ENABLE_COMPILATION_CACHE": "0"}
    run = subprocess.run(
        [sys.executable, "-c", NESTED], capture_output=True, text=True, env=env, check=False
    )
    assert run.returncode == 0, run.stderr
    few, many = map(float, run.stdout.split())
    # Linear: 8; quadratic: 64.
    assert many < 24 * few


def test_the_gradient_of_a_long_chain():
    def chain(x):
        for _ in range(600):
            x = np.sin(x) * 1.001
        return x

    value, slope = cv.jit(cv.value_and_grad(chain))(0.5)
    x, d = 0.5, 1.0
    for _ in range(600):
        d *= onp.cos(x) * 1.001
        x = onp.sin(x) * 1.001
    assert onp.allclose([value, slope], [x, d], rtol=1e-3)


def test_what_was_traced_within_the_limit_of_recursion_is_transformed_and_compiled_within_it():
    def nested(x, d):
        if d == 0:
            return x + 1
        return lax.cond(x > d, lambda y: y * 2.0, lambda y: nested(y, d - 1), x)

    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        f = jaxpr_as_fun(cv.make_jaxpr(lambda x: nested(x, 130))(0.5))
        g = jaxpr_as_fun(cv.make_jaxpr(lambda x: nested(x, 90))(0.5))
    finally:
        sys.setrecursionlimit(before)
    assert cv.jit(f)(0.5) == [1.5]
    assert cv.grad(lambda x: g(x)[0])(200.0) == 2.0
    assert "cond" in cv.jit(f).lower(0.5).as_text("jaxpr")
    assert sys.getrecursionlimit() == before


def test_mapped_branches_are_copied_once():
    """However deep a branch stands, the equations bound while it is mapped are as many."""
    from covector.core.trace import Primitive

    def nested(x, d):
        if d == 0:
            return np.sin(x)
        return lax.cond(x > d, lambda y: nested(y, d - 1), lambda y: y * 2.0, x)

    def bound(depth):
        count, bind = 0, Primitive.bind_params

        def counting(self, *args):
            nonlocal count
            count += 1
            return bind(self, *args)

        fun = jaxpr_as_fun(cv.make_jaxpr(lambda x: nested(x, depth))(0.5))
        Primitive.bind_params = counting
        try:
            jaxpr = cv.make_jaxpr(cv.vmap(lambda x: fun(x)[0]))(onp.ones(3, "float32"))
        finally:
            Primitive.bind_params = bind
        return len(jaxpr.eqns), count

    (short, few), (long, many) = bound(10), bound(40)
    assert long < 4.5 * short
    assert many < 4.5 * few
