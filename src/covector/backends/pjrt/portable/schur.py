"""Schur form by shifted QR iterations, and eigenvectors by back-substitution."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector.backends.pjrt.portable.common import (
    as_type,
    constant,
    dot,
    eps_of,
    guarded,
    magnitude,
    nan_unless,
    positions,
    restored,
    scaled,
    squares,
    times,
    tiny_of,
    where,
    zeros,
)
from covector.control_flow.householder import reflect
from covector.control_flow.reductions import reduce_to_hessenberg, reduce_to_tridiagonal, reflection
from covector.core import dtypes
from covector.core.structural import full
from covector.primitives.linalg.common import adjoint, conjugate, diagonal, eye_like, matmul, triu

# Iterations per eigenvalue before LAPACK and we give up.
_ITERATIONS = 30


@guarded
def hessenberg(a: Any) -> list[Any]:
    """Hessenberg form of one matrix, packed, and the factors of the reflections."""
    n = a.shape[0]
    if n < 2:
        return [a, zeros((0,), a.dtype)]
    small, power = scaled(a)
    packed, taus = reduce_to_hessenberg(small)
    i, j = positions(a.shape), positions(a.shape, 1)
    return [where(i <= j + 1, restored(packed, power), packed), taus]


@guarded
def tridiagonal(a: Any, *, lower: bool) -> list[Any]:
    """Tridiagonal form of one Hermitian matrix, packed; its diagonals, and the factors."""
    n = a.shape[0]
    if n < 2:
        on = diagonal(a)
        on = lax.real(on) if a.dtype in dtypes.COMPLEX else on
        return [as_type(on[None], a) if n else a, on, on[:0], zeros((0,), a.dtype)]
    small, power = scaled(a)
    packed, d, e, taus = reduce_to_tridiagonal(small, lower)
    i, j = positions(a.shape), positions(a.shape, 1)
    vectors = i > j + 1 if lower else j > i + 1
    packed = where(vectors, packed, restored(packed, power))
    return [packed, restored(d, power), restored(e, power), taus]


def _formed(packed: Any, taus: Any) -> Any:
    """The product of the reflections of a reduction to Hessenberg form."""
    n = packed.shape[0]
    inner = reflect(packed[1:, :-1], taus, eye_like(packed[1:, 1:]))
    return lax.pad(inner, constant(0, packed), [(1, 0, 0), (1, 0, 0)]) + as_type(
        lax.bitwise_and(positions((n, n)) == 0, positions((n, n), 1) == 0), packed
    )


def _at(h: Any, i: Any, j: Any) -> Any:
    """An element."""
    return lax.reshape(lax.dynamic_slice(h, (i, j), (1, 1)), ())


def _diagonals(h: Any, n: int) -> tuple[Any, Any, Any]:
    """The elements below, on and above the diagonal of the first ``n`` rows and columns."""
    wide = h.shape[1]
    flat = lax.reshape(h, (h.size,))
    last = n * wide
    return (
        lax.slice(flat, (wide,), (last,), (wide + 1,)) if n > 1 else flat[:0],
        lax.slice(flat, (0,), (last,), (wide + 1,))[:n],
        lax.slice(flat, (1,), (last,), (wide + 1,))[: n - 1],
    )


def _negligible(h: Any, n: int) -> Any:
    """Which of the elements below the diagonal count as zero.

    M. Ahues, F. Tisseur, "A new deflation criterion for the QR algorithm", LAPACK Working Note 122.
    """
    below, on, above = _diagonals(h, n)
    low, up = magnitude(below), magnitude(above)
    sizes, gaps = magnitude(on[1:]), magnitude(on[:-1] - on[1:])
    eps, least = eps_of(h), tiny_of(h) * (n / eps_of(h))
    around = magnitude(on[:-1]) + sizes
    edge = constant(0, low)
    around = where(around == 0, lax.pad(low[:-1], edge, [(1, 0, 0)])
                   + lax.pad(low[1:], edge, [(0, 1, 0)]), around)  # fmt: skip
    ab, ba = lax.max(low, up), lax.min(low, up)
    aa, bb = lax.max(sizes, gaps), lax.min(sizes, gaps)
    s = where(aa + ab == 0, 1.0, aa + ab)
    fine = ba * (ab / s) <= lax.max(constant(least, ba), eps * (bb * (aa / s)))
    return lax.bitwise_or(low <= least, lax.bitwise_and(low <= eps * around, fine))


# --- shifts -----------------------------------------------------------------------------------


def _trailing(h: Any, first: Any, last: Any, tries: Any) -> tuple[Any, Any, Any, Any]:
    """The block whose eigenvalues are the shifts; now and then another, lest they go in circles."""
    one = full((), 1, dtypes.int32)
    block = [_at(h, last - i, last - j) for i, j in ((one, one), (one, 0 * one), (0 * one, one),
                                                     (0 * one, 0 * one))]  # fmt: skip
    size = as_type(magnitude(_at(h, first + 1, first)), h)
    head = _at(h, first, first) + 0.75 * size
    end = as_type(magnitude(block[2]), h)
    tail = block[3] + 0.75 * end
    at_head, at_tail = tries % 20 == 10, lax.bitwise_and(tries % 20 == 0, tries > 0)

    def other(x: Any, x_head: Any, x_tail: Any) -> Any:
        return where(at_head, x_head, where(at_tail, x_tail, x))

    return (
        other(block[0], head, tail), other(block[1], -0.4375 * size, -0.4375 * end),
        other(block[2], size, end), other(block[3], head, tail),
    )  # fmt: skip


def _double_shift(h: Any, first: Any, last: Any, tries: Any) -> Any:
    """The first column of ``(h - s)(h - t)``, up to a factor, where s and t are both eigenvalues
    of the last block if they are complex, else twice that which is nearer to its last element.

    J. Francis, "The QR transformation", Comput. J. 4 (1961, 1962).
    """
    h11, h12, h21, h22 = _trailing(h, first, last, tries)
    s = lax.abs(h11) + lax.abs(h12) + lax.abs(h21) + lax.abs(h22)
    s = where(s == 0, 1.0, s)
    h11, h12, h21, h22 = (x / s for x in (h11, h12, h21, h22))
    half = (h11 + h22) * 0.5
    det = (h11 - half) * (h22 - half) - h12 * h21
    root = lax.sqrt(lax.abs(det))
    plus, minus = half + root, half - root
    near = where(lax.abs(plus - h22) <= lax.abs(minus - h22), plus, minus)
    re = s * where(det >= 0, half, near)
    im = s * where(det >= 0, root, 0.0)
    one = full((), 1, dtypes.int32)
    a, b = _at(h, first, first), _at(h, first, first + one)
    c, d, e = (
        _at(h, first + one, first), _at(h, first + one, first + one),
        _at(h, first + 2 * one, first + one),
    )  # fmt: skip
    s = lax.abs(a - re) + lax.abs(im) + lax.abs(c)
    s = where(s == 0, 1.0, s)
    c = c / s
    v = [c * b + (a - re) * ((a - re) / s) + im * (im / s), c * (a + d - 2 * re), c * e]
    # Of a block of two rows there is no third.
    v[2] = where(last - first < 2, 0.0, v[2])
    return _normalised(lax.concatenate([lax.reshape(x, (1,)) for x in v], 0))


def _single_shift(h: Any, first: Any, last: Any, tries: Any) -> Any:
    """The first column of ``h - s`` for the eigenvalue of the last block that is nearer to its
    last element: J. Wilkinson, "The Algebraic Eigenvalue Problem", 1965, 8.36."""
    h11, h12, h21, h22 = _trailing(h, first, last, tries)
    size = magnitude(h11) + magnitude(h12) + magnitude(h21) + magnitude(h22)
    size = where(size == 0, 1.0, size)
    h11, h12, h21, h22 = (times(x, 1 / size) for x in (h11, h12, h21, h22))
    half = (h11 - h22) * 0.5
    root = lax.sqrt(half * half + h12 * h21)
    root = where(lax.real(root) * lax.real(half) + lax.imag(root) * lax.imag(half) < 0, -root, root)
    product, below = h12 * h21, half + root
    none = below == 0
    step = where(none, 0.0, product / where(none, 1.0, below))
    shift = times(h22 - step, size)
    head = _at(h, first, first) - shift
    v = [head, _at(h, first + 1, first)]
    return _normalised(lax.concatenate([lax.reshape(x, (1,)) for x in v], 0))


def _normalised(v: Any) -> Any:
    size = lax.reduce_sum(magnitude(v), (0,))
    return times(v, 1 / where(size == 0, 1.0, size))


# --- iterations -------------------------------------------------------------------------------


def _sweep(h: Any, z: Any, first: Any, last: Any, v: Any) -> tuple[Any, Any]:
    """Reflections that begin with ``v`` and chase what they leave below the diagonal out of the
    block from ``first`` to ``last``."""
    width = v.shape[0]
    zero = full((), 0, dtypes.int32)
    place = positions((width,))

    def turn(k: Any, state: Any) -> Any:
        h, z, v = state
        w, tau, beta = reflection(v, zero)
        rows = lax.dynamic_slice_in_dim(h, k, width, axis=0)
        rows = rows - (conjugate(tau) * w)[:, None] * dot(conjugate(w), rows)[None, :]
        # The column that v was taken from becomes a multiple of the first unit vector.
        before = lax.bitwise_and(positions(rows.shape, 1) == k - 1, k > first)
        rows = where(before, where(place == 0, beta, 0.0)[:, None], rows)
        h = lax.dynamic_update_slice_in_dim(h, rows, k, axis=0)

        def from_right(x: Any) -> Any:
            columns = lax.dynamic_slice_in_dim(x, k, width, axis=1)
            columns = columns - (tau * dot(columns, w))[:, None] * conjugate(w)[None, :]
            return lax.dynamic_update_slice_in_dim(x, columns, k, axis=1)

        h = from_right(h)
        following = lax.dynamic_slice(h, (k + 1, k), (width, 1))
        v = where(k + 1 + place <= last, lax.reshape(following, (width,)), 0.0)
        return h, from_right(z), v

    # A block of the single shift ends with the reflection of two rows that begins at last - 1.
    h, z, _ = lax.fori_loop(first, last, turn, (h, z, v))
    return h, z


def _iterate(h: Any, z: Any, n: int) -> tuple[Any, Any, Any]:
    """Until only blocks of one and (of real matrices) two rows are left on the diagonal."""
    complex_ = h.dtype in dtypes.COMPLEX
    smallest_block = 1 if complex_ else 2
    shift = _single_shift if complex_ else _double_shift
    index = positions((n - 1,))
    one = full((), 1, dtypes.int32)

    def more(state: Any) -> Any:
        return lax.bitwise_and(state[2] >= smallest_block, state[4] < _ITERATIONS * max(10, n))

    def step(state: Any) -> Any:
        h, z, size, tries, total = state
        last = size - 1
        small = lax.bitwise_and(_negligible(h, n), index < last)
        first = lax.reduce_max(where(small, index + 1, 0), (0,))
        deflated = last - first < smallest_block

        def finish(h: Any, z: Any) -> Any:
            return h, z

        def iterate(h: Any, z: Any) -> Any:
            return _sweep(h, z, first, last, shift(h, first, last, tries))

        # What is negligible beside the active block is made zero, so that rows of the block and of
        # the next one do not mix.
        edge = lax.max(first, one)
        kept = where(first > 0, constant(0, h), _at(h, edge, edge - 1))
        h = lax.dynamic_update_slice(h, lax.reshape(kept, (1, 1)), (edge, edge - 1))
        h, z = lax.cond(deflated, finish, iterate, h, z)
        return h, z, where(deflated, first, size), where(deflated, 0, tries + 1), total + 1

    zero = full((), 0, dtypes.int32)
    start = (h, z, full((), n, dtypes.int32), zero, zero)
    h, z, size, _, _ = lax.while_loop(more, step, start)
    return h, z, size < smallest_block


def _sign(x: Any) -> Any:
    return where(x < 0, -1.0, 1.0)


def _direction(x: Any, y: Any) -> tuple[Any, Any]:
    """``x`` and ``y`` divided by their length."""
    length = lax.sqrt(x * x + y * y)
    length = where(length == 0, 1.0, length)
    return x / length, y / length


def _standard_rotation(a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any, Any]:
    """Cosine and sine of the rotation that makes [[a, b], [c, d]] triangular if its eigenvalues
    are clearly real, else makes its diagonal elements equal; and which of them.

    Z. Bai, J. Demmel, "On swapping diagonal blocks in real Schur form", Linear Algebra Appl. 186
    (1993), section 3.
    """
    p = 0.5 * (a - d)
    largest = lax.max(lax.abs(b), lax.abs(c))
    smallest = lax.min(lax.abs(b), lax.abs(c)) * _sign(b) * _sign(c)
    size = lax.max(lax.abs(p), largest)
    size = where(size == 0, 1.0, size)
    disc = p / size * p + largest / size * smallest
    real = disc >= 4 * eps_of(a)
    root = p + _sign(p) * lax.sqrt(size) * lax.sqrt(where(real, disc, 0.0))
    cos, sin = _direction(root, c)
    total, _ = _direction(b + c, a - d)
    equal = lax.sqrt(0.5 * (1 + lax.abs(total)))
    gap, _ = _direction(a - d, b + c)
    sine = -0.5 * gap / equal * _sign(b + c)
    equal, sine = where(a == d, 1.0, equal), where(a == d, 0.0, sine)
    swap = b == 0
    cos, sin = where(real, cos, equal), where(real, sin, sine)
    return where(swap, 0.0, cos), where(swap, 1.0, sin), lax.bitwise_or(real, swap)


def _turned(t: Any, z: Any, cos: Any, sin: Any, k: Any) -> tuple[Any, Any]:
    """``g t gᵀ`` and ``z gᵀ`` for the rotation in rows ``k`` and ``k + 1``."""
    entries = [lax.reshape(x, (1,)) for x in (cos, sin, -sin, cos)]
    g = lax.reshape(lax.concatenate(entries, 0), (2, 2))
    pair = matmul(g, lax.dynamic_slice_in_dim(t, k, 2, axis=0))
    t = lax.dynamic_update_slice_in_dim(t, pair, k, axis=0)

    def from_right(x: Any) -> Any:
        pair = matmul(lax.dynamic_slice_in_dim(x, k, 2, axis=1), g.T)
        return lax.dynamic_update_slice_in_dim(x, pair, k, axis=1)

    return from_right(t), from_right(z)


def _with_block(t: Any, k: Any, mean: Any, split: Any) -> Any:
    """``t`` with equal elements on the diagonal of a block if ``mean``, and a zero below it if
    ``split``."""
    block = lax.dynamic_slice(t, (k, k), (2, 2))
    i, j = positions((2, 2)), positions((2, 2), 1)
    middle = 0.5 * (block[0, 0] + block[1, 1])
    block = where(lax.bitwise_and(mean, i == j), middle, block)
    block = where(lax.bitwise_and(split, i > j), 0.0, block)
    return lax.dynamic_update_slice(t, block, (k, k))


def _standardise(t: Any, z: Any, n: int) -> tuple[Any, Any]:
    """Blocks of two rows with real eigenvalues become triangular, others get equal elements on
    the diagonal."""

    def block(t: Any, k: Any) -> list[Any]:
        found = lax.dynamic_slice(t, (k, k), (2, 2))
        return [found[i, j] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1))]

    def turn(k: Any, t: Any, z: Any) -> tuple[Any, Any]:
        cos, sin, triangular = _standard_rotation(*block(t, k))
        t, z = _turned(t, z, cos, sin, k)
        t = _with_block(t, k, lax.bitwise_not(triangular), triangular)
        # Eigenvalues that are real after all: now their difference is 2 sqrt(b c).
        _, b, c, _ = block(t, k)
        complex_ = _sign(b) * _sign(c) * lax.min(lax.abs(b), lax.abs(c)) < 0
        done = lax.bitwise_or(complex_, c == 0)
        cos, sin = _direction(lax.sqrt(lax.abs(b)), lax.sqrt(lax.abs(c)))
        t, z = _turned(t, z, where(done, 1.0, cos), where(done, 0.0, sin), k)
        return _with_block(t, k, full((), False, dtypes.bool_), lax.bitwise_not(complex_)), z

    def body(k: Any, state: Any) -> Any:
        def same(t: Any, z: Any) -> Any:
            return t, z

        return lax.cond(_at(state[0], k + 1, k) == 0, same, lambda t, z: turn(k, t, z), *state)

    zero, end = (full((), k, dtypes.int32) for k in (0, n - 1))
    return lax.fori_loop(zero, end, body, (t, z))


def _schur(a: Any) -> tuple[Any, Any]:
    n = a.shape[0]
    small, power = scaled(a)
    packed, taus = reduce_to_hessenberg(small)
    z = _formed(packed, taus)
    # Windows of three rows do not reach beyond the end.
    edge = [(0, 3, 0), (0, 3, 0)]
    h = lax.pad(triu(packed, -1), constant(0, a), edge)
    z = lax.pad(z, constant(0, a), [(0, 0, 0), (0, 3, 0)])
    h, z, ok = _iterate(h, z, n)
    t, z = h[:n, :n], z[:, :n]
    if a.dtype in dtypes.COMPLEX:
        t = triu(t)
    else:
        t, z = _standardise(triu(t, -1), z, n)
    return nan_unless(ok, restored(t, power)), nan_unless(ok, z)


@guarded
def schur(a: Any, *, compute_schur_vectors: bool = True) -> list[Any]:
    """T and Q of one matrix: reduction to Hessenberg form, then QR iterations.

    G. Golub, C. Van Loan, "Matrix Computations", 4th ed., 7.4 and 7.5.
    """
    t, z = _schur(a) if a.shape[0] > 1 else (a, eye_like(a))
    return [t, z][: 1 + compute_schur_vectors]


# --- eigenvalues and eigenvectors -------------------------------------------------------------


def _blocks(t: Any) -> tuple[Any, Any, Any]:
    """The elements below the diagonal, in the places of the first and of the second rows of their
    blocks; those above it, in the places of the first."""
    edge = constant(0, t)
    below, _, above = _diagonals(t, t.shape[0])
    first, second = (lax.pad(below, edge, [pad]) for pad in ((0, 1, 0), (1, 0, 0)))
    return first, second, lax.pad(above, edge, [(0, 1, 0)])


def _eigenvalues(t: Any) -> Any:
    on = diagonal(t)
    if t.dtype in dtypes.COMPLEX:
        return on
    below, second, above = _blocks(t)
    im = lax.sqrt(lax.abs(below)) * lax.sqrt(lax.abs(above))
    im = where(below == 0, 0.0, im)
    before = lax.pad(im[:-1], constant(0, im), [(1, 0, 0)])
    return lax.complex(on, im - where(second == 0, 0.0, before))


def _start_vectors(w: Any, below: Any, on: Any, above: Any, leads: Any, start: Any) -> Any:
    """Columns that solve ``(t - w) x = 0`` within the blocks on the diagonal, by the row with the
    larger element beside it, and are zero elsewhere; with a row of zeros below.

    ``start`` is the first row of the block of each column.
    """
    n = w.shape[0]
    index = positions((n,))
    follows = start < index

    def of_block(v: Any) -> Any:
        return where(follows, lax.pad(v[:-1], constant(0, v), [(1, 0, 0)]), v)

    b, c, middle = of_block(above), of_block(below), of_block(on)
    alone = lax.bitwise_not(lax.bitwise_or(leads, follows))
    by_first = magnitude(b) >= magnitude(c)
    upper = where(alone, 1.0 + 0 * w, where(by_first, b, w - middle))
    lower = where(alone, 0.0, where(by_first, w - middle, c))
    i = positions((n + 1, n))
    x = where(i == start[None, :], upper[None, :], 0.0)
    return where(i == start[None, :] + 1, lower[None, :], x)


def _triangular_vectors(t: Any, w: Any) -> Any:
    """Eigenvectors of a Schur form for its eigenvalues ``w``, by back-substitution for all at once.

    Golub, Van Loan, 7.6.4. Where eigenvalues are equal, the difference is replaced by the rounding
    unit; columns that grow too much are divided by their largest element.
    """
    n = t.shape[0]
    below, second, above = (as_type(x, w) for x in _blocks(t))
    t = as_type(t, w)
    on = diagonal(t)
    leads, follows = below != 0, second != 0  # the first, the second row of a block
    start = positions((n,)) - as_type(follows, positions((1,)))
    x = _start_vectors(w, below, on, above, leads, start)
    i, j = positions((n, n)), positions((n, n), 1)
    coupled = lax.bitwise_and(i + 1 == j, leads[:, None])
    rest = where(lax.bitwise_or(i >= j, coupled), 0.0, t)
    largest = lax.reduce_max(magnitude(t), (0, 1))
    least = lax.max(largest * eps_of(w), constant(tiny_of(w) / eps_of(w), largest))
    limit = tiny_of(w) ** -0.25

    def pick(v: Any, k: Any) -> Any:
        return lax.dynamic_index_in_dim(v, k, 0, keepdims=False)

    def body(step: Any, state: Any) -> Any:
        x, r_next = state
        k = n - 1 - step
        r = -dot(pick(rest, k), x[:n])
        pair, behind = pick(leads, k), pick(follows, k)
        a = pick(on, k) - w
        d = where(pair, a, 1.0)
        b, c = (where(pair, pick(v, k), 0.0) for v in (above, below))
        det = a * d - b * c
        size = least * where(pair, magnitude(a) + magnitude(b) + magnitude(c), 1.0)
        det = where(magnitude(det) < size, as_type(size, det), det)
        upper, lower = (d * r - b * r_next) / det, (a * r_next - c * r) / det
        active = lax.bitwise_and(start > k, lax.bitwise_not(behind))
        two = lax.dynamic_slice_in_dim(x, k, 2, axis=0)
        first = where(active, upper, two[0])
        other = where(lax.bitwise_and(active, pair), lower, two[1])
        x = lax.dynamic_update_slice_in_dim(x, lax.concatenate([first[None], other[None]], 0), k,
                                            axis=0)  # fmt: skip
        grown = lax.max(magnitude(first), magnitude(other))
        return times(x, where(grown > limit, 1 / grown, 1.0)[None, :]), where(behind, r, 0.0)

    zero, end = (full((), k, dtypes.int32) for k in (0, n))
    x, _ = lax.fori_loop(zero, end, body, (x, 0 * w))
    return x[:n]


def unit_columns(v: Any, w: Any, real_input: bool) -> Any:
    """Columns divided by their lengths; the largest component of complex ones is positive."""
    largest = lax.reduce_max(magnitude(v), (0,))
    v = times(v, 1 / where(largest == 0, 1.0, largest)[None, :])
    sizes = squares(v)
    v = times(v, lax.rsqrt(lax.reduce_sum(sizes, (0,)))[None, :])
    best = lax.argmax(sizes, 0, dtypes.int32)
    at = positions(v.shape) == best[None, :]
    head = lax.reduce_sum(where(at, v, 0.0), (0,))
    size = lax.abs(head)
    turn = times(lax.conj(head), 1 / where(size == 0, 1.0, size))
    turned = where(at, as_type(size, v)[None, :], v * turn[None, :])
    return where((lax.imag(w) != 0)[None, :], turned, v) if real_input else turned


@guarded
def eig(
    a: Any, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool,
    enable_eigvec_derivs: bool,
) -> list[Any]:  # fmt: skip
    """Eigenvalues of one matrix from its Schur form, its left and its right eigenvectors."""
    n, dtype = a.shape[0], dtypes.complex_dtype(a.dtype)
    wanted = compute_left_eigenvectors + compute_right_eigenvectors
    if n < 2:
        one = lax.convert_element_type(eye_like(a), dtype)
        return [lax.convert_element_type(diagonal(a), dtype), *[one] * wanted]
    small, power = scaled(a)
    t, q = _schur(small)
    w = _eigenvalues(t)
    out = [restored(w, power)]
    q = as_type(q, w)
    real_input = a.dtype not in dtypes.COMPLEX
    if compute_left_eigenvectors:
        # Right ones of the adjoint, which is upper triangular with rows and columns reversed.
        turned = lax.rev(adjoint(t), (0, 1))
        y = _triangular_vectors(turned, lax.rev(lax.conj(w), (0,)))
        out.append(unit_columns(matmul(q, lax.rev(y, (0, 1))), w, real_input))
    if compute_right_eigenvectors:
        out.append(unit_columns(matmul(q, _triangular_vectors(t, w)), w, real_input))
    return out
