"""Draws by name: functions of a random module (Covector's or JAX's) and a key.

Run as a script, it records the results that JAX gives in ``golden.json``.
"""

import json
import pathlib

import ml_dtypes
import numpy as np

GOLDEN = pathlib.Path(__file__).with_name("golden.json")
SEEDS = (0, 42)

_f32, _f16, _bf16 = np.float32, np.float16, np.dtype(ml_dtypes.bfloat16)
_logits = np.linspace(0, 2, 40, dtype=_f32)
_grid = np.arange(12, dtype=np.int32).reshape(3, 4)
_p = np.array([0.1, 0.2, 0.3, 0.4], _f32)

# Integers and floats made of bits alone: exactly the same numbers.
EXACT = {
    "split": lambda r, k: r.key_data(r.split(k, 3)),
    "split_shape": lambda r, k: r.key_data(r.split(k, (2, 3))),
    "fold_in": lambda r, k: r.key_data(r.fold_in(k, 7)),
    "bits": lambda r, k: r.bits(k, (5,)),
    "bits_uint8": lambda r, k: r.bits(k, (2, 3), np.uint8),
    "bits_uint16": lambda r, k: r.bits(k, (7,), np.uint16),
    "uniform_scalar": lambda r, k: r.uniform(k),
    "uniform": lambda r, k: r.uniform(k, (2, 3)),
    "uniform_empty": lambda r, k: r.uniform(k, (0, 3)),
    "uniform_bounds": lambda r, k: r.uniform(k, (50,), minval=-1.3, maxval=2.7),
    "uniform_array_bounds": lambda r, k: r.uniform(
        k, (2, 3), minval=np.arange(3, dtype=_f32), maxval=5
    ),
    "uniform_f16": lambda r, k: r.uniform(k, (50,), _f16, minval=-1.3, maxval=2.7),
    "uniform_bf16": lambda r, k: r.uniform(k, (50,), _bf16, minval=-1.3, maxval=2.7),
    "randint": lambda r, k: r.randint(k, (20,), 0, 10),
    "randint_wide": lambda r, k: r.randint(k, (5,), -(2**31), 2**31 - 1),
    "randint_int8": lambda r, k: r.randint(k, (20,), -5, 300, np.int8),
    "randint_uint8": lambda r, k: r.randint(k, (20,), 0, 256, np.uint8),
    "randint_uint32": lambda r, k: r.randint(k, (5,), 0, np.uint32(3000000000), np.uint32),
    "randint_empty_range": lambda r, k: r.randint(k, (3,), 5, 2),
    "randint_arrays": lambda r, k: r.randint(
        k, (2, 3), np.arange(3, dtype=np.int32), np.array([[10], [20]], np.int32)
    ),
    "bernoulli_scalar": lambda r, k: r.bernoulli(k),
    "bernoulli": lambda r, k: r.bernoulli(k, 0.3, (20,)),
    "bernoulli_array": lambda r, k: r.bernoulli(k, np.linspace(0, 1, 10, dtype=_f32), (3, 10)),
    "bernoulli_high": lambda r, k: r.bernoulli(k, 0.3, (20,), mode="high"),
    "rademacher": lambda r, k: r.rademacher(k, (9,), _f32),
    "permutation": lambda r, k: r.permutation(k, 10),
    "permutation_rounds": lambda r, k: r.permutation(k, 2000)[:20],
    "permutation_rows": lambda r, k: r.permutation(k, _grid),
    "permutation_columns": lambda r, k: r.permutation(k, _grid, -1),
    "permutation_independent": lambda r, k: r.permutation(k, _grid, 1, independent=True),
    "choice": lambda r, k: r.choice(k, 10, (3, 2)),
    "choice_distinct": lambda r, k: r.choice(k, 10, (3, 2), replace=False),
    "choice_columns": lambda r, k: r.choice(k, _grid, (3, 2), axis=1),
    "choice_p": lambda r, k: r.choice(k, 4, (20,), p=_p),
    "choice_p_distinct": lambda r, k: r.choice(k, 4, (3,), p=_p, replace=False),
    "categorical": lambda r, k: r.categorical(k, _logits.reshape(4, 10)),
    "categorical_axis": lambda r, k: r.categorical(k, _logits.reshape(4, 10), axis=0),
    "categorical_shape": lambda r, k: r.categorical(
        k, _logits.reshape(2, 5, 4), shape=(3, 2, 4), axis=1
    ),
    "categorical_distinct": lambda r, k: r.categorical(
        k, _logits.reshape(2, 5, 4), shape=(3, 2, 4), axis=1, replace=False
    ),
    "geometric": lambda r, k: r.geometric(k, 0.3, (20,)),
    "poisson": lambda r, k: r.poisson(k, np.array([0, 0.5, 8, 20, 1000], _f32), (3, 5)),
    "binomial": lambda r, k: r.binomial(
        k,
        np.array([5, 200, 1000, np.nan, -1, 50], _f32),
        np.array([0.3, 0.7, 0.5, 0.5, 0.5, 1.5], _f32),
    ),
    "multinomial": lambda r, k: r.multinomial(k, 100.0, _p),
}

# Through elementary functions: the same up to rounding.
CLOSE = {
    "normal": lambda r, k: r.normal(k, (20,)),
    "normal_f16": lambda r, k: r.normal(k, (20,), _f16),
    "normal_bf16": lambda r, k: r.normal(k, (20,), _bf16),
    "normal_complex": lambda r, k: r.normal(k, (5,), np.complex64),
    "truncated_normal": lambda r, k: r.truncated_normal(k, np.array([-1, 0, 3], _f32), 5.0),
    "lognormal": lambda r, k: r.lognormal(k, 0.3, (10,)),
    "maxwell": lambda r, k: r.maxwell(k, (10,)),
    "double_sided_maxwell": lambda r, k: r.double_sided_maxwell(k, 1.0, 2.0, (10,)),
    "exponential": lambda r, k: r.exponential(k, (20,)),
    "gumbel": lambda r, k: r.gumbel(k, (20,)),
    "gumbel_high": lambda r, k: r.gumbel(k, (20,), mode="high"),
    "laplace": lambda r, k: r.laplace(k, (20,)),
    "logistic": lambda r, k: r.logistic(k, (20,)),
    "cauchy": lambda r, k: r.cauchy(k, (20,)),
    "pareto": lambda r, k: r.pareto(k, 2.0, (10,)),
    "weibull_min": lambda r, k: r.weibull_min(k, 1.0, 2.0, (10,)),
    "rayleigh": lambda r, k: r.rayleigh(k, 2.0, (10,)),
    "wald": lambda r, k: r.wald(k, 2.0, (10,)),
    "triangular": lambda r, k: r.triangular(k, 0.0, 0.3, 1.0, (10,)),
    "gamma": lambda r, k: r.gamma(k, np.array([0.1, 1, 50], _f32), (30, 3)),
    "loggamma": lambda r, k: r.loggamma(k, np.array([0.001, 0.5, 50], _f32), (3, 3)),
    "beta": lambda r, k: r.beta(k, 2.0, 3.0, (10,)),
    "dirichlet": lambda r, k: r.dirichlet(k, np.array([0.5, 1, 2], _f32), (5,)),
    "chisquare": lambda r, k: r.chisquare(k, 3.0, (10,)),
    "t": lambda r, k: r.t(k, 3.0, (10,)),
    "f": lambda r, k: r.f(k, 3.0, 5.0, (10,)),
    "generalized_normal": lambda r, k: r.generalized_normal(k, 3.0, (10,)),
    "ball": lambda r, k: r.ball(k, 3, 1.0, (5,)),
}

# They need covector.numpy.linalg.
LINEAR = {
    "multivariate_normal": lambda r, k: r.multivariate_normal(
        k, np.arange(3, dtype=_f32), np.eye(3, dtype=_f32) * 2 + _f32(0.3), (4,)
    ),
    "orthogonal": lambda r, k: r.orthogonal(k, 3, (2,)),
    "orthogonal_wide": lambda r, k: r.orthogonal(k, 3, m=5),
}


def plain(x):
    """A result as a NumPy array of a dtype that NumPy knows."""
    x = np.asarray(x)
    return x.astype(np.float32) if x.dtype == _bf16 else x


def record() -> None:
    """Write what JAX gives for each case and seed to ``golden.json``."""
    import jax

    out = {}
    for name, draw in {**EXACT, **CLOSE}.items():
        for seed in SEEDS:
            x = draw(jax.random, jax.random.key(seed))
            values = plain(x)
            if values.dtype.kind == "c":
                values = np.stack([values.real, values.imag], -1)
            out[f"{name}-{seed}"] = [str(x.dtype), list(x.shape), values.ravel().tolist()]
    lines = (f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items())
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    record()
