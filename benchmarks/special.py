"""Time `covector.scipy.special` on a million numbers, beside SciPy and JAX.

``python -m benchmarks.special`` prints a table of the smallest times; names restrict it. Sides
take turns in one process, on the same numbers, Covector and JAX compiled. In float64 and float32.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as onp

from benchmarks.programs import has

SCIPY_LIMIT, JAX_LIMIT = 0.5, 0.7
SECONDS = 1.0  # that a side may take in all
Domain = tuple[float, float]

REAL, POSITIVE, UNIT, ORDER = (-4.0, 4.0), (0.1, 20.0), (0.01, 0.99), (1, 9)
# The intervals that arguments are drawn from; whole numbers where the ends are.
DOMAINS: dict[str, Sequence[Domain]] = {
    "beta": [POSITIVE] * 2,
    "betainc": [POSITIVE, POSITIVE, UNIT],
    "betaln": [POSITIVE] * 2,
    "boxcox": [POSITIVE, REAL],
    "boxcox1p": [POSITIVE, REAL],
    "comb": [(10.0, 60.0), (0.5, 9.5)],
    "dawsn": [REAL],
    "digamma": [POSITIVE],
    "entr": [POSITIVE],
    "erf": [REAL],
    "erfc": [REAL],
    "erfcx": [REAL],
    "erfinv": [(-0.99, 0.99)],
    "exp1": [POSITIVE],
    "expi": [(-20.0, 20.0)],
    "expit": [(-20.0, 20.0)],
    "expn": [ORDER, POSITIVE],
    "factorial": [POSITIVE],
    "fresnel": [REAL],
    "gamma": [(-10.0, 20.0)],
    "gammainc": [POSITIVE] * 2,
    "gammaincc": [POSITIVE] * 2,
    "gammaln": [(0.1, 100.0)],
    "gammasgn": [REAL],
    "hyp1f1": [REAL, POSITIVE, REAL],
    "hyp2f1": [(0.1, 5.0), (0.1, 5.0), (0.1, 5.0), (-3.0, 0.9)],
    "i0": [(-20.0, 20.0)],
    "i0e": [(-20.0, 20.0)],
    "i1": [(-20.0, 20.0)],
    "i1e": [(-20.0, 20.0)],
    "kl_div": [POSITIVE] * 2,
    "log_ndtr": [(-30.0, 4.0)],
    "log_softmax": [REAL],
    "loggamma": [(0.1, 100.0)],
    "logit": [UNIT],
    "logsumexp": [REAL],
    "ndtr": [(-8.0, 8.0)],
    "ndtri": [UNIT],
    "owens_t": [REAL] * 2,
    "poch": [POSITIVE] * 2,
    "polygamma": [ORDER, POSITIVE],
    "rel_entr": [POSITIVE] * 2,
    "sici": [(-20.0, 20.0)],
    "softmax": [REAL],
    "spence": [POSITIVE],
    "wofz": [REAL] * 2,
    "xlog1py": [REAL, POSITIVE],
    "xlogy": [REAL, POSITIVE],
    "zeta": [(1.1, 20.0), POSITIVE],
}


def _numbers(domains: Sequence[Domain], dtype: str, size: int) -> list[onp.ndarray]:
    rng = onp.random.default_rng(0)
    out = []
    for low, high in domains:
        whole = isinstance(low, int)
        draw = rng.integers(low, high, size) if whole else rng.uniform(low, high, size)
        out.append(draw.astype("int32" if whole else dtype))
    return out


def _calls(name: str, args: list[onp.ndarray]) -> dict[str, Callable[[], Any]]:
    """How each library is called; of a complex argument, the two parts are given."""
    import scipy.special

    import covector

    def compiled(fw: Any, special: Any) -> Callable[[], Any]:
        fun = getattr(special, name)
        whole = fw.jit(lambda x, y: fun(fw.lax.complex(x, y)) if name == "wofz" else fun(x, y))
        call = whole if name == "wofz" else fw.jit(fun)
        given = [fw.numpy.asarray(a) for a in args]
        return lambda: fw.block_until_ready(call(*given))

    parts = [args[0] + args[0].dtype.type(1j) * args[1]] if name == "wofz" else args
    calls = {
        "covector": compiled(covector, __import__("covector.scipy.special").scipy.special),
        "scipy": lambda: getattr(scipy.special, name)(*parts),
    }
    if has("jax"):
        import jax
        import jax.scipy.special

        if hasattr(jax.scipy.special, name):
            calls["jax"] = compiled(jax, jax.scipy.special)
    return calls


def times(name: str, dtype: str, size: int) -> dict[str, float]:
    """The smallest seconds a call of each side; a side that fails is left out."""
    calls = _calls(name, _numbers(DOMAINS[name], dtype, size))
    best: dict[str, float] = {}
    for side, call in list(calls.items()):
        try:
            call()
        except Exception as e:
            print(f"{name} {dtype}: {side}: {e!r:.80}", file=sys.stderr)
            del calls[side]
    spent = dict.fromkeys(calls, 0.0)
    for _ in range(30):
        for side in calls:
            if spent[side] < SECONDS:
                start = time.perf_counter()
                calls[side]()
                took = time.perf_counter() - start
                spent[side] += took
                best[side] = min(best.get(side, took), took)
    return best


def _ratio(mine: float, other: float | None, limit: float) -> str:
    if other is None:
        return ""
    ratio = mine / other
    return f"{ratio:.3f}" if ratio <= limit else f"{ratio:.3f} **(> {limit:g})**"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these functions")
    parser.add_argument("--size", type=int, default=1_000_000)
    args = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ["JAX_ENABLE_X64"] = "1"
    import covector

    covector.config.update("enable_x64", True)
    print("| function | dtype | Covector ms | SciPy ms | JAX ms | by SciPy | by JAX |")
    print("|---|---|---|---|---|---|---|")
    for name in args.names or DOMAINS:
        for dtype in ("float64", "float32"):
            t = times(name, dtype, args.size)
            mine, scipy, jax = t["covector"], t.get("scipy"), t.get("jax")
            ms = " | ".join(f"{1e3 * x:.2f}" if x else "" for x in (mine, scipy, jax))
            print(
                f"| {name} | {dtype} | {ms} | {_ratio(mine, scipy, SCIPY_LIMIT)} | "
                f"{_ratio(mine, jax, JAX_LIMIT)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
