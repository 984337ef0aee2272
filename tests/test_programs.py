"""Whole programs: what they compute on Covector is what they compute on JAX."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy
from tests.programs import programs

OURS = programs(cv, covector.numpy)


def leaves(tree):
    return [onp.asarray(x) for x in cv.tree_util.tree_leaves(tree)]


@pytest.mark.peer
@pytest.mark.parametrize("name", OURS)
def test_results_are_those_of_the_peer(name):
    import jax

    got = leaves(OURS[name]())
    want = leaves(programs(jax, jax.numpy)[name]())
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        assert g.shape == w.shape and g.dtype == w.dtype
        # Programs of hundreds of float32 operations, in another order.
        onp.testing.assert_allclose(g, w, rtol=2e-3, atol=2e-4)
