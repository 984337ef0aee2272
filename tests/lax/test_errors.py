"""Wrong shapes and dtypes: the error's class, and that it names what was given."""

import pytest

import covector.numpy as np
from covector import lax, random

F, N = np.ones((2, 3)), np.ones((2, 3), int)

CASES = [
    (lambda: lax.add(F, N), TypeError, "float32[2,3] and int32[2,3]"),
    (lambda: lax.add(N, 1.5), TypeError, "int32[2,3]"),
    (lambda: lax.add(F, np.ones((3, 2))), TypeError, "(2, 3) and (3, 2)"),
    (lambda: lax.add("a", F), TypeError, "str 'a'"),
    (lambda: lax.sin(N), TypeError, "int32[2,3]"),
    (lambda: lax.bitwise_and(F, F), TypeError, "float32[2,3]"),
    (lambda: lax.reshape(F, (4, 2)), TypeError, "(4, 2)"),
    (lambda: lax.transpose(F, (0, 0)), TypeError, "(0, 0)"),
    (lambda: lax.squeeze(F, (0,)), ValueError, "(0,)"),
    (lambda: lax.concatenate([F, np.ones((3, 3))], 1), TypeError, "(3, 3)"),
    (lambda: lax.slice(F, (0, 0), (3, 3)), TypeError, "dimension 0"),
    (lambda: lax.dynamic_slice(F, (0, 0), (3, 3)), TypeError, "(3, 3)"),
    (lambda: lax.dynamic_slice(F, (0,), (1, 1)), TypeError, "2 start indices"),
    (lambda: lax.dot(F, F), TypeError, "size 3"),
    (lambda: lax.reduce_sum(F, (2,)), ValueError, "2"),
    (lambda: lax.top_k(F, 4), ValueError, "k=4"),
    (lambda: lax.select(F, F, F), TypeError, "boolean"),
    (lambda: lax.pad(F, 0.0, ((0, 0, 0),)), ValueError, "per dimension"),
    (lambda: lax.iota("bool", 3), TypeError, "bool"),
    (lambda: lax.integer_pow(N, -1), TypeError, "-1"),
    (lambda: lax.full((2,), np.ones(2)), TypeError, "float32[2]"),
    (lambda: lax.sort(F, num_keys=2, dimension=5), ValueError, "5"),
    (lambda: lax.broadcast_shapes((2,), (3,)), ValueError, "(2,), (3,)"),
    (lambda: lax.pad(N, 0.5, ((0, 0, 0), (1, 0, 0))), TypeError, "float 0.5"),
    (lambda: lax.reduce(N, 0.5, lax.add, (0,)), TypeError, "float 0.5"),
    (lambda: lax.dynamic_update_index_in_dim(N, 0.5, 0, 0), TypeError, "float 0.5"),
    (lambda: lax.slice(F, (0.9, 0), (2, 3)), TypeError, "float"),
    (lambda: lax.transpose(F, (1.7, 0)), TypeError, "float"),
    (lambda: lax.integer_pow(F, 2.5), TypeError, "float 2.5"),
    (lambda: lax.round(F, 5), ValueError, "5"),
    (lambda: lax.select_n(F > 0, F), ValueError, "two cases"),
    (lambda: np.linalg.cross(F, F, axis=5), ValueError, "axis 5"),
    (lambda: random.rademacher(random.key(0), (2,), "bool"), TypeError, "bool"),
]


@pytest.mark.parametrize("i", range(len(CASES)))
def test_error(i):
    call, kind, text = CASES[i]
    with pytest.raises(kind) as info:
        call()
    assert text in str(info.value)
