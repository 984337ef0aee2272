"""The programs for Numba: loops by hand, ``parallel=True, fastmath=True``.

Where a loop over many small problems is to become vectors, some of them (``LANES``) lie beside
each other in the last axis. Numba's own packages bring no vector functions for exp, log and erf.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, prange

PROGRAMS: dict[str, Callable[..., Any]] = {}
f32, i32, u8 = np.float32, np.int32, np.uint8
LANES = 16


def _program(f: Callable[..., Any]) -> Callable[..., Any]:
    PROGRAMS[f.__name__] = njit(parallel=True, fastmath=True)(f)
    return PROGRAMS[f.__name__]


@njit(parallel=True)
def warm(x: Any) -> Any:
    for i in prange(x.size):
        x[i] += 1
    return x


@_program
def mandelbrot(c: Any) -> Any:
    h, w = c.shape
    steps = np.empty((h, w), i32)
    for i in prange(h):
        for j in range(w):
            cr, ci = c[i, j].real, c[i, j].imag
            zr, zi = cr, ci
            f = i32(20)
            for k in range(20):
                zr, zi = zr * zr - zi * zi + cr, f32(2) * zr * zi + ci
                if (zr * zr + zi * zi > f32(4)) & (f == 20):
                    f = i32(k)
            steps[i, j] = f
    return steps


@_program
def black_scholes(S: Any, K: Any, T: Any, R: Any, V: Any) -> Any:
    n = S.size
    o = np.empty((6, n), f32)
    one, half, root = f32(1), f32(0.5), f32(0.70710678)
    for i in prange(n):
        s, k, t, r, v = S[i], K[i], T[i], R[i], V[i]
        q = math.sqrt(t)
        d1 = (math.log(s / k) + (r + half * v * v) * t) / (v * q)
        d2 = d1 - v * q
        n1 = half * (one + math.erf(d1 * root))
        n2 = half * (one + math.erf(d2 * root))
        df = k * math.exp(-r * t)
        pdf = math.exp(-half * d1 * d1) * f32(0.39894228)
        o[0, i] = s * n1 - df * n2
        o[1, i] = n1
        o[2, i] = -df / k * n2
        o[3, i] = half * s * pdf * v / q + r * df * n2
        o[4, i] = t * df * n2
        o[5, i] = s * pdf * q
    return o[0], o[1], o[2], o[3], o[4], o[5]


@_program
def layer_norm(x: Any, w: Any, b: Any, g: Any) -> Any:
    rows, n = x.shape
    y, dx = np.empty_like(x), np.empty_like(x)
    parts = 2
    dw, db = np.zeros((parts, n), f32), np.zeros((parts, n), f32)
    for q in prange(parts):
        for i in range(q * rows // parts, (q + 1) * rows // parts):
            m, v, a, c = f32(0), f32(0), f32(0), f32(0)
            for j in range(n):
                m += x[i, j]
            m /= f32(n)
            for j in range(n):
                d = x[i, j] - m
                h = g[i, j] * w[j]
                v += d * d
                a += h
                c += h * d
            r = f32(1) / math.sqrt(v / f32(n) + f32(1e-5))
            a /= f32(n)
            c *= r / f32(n)
            for j in range(n):
                h = (x[i, j] - m) * r
                y[i, j] = h * w[j] + b[j]
                dx[i, j] = (g[i, j] * w[j] - a - h * c) * r
                dw[q, j] += g[i, j] * h
                db[q, j] += g[i, j]
    return y, dx, dw[0] + dw[1], db[0] + db[1]


@_program
def nbody(x: Any) -> Any:
    n = x.shape[0]
    X = x.T.copy()
    o = np.empty_like(x)
    for i in prange(n):
        ga, gb, gc = f32(0), f32(0), f32(0)
        for j in range(n):
            a, b, c = X[0, i] - X[0, j], X[1, i] - X[1, j], X[2, i] - X[2, j]
            r = f32(1) / math.sqrt(a * a + b * b + c * c + f32(1e-3))
            w = r * r * r
            ga += w * a
            gb += w * b
            gc += w * c
        o[i, 0], o[i, 1], o[i, 2] = f32(-2) * ga, f32(-2) * gb, f32(-2) * gc
    return o


@_program
def pairwise(x: Any) -> Any:
    n = x.shape[0]
    X = x.T.copy()
    o = np.empty((n, n), f32)
    for i in prange(n):
        for j in range(n):
            a, b, c = X[0, i] - X[0, j], X[1, i] - X[1, j], X[2, i] - X[2, j]
            o[i, j] = math.sqrt(a * a + b * b + c * c)
    return o


@_program
def lotka_volterra(a: Any) -> Any:
    n, lanes = a.shape[0], 64
    o = np.empty((n, 2), f32)
    h, e, two, s = f32(0.01), f32(0.005), f32(2), f32(0.01 / 6)
    for block in prange((n + lanes - 1) // lanes):
        at = block * lanes
        m = min(lanes, n - at)
        X, Y = np.ones(lanes, f32), np.ones(lanes, f32)
        A = np.zeros((4, lanes), f32)
        for l in range(m):
            for k in range(4):
                A[k, l] = a[at + l, k]
        for _ in range(1000):
            for l in range(lanes):
                x, y = X[l], Y[l]
                b, c, d, g = A[0, l], A[1, l], A[2, l], A[3, l]
                p1, q1 = x * (b - c * y), y * (d * x - g)
                u, v = x + e * p1, y + e * q1
                p2, q2 = u * (b - c * v), v * (d * u - g)
                u, v = x + e * p2, y + e * q2
                p3, q3 = u * (b - c * v), v * (d * u - g)
                u, v = x + h * p3, y + h * q3
                p4, q4 = u * (b - c * v), v * (d * u - g)
                X[l] = x + s * (p1 + two * p2 + two * p3 + p4)
                Y[l] = y + s * (q1 + two * q2 + two * q3 + q4)
        for l in range(m):
            o[at + l, 0], o[at + l, 1] = X[l], Y[l]
    return o


PROGRAMS["rk4_1000"] = PROGRAMS["rk4_100000"] = PROGRAMS.pop("lotka_volterra")


@_program
def matmul3(a: Any, b: Any) -> Any:
    n = a.shape[0]
    o = np.empty_like(a)
    for i in prange(n):
        for r in range(3):
            for c in range(3):
                o[i, r, c] = (
                    a[i, r, 0] * b[i, 0, c] + a[i, r, 1] * b[i, 1, c] + a[i, r, 2] * b[i, 2, c]
                )
    return o


@_program
def inv3(m: Any) -> Any:
    n = m.shape[0]
    o = np.empty_like(m)
    for q in prange(n):
        a, b, c = m[q, 0, 0], m[q, 0, 1], m[q, 0, 2]
        d, e, f = m[q, 1, 0], m[q, 1, 1], m[q, 1, 2]
        g, h, i = m[q, 2, 0], m[q, 2, 1], m[q, 2, 2]
        u, v, w = e * i - f * h, f * g - d * i, d * h - e * g
        t = f32(1) / (a * u + b * v + c * w)
        o[q, 0, 0], o[q, 0, 1], o[q, 0, 2] = u * t, (c * h - b * i) * t, (b * f - c * e) * t
        o[q, 1, 0], o[q, 1, 1], o[q, 1, 2] = v * t, (a * i - c * g) * t, (c * d - a * f) * t
        o[q, 2, 0], o[q, 2, 1], o[q, 2, 2] = w * t, (b * g - a * h) * t, (a * e - b * d) * t
    return o


@_program
def bilinear(image: Any, points: Any) -> Any:
    n = points.shape[0]
    o = np.empty(n, f32)
    one = f32(1)
    for q in prange(n):
        x, y = points[q, 0], points[q, 1]
        u, v = math.floor(x), math.floor(y)
        a, b = f32(x - u), f32(y - v)
        i, j = int(u), int(v)
        i0, i1 = min(max(i, 0), 1023), min(max(i + 1, 0), 1023)
        j0, j1 = min(max(j, 0), 1023), min(max(j + 1, 0), 1023)
        left = image[i0, j0] * (one - a) + image[i1, j0] * a
        right = image[i0, j1] * (one - a) + image[i1, j1] * a
        o[q] = left * (one - b) + right * b
    return o


@_program
def kmeans(x: Any, c: Any) -> Any:
    n, d = x.shape
    k = c.shape[0]
    T = c.T.copy()
    o = np.empty(n, i32)
    for i in prange(n):
        s = np.zeros(k, f32)
        for q in range(d):
            for j in range(k):
                e = T[q, j] - x[i, q]
                s[j] += e * e
        best = 0
        for j in range(1, k):
            if s[j] < s[best]:
                best = j
        o[i] = best
    return o


@_program
def bincount(x: Any) -> Any:
    h = np.zeros((2, 1000), i32)
    n = x.size
    for t in prange(2):
        for i in range(t * n // 2, (t + 1) * n // 2):
            h[t, x[i]] += 1
    return h[0] + h[1]


@_program
def life(x: Any) -> Any:
    n, m = x.shape
    u, v = x.copy(), np.empty_like(x)
    for _ in range(100):
        for i in prange(n):
            a = u[i - 1 if i > 0 else n - 1]
            b = u[i]
            c = u[i + 1 if i < n - 1 else 0]
            for j in range(1, m - 1):
                k = a[j - 1] + a[j] + a[j + 1] + b[j - 1] + b[j + 1] + c[j - 1] + c[j] + c[j + 1]
                v[i, j] = (u8(k) | b[j]) == 3
            for j in (0, m - 1):
                l = j - 1 if j > 0 else m - 1
                r = j + 1 if j < m - 1 else 0
                k = a[l] + a[j] + a[r] + b[l] + b[r] + c[l] + c[j] + c[r]
                v[i, j] = (u8(k) | b[j]) == 3
        u, v = v, u
    return u


@_program
def int8_product(a: Any, b: Any) -> Any:
    n, m = a.shape
    k = b.shape[1]
    o = np.zeros((n, k), i32)
    for i in prange(n):
        for q in range(m):
            s = i32(a[i, q])
            for j in range(k):
                o[i, j] += s * i32(b[q, j])
    return o


@_program
def conjugate_gradients(b: Any) -> Any:
    n = b.shape[0]
    four = f32(4)
    x, r, q = np.zeros_like(b), b.copy(), np.empty_like(b)
    p = np.zeros((n + 2, n + 2), f32)
    rr = f32(0)
    for i in prange(n):
        s = f32(0)
        for j in range(n):
            p[i + 1, j + 1] = b[i, j]
            s += b[i, j] * b[i, j]
        rr += s
    for _ in range(50):
        pq = f32(0)
        for i in prange(n):
            s = f32(0)
            for j in range(n):
                c = p[i + 1, j + 1]
                v = four * c - p[i, j + 1] - p[i + 2, j + 1] - p[i + 1, j] - p[i + 1, j + 2]
                q[i, j] = v
                s += c * v
            pq += s
        alpha = rr / pq
        new = f32(0)
        for i in prange(n):
            s = f32(0)
            for j in range(n):
                x[i, j] += alpha * p[i + 1, j + 1]
                r[i, j] -= alpha * q[i, j]
                s += r[i, j] * r[i, j]
            new += s
        beta = new / rr
        rr = new
        for i in prange(n):
            for j in range(n):
                p[i + 1, j + 1] = r[i, j] + beta * p[i + 1, j + 1]
    return x


@_program
def gaussian_blur(x: Any, w: Any) -> Any:
    n, m = x.shape
    o = np.empty_like(x)
    for i in prange(n):
        t = np.empty(m + 10, f32)
        if i >= 5 and i < n - 5:
            for j in range(m):
                s = f32(0)
                for k in range(11):
                    s += w[k] * x[i - 5 + k, j]
                t[j + 5] = s
        else:
            t[5 : m + 5] = f32(0)
            for k in range(11):
                row = min(max(i - 5 + k, 0), n - 1)
                for j in range(m):
                    t[j + 5] += w[k] * x[row, j]
        t[:5] = t[5]
        t[m + 5 :] = t[m + 4]
        for j in range(m):
            s = f32(0)
            for k in range(11):
                s += w[k] * t[j + k]
            o[i, j] = s
    return o


@_program
def hmm_forward(start: Any, move: Any, emit: Any, seen: Any) -> Any:
    batch, steps = seen.shape
    n = start.size
    into = move.T.copy()
    o = np.empty(batch, f32)
    for b in prange(batch):
        alpha, after = np.empty(n, f32), np.empty(n, f32)
        for j in range(n):
            alpha[j] = start[j] + emit[j, seen[b, 0]]
        for t in range(1, steps):
            for j in range(n):
                high = alpha[0] + into[j, 0]
                for i in range(1, n):
                    high = max(high, alpha[i] + into[j, i])
                s = f32(0)
                for i in range(n):
                    s += math.exp(alpha[i] + into[j, i] - high)
                after[j] = high + math.log(s) + emit[j, seen[b, t]]
            alpha, after = after, alpha
        high = alpha.max()
        s = f32(0)
        for j in range(n):
            s += math.exp(alpha[j] - high)
        o[b] = high + math.log(s)
    return o


@_program
def kalman(F: Any, H: Any, Q: Any, z: Any, q: Any, r: Any) -> Any:
    n, steps = z.shape[0], z.shape[1]
    o = np.empty((n, steps, 4), f32)
    for block in prange((n + LANES - 1) // LANES):
        at = min(block * LANES, n - LANES)
        x, y, d = np.zeros((4, LANES), f32), np.empty((4, LANES), f32), np.empty((2, LANES), f32)
        P, G = np.zeros((4, 4, LANES), f32), np.empty((4, 4, LANES), f32)
        J, K = np.empty((2, 4, LANES), f32), np.empty((4, 2, LANES), f32)
        S = np.empty((2, 2, LANES), f32)
        for i in range(4):
            P[i, i] = f32(1)
        for t in range(steps):
            for i in range(4):
                for l in range(LANES):
                    s = f32(0)
                    for k in range(4):
                        s += F[i, k] * x[k, l]
                    y[i, l] = s
                for j in range(4):
                    for l in range(LANES):
                        s = f32(0)
                        for k in range(4):
                            s += F[i, k] * P[k, j, l]
                        G[i, j, l] = s
            for i in range(4):
                for j in range(i, 4):
                    for l in range(LANES):
                        s = q[at + l] * Q[i, j]
                        for k in range(4):
                            s += G[i, k, l] * F[j, k]
                        P[i, j, l] = s
                        P[j, i, l] = s
            for i in range(2):
                for l in range(LANES):
                    s = z[at + l, t, i]
                    for k in range(4):
                        s -= H[i, k] * y[k, l]
                    d[i, l] = s
                for j in range(4):
                    for l in range(LANES):
                        s = f32(0)
                        for k in range(4):
                            s += H[i, k] * P[k, j, l]
                        J[i, j, l] = s
            for i in range(2):
                for j in range(2):
                    for l in range(LANES):
                        s = r[at + l] if i == j else f32(0)
                        for k in range(4):
                            s += J[i, k, l] * H[j, k]
                        S[i, j, l] = s
            for i in range(4):
                for l in range(LANES):
                    f = f32(1) / (S[0, 0, l] * S[1, 1, l] - S[0, 1, l] * S[1, 0, l])
                    a, b = J[0, i, l] * f, J[1, i, l] * f
                    K[i, 0, l] = a * S[1, 1, l] - b * S[1, 0, l]
                    K[i, 1, l] = b * S[0, 0, l] - a * S[0, 1, l]
                    s = y[i, l] + K[i, 0, l] * d[0, l] + K[i, 1, l] * d[1, l]
                    x[i, l] = s
                    o[at + l, t, i] = s
                for j in range(4):
                    for l in range(LANES):
                        P[i, j, l] -= K[i, 0, l] * J[0, j, l] + K[i, 1, l] * J[1, j, l]
    return o


@_program
def lstm(x: Any, w: Any, bias: Any) -> Any:
    steps, batch, inputs = x.shape
    n = bias.size // 4
    one = f32(1)
    o = np.empty((steps, batch, n), f32)
    xh, c = np.zeros((batch, inputs + n), f32), np.zeros((batch, n), f32)
    for t in range(steps):
        xh[:, :inputs] = x[t]
        z = np.dot(xh, w)
        for b in prange(batch):
            for j in range(n):
                i = one / (one + math.exp(-(z[b, j] + bias[j])))
                f = one / (one + math.exp(-(z[b, n + j] + bias[n + j])))
                g = math.tanh(z[b, 2 * n + j] + bias[2 * n + j])
                e = one / (one + math.exp(-(z[b, 3 * n + j] + bias[3 * n + j])))
                c[b, j] = f * c[b, j] + i * g
                h = e * math.tanh(c[b, j])
                xh[b, inputs + j] = h
                o[t, b, j] = h
    return o


@_program
def moving_median(x: Any) -> Any:
    n = x.size - 4
    o = np.empty(n, f32)
    for i in prange(n):
        a, b, c, d, e = x[i], x[i + 1], x[i + 2], x[i + 3], x[i + 4]
        low = max(min(a, b), min(c, d))
        high = min(max(a, b), max(c, d))
        o[i] = max(min(low, high), min(max(low, high), e))
    return o


@_program
def tridiagonal(a: Any, b: Any, c: Any, d: Any) -> Any:
    systems, n = a.shape
    o = np.empty_like(a)
    for block in prange((systems + LANES - 1) // LANES):
        at = min(block * LANES, systems - LANES)
        C, D = np.empty((n, LANES), f32), np.empty((n, LANES), f32)
        p, q = np.zeros(LANES, f32), np.zeros(LANES, f32)
        for i in range(n):
            for l in range(LANES):
                m = f32(1) / (b[at + l, i] - a[at + l, i] * p[l])
                p[l] = c[at + l, i] * m
                q[l] = (d[at + l, i] - a[at + l, i] * q[l]) * m
                C[i, l] = p[l]
                D[i, l] = q[l]
        x = np.zeros(LANES, f32)
        for i in range(n - 1, -1, -1):
            for l in range(LANES):
                x[l] = D[i, l] - C[i, l] * x[l]
                o[at + l, i] = x[l]
    return o


@_program
def segment_sums(values: Any, segments: Any) -> Any:
    h = np.zeros((2, 1000), f32)
    n = values.size
    for t in prange(2):
        for i in range(t * n // 2, (t + 1) * n // 2):
            h[t, segments[i]] += values[i]
    return h[0] + h[1]


@_program
def spline(knots: Any, c: Any, x: Any) -> Any:
    n = knots.size
    k = np.full(1024, np.finfo(f32).max, f32)
    k[:n] = knots
    o = np.empty_like(x)
    for q in prange(x.size):
        v = x[q]
        i = 0
        s = 512
        for _ in range(10):
            i += s * (k[i + s] <= v)
            s >>= 1
        i = min(i, n - 2)
        t = v - k[i]
        o[q] = ((c[3, i] * t + c[2, i]) * t + c[1, i]) * t + c[0, i]
    return o


@_program
def fir(signal: Any, h: Any) -> Any:
    n, taps, size = signal.size, h.size, 2000
    o = np.zeros(n, f32)
    p = np.zeros(n + taps, f32)
    p[taps // 2 : taps // 2 + n] = signal  # o[i] is the sum of h[k] p[i + taps - 1 - k]
    for block in prange((n + size - 1) // size):
        lo = block * size
        hi = min(lo + size, n)
        t = o[lo:hi]
        for k in range(0, taps, 4):
            a, b, c, d = h[k], h[k + 1], h[k + 2], h[k + 3]
            m = taps - 1 - k
            v, w = p[lo + m : hi + m], p[lo + m - 1 : hi + m - 1]
            x, y = p[lo + m - 2 : hi + m - 2], p[lo + m - 3 : hi + m - 3]
            for i in range(hi - lo):
                t[i] += a * v[i] + b * w[i] + c * x[i] + d * y[i]
    return o
