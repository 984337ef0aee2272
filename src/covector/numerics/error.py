"""erf, erfc and the inverse of erf.

Coefficients: minimax (Remez exchange in 50 digits).
"""

from __future__ import annotations

import math

from covector.numerics.exponential import exp_fraction_pair, exp_normal, scale
from covector.numerics.logarithm import log
from covector.numerics.num import (
    Num,
    fast_two_sum,
    fma,
    from_infinity,
    minimum,
    muladd,
    native,
    poly,
    two_prod,
    where,
)

Terms = tuple[tuple[float, float], tuple[float, ...]]
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

# e^(a^2) erfc(a) (a + 7/8) in t = (a - 4) / (a + 4), for all a from 0 on: Chebyshev interpolation
# in 34 digits, the constant term in two parts; errors 2^-29 and 2^-58. At 0 that has almost no
# slope, so that it does not matter that t is rounded.
ERFC = (4.0, 0.875)
ERFC_F = (
    (0.6678723692893982, -1.386562606238909e-08),
    (
        -0.16696107526074624, 0.08970975462728822, -0.02754820868883319, -0.009659128103231092,
        0.023201584964137035, -0.021423293182306638, 0.013764366407639252, -0.00658992020937642,
        0.002223665998050579, -0.0003667941508758192, -8.017562022155087e-05,
        5.1817857354937786e-05, -5.366115609783006e-06,
    ),
)  # fmt: skip
ERFC_D = (
    (0.6678723559221743, -3.3633814931611375e-17),
    (
        -0.1669610767053456, 0.08970970564565912, -0.027548154134145682, -0.009658341493560318,
        0.023200986634316023, -0.021428036711599523, 0.01376727800623652, -0.0065762681707374655,
        0.0022163124410733794, -0.0003870472779101594, -7.00096959943113e-05, 6.685224163970264e-05,
        -1.2913159567071651e-05, -4.506472387602644e-06, 2.7012516389419167e-06,
        3.9518066934795604e-08, -3.762046367071884e-07, 4.816875036093181e-08,
        4.908689788614373e-08, -1.1117815469648136e-08, -6.46973310941367e-09,
        1.6595250830984426e-09, 7.832587517219574e-10, -1.3792680137378983e-10,
        -6.01208650055152e-11,
    ),
)  # fmt: skip
# erf_inv(x) / x in w - 2.5 (w < 5), sqrt(w) - 3: relative errors 2^-23; in w - 3.125 (w < 6.25),
# sqrt(w) - 3.25 (w < 16), sqrt(w) - 5: 2^-52.
INV_NEAR_F = (
    1.5014094114303589, 0.24664072692394257, -0.004177707713097334, -0.0012537078000605106,
    0.0002186024357797578, -4.396677923068637e-06, -3.528933120833244e-06, 3.4371672086308536e-07,
    2.854049796496838e-08,
)  # fmt: skip
INV_FAR_F = (
    2.832977056503296, 1.0016741752624512, 0.009435622952878475, -0.007625313010066748,
    0.0057618035934865475, -0.003660110989585519, 0.0013002075720578432, 8.608327334513888e-05,
    -0.00016540952492505312,
)  # fmt: skip
INV_NEAR_D = (
    1.653654562683103, 0.2401581824255895, -0.006033670871430701, -0.0007407025341653131,
    0.00018673420803637868, -1.3882523364894629e-05, -1.3654692038675594e-06,
    4.234787804090676e-07, -2.907036680839467e-08, -4.112635161036614e-09, 1.0512107491223717e-09,
    -5.415372746378046e-11, -1.2974674592241028e-11, 2.6334273407052975e-12,
    -8.160779266835692e-14, -4.0534872451698446e-14, 6.64857656209095e-15, 2.0102195109548878e-17,
    -1.3415592785681018e-16, 1.1197180854931298e-17, 1.3221511435501552e-18,
    -1.6926626155465173e-19, -4.3222523863402e-21,
)  # fmt: skip
INV_MIDDLE_D = (
    3.0838856104922203, 1.0052589676941597, 0.005370914553602499, -0.003751208507598413,
    0.002491442095516223, -0.001688275555304847, 0.0009532893905659979, -0.0003550375283034249,
    2.4031011191533425e-05, 6.82848979691076e-05, -4.731771897911337e-05, 1.247514997958313e-05,
    2.9219055321272833e-06, -4.013575272936405e-06, 1.5054466418676196e-06, 1.794635172999473e-08,
    -2.777383758633447e-07, 9.087772072083792e-08, 3.2257374018924446e-09,
)  # fmt: skip
INV_FAR_D = (
    4.849906401408584, 1.0103004648645286, -0.00013871931835775944, -0.0002150301190688366,
    7.599527760696185e-05, -1.9681780741043366e-05, 4.526057121936246e-06, -9.92969652949638e-07,
    2.2902924758929456e-07, -6.774500557305096e-08, 2.9090480369245036e-08,
    -1.4915728253460176e-08, 7.689087394641208e-09, -3.819563967137958e-09, 1.459605238065482e-09,
    -2.474231840093762e-10, -1.4476652806724217e-11,
)  # fmt: skip


@native
def erf(x: Num) -> Num:
    """x + x P(x^2) on [-1, 1], 1 - e^Q(|x|) elsewhere."""
    a = abs(x)
    t = minimum(6.0 if x.double else 4.0, a) - 1.0
    big = 1.0 - exp_normal(poly(t, LOG_ERFC_D if x.double else LOG_ERFC_F))
    return where(a < 1.0, erf_near(x), big.copysign(x))


def erf_near(x: Num) -> Num:
    """erf on [-1, 1]."""
    return muladd(x, poly(x * x, ERF_D if x.double else ERF_F), x)


def scaled_tail(a: Num, centre: float, shift: float, terms: Terms) -> tuple[Num, Num]:
    """A polynomial in (a - centre) / (a + centre), divided by a + shift, in two parts.

    For 0 <= a < 1e18. The constant term and the divisor are known in two parts each.
    """
    first, rest = terms
    t, lost = from_infinity(a, centre)
    slope = sum(k * c * (-0.75) ** (k - 1) for k, c in enumerate(rest, 1))
    p, pl = fast_two_sum(a.like(first[0]), muladd(t, poly(t, rest), first[1]))
    pl = muladd(lost, slope, pl)
    d = a + shift
    inverse = 1.0 / d
    q = p * inverse
    ql = (fma(-q, d, p) + pl) - q * ((shift - d) + a)
    return q, ql * inverse


def erfc(x: Num) -> Num:
    """e^(-a^2) times a scaled tail for a = |x|, 2 minus that for x < 0.

    That and the exponential are known in two parts each.
    """
    a = minimum(27.5 if x.double else 10.2, abs(x))
    q, ql = scaled_tail(a, *ERFC, ERFC_D if x.double else ERFC_F)
    s, sl = two_prod(a, a)
    n, e, el = exp_fraction_pair(-s, -sl)
    y = scale(muladd(q, e, muladd(q, el, ql * e)), n)
    return where(x < 0.0, 2.0 - y, y)


def erf_inv(x: Num) -> Num:
    """x P(w) with w = -log(1 - x^2), in pieces of w (M. Giles, "Approximating the erfinv
    function", GPU Computing Gems 2, 2011); +-1 at infinity, NaN outside."""
    a = abs(x)
    w = -log(fma(-x, x, 1.0))
    root = w.sqrt()
    if x.double:
        p = where(w < 16.0, poly(root - 3.25, INV_MIDDLE_D), poly(root - 5.0, INV_FAR_D))
        p = where(w < 6.25, poly(w - 3.125, INV_NEAR_D), p)
    else:
        p = where(w < 5.0, poly(w - 2.5, INV_NEAR_F), poly(root - 3.0, INV_FAR_F))
    return where(a.eq(1.0), x * math.inf, x * p)
