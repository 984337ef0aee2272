"""`io_callback`, and `lax.rng_uniform`, which draws by it."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.experimental import io_callback

SCALAR = cv.ShapeDtypeStruct((), "float32")


def test_runs_each_time():
    seen = []

    def record(x):
        seen.append(float(x))
        return x + 1

    f = cv.jit(lambda x: (io_callback(record, SCALAR, x), io_callback(record, SCALAR, x))[0])
    assert f(1.0) == 2 and f(1.0) == 2 and seen == [1.0] * 4  # neither merged nor left out
    onp.testing.assert_array_equal(cv.vmap(f)(np.arange(2.0)), [1, 2])
    assert sorted(seen[4:]) == [0, 0, 1, 1]
    total = lax.fori_loop(0, 3, lambda i, s: s + io_callback(record, SCALAR, s), 0.0)
    assert total == 7 and seen[8:] == [0, 1, 3]


def test_ordered():
    seen = []

    def say(k, x):
        io_callback(lambda v: seen.append((k, float(v))), None, x, ordered=True)

    cv.jit(lambda x: [say(k, x) for k in range(4)] and x)(2.0)
    assert seen == [(k, 2.0) for k in range(4)]
    effects = cv.make_jaxpr(lambda x: say(0, x))(1.0).effects
    assert str(effects) == "frozenset({OrderedIO})"
    with pytest.raises(ValueError, match="vmap of an ordered io_callback"):
        cv.vmap(lambda x: say(0, x))(np.arange(2.0))


def test_errors():
    with pytest.raises(ValueError, match="io_callback cannot be differentiated"):
        cv.grad(lambda x: io_callback(lambda v: v, SCALAR, x))(1.0)
    with pytest.raises(
        ValueError, match=r"io_callback: <lambda> was announced to return float32\[\]"
    ):
        io_callback(lambda v: np.ones(3), SCALAR, 1.0)
    with pytest.raises(TypeError, match="io_callback"):
        io_callback(None, SCALAR)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64", "int32", "uint8"])
def test_rng_uniform(dtype):
    with cv.enable_x64():
        low, high = np.asarray(2, dtype), np.asarray(7, dtype)
        draw = cv.jit(lambda: lax.rng_uniform(low, high, (2000,)))
        x, y = draw(), draw()
        assert x.dtype == dtype and x.shape == (2000,) and bool((x != y).any())
        assert bool(((x >= low) & (x < high)).all())
        middle = 4.5 if "float" in dtype else 4.0
        # The mean of 2000 draws of a deviation of 5 / sqrt(12), within five of its own.
        assert abs(float(x.astype("float64").mean()) - middle) < 5 * 1.45 / 2000**0.5


def test_rng_uniform_in_one_program():
    draws = cv.jit(lambda: lax.map(lambda _: lax.rng_uniform(0.0, 1.0, (2,)), np.arange(50)))()
    assert len(set(onp.asarray(draws).ravel().tolist())) == 100
    assert lax.rng_uniform_p.bind(0, 10, shape=(3,)).dtype == onp.int32
    onp.testing.assert_array_equal(lax.rng_uniform(3, 3, (2,)), [3, 3])
    assert lax.rng_uniform(0.0, 1.0, (0, 2)).shape == (0, 2)
    with pytest.raises(ValueError, match="two scalars of one dtype"):
        lax.rng_uniform(np.float32(0), np.float16(1), (2,))
    with pytest.raises(ValueError, match="two scalars of one dtype"):
        lax.rng_uniform(np.zeros(2), np.ones(2), (2,))
    with pytest.raises(TypeError, match="floats or integers"):
        lax.rng_uniform(0j, 1j, (2,))
