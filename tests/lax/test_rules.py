"""Derivatives, transposes and batching of every primitive, over a table of applications."""

import itertools
import zlib

import numpy as onp
import pytest

import covector as cv
from tests.property_tables import CASES, DISCRETE


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64():
        yield


def flat(fun):
    def wrapped(*args):
        out = fun(*args)
        return list(out) if isinstance(out, (tuple, list)) else [out]

    return wrapped


def scaled(a, factor):
    return a * factor if onp.issubdtype(a.dtype, onp.inexact) else onp.roll(a, int(10 * factor))


def tangents(args, seed):
    rng = onp.random.RandomState(seed)
    return [
        (rng.randn(*a.shape) + (1j * rng.randn(*a.shape) if onp.iscomplexobj(a) else 0))
        for a in map(onp.asarray, args)
    ]


@pytest.mark.parametrize("name", CASES)
def test_jvp_against_differences_and_vjp_against_jvp(name):
    fun, args, transpose, _ = CASES[name]
    fun = flat(fun)
    args = [onp.asarray(a) for a in args]
    ts = [onp.asarray(t).astype(a.dtype) for t, a in zip(
        tangents(args, zlib.crc32(name.encode()) % 1000), args, strict=True
    )]  # fmt: skip
    _, out_t = cv.jvp(fun, args, ts)
    eps = 1e-6
    up = fun(*[a + eps * t for a, t in zip(args, ts, strict=True)])
    down = fun(*[a - eps * t for a, t in zip(args, ts, strict=True)])
    for t, u, d in zip(out_t, up, down, strict=True):
        want = (onp.asarray(u).astype(complex) - onp.asarray(d)) / (2 * eps)
        onp.testing.assert_allclose(onp.asarray(t), want, rtol=1e-5, atol=1e-7)
    if transpose:
        outs, pull = cv.vjp(fun, *args)
        cts = [onp.asarray(c).astype(o.dtype) for c, o in zip(tangents(outs, 7), outs, strict=True)]
        back = pull([cv.numpy.asarray(c) for c in cts])
        lhs = sum(onp.sum(c * onp.asarray(t)) for c, t in zip(cts, out_t, strict=True))
        rhs = sum(onp.sum(onp.asarray(b) * t) for b, t in zip(back, ts, strict=True))
        onp.testing.assert_allclose(onp.real(lhs), onp.real(rhs), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.batch])
def test_vmap_equals_loop(name):
    check_vmap(*CASES[name][:2])


@pytest.mark.parametrize("name", [n for n, c in DISCRETE.items() if c.batch])
def test_vmap_of_discrete_functions_equals_loop(name):
    check_vmap(*DISCRETE[name][:2])


def check_vmap(fun, args):
    fun = flat(fun)
    size = 3
    for mapped in itertools.product((False, True), repeat=len(args)):
        if not any(mapped):
            continue
        batch, axes = [], []
        for i, (a, m) in enumerate(zip(map(onp.asarray, args), mapped, strict=True)):
            axis = (7 * i + a.ndim) % (a.ndim + 1) if m else None
            axes.append(axis)
            stacked = [scaled(a, 1 - 0.1 * b) for b in range(size)]
            batch.append(onp.stack(stacked, axis) if m else a)
        outs = cv.vmap(fun, in_axes=tuple(axes))(*batch)
        for b in range(size):
            one = [
                x if k is None else onp.asarray(onp.take(x, b, k))
                for x, k in zip(batch, axes, strict=True)
            ]
            for got, want in zip(outs, fun(*one), strict=True):
                onp.testing.assert_allclose(onp.asarray(got)[b], onp.asarray(want), 1e-9, 1e-10)


@pytest.mark.parametrize("name", [*CASES, *DISCRETE])
def test_jit_equals_eager(name):
    fun, args, *_ = CASES[name] if name in CASES else DISCRETE[name]
    for got, want in zip(cv.jit(flat(fun))(*args), flat(fun)(*args), strict=True):
        onp.testing.assert_allclose(onp.asarray(got), onp.asarray(want), 1e-12, 1e-12)
