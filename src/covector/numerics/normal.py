"""The scaled error function, the normal distribution, Dawson's integral.

Coefficients: Chebyshev interpolation in 40 digits, on the intervals that stand with each, as
polynomials of what is moved to [-1, 1]; what was left out is below 2^-57 (2^-28 in f32, where the
leading coefficients are known in two parts each, so that the results are as good as rounded).
"""

from __future__ import annotations

import math

from covector.numerics.exponential import exp_fraction_pair, scale
from covector.numerics.iteration import if_any
from covector.numerics.logarithm import log, log_parts, mantissa_exponent, small_quotient
from covector.numerics.num import (
    Num,
    fast_two_sum,
    fma,
    from_infinity,
    in_double,
    maximum,
    minimum,
    muladd,
    poly,
    poly_pair,
    two_prod,
    two_sum,
    unit,
    where,
)

Terms = tuple[tuple[float, float], tuple[float, ...]]
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
# From here on scaled tails are their limits.
FAR = 1e17
# -ndtri(1/2 - q) / q in q^2 on [0, 0.09].
NDTRI_CENTRE = (
    2.638092834323769, 0.14672381961923803, 0.01748479505840252, 0.0025874528846428963,
    0.00042463213345650657, 7.404250220952964e-05, 1.3435015549352427e-05, 2.5073358659160137e-06,
    4.778320395067716e-07, 9.254562421624977e-08, 1.8156336241412323e-08, 3.6017267703036105e-09,
    7.204241478280716e-10, 1.428577031133013e-10, 2.8888944105440866e-11, 7.191687519908105e-12,
    1.4910055526710928e-12,
)  # fmt: skip
# -ndtri(p) / r for r = sqrt(-2 log p), in t = (r - 4) / (r + 4); r on [1.784, 38.7].
NDTRI_TAIL = (
    0.926979172581884, 0.15245986977046647, -0.1335766892836642, 0.08066998655513274,
    -0.045418678767201244, 0.0242380439366766, -0.01272635748052236, 0.0065504359611041904,
    -0.0033599775904552508, 0.0017033742476279298, -0.0008643708854850595, 0.0004343161011687455,
    -0.000219134801276554, 0.0001094054951055211, -5.507313298428061e-05, 2.7376626489702482e-05,
    -1.3703300036998731e-05, 6.654315289690483e-06, -3.5987266405467873e-06, 2.022364431144237e-06,
    -4.3194505239137877e-07, -2.575524158915585e-07, -9.766506454923552e-07,
    1.0575045334851846e-06, 9.865188304947516e-07, -9.811567239236084e-07, -1.0565254011834691e-06,
    7.585785173487943e-07, 7.471364283240712e-07, -3.8109599277040056e-07, -3.689264104892238e-07,
    1.1874474770840034e-07, 1.1042137315690961e-07, -1.707844906744748e-08,
    -1.5738232740569842e-08,
)  # fmt: skip
TAIL = (-0.38309655304268314, 0.8126463700234192)
# dawsn(x) / x in x^2 on [0, 2.25]; x dawsn(x) in x on [1.5, 5]; 2x dawsn(x) in 1/x^2 on [0, 0.04].
DAWSON_NEAR = (
    0.5014241400133203, -0.31481422752164534, 0.131142594864667, -0.04040863347418886,
    0.009838627648841376, -0.0019765135732559415, 0.0003376577196608458, -5.0151763199420845e-05,
    6.586752812624009e-06, -7.751958612158781e-07, 8.263603768235818e-08, -8.049747146971687e-09,
    7.21726962057095e-10, -5.996019168520379e-11, 4.732821357698001e-12, -3.4231365883966134e-13,
)  # fmt: skip
DAWSON_MIDDLE = (
    0.5283554723222328, -0.03804439718419517, 0.04270024101143425, -0.04539411412508998,
    0.04190985331156928, -0.025835179029803968, -0.0023603767301983805, 0.030209024113532417,
    -0.04088812650539194, 0.028549264680649507, -0.00464814713083371, -0.012679817832974104,
    0.014607585125935529, -0.00630964719974103, -0.0017558406137668321, 0.004091985586794748,
    -0.0021921417678069, -9.967030742655675e-05, 0.0008526966096071627, -0.00047656219408722213,
    -3.608366398551135e-06, 0.00014787025335946823, -7.577676181736531e-05,
    -3.6517340433700243e-06, 2.236326037308979e-05, -9.28067287336033e-06, -1.8211224429609673e-06,
    2.9781528771159234e-06, -5.422104362293915e-07, -4.4967317148194035e-07,
    1.7656795898668375e-07, 2.99128361068151e-08, -1.7625277114826717e-08,
)  # fmt: skip
DAWSON_FAR = (
    1.01031615649186, 0.010649746347064419, 0.0003524366198142889, 2.041556032729951e-05,
    1.7463311986398027e-06, 2.036565445862328e-07, 3.099021463773856e-08, 6.0046380867056205e-09,
    1.468058569802915e-09, 4.5362383893821445e-10, 1.7335732833169952e-10, 9.264151953682587e-11,
    7.841474583951571e-11, 3.7714640209832775e-11, -3.2087887283607666e-11, -4.23846221640676e-11,
    -7.43197067899083e-13, 1.2772876934406458e-11, 1.2971632914723164e-12, -1.55846734509521e-12,
)  # fmt: skip
# In f32: dawsn(x) / x in x - 3/4 on [0, 1.5]; x dawsn(x) in x - 11/4 on [1.5, 4];
# (2x dawsn(x) - 1) x^2 in 1/x^2 on [0, 1/16].
DAWSON_NEAR_HEAD = (
    (0.6973503828048706, -2.5748789824837594e-08),
    (-0.6424926519393921, -2.6366185574832314e-08),
    (-0.05617431178689003, -4.794126837648237e-10),
)
DAWSON_NEAR_F = (
    0.33977614969299313, -0.09594783403091879, -0.08514617714136384, 0.047764866826571564,
    0.011281199139627269, -0.012638812541213153, -0.00019003496434434437, 0.0022786162258648986,
    -0.00026381474873399903, -0.00026045815028113636, 5.3691567458766864e-05,
)  # fmt: skip
DAWSON_MIDDLE_HEAD = (
    (0.5440900921821594, 1.1701628134155848e-08),
    (-0.04464462772011757, -1.58977974921195e-09),
    (0.03459259122610092, -1.1709080917680616e-09),
)
DAWSON_MIDDLE_F = (
    -0.018774977104332548, 0.002752971739974348, 0.0063580560878291545, -0.006924858272534164,
    0.0033259302330295956, -0.00031941181959100815, -0.000644869598935484,
    0.00044109644419162807, -8.183994909077089e-05, -5.431458695666797e-05,
    3.0295691274100086e-05, 1.015420866784541e-06, -2.509902966090884e-06,
)  # fmt: skip
DAWSON_FAR_F = (
    0.5000002644557077, 0.7498604052571438, 1.899256980063968, 4.673867079786699,
    103.13365953623726, -1266.3435135726306, 12609.245534763308,
)  # fmt: skip
# ndtr(-a) e^(a^2 / 2) (a + 5/4) in (a - 11/2) / (a + 11/2), as in `scaled_tail`.
NORMAL_F = (
    (0.47481319308280945, -8.796067635393692e-09),
    (
        -0.12149701747038268, 0.06393156176576607, -0.018299526412974405, -0.008120574601680116,
        0.016859271396966465, -0.014708057089059283, 0.008882925565189754, -0.0038912577981687784,
        0.0011054411160977184, -7.855618252198063e-05, -7.99543979299955e-05, 2.484018535171971e-05,
    ),
)  # fmt: skip
NORMAL_D = (
    (0.47481318466961325, -1.1578363565630753e-17),
    (
        -0.12149701301836846, 0.06393152397553735, -0.018299646565126216, -0.008119964155198181,
        0.016860180220629944, -0.014711769255598835, 0.008880092919591229, -0.0038804351823709554,
        0.0011093185096635227, -9.497361351331428e-05, -8.156109591384893e-05,
        3.760614737702789e-05, -1.1309350973753465e-06, -4.406917104230756e-06,
        1.082882185617208e-06, 4.0605380723343826e-07, -2.130241908695777e-07,
        -3.4149962015613463e-08, 3.5073439821475525e-08, 2.8657506487051655e-09,
        -5.426198906100993e-09, -2.559035893822247e-10, 7.171159732002146e-10,
        1.8281961466193638e-11, -5.7014092586092996e-11,
    ),
)  # fmt: skip


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


def erfcx(x: Num) -> Num:
    """e^(x^2) erfc(x)."""
    a = abs(x)
    q, ql = scaled_tail(minimum(FAR, a), *ERFC, ERFC_D if x.double else ERFC_F)

    def mirrored(x: Num, q: Num, ql: Num) -> list[Num]:
        # 2 e^(x^2) less that of -x, which is small beside it but near zero.
        b = maximum(-27.5 if x.double else -10.2, x)
        s, sl = two_prod(b, b)
        n, e, el = exp_fraction_pair(s, sl)
        down = scale(e, n), scale(el, n)
        y, yl = fast_two_sum(2.0 * down[0], -q)
        y = y + (muladd(down[1], 2.0, -ql) + yl)
        return [where(x < (-26.7 if x.double else -9.4), math.inf, y)]

    (left,) = if_any(x < 0.0, mirrored, [x, q, ql], [q])
    right = q + ql
    (limit,) = if_any(x > FAR, lambda x: [(1.0 / math.sqrt(math.pi)) / x], [x], [right])
    return where(x < 0.0, left, where(x > FAR, limit, right))


def _normal_tail(a: Num, b: Num) -> tuple[Num, Num, Num, Num]:
    """ndtr(-a) e^(a^2 / 2), and ndtr(-b) if ``b`` is ``a``; each in two parts, for a, b >= 0."""
    q, ql = scaled_tail(minimum(FAR, a), 5.5, 1.25, NORMAL_D if a.double else NORMAL_F)
    b = minimum(38.9 if a.double else 14.5, b)
    s, sl = two_prod(b, b)
    n, e, el = exp_fraction_pair(-0.5 * s, -0.5 * sl)
    w = q * e
    wl = fma(q, e, -w) + muladd(q, el, ql * e)
    return q, ql, scale(w + wl, n), scale(wl - ((w + wl) - w), n)


def ndtr(x: Num) -> Num:
    """The distribution function of the normal distribution."""
    _, _, w, rest = _normal_tail(abs(x), abs(x))
    return where(x < 0.0, w, (1.0 - w) - rest)


def log_ndtr(x: Num) -> Num:
    """Its logarithm: log(1 - w) for x > 0, log(w e^(x^2 / 2)) - x^2 / 2 elsewhere."""
    low = x <= 0.0
    a = abs(x)
    # Where it is not wanted the exponential is no subnormal number, which would be slow.
    q, ql, w, wl = _normal_tail(a, where(low, 0.0, a))
    s, sl = two_prod(a, a)
    finite = s < math.inf
    square, rest = where(low, -0.5 * s, 0.0), where(low & finite, -0.5 * sl, 0.0)
    u = where(low, q, 1.0 - w)
    m, e = mantissa_exponent(u)
    near = e.eq(0.0) & ~low
    f = where(near, -w, m - 1.0)
    c = where(low, ql, where(near, 0.0, (1.0 - u) - w) - wl)
    h, y = log_parts(f, e, small_quotient(c, u, m))
    first, l1 = fast_two_sum(e * h, f)
    total, l2 = two_sum(square, first)
    out = total + where(finite, (l1 + l2) + (y + rest), 0.0)
    # Bits of NaN are no mantissa.
    return where((~low & (w < 2.0**-60)) | x.isnan(), -w, out)


def _ndtri(p: Num) -> Num:
    q = p - 0.5
    s = q * q
    centre = q * poly(unit(s, 0.0, 0.09), NDTRI_CENTRE)
    low = p < 0.5
    # 1 - p is exact where it counts, from 1/2 on.
    r = (-2.0 * log(where(low, p, 1.0 - p))).sqrt()
    t = (r - 4.0) / (r + 4.0)
    tail = r * poly(unit(t, *TAIL), NDTRI_TAIL)
    tail = where(r.eq(math.inf), math.inf, tail)
    tail = where(low, -tail, tail)
    return where(abs(q) < 0.3, centre, tail)


def _dawsn(x: Num) -> Num:
    a = abs(x)
    s = x * x
    near = x * poly(unit(s, 0.0, 2.25), DAWSON_NEAR)
    inverse = 1.0 / x
    middle = inverse * poly(unit(a, 1.5, 5.0), DAWSON_MIDDLE)

    def beyond(inverse: Num) -> list[Num]:
        return [0.5 * inverse * poly(unit(inverse * inverse, 0.0, 0.04), DAWSON_FAR)]

    (far,) = if_any(a > 5.0, beyond, [inverse], [middle])
    return where(a < 1.5, near, where(a > 5.0, far, middle))


def _dawsn_f(x: Num) -> Num:
    a = abs(x)
    near, rest = poly_pair(minimum(1.5, a) - 0.75, DAWSON_NEAR_HEAD, DAWSON_NEAR_F)
    near = muladd(a, near, a * rest)
    product = poly_pair(maximum(1.5, minimum(4.0, a)) - 2.75, DAWSON_MIDDLE_HEAD, DAWSON_MIDDLE_F)
    inverse = 1.0 / a

    def beyond(inverse: Num) -> list[Num]:
        u = inverse * inverse
        return [u.like(0.5), 0.5 * u * poly(u, DAWSON_FAR_F)]

    p, pl = if_any(a > 4.0, beyond, [inverse], product)
    p, pl = where(a > 4.0, p, product[0]), where(a > 4.0, pl, product[1])
    q = p * inverse
    q = q + where(a < math.inf, fma(-q, a, p) + pl, 0.0) * inverse
    return where(a < 1.5, near, q).copysign(x)


def dawsn(x: Num) -> Num:
    """e^(-x^2) times the integral of e^(t^2) from 0 to x."""
    return _dawsn(x) if x.double else _dawsn_f(x)


def ndtri(p: Num) -> Num:
    """Its inverse."""
    return in_double(_ndtri, p)
