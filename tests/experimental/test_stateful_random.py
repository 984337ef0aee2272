"""Generators of random numbers that change as they draw."""

import pytest

import covector as cv
import covector.numpy as np
from covector import random
from covector.experimental.random import StatefulPRNG, stateful_rng


def test_draws_are_those_of_keys_in_turn():
    rng = stateful_rng(7)
    keys = [random.fold_in(random.key(7), i) for i in range(6)]
    assert (rng.key() == keys[0]).all()
    assert (rng.key((2, 3)) == random.split(keys[1], (2, 3))).all()
    assert rng.random(3).tolist() == random.uniform(keys[2], (3,)).tolist()
    got = rng.uniform(np.array([0.0, 5.0]), 6.0)
    want = random.uniform(keys[3], (2,), minval=np.array([0.0, 5.0]), maxval=6.0)
    assert got.tolist() == want.tolist()
    got = rng.normal(1.0, 2.0, size=4)
    assert np.allclose(got, 1 + 2 * random.normal(keys[4], (4,)))
    got = rng.integers(3, size=(5,))
    assert got.tolist() == random.randint(keys[5], (5,), 0, 3).tolist() and got.dtype == np.int32


def test_generators_go_through_transformations():
    rng = stateful_rng(0)
    draw = cv.jit(lambda rng: rng.normal())
    one, two = draw(rng), draw(rng)
    assert one != two
    again = stateful_rng(0)
    assert [one, two] == [again.normal(), again.normal()]
    assert cv.jit(lambda: rng.normal())() != two  # closed over
    many = cv.vmap(lambda rng, x: x + rng.uniform())(stateful_rng(1).split(3), np.zeros(3))
    assert len(set(many.tolist())) == 3
    (key, counter), tree = cv.tree.flatten(rng)
    assert isinstance(cv.tree.unflatten(tree, [key, counter]), StatefulPRNG)
    first, second = stateful_rng(2).spawn(2)
    assert first.uniform() != second.uniform() and stateful_rng(2).spawn(0) == []
    assert stateful_rng().key() != stateful_rng().key()


def test_wrong_uses():
    with pytest.raises(ValueError, match="map over it with vmap"):
        stateful_rng(0).split(2).normal()
    with pytest.raises(ValueError, match="got -1"):
        stateful_rng(0).spawn(-1)
    with pytest.raises(TypeError):
        stateful_rng("a")
