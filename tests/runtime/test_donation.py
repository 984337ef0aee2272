"""Donation, copies and aliases: who may overwrite whose memory, and what is deleted."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp
from covector import lax, random


def donate(fun: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The result of ``fun``, whose first argument is donated."""
    return cv.jit(fun, donate_argnums=0, **options)(*args)


def compiled(fun: Callable[..., Any], *args: Any) -> Any:
    return cv.jit(fun, donate_argnums=0).lower(*args).compile()(*args)


# --- what is deleted ---------------------------------------------------------------------


@pytest.mark.parametrize("call", [donate, compiled])
@pytest.mark.parametrize("shape", [(), (1,), (2,), (16,), (17,), (3, 5), (1000,)])
@pytest.mark.parametrize(
    "fun",
    [
        lambda x: x + 1,
        lambda x: x,
        lambda x: (x, x + 1),
        lambda x: (x.sum(), cnp.sort(x.ravel())[::-1]),
        lambda x: cnp.zeros(x.size, "int32") + x.astype("int32").ravel(),
        lambda x: cnp.zeros_like(x) + x.sum(),
    ],
)
def test_a_usable_donation_deletes(call: Any, fun: Any, shape: Any) -> None:
    x = cnp.ones(shape) * 2
    expected = cv.tree.map(np.array, fun(x))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = call(fun, x)
    assert x.is_deleted()
    cv.tree.map(np.testing.assert_array_equal, cv.tree.map(np.asarray, out), expected)


@pytest.mark.parametrize(
    "fun, options, text",
    [
        (lambda x: x.sum(), {}, "not usable: float32[5]."),
        (lambda x: x.astype("int8"), {}, "not usable: float32[5]."),
        (lambda x: 1, {"keep_unused": True}, "not usable: float32[5]."),
        (lambda x: 1, {}, None),  # not used at all: not passed to the program
        (lambda x: cnp.zeros(5), {}, None),
    ],
)
def test_an_unusable_donation_warns_and_deletes_nothing(fun: Any, options: Any, text: Any) -> None:
    x = cnp.ones(5)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        f = cv.jit(fun, donate_argnums=0, **options)
        f(x)
        f(x)
    assert not x.is_deleted()
    assert len(seen) == (text is not None)
    if text is not None:
        assert seen[0].category is UserWarning and seen[0].filename == __file__
        assert text in str(seen[0].message)


def test_a_result_takes_over_one_argument() -> None:
    x, y = cnp.arange(3.0), cnp.arange(3.0)
    with pytest.warns(UserWarning, match="not usable: float32.3."):
        out = cv.jit(lambda a, b: a + b, donate_argnums=(0, 1))(x, y)
    assert x.is_deleted() and y.tolist() == [0, 1, 2] and out.tolist() == [0, 2, 4]


@pytest.mark.parametrize("n", [1, 3, 100_000])
@pytest.mark.parametrize("donated", [(0,), (1,), (0, 1)])
def test_one_array_as_two_arguments(donated: Any, n: int) -> None:
    f = cv.jit(lambda a, b: (a + b, a - b), donate_argnums=donated)
    x = cnp.ones(n)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="one array as two arguments, .* 0 and 1 "):
            f(x, x)
    assert not x.is_deleted()
    y = x.copy()
    assert f(x, y)[0].tolist() == [2] * n
    assert (x.is_deleted(), y.is_deleted()) == (0 in donated, 1 in donated)
    with pytest.raises(RuntimeError, match="has been deleted"):
        f(x, y)


def test_numpy_views_of_donated_arrays_stay() -> None:
    x = cnp.arange(1000.0)
    view, part = np.asarray(x), memoryview(x)[5:7]
    out = donate(lambda a: a * 2, x)
    assert view[:3].tolist() == [0, 1, 2] and part.tolist() == [5, 6]
    assert out[:3].tolist() == [0, 2, 4] and x.is_deleted()


def test_memory_is_taken_over() -> None:
    x = cnp.ones(100_000) + 1
    address = x.unsafe_buffer_pointer()
    for call in (donate, compiled):
        x = call(lambda a: a + 1, x)
        assert x.unsafe_buffer_pointer() == address


# --- results that are arguments, and copies ------------------------------------------------


@pytest.mark.parametrize(
    "fun",
    [
        cv.jit(lambda x: x),
        lambda x: cv.jit(lambda x: (x, 1))(x)[0],
        lambda x: cv.jit(lambda x: x).lower(x).compile()(x),
        lambda x: lax.optimization_barrier(x),
        lambda x: lax.cond(True, lambda x: x, lambda x: x, x),
        lambda x: lax.scan(lambda c, _: (c, None), x, length=2)[0],
        lambda x: cv.jit(lambda x: cnp.copy(x))(x),
        lambda x: x.copy(),
        lambda x: cnp.copy(x),
        lambda x: cnp.array(x),
        lambda x: cnp.array(x, dtype=x.dtype),
        lambda x: cnp.asarray(x, copy=True),
        lambda x: x.astype(x.dtype, copy=True),
        lambda x: copy.copy(x),
        lambda x: copy.deepcopy([x])[0],
        lambda x: cv.device_put(x, may_alias=False),
        lambda x: cv.device_put(x, cv.devices()[0], may_alias=False),
    ],
)
@pytest.mark.parametrize("make", [lambda: cnp.arange(3.0), lambda: cnp.ones(())])
def test_results_outlive_their_arguments(fun: Any, make: Any) -> None:
    for end in (lambda x: x.delete(), lambda x: donate(lambda x: x + 1, x)):
        x = make()
        expected = x.tolist()
        out = fun(x)
        assert out is not x
        end(x)
        assert x.is_deleted() and not out.is_deleted() and out.tolist() == expected
        x = make()
        out = fun(x)
        end(out)
        assert out.is_deleted() and not x.is_deleted() and x.tolist() == expected


@pytest.mark.parametrize(
    "fun", [lambda x: x.copy(), cnp.copy, cnp.array, lambda x: cv.device_put(x, may_alias=False)]
)
def test_copies_have_memory_of_their_own(fun: Any) -> None:
    x = cnp.arange(3.0)
    assert fun(x).unsafe_buffer_pointer() != x.unsafe_buffer_pointer()
    assert cnp.asarray(x) is x
    with cv.enable_x64():
        y = cnp.arange(3)
        assert fun(y).dtype == y.dtype == np.int64
    weak = cnp.asarray(1.0)
    assert fun(weak).weak_type == weak.weak_type
    assert fun(cnp.zeros((2, 0))).shape == (2, 0)


def test_copies_of_keys() -> None:
    key = random.key(1)
    other = random.clone(key)
    key.delete()
    assert random.key_data(other).tolist() == random.key_data(random.key(1)).tolist()
