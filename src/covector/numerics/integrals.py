"""Exponential, sine, cosine and Fresnel integrals and the dilogarithm, computed in double.

Coefficients: Chebyshev interpolation in 40 digits, on the intervals that stand with each, as
polynomials of what is moved to [-1, 1]; what was left out is below 2^-57.
"""

from __future__ import annotations

import math

from covector.numerics.exponential import exp
from covector.numerics.gamma import digamma, lgamma
from covector.numerics.iteration import if_any, iterate
from covector.numerics.logarithm import log, log1p
from covector.numerics.num import (
    Num,
    in_double,
    minimum,
    muladd,
    poly,
    two_prod,
    unit,
    where,
)
from covector.numerics.trigonometric import cos, sin

EULER = 0.5772156649015329
# (E1(x) + log x + gamma) / x on [0, 1]; x e^x E1(x) in 1/x on [1/3, 1], [1/8, 1/3], [0, 1/8].
E1_NEAR = (
    0.8876841582354967, -0.10074547766076357, 0.010541467229713778, -0.0009496819183999231,
    7.387064025369851e-05, -5.024388272123079e-06, 3.027425014978342e-07, -1.634832596071036e-08,
    7.990920056740073e-10, -3.565610231478228e-11, 1.468861577259427e-12, -5.575070247424053e-14,
)  # fmt: skip
E1_MIDDLE = (
    0.6723850039373744, -0.09048125492171806, 0.017743286294761056, -0.0041416843323691015,
    0.0010736734228737744, -0.0002990202276056637, 8.779744065315614e-05, -2.6857299725564145e-05,
    8.490900380739997e-06, -2.7584749263023758e-06, 9.169824703527432e-07, -3.108762650908049e-07,
    1.0721958440423146e-07, -3.759494949104656e-08, 1.3350973257350958e-08,
    -4.7081512084501794e-09, 1.6990045216797905e-09, -7.207307355752203e-10,
    2.7468355910623834e-10, -3.3986757831894436e-11, 9.397975191999117e-12, -3.09527253290226e-11,
    1.2417553443322163e-11,
)  # fmt: skip
E1_FAR = (
    0.8361833733785685, -0.05515781112956792, 0.005926980053763231, -0.0008113062567760959,
    0.00012922088111104056, -2.2887143695428775e-05, 4.389843260785661e-06, -8.963740400209835e-07,
    1.9257883190868428e-07, -4.3163411998548007e-08, 1.0027134885621068e-08,
    -2.4029506190248005e-09, 5.942792598371353e-10, -1.5013050231164652e-10, 3.618649699658673e-11,
    -9.372185885188078e-12, 3.8388453878649e-12, -1.0747333216481102e-12,
)  # fmt: skip
E1_FARTHEST = (
    0.9441296577369029, -0.05020418152735061, 0.004874895641379531, -0.0006548151380924849,
    0.00010901531298744245, -2.1224454399870757e-05, 4.663950810951835e-06,
    -1.1296930889166003e-06, 2.96602305279768e-07, -8.336657394394988e-08, 2.484817883704755e-08,
    -7.804362439762013e-09, 2.564443597224362e-09, -8.590059163138224e-10, 3.0056230348960323e-10,
    -1.3253853361035948e-10, 5.3365637841814136e-11, -2.8904319705261106e-12,
    -4.738353459142033e-13, -7.699601686018387e-12, 3.5345226482612184e-12,
)  # fmt: skip
# The zero of Ei in two parts; (Ei(x) - log(x / zero)) / (x - zero) on [0, 3]; x e^-x Ei(x) in x
# on [3, 8], in 1/x on [1/20, 1/8] and [0, 1/20].
EI_ZERO = (0.3725074107813666, 1.3140183414386028e-17)
EI_NEAR = (
    1.6925361750703682, 0.8362669668507032, 0.3246334572913859, 0.10057866880994226,
    0.02581445353997904, 0.005650317159559071, 0.0010779341915273142, 0.0001822477988290124,
    2.7667827893895404e-05, 3.811649199367787e-06, 4.806630795449226e-07, 5.588655600597444e-08,
    6.028063770851597e-09, 6.06126177568589e-10, 5.712652225943078e-11, 5.211080111751299e-12,
    4.3551838345554066e-13,
)  # fmt: skip
EI_MIDDLE = (
    1.3141435657421192, -0.1880209299270621, 0.05653550005535015, 0.01554114764513392,
    -0.029306517895064364, 0.01911386663590867, -0.008205715023772635, 0.002491905270373571,
    -0.00046264902799327765, -2.2558099035299523e-05, 6.641616237725308e-05,
    -3.746441886444345e-05, 1.5707010179363815e-05, -5.786890649784097e-06, 2.0123139399904585e-06,
    -6.897003961273267e-07, 2.407020708264981e-07, -8.581211302504405e-08, 2.92766351792888e-08,
    -1.0707862993010329e-08, 6.015732694438493e-09, -2.4957517269896075e-09,
    -1.6619160533827914e-10, 1.220380727842785e-10, 3.511830156392038e-10, -1.5107659711227095e-10,
)  # fmt: skip
EI_FAR = (
    1.1097271325995877, 0.06184167427162627, 0.00977991992532302, 0.0014091092042790728,
    -0.0006786259285449702, -0.0003483177701968522, 9.320852757644791e-05, 4.5869615229999945e-05,
    -2.375602466953956e-05, -1.1862958681518042e-06, 4.312005187653961e-06,
    -1.4099228679224505e-06, -1.4350225793745434e-07, 3.0324205869301775e-07,
    -1.1966006201163155e-07, 8.143155905592167e-09, 1.5679351784669422e-08,
    -1.0062407045009129e-08, 3.615673304576828e-09, -1.646995396933798e-10, -9.911195341981324e-10,
    4.949365845805211e-10, 4.403948082423146e-11, -5.8124352056192745e-11,
)  # fmt: skip
EI_FARTHEST = (
    1.0263545114390058, 0.027825946121226533, 0.0016027475231881365, 0.00014809035637086598,
    1.968479765587849e-05, 3.5734606004616567e-06, 8.67728576376547e-07, 2.839829636555728e-07,
    1.28178338094637e-07, 7.517445157256726e-08, 4.255849198419286e-08, 4.951506491282278e-09,
    -3.2294683027450624e-08, -4.098014289941122e-08, -6.941676900712816e-09,
    3.0873854706433335e-08, 2.0949796492356486e-08, -1.6187165214085653e-08,
    -1.896583316668308e-08, 6.8654976201123775e-09, 1.1626380087053432e-08,
    -2.2831781132711035e-09, -4.961570683805593e-09, 5.19204979090318e-10, 1.3238747932719887e-09,
    -5.870933825141921e-11, -1.650625497414955e-10,
)  # fmt: skip
# Si(x) / x in x^2 on [0, 16]; the first zero of Ci in two parts, and (Ci(x) - log(x / zero)) /
# (x^2 - zero^2) in x^2 on [0, 16].
SI = (
    0.6488924209268717, -0.26998630593421985, 0.06995436230262994, -0.010180919854579487,
    0.000926043940588566, -5.729510043974918e-05, 2.562902980424153e-06, -8.669329640074211e-08,
    2.294707477809517e-09, -4.8820436536706355e-11, 8.535034668454058e-13, -1.2465253208934712e-14,
)  # fmt: skip
CI_ZERO = (0.6165054856207163, -4.209920321433186e-17)
CI = (
    -0.17670588667145753, 0.05747638723576475, -0.010615612033194086, 0.0011843609879845346,
    -8.71597790683044e-05, 4.527233154088329e-06, -1.7453391008976554e-07, 5.188246874445977e-09,
    -1.2250444745488392e-10, 2.352692864345504e-12, -3.74843753247827e-14, 5.029551860732198e-16,
)  # fmt: skip
# The auxiliary functions x f(x) and x^2 g(x) in 1/x^2 (DLMF 6.2.17) on [1/64, 1/16], [0, 1/64].
F_MIDDLE = (
    0.9418119807878753, -0.027569764262193115, 0.0029468430581038665, -0.0005093313348859523,
    0.00011368354121901144, -2.9775809983806256e-05, 8.70718609278395e-06, -2.760756685302925e-06,
    9.315013874141314e-07, -3.30236658182439e-07, 1.2189980137800176e-07, -4.65015813643928e-08,
    1.8255329391251287e-08, -7.43859672955617e-09, 3.0801940588363717e-09, -1.1378297931642186e-09,
    4.596900088769621e-10, -3.6980248132505875e-10, 1.8104134670468547e-10, 3.9555768900511754e-11,
    -2.5764939319619727e-11, -3.6255512403618825e-11, 1.805480515794072e-11,
)  # fmt: skip
G_MIDDLE = (
    0.849912766580565, -0.06306367239922105, 0.009640901941618527, -0.002049538794554685,
    0.0005268883730371775, -0.00015339018925660674, 4.877573289266263e-05, -1.657130108227376e-05,
    5.928685331531567e-06, -2.2112292203089915e-06, 8.535260996098553e-07, -3.391703687342373e-07,
    1.3814016341306636e-07, -5.7266118878876565e-08, 2.421663159227393e-08,
    -1.0870622868348082e-08, 4.842189972927096e-09, -1.505408079910938e-09, 5.817830556375475e-10,
    -8.923224313842794e-10, 4.707462569496301e-10, 1.7744077165108551e-10, -1.0649684162459564e-10,
    -9.354497413975343e-11, 4.8226126970493025e-11,
)  # fmt: skip
F_FAR = (
    0.9855904297170983, -0.013381738359286218, 0.0008826900462605914, -0.00011493614903678992,
    2.213496956389378e-05, -5.503308971029083e-06, 1.6383726779388807e-06, -5.57794653675217e-07,
    2.1072671170690798e-07, -8.645671189037623e-08, 3.792879501003823e-08, -1.8006261366654285e-08,
    9.143384227022187e-09, -2.996674772317684e-09, 3.269155658889631e-10, -5.459192039729695e-09,
    6.1750266279637034e-09, 8.363330955176135e-09, -1.0354221548714492e-08,
    -1.2946162711157061e-08, 1.4565521810985477e-08, 1.2767516824088987e-08,
    -1.3645137640232422e-08, -8.456653020375933e-09, 8.551955788507604e-09, 3.2954099522512807e-09,
    -3.17948927206082e-09, -5.986837830990765e-10, 5.489074597117095e-10,
)  # fmt: skip
G_FAR = (
    0.9588269529985257, -0.03661445489281508, 0.003723833337119704, -0.0006274732869001924,
    0.00014418163375635556, -4.087592073420737e-05, 1.3489790796739331e-05,
    -4.9953948333850365e-06, 2.0251262373324326e-06, -8.830779563226112e-07, 4.088558976694846e-07,
    -2.0117764038063543e-07, 1.0466544078598685e-07, -4.393510224424452e-08,
    1.3102371522614181e-08, -5.712768484620205e-08, 7.104087841721124e-08, 1.154914414518663e-07,
    -1.6616803648724475e-07, -2.649528287486241e-07, 3.4510186572347935e-07,
    4.1509430724798494e-07, -5.11910880765847e-07, -4.756198036597022e-07, 5.554804510276259e-07,
    3.8232904990370586e-07, -4.258247401718956e-07, -2.0618176414391442e-07,
    2.1971360796450901e-07, 6.696605993965539e-08, -6.851479624395596e-08, -1.002926121292869e-08,
    9.855038792173803e-09,
)  # fmt: skip
# S(x) / x^3 and C(x) / x in x^4 on [0, 1.6^4]; pi x f(x) and pi^2 x^3 g(x) in 1/x^4 (DLMF 7.2.10)
# on [1/3^4, 1/1.6^4] and [0, 1/3^4].
S_NEAR = (
    0.2889393626408461, -0.1761356501395447, 0.050132952592302285, -0.007629278744901795,
    0.0007142320312441954, -4.5168950886221886e-05, 2.057811858438048e-06, -7.074441231946028e-08,
    1.9005632610677367e-09, -4.1002408595059026e-11, 7.26426036093387e-13, -1.0746132833319156e-14,
)  # fmt: skip
C_NEAR = (
    0.4434581121445708, -0.3498350978515388, 0.16644305991154654, -0.0356266466499555,
    0.00428781838520131, -0.0003307760776428032, 1.776427735141929e-05, -7.028320154789788e-07,
    2.134645071640612e-08, -5.135327076542383e-10, 1.0029390681445803e-11, -1.6229472687215528e-13,
    2.2094634192424975e-15,
)  # fmt: skip
FRESNEL_F_MIDDLE = (
    0.9794954990120958, -0.014792845358478001, 0.0016312937864261551, -0.00033150040837345596,
    9.192528184877133e-05, -3.082199277933562e-05, 1.1755523671285221e-05, -4.92353618028898e-06,
    2.214668571590641e-06, -1.0541745479439565e-06, 5.254206546650478e-07, -2.7058459571458656e-07,
    1.4344709529217806e-07, -8.6083530080237e-08, 5.336452349420344e-08, -3.3010483527425746e-09,
    -1.2606874808533395e-08, -6.643664902145766e-08, 7.09397888424272e-08, 1.0164260695781123e-07,
    -1.0996123941028592e-07, -1.380732660405802e-07, 1.3852717295818214e-07, 1.239194079999576e-07,
    -1.1860387200929295e-07, -7.570791710555985e-08, 6.896800197184893e-08, 2.7568725507749588e-08,
    -2.407355362305719e-08, -4.769289372736771e-09, 3.97774565019338e-09,
)  # fmt: skip
FRESNEL_G_MIDDLE = (
    0.9099062715744745, -0.058616202586067596, 0.010003262720665025, -0.002579747660882483,
    0.0008377581681666999, -0.0003154564197063704, 0.00013175685564355228, -5.943509072108944e-05,
    2.8459617308636662e-05, -1.4294688249834773e-05, 7.467376886985205e-06,
    -4.0258872708516294e-06, 2.2296538631147108e-06, -1.3019448133004161e-06,
    7.841273096669222e-07, -2.926132409792388e-07, 6.300365527291804e-08, -6.672583155831118e-07,
    7.469716839426834e-07, 1.2510807897448806e-06, -1.5274384162437265e-06, -2.555028089702895e-06,
    2.8580275780492443e-06, 3.6060089730538053e-06, -3.8440158281539866e-06,
    -3.7941685770958493e-06, 3.8491327663496965e-06, 2.831416580413489e-06,
    -2.7516887911552293e-06, -1.4368241341895438e-06, 1.3409226465654236e-06,
    4.4395295121617743e-07, -3.9917386038982676e-07, -6.439334858345448e-08, 5.575736593435059e-08,
)  # fmt: skip
FRESNEL_F_FAR = (
    0.9981624730618779, -0.0018007954946875958, 3.48624204150436e-05, -1.7038297437683452e-06,
    1.4405849553807252e-07, -1.76084409805949e-08, 2.807840668433904e-09, -5.474618199383391e-10,
    1.2479012015590626e-10, -3.2265069705771365e-11, 9.594306676501247e-12, -3.096679253911153e-12,
    6.741393044286286e-13, -1.8292475443158942e-13, 2.9773838578605287e-13,
    -1.3574536299786165e-13,
)  # fmt: skip
FRESNEL_G_FAR = (
    0.9909592910831274, -0.008725078110119577, 0.0002933158268125956, -1.9844850656573354e-05,
    2.096825582514709e-06, -3.023901225729816e-07, 5.48670441454171e-08, -1.1877434428196133e-08,
    2.957467554131412e-09, -8.261162942769638e-10, 2.5377683701012627e-10, -8.1943105997206e-11,
    2.8313914182767403e-11, -1.4226140086595776e-11, 6.4784644573598835e-12, 5.385916229391821e-13,
    -6.887795011978025e-13, -1.299123089020518e-12, 7.060823608993894e-13,
)  # fmt: skip
# Li2(1 - e^-u) / u + u / 4 in u^2 on [0, 0.49] (Bernoulli's numbers, DLMF 25.12(i)).
SPENCE = (
    1.0067898090316243, 0.006773269208592157, -1.6471306668699565e-05, 6.819185083613959e-08,
    -3.2287956147058897e-10, 1.6246662603787925e-12, -8.473975444033941e-15,
)  # fmt: skip
SPENCE_END = 0.49006207419656544
MOST_ROUNDS = 2000


def _e1_scaled(x: Num) -> Num:
    """x e^x E1(x) for x >= 1."""
    inverse = 1.0 / x
    far = where(
        x < 8.0,
        poly(unit(inverse, 1 / 8, 1 / 3), E1_FAR),
        poly(unit(inverse, 0.0, 1 / 8), E1_FARTHEST),
    )
    return where(x < 3.0, poly(unit(inverse, 1 / 3, 1.0), E1_MIDDLE), far)


def _exp1(x: Num) -> Num:
    near = muladd(x, poly(unit(x, 0.0, 1.0), E1_NEAR), -log(x) - EULER)
    far = exp(-x) * _e1_scaled(x) / x
    out = where(x < 1.0, near, where(x.eq(math.inf), 0.0, far))
    return where(x < 0.0, math.nan, out)


def _log_ratio(x: Num, zero: tuple[float, float]) -> Num:
    """log(x / zero), exact where that is small."""
    d = (x - zero[0]) - zero[1]
    # A quotient of a subnormal number would be rounded.
    tiny = x < 2.0**-1000
    far = log(where(tiny, x, x / zero[0])) - where(tiny, x.like(math.log(zero[0])), 0.0)
    close = abs(d) < 0.5 * zero[0]
    return where(close, if_any(close, lambda d: [log1p(d / zero[0])], [d], [far])[0], far)


def _expi_positive(x: Num) -> Num:
    d = (x - EI_ZERO[0]) - EI_ZERO[1]
    near = muladd(d, poly(unit(x, 0.0, 3.0), EI_NEAR), _log_ratio(x, EI_ZERO))

    def far(x: Num) -> list[Num]:
        inverse = 1.0 / x
        scaled = where(
            x < 20.0,
            poly(unit(inverse, 1 / 20, 1 / 8), EI_FAR),
            poly(unit(inverse, 0.0, 1 / 20), EI_FARTHEST),
        )
        scaled = where(x < 8.0, poly(unit(x, 3.0, 8.0), EI_MIDDLE), scaled)
        # In two steps: the power overflows before the integral does.
        root = exp(0.5 * minimum(1500.0, x))
        return [where(x > 720.0, math.inf, root * (root / x * scaled))]

    return where(x >= 3.0, if_any(x >= 3.0, far, [x], [near])[0], near)


def _expi(x: Num) -> Num:
    a = abs(x)
    up, down = x >= 0.0, x < 0.0
    positive = if_any(up, lambda a: [_expi_positive(a)], [a], [x])[0]
    return where(down, if_any(down, lambda a: [-_exp1(a)], [a], [x])[0], positive)


def _expn(n: Num, x: Num) -> Num:
    """The continued fraction DLMF 8.19.17 for x > 1, the series DLMF 8.19.8 below."""
    valid = n.eq(n.floor()) & (x >= 0.0)
    inside = valid & (n > 0.0) & (x > 0.0) & (x < math.inf) & (n < math.inf)
    m, z = where(inside, n, 1.0), where(inside, x, 2.0)
    high = z > 1.0
    one = z.like(1.0) + 0.0 * z
    # Steed's method: a sum of positive terms.
    first = 1.0 / (z + m)

    def fraction(k: Num, d: Num, term: Num, total: Num) -> tuple[list[Num], Num]:
        a = k * (m - 1.0 + k)
        new = 1.0 / muladd(-a, d, (z + m) + (k + k))
        term = a * d * new * term
        return [new, term, total + term], term > 2.0**-54 * total

    far = exp(-z) * iterate([first, first, first], high, fraction, MOST_ROUNDS)[2]
    # The term k = n - 1 of the series has the logarithm.
    top = m - 1.0
    u = where(high, 0.5, z)

    def series(k: Num, power: Num, total: Num) -> tuple[list[Num], Num]:
        power = power * (-u / k)
        term = where(top.eq(k), 0.0, power / (top - k))
        return [power, total + term], (abs(term) > 2.0**-54 * abs(total)) | top.eq(k)

    zero = where(top.eq(0.0), 0.0, 1.0 / top) + 0.0 * u
    total = iterate([one, zero], ~high, series, 60)[1]
    factor = exp(top * log(u) - lgamma(m))
    odd = (top * 0.5).floor().ne(top * 0.5)
    factor = where(odd, -factor, factor)
    near = muladd(factor, digamma(m) - log(u), total)
    out = where(high, far, near)
    out = where(x.eq(0.0), where(n > 1.0, 1.0 / (n - 1.0), math.inf), out)
    out = where(n.eq(0.0), exp(-x) / x, out)
    out = where(n < 0.0, _expn_negative(n, x), out)
    out = where(x.eq(math.inf) | n.eq(math.inf), 0.0, out)
    return where(valid, out, math.nan)


def _expn_negative(n: Num, x: Num) -> Num:
    """By the recurrence DLMF 8.19.12 from 0 on; derivatives need these orders."""
    e = exp(-x)

    def step(k: Num, total: Num) -> tuple[list[Num], Num]:
        return [muladd(k, total, e) / x], n < -k

    return iterate([e / x], n < 0.0, step, MOST_ROUNDS)[0]


def _auxiliary(x: Num) -> tuple[Num, Num]:
    """f(x) and g(x) of the sine and cosine integrals, x >= 4."""
    inverse = 1.0 / x
    s = inverse * inverse
    middle, far = unit(s, 1 / 64, 1 / 16), unit(s, 0.0, 1 / 64)
    near = x < 8.0
    f = where(near, poly(middle, F_MIDDLE), poly(far, F_FAR))
    g = where(near, poly(middle, G_MIDDLE), poly(far, G_FAR))
    return inverse * f, s * g


def _sin_integral(x: Num) -> Num:
    a = abs(x)
    near = x * poly(unit(x * x, 0.0, 16.0), SI)

    def far(x: Num) -> list[Num]:
        a = abs(x)
        f, g = _auxiliary(a)
        out = 0.5 * math.pi - (f * cos(a) + g * sin(a))
        return [where(a.eq(math.inf), 0.5 * math.pi, out).copysign(x)]

    return where(a >= 4.0, if_any(a >= 4.0, far, [x], [near])[0], near)


def _cos_integral(x: Num) -> Num:
    d = ((x - CI_ZERO[0]) - CI_ZERO[1]) * (x + CI_ZERO[0])
    near = muladd(d, poly(unit(x * x, 0.0, 16.0), CI), _log_ratio(x, CI_ZERO))

    def far(x: Num) -> list[Num]:
        f, g = _auxiliary(x)
        return [where(x.eq(math.inf), 0.0, f * sin(x) - g * cos(x))]

    out = where(x >= 4.0, if_any(x >= 4.0, far, [x], [near])[0], near)
    return where(x < 0.0, math.nan, out)


def _half_turns(a: Num) -> tuple[Num, Num]:
    """Sine and cosine of pi a^2 / 2."""
    s, sl = two_prod(a, a)
    # Modulo 4, exactly.
    f = (s - 4.0 * (0.25 * s).floor()) + sl
    f = where(f > 2.0, f - 4.0, f)
    angle = (0.5 * math.pi) * f
    return sin(angle), cos(angle)


def _fresnel_far(a: Num) -> tuple[Num, Num]:
    """pi x f and pi^2 x^3 g for x >= 1.6."""
    inverse = 1.0 / (a * a)
    u = inverse * inverse
    middle, far = unit(u, 1 / 81, 1 / 1.6**4), unit(u, 0.0, 1 / 81)
    near = a < 3.0
    f = where(near, poly(middle, FRESNEL_F_MIDDLE), poly(far, FRESNEL_F_FAR))
    g = where(near, poly(middle, FRESNEL_G_MIDDLE), poly(far, FRESNEL_G_FAR))
    inverse = 1.0 / (math.pi * a)
    return inverse * f, inverse * inverse / a * g


def _fresnel_sin(x: Num) -> Num:
    a = abs(x)
    s = x * x
    near = x * s * poly(unit(s * s, 0.0, 1.6**4), S_NEAR)
    f, g = _fresnel_far(a)
    sine, cosine = _half_turns(where(a < 2.0**54, a, 0.0))
    far = (0.5 - where(a < 2.0**54, f * cosine + g * sine, 0.0)).copysign(x)
    return where(a < 1.6, near, where(x.isnan(), x, far))


def _fresnel_cos(x: Num) -> Num:
    a = abs(x)
    s = x * x
    near = x * poly(unit(s * s, 0.0, 1.6**4), C_NEAR)
    f, g = _fresnel_far(a)
    sine, cosine = _half_turns(where(a < 2.0**54, a, 0.0))
    far = (0.5 + where(a < 2.0**54, f * sine - g * cosine, 0.0)).copysign(x)
    return where(a < 1.6, near, where(x.isnan(), x, far))


def _spence(x: Num) -> Num:
    """Reduced to [1/2, 2] by DLMF 25.12.4 and 25.12.6."""
    high, low = x > 2.0, x < 0.5
    logx = log(where(high, x - 1.0, x))
    other = log1p(where(high, 1.0 / (x - 1.0), -x))
    u = where(high | low, -other, 0.0 - logx)
    core = u * muladd(u, -0.25, poly(unit(u * u, 0.0, SPENCE_END), SPENCE))
    down = math.pi**2 / 6 - where(x.eq(0.0), 0.0, logx * other) - core
    out = where(low, down, where(high, muladd(logx * logx, -0.5, -core) - math.pi**2 / 6, core))
    return where(x < 0.0, math.nan, out)


def exp1(x: Num) -> Num:
    """The integral of e^-t / t from x to infinity."""
    return in_double(_exp1, x)


def expi(x: Num) -> Num:
    """The principal value of the integral of e^t / t from minus infinity to x."""
    return in_double(_expi, x)


def expn(n: Num, x: Num) -> Num:
    """The integral of e^(-x t) / t^n from 1 to infinity."""
    return in_double(_expn, n, x)


def sin_integral(x: Num) -> Num:
    """The integral of sin(t) / t from 0 to x."""
    return in_double(_sin_integral, x)


def cos_integral(x: Num) -> Num:
    """Minus the integral of cos(t) / t from x to infinity."""
    return in_double(_cos_integral, x)


def fresnel_sin(x: Num) -> Num:
    """The integral of sin(pi t^2 / 2) from 0 to x."""
    return in_double(_fresnel_sin, x)


def fresnel_cos(x: Num) -> Num:
    """The integral of cos(pi t^2 / 2) from 0 to x."""
    return in_double(_fresnel_cos, x)


def spence(x: Num) -> Num:
    """The dilogarithm of 1 - x."""
    return in_double(_spence, x)
