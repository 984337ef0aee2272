"""Table of the distributions: points and parameters at which they are compared with SciPy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

INF, NAN = np.inf, np.nan
# Parameters that follow the shapes: location and scale.
PLACES = ((0.0, 1.0), (1.5, 0.5), (-2.0, 8.0))
WRONG = ((0.0, -1.0), (0.0, 0.0), (0.0, NAN), (NAN, 1.0))
LINE = np.array(
    [-INF, -60.0, -9.5, -3.0, -1.0, -0.25, -0.0, 0.0, 1e-4, 0.3, 1.0, 2.5, 9.5, 60.0, INF, NAN]
)
HALF = np.array(
    [-INF, -1.0, -1e-6, 0.0, 1e-6, 0.1, 0.5, 1.0, 2.0, 3.7, 11.0, 60.0, 400.0, INF, NAN]
)
UNIT = np.array([-INF, -0.5, 0.0, 1e-6, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0, 1.5, INF, NAN])
PROBABILITIES = np.array(
    [-0.5, 0.0, 1e-30, 1e-6, 0.01, 0.075, 0.25, 0.4, 0.5, 0.6, 0.75, 0.95, 1.0, 1.5, NAN]
)
WHOLE = np.array([-INF, -1.0, 0.0, 1.0, 2.0, 3.0, 7.0, 40.0, 300.0, 0.5, 2.25, INF, NAN])


@dataclass(frozen=True)
class Distribution:
    """Shapes to take, points, and whether location and scale follow.

    ``loc`` is the number of parameters of place: 2, 1 for the location alone, 0.
    """

    points: Any = field(default_factory=lambda: LINE)
    shapes: tuple[tuple[float, ...], ...] = ((),)
    wrong: tuple[tuple[float, ...], ...] = ()
    loc: int = 2
    functions: str = "cdf logpdf pdf"


ALL = "cdf isf logcdf logpdf logsf pdf ppf sf"
POSITIVE = ((-1.0,), (0.0,), (NAN,))
TABLE = {
    "bernoulli": Distribution(
        np.array([-INF, -1.0, 0.0, 0.5, 1.0, 2.0, INF, NAN]), ((0.0,), (0.25,), (1.0,)),
        ((-0.5,), (1.5,), (NAN,)), 1, "cdf logpmf pmf ppf",
    ),
    "beta": Distribution(
        UNIT,
        ((1.0, 1.0), (0.5, 0.5), (2.0, 3.5), (1.0, 3.0), (60.0, 40.0), (3e3, 2e3), (0.1, 30.0)),
        ((-1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (NAN, 1.0)), 2, "cdf logcdf logpdf logsf pdf sf",
    ),
    "betabinom": Distribution(
        WHOLE, ((7.0, 1.0, 1.0), (40.0, 0.5, 2.5), (300.0, 30.0, 50.0), (0.0, 1.0, 2.0)),
        ((-1.0, 1.0, 1.0), (2.5, 1.0, 1.0), (2.0, 0.0, 1.0), (2.0, 1.0, NAN)), 1, "logpmf pmf",
    ),
    "binom": Distribution(
        WHOLE, ((7.0, 0.5), (40.0, 0.9), (3000.0, 0.1), (0.0, 0.5), (7.0, 0.0), (7.0, 1.0)),
        ((-1.0, 0.5), (2.5, 0.5), (2.0, 1.5), (2.0, NAN)), 1, "logpmf pmf",
    ),
    "cauchy": Distribution(functions=ALL),
    "chi2": Distribution(
        HALF, ((1.0,), (2.0,), (3.5,), (60.0,), (3000.0,)), POSITIVE, 2,
        "cdf logcdf logpdf logsf pdf sf",
    ),
    "expon": Distribution(HALF, functions="cdf logcdf logpdf logsf pdf ppf sf"),
    "gamma": Distribution(
        HALF, ((1.0,), (0.5,), (2.0,), (3.5,), (30.0,), (400.0,)), POSITIVE, 2,
        "cdf logcdf logpdf logsf pdf sf",
    ),
    "gennorm": Distribution(LINE, ((0.7,), (1.0,), (2.0,), (5.0,)), POSITIVE, 0, "cdf logpdf pdf"),
    "geom": Distribution(
        WHOLE, ((0.25,), (0.99,), (1.0,), (1e-5,)), ((0.0,), (1.5,), (NAN,)), 1, "logpmf pmf"
    ),
    "gumbel_l": Distribution(functions="cdf logcdf logpdf logsf pdf ppf sf"),
    "gumbel_r": Distribution(functions="cdf logcdf logpdf logsf pdf ppf sf"),
    "laplace": Distribution(),
    "logistic": Distribution(functions="cdf isf logpdf pdf ppf sf"),
    "nbinom": Distribution(
        WHOLE, ((1.0, 0.5), (3.5, 0.25), (300.0, 0.6), (2.0, 1.0)),
        ((0.0, 0.5), (-1.0, 0.5), (2.0, 0.0), (2.0, 1.5), (NAN, 0.5)), 1, "logpmf pmf",
    ),
    "norm": Distribution(functions=ALL),
    "pareto": Distribution(
        np.array([-INF, -1.0, 0.5, 1.0, 1.0001, 1.5, 3.0, 50.0, 1e6, INF, NAN]),
        ((0.5,), (1.0,), (7.0,)), POSITIVE, 2, "cdf logcdf logpdf logsf pdf ppf sf",
    ),
    "poisson": Distribution(
        WHOLE, ((0.0,), (1.0,), (3.5,), (40.0,), (290.0,)), ((-1.0,), (NAN,)), 1,
        "cdf entropy logpmf pmf",
    ),
    "t": Distribution(
        LINE, ((1.0,), (0.5,), (4.5,), (100.0,), (1e8,), (INF,)), POSITIVE, 2, "logpdf pdf"
    ),
    "truncnorm": Distribution(
        LINE, ((-1.0, 2.0), (-INF, 0.5), (0.5, INF), (-INF, INF), (3.0, 9.0), (-9.0, -3.0)),
        ((2.0, 1.0), (1.0, 1.0), (NAN, 1.0)), 2, "cdf logcdf logpdf logsf pdf sf",
    ),
    "uniform": Distribution(UNIT, functions="cdf logpdf pdf ppf"),
    "vonmises": Distribution(
        np.array([-3.0, -1.0, 0.0, 1e-4, 0.5, 2.0, 3.14]), ((0.0,), (0.5,), (4.0,), (500.0,)),
        ((-1.0,), (NAN,)), 0, "logpdf pdf",
    ),
    "wrapcauchy": Distribution(
        np.array([-INF, -1.0, 0.0, 1e-4, 0.5, 2.0, 6.28, 7.0, INF, NAN]),
        ((0.1,), (0.5,), (0.999,)),
        ((0.0,), (1.0,), (-0.5,), (NAN,)), 0, "logpdf pdf",
    ),
}  # fmt: skip


def cases(name: str, function: str) -> tuple[list[Any], int]:
    """Arguments of a function, as columns; how many of them at the end say the place.

    The product of the points with the shapes and places, then each wrong parameter.
    """
    d = TABLE[name]
    points = PROBABILITIES if function in ("ppf", "isf") else d.points
    without = (name, function) in (("bernoulli", "cdf"), ("bernoulli", "ppf"))
    loc = 0 if without else d.loc
    places = [
        p[:loc] for p in (PLACES if loc == 2 else PLACES[:1] if not loc else ((0.0,), (2.0,)))
    ]
    wrong = [p[:loc] for p in WRONG] if loc == 2 else []
    rows = []
    for shape in d.shapes:
        for place in places:
            for x in points:
                moved = x
                if loc and function not in ("ppf", "isf"):
                    scale = place[1] if loc == 2 else 1.0
                    moved = x * scale + place[0]
                rows.append((moved, *shape, *place))
        rows += [(points[len(points) // 2], *shape, *place) for place in wrong]
    rows += [(points[len(points) // 2], *shape, *places[0]) for shape in d.wrong]
    if function == "entropy":
        rows = [(*r[1:],) for r in rows]
    return [np.array(c) for c in zip(*rows, strict=True)], loc
