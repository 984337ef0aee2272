"""erf, erfc and the inverse of erf.

Coefficients: minimax (Remez exchange in 50 digits).
"""

from __future__ import annotations

from covector.backends.cpu.vmath.exponential import exp_normal
from covector.backends.cpu.vmath.num import Num, fma, minimum, poly, where

# erf(x)/x - 1 in x^2 on [0, 1]; relative errors of erf 2^-29.4 and 2^-56.0.
ERF_F = (
    0.12837916612625122, -0.3761262595653534, 0.11283578723669052, -0.026853347197175026,
    0.005187162198126316, -0.0007997855427674949, 7.806934445397928e-05,
)  # fmt: skip
ERF_D = (
    0.12837916709551256, -0.37612638903183343, 0.1128379167093695, -0.026866170641959137,
    0.005223977596735844, -0.0008548325484996898, 0.0001205528049651259,
    -1.4924465637967206e-05, 1.644415052946213e-06, -1.6183990600537408e-07,
    1.3616695211220617e-08, -7.607801027400958e-10,
)  # fmt: skip
# log(erfc(x)) in x - 1 on [1, 4] and [1, 6]; relative errors of erf 2^-26.7 and 2^-57.7.
LOG_ERFC_F = (
    -1.8496055603027344, -2.6389667987823486, -0.8431175947189331, -0.04150351136922836,
    0.009895450435578823, -0.001829356886446476, 0.00018636872118804604,
)  # fmt: skip
LOG_ERFC_D = (
    -1.8496055099332482, -2.6389675142347886, -0.8431072563586578, -0.041561098042201754,
    0.010033825378639715, -0.0019779025950875944, 0.00023732259477646245, 2.627755129013518e-05,
    -2.7158454838762635e-05, 9.60792875410476e-06, -2.0587104243813236e-06, 1.4201094362501967e-07,
    9.807235610590937e-08, -5.22740389876291e-08, 1.4988851698752188e-08, -2.8819606340980926e-09,
    3.7101970918155263e-10, -2.907202396719543e-11, 1.0498183664234284e-12,
)  # fmt: skip


def erf(x: Num) -> Num:
    """x + x P(x^2) on [-1, 1], 1 - e^Q(|x|) elsewhere."""
    a = abs(x)
    s = x * x
    small = fma(x, poly(s, ERF_D if x.double else ERF_F), x)
    t = minimum(6.0 if x.double else 4.0, a) - 1.0
    big = 1.0 - exp_normal(poly(t, LOG_ERFC_D if x.double else LOG_ERFC_F))
    return where(a < 1.0, small, big.copysign(x))
