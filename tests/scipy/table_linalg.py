"""Calls of `covector.scipy.linalg`, each with what SciPy gives."""

import numpy as onp
import scipy.linalg as sl

rng = onp.random.default_rng(5)


def real(*shape):
    return rng.normal(size=shape)


def complex_(*shape):
    return real(*shape) + 1j * real(*shape)


A, B, TALL = real(4, 4), real(4, 4), real(5, 3)
C, CTALL = complex_(4, 4), complex_(5, 3)
S, H = A @ A.T + onp.eye(4), C @ C.conj().T + onp.eye(4)
V, W = real(4), real(3)
BATCH = real(2, 3, 4, 4)
STACK = real(2, 4, 4)
SPD = STACK @ STACK.swapaxes(-1, -2) + onp.eye(4)
ONE, NONE = real(1, 1), real(0, 0)
UPPER = onp.triu(A) + 3 * onp.eye(4)


def adjoint(x):
    return onp.asarray(x).swapaxes(-1, -2).conj()


# Functions of the module `la` and arrays; of the results what does not depend on signs.


def rebuilt(u, s, vh):
    k = s.shape[-1]
    return u[..., :k] * s[..., None, :] @ vh[..., :k, :], s


def projectors(w, v):
    return w, v @ adjoint(v), (v * onp.sin(onp.asarray(w))[..., None, :]) @ adjoint(v)


def qr_parts(q, r, *p):
    sign = onp.sign(onp.diagonal(r, 0, -2, -1).real)
    k = len(sign)
    return q[:, :k] * sign, sign[:, None] * r[:k], *p


def schur_parts(t, z):
    w = onp.linalg.eigvals(t)
    return z @ t @ adjoint(z), adjoint(z) @ z, onp.sort_complex(onp.round(w, 6))


def factored(la, a, b, **options):
    return la.lu_solve(la.lu_factor(a), b, **options)


def by_cholesky(la, a, b, lower):
    return la.cho_solve(la.cho_factor(a, lower=lower), b)


TABLE = {
    "block_diag": [
        (lambda la, *xs: la.block_diag(*xs), A, TALL, V), (lambda la: la.block_diag(),),
        (lambda la, x, y: la.block_diag(x, 2.0, y), NONE, ONE), (lambda la, x: la.block_diag(x), C),
    ],
    "cholesky": [
        *((lambda la, x, k=k: la.cholesky(x, lower=k), x) for x in (S, H, ONE**2, NONE, SPD)
          for k in (True, False)),
        (lambda la, x: la.cholesky(x, lower=True), onp.tril(S) + onp.triu(A, 1)),
        (lambda la, x: la.cholesky(x), onp.triu(S) + onp.tril(A, -1)),
    ],
    "cho_factor": [
        (lambda la, x, k=k: (onp.tril if k else onp.triu)(la.cho_factor(x, lower=k)[0]), x)
        for x in (S, H, ONE**2) for k in (True, False)
    ],
    "cho_solve": [
        (lambda la, x, b, k=k: by_cholesky(la, x, b, k), x, b)
        for x in (S, H) for b in (V, A) for k in (True, False)
    ],
    "circulant": [(lambda la, x: la.circulant(x), x) for x in (V, real(1), onp.arange(3), A)],
    "companion": [(lambda la, x: la.companion(x), x) for x in (V, real(2), onp.arange(1, 5), A)],
    "convolution_matrix": [
        (lambda la, x, n=n, m=m: la.convolution_matrix(x, n, mode=m), x)
        for n in (1, 3, 6) for m in ("full", "same", "valid") for x in (V, real(1), onp.arange(3))
    ],
    "det": [(lambda la, x: la.det(x), x) for x in (A, C, ONE, BATCH)],
    "dft": [
        *((lambda la, n=n: la.dft(n),) for n in (1, 2, 7, 8)),
        *((lambda la, s=s: la.dft(5, scale=s),) for s in ("sqrtn", "n")),
    ],
    "eigh": [
        *((lambda la, x, k=k: projectors(*la.eigh(x, lower=k)), x) for x in (S, H, ONE, NONE, SPD)
          for k in (True, False)),
        *((lambda la, x, b, t=t: la.eigh(x, b, type=t, eigvals_only=True), x, b)
          for t in (1, 2, 3) for x, b in ((A + A.T, S), (C + C.conj().T, H))),
        *((lambda la, x, b, t=t: projectors(*la.eigh(x, b, type=t)), x, b)
          for t in (1, 2, 3) for x, b in ((A + A.T, S), (C + C.conj().T, H), (ONE, ONE**2 + 1))),
        (lambda la, x, b: la.eigh(x, b, lower=False, eigvals_only=True), onp.triu(S), onp.triu(S)),
    ],
    "eigh_tridiagonal": [
        *((lambda la, d, e: projectors(*la.eigh_tridiagonal(d, e)), d, e)
          for d, e in ((V, W), (real(1), real(0)))),
        (lambda la, d, e: la.eigh_tridiagonal(d, e, eigvals_only=True), V, W),
        *((lambda la, d, e, s=s, r=r: la.eigh_tridiagonal(
            d, e, eigvals_only=True, select=s, select_range=r), V, W)
          for s, r in (("i", (1, 2)), ("i", (0, 3)), ("v", (-1.0, 1.0)), ("v", (-9, 9)))),
        (lambda la, d, e: abs(onp.asarray(la.eigh_tridiagonal(
            d, e, select="i", select_range=(1, 2))[1])), V, W),
    ],
    "expm": [
        *((lambda la, x: la.expm(x), x) for x in (A, C, ONE, BATCH, 30 * A, 1e-4 * A, 0 * A)),
    ],
    "expm_frechet": [
        (lambda la, x, y: la.expm_frechet(x, y), A, B), (lambda la, x, y: la.expm_frechet(x, y),
        3 * A, B), (lambda la, x, y: la.expm_frechet(x, y, compute_expm=False), C, B + 0j),
    ],
    "fiedler": [(lambda la, x: la.fiedler(x), x) for x in (V, onp.arange(3), real(1), A)],
    "fiedler_companion": [
        (lambda la, x: la.fiedler_companion(x), x)
        for x in (*(real(n) for n in (2, 3, 4, 5, 6, 7, 8)), onp.arange(1, 6))
    ],
    "funm": [
        *((lambda la, x, f=f: la.funm(x, f) + 0j, x) for x in (A, C, S, ONE)
          for f in (onp.exp, lambda v: v * v, lambda v: v * 0 + 2)),
        (lambda la, x: la.funm(x, onp.exp) + 0j, onp.triu(A)),
    ],
    "hadamard": [(lambda la, n=n: la.hadamard(n, onp.int32),) for n in (1, 2, 8)],
    "hankel": [
        *((lambda la, x: la.hankel(x), x) for x in (V, real(1), onp.arange(3))),
        (lambda la, c, r: la.hankel(c, r), V, W), (lambda la, c, r: la.hankel(c, r), W, V),
    ],
    "helmert": [(lambda la, n=n, f=f: la.helmert(n, full=f),) for n in (1, 2, 5) for f in (0, 1)],
    "hessenberg": [
        *((lambda la, x: la.hessenberg(x), x) for x in (A, C, ONE)),
        *((lambda la, x: la.hessenberg(x, calc_q=True), x) for x in (A, C, ONE, real(2, 2))),
    ],
    "hilbert": [(lambda la, n=n: la.hilbert(n),) for n in (1, 5)],
    "inv": [(lambda la, x: la.inv(x), x) for x in (A, C, ONE, BATCH)],
    "invhilbert": [(lambda la, n=n: la.invhilbert(n) + 0.0,) for n in (1, 5, 12)],
    "invpascal": [
        (lambda la, n=n, k=k: la.invpascal(n, k) + 0.0,)
        for n in (1, 5, 12) for k in ("symmetric", "lower", "upper")
    ],
    "leslie": [
        (lambda la, f, s: la.leslie(f, s), V, W), (lambda la, f, s: la.leslie(f, s), V[:2], V[:1]),
        (lambda la, f, s: la.leslie(f, s), onp.arange(3), onp.arange(2)),
    ],
    "lu": [
        *((lambda la, x: la.lu(x), x) for x in (A, C, TALL, TALL.T, ONE, BATCH)),
        *((lambda la, x: la.lu(x, permute_l=True), x) for x in (A, C, TALL, TALL.T)),
    ],
    "lu_factor": [(lambda la, x: la.lu_factor(x), x) for x in (A, C, TALL, ONE)],
    "lu_solve": [
        (lambda la, x, b, t=t: factored(la, x, b, trans=t), x, b)
        for x in (A, C) for b in (V, A, C) for t in (0, 1, 2)
    ],
    "pascal": [
        (lambda la, n=n, k=k: la.pascal(n, k, **({"exact": False} if la is sl else {})),)
        for n in (1, 5, 12) for k in ("symmetric", "lower", "upper")
    ],
    "polar": [
        *((lambda la, x, s=s: la.polar(x, side=s), x) for x in (A, C, TALL, CTALL, TALL.T, ONE)
          for s in ("left", "right")),
        *((lambda la, x, s=s: la.polar(x, side=s, **({} if la is sl else {"method": "svd"})), x)
          for x in (A, C, TALL, CTALL, TALL.T) for s in ("left", "right")),
    ],
    "qr": [
        *((lambda la, x, m=m: qr_parts(*la.qr(x, mode=m)), x) for x in (A, C, TALL, TALL.T, ONE)
          for m in ("full", "economic")),
        *((lambda la, x, m=m: qr_parts(*la.qr(x, mode=m, pivoting=True)), x)
          for x in (A, C, TALL, TALL.T) for m in ("full", "economic")),
        *((lambda la, x, p=p: la.qr(x, mode="r", pivoting=p), x) for x in (A, TALL, TALL.T, C)
          for p in (True, False)),
        *((lambda la, x: la.qr(x, mode="raw"), x) for x in (A, C, TALL)),
    ],
    "qr_multiply": [
        *((lambda la, x, c, m=m, k=k: la.qr_multiply(x, c, mode=m, conjugate=k), x, c)
          for m, x, c in (("left", A, B), ("left", TALL, real(3, 2)), ("left", TALL, real(3)),
                          ("right", TALL, real(2, 5)), ("right", TALL, real(5)),
                          ("left", TALL.T, real(3, 2)), ("right", TALL.T, real(2, 3)),
                          ("left", C, C), ("right", CTALL, complex_(2, 5)))
          for k in (True, False)),
        (lambda la, x, c: la.qr_multiply(x, c, pivoting=True), A, B),
    ],
    "rsf2csf": [
        (lambda la, x: schur_parts(*la.rsf2csf(*map(onp.asarray, la.schur(x)))), x)
        for x in (A, ONE, real(7, 7), onp.triu(A), onp.kron(onp.eye(3), [[1, 2], [-3, 1]]))
    ],
    "schur": [
        (lambda la, x, o=o: schur_parts(*la.schur(x, output=o)), x)
        for x in (A, C, ONE, real(7, 7)) for o in ("real", "complex")
    ],
    "solve": [
        *((lambda la, x, b: la.solve(x, b), x, b) for x in (A, C) for b in (V, B)),
        *((lambda la, x, b, k=k, s=s: la.solve(x, b, lower=k, assume_a=s), x, b)
          for k in (True, False) for b in (V, B) for s, x in (
              ("sym", A), ("her", C), ("pos", S), ("sym", C), ("pos", H), ("symmetric", A))),
        *((lambda la, x, b, s=s: la.solve(x, b, assume_a=s), x, b) for b in (V, B)
          for s, x in (("diagonal", onp.diag(V)), ("upper triangular", UPPER),
                       ("lower triangular", UPPER.T), ("banded", A), ("general", A),
                       ("tridiagonal", onp.triu(onp.tril(A, 1), -1)))),
    ],
    "solve_sylvester": [
        (lambda la, a, b, c: la.solve_sylvester(a, b, c), *x)
        for x in ((A, B, S), (A, TALL[:3], real(4, 3)), (C, A + 0j, B + 0j), (ONE, ONE, ONE))
    ],
    "solve_triangular": [
        (lambda la, x, b, t=t, k=k, u=u: la.solve_triangular(x, b, t, k, u), x, b)
        for x in (UPPER, C + 3 * onp.eye(4)) for b in (V, B) for t in (0, "T", "C", 1, 2, "N")
        for k in (True, False) for u in (True, False)
    ],
    "sqrtm": [
        *((lambda la, x: la.sqrtm(x) + 0j, x) for x in (S, A, C, H, ONE, UPPER, onp.eye(3))),
        *((lambda la, x: la.sqrtm(x) + 0j, x) for x in (real(9, 9), onp.diag([0.5, 1.0, 4.0]))),
    ],
    "svd": [
        *((lambda la, x, f=f, d=d: rebuilt(*la.svd(x, full_matrices=f, lapack_driver=d)), x)
          for x in (A, C, TALL, TALL.T, ONE) for f in (True, False) for d in ("gesdd", "gesvd")),
        (lambda la, x: la.svd(x, compute_uv=False), CTALL),
    ],
    "toeplitz": [
        *((lambda la, x: la.toeplitz(x), x) for x in (V, complex_(3), onp.arange(3), real(1))),
        (lambda la, c, r: la.toeplitz(c, r), V, W), (lambda la, c, r: la.toeplitz(c, r), W, V),
        (lambda la, c, r: la.toeplitz(c, r), V, complex_(2)),
    ],
}  # fmt: skip
