"""References: what they do, through every transformation, and the errors of wrong use."""

import gc
import re
import weakref

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax, new_ref

X = np.array([1.0, 2.0, 3.0])


def same(got, want):
    onp.testing.assert_allclose(onp.asarray(got), onp.asarray(want), rtol=1e-6)


# --- reading and writing -----------------------------------------------------------------

INDICES = [
    ..., (), 1, -1, (1, 2), (0, slice(1, 3)), slice(None, None, 2), (slice(None), -2),
    (slice(2, 0, -1), 1), (..., 0), onp.array([0, 2]), (onp.array([0, 2]), onp.array([1, 1])),
    onp.array([True, False, True]), np.int32(1), (np.int32(1), slice(1, 3)),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing_is_that_of_arrays(index):
    start = onp.arange(12.0, dtype=onp.float32).reshape(3, 4)
    value = onp.float32(7.5) + onp.zeros_like(start[index])

    def steps(ref, value):
        first = ref[index]
        ref[index] = value
        old = cv.ref.swap(ref, index, 2 * value)
        cv.ref.addupdate(ref, index, 1.0)
        ref[index] += 3.0
        ref[index] *= 2.0
        return first, old, cv.ref.get(ref, index)

    for run in (steps, cv.jit(steps)):
        ref, want = new_ref(start), start.copy()
        first, old, now = run(ref, value)
        same(first, start[index])
        same(old, value)
        want[index] = (2 * value + 4.0) * 2
        same(now, want[index])
        same(ref[...], want)


def test_values_are_broadcast_and_converted():
    ref = new_ref(np.zeros((2, 3)))
    ref[...] = 1
    same(ref, onp.ones((2, 3)))
    ref[1] = onp.arange(3)
    same(ref[1], [0, 1, 2])
    ref.at[0][1:] = np.bfloat16(4)
    same(ref[0], [1, 4, 4])
    ref.at[0].at[1:][0] += 2.0
    same(ref.at[0].at[1:][...], [6, 4])
    assert ref[...].dtype == np.float32
    ints = new_ref(np.zeros(3, np.int32))
    for wrong in (2.5, np.float32(1), 1j):
        with pytest.raises(ValueError, match=r"cannot be written to a reference of dtype int32"):
            ints[0] = wrong
    with pytest.raises(ValueError, match=r"float32\[4\] cannot be written to all of a reference"):
        ref[...] = np.zeros(4)
    for get in (lambda r: r[3], lambda r: r[-4], lambda r: r.at[0:2][2]):
        with pytest.raises(IndexError, match=r"index -?\d is out of bounds for dimension 0"):
            get(ints)
    with pytest.raises(IndexError, match="index 3 is out of bounds for dimension 1 of size 3"):
        ref[:, 3] = 1.0


@pytest.mark.parametrize(
    "dtype", [bool, np.int8, np.uint32, np.float16, np.bfloat16, np.float32, np.complex64]
)
def test_dtypes(dtype):
    ref = new_ref(np.zeros(4, dtype))
    ref[1:3] = np.ones(2, dtype)
    assert ref.dtype == ref[0].dtype == dtype and cv.freeze(ref).tolist() == [0, 1, 1, 0]


def test_empty_and_scalars_and_weak_types():
    empty = new_ref(np.zeros((0, 3)))
    empty[...] = 1.0
    assert empty.shape == (0, 3) and empty.size == 0 and len(empty) == 0
    one = new_ref(2.0)
    one[...] *= 3
    assert float(one[...]) == 6 and one[...].weak_type and one.ndim == 0
    one[()] = np.float32(1)
    assert one[...].weak_type
    with pytest.raises(TypeError, match="reference to a scalar"):
        len(one)
    key = new_ref(cv.random.key(0))
    key[...] = cv.random.split(key[...])[0]
    assert key[...] == cv.random.split(cv.random.key(0))[0]


def test_what_it_says_of_itself():
    ref = new_ref(X)
    assert repr(ref) == "Ref([1., 2., 3.], dtype=float32)" and isinstance(ref, cv.Ref)
    assert repr(ref.aval) == "Ref{float32[3]}" == str(cv.typeof(ref))
    seen = []
    cv.jit(lambda r: seen.append(repr(r)))(ref)
    assert seen == ["Ref{float32[3]}"]
    assert ref.aval == cv.ref.AbstractRef(cv.typeof(X)) and hash(ref.aval)
    assert ref.aval != cv.ref.AbstractRef(cv.typeof(X), "device")
    assert ref.shape == (3,) and ref.ndim == 1 and ref.size == 3 and ref.dtype == np.float32
    assert ref.sharding == X.sharding and not ref.committed
    assert repr(ref.at[0]) == "Ref{float32[3]}.at[0]"
    assert list(ref) == [1, 2, 3] and onp.asarray(ref).tolist() == [1, 2, 3]
    same(cv.empty_ref(cv.ShapeDtypeStruct((2,), np.float32))[...], [0, 0])
    same(cv.empty_ref(ref.aval)[...], cv.empty_ref(cv.typeof(X))[...])


def test_they_are_compared_by_identity_and_their_values_by_reading():
    ref, other = new_ref(X), new_ref(X)
    views = ref.at[0], ref.at[0]
    for a, b in ((ref, other), views):
        assert a == a and a != b and not a == b and not a != a
        assert {a: 1, b: 2}[a] == 1 and len({a, b, a}) == 2 and [b, a].index(a) == 1
    for wrong in (
        lambda r: r == 3, lambda r: r != 3, lambda r: 3 == r, lambda r: r == X, lambda r: X == r,
        lambda r: r == (), lambda r: r in [1, 2], bool, lambda r: 1 if r else 2,
        lambda r: not r,
    ):  # fmt: skip
        for r in (ref, views[0]):
            with pytest.raises(TypeError, match=r"(compared with|truth value).*read its value"):
                wrong(r)
        with pytest.raises(TypeError, match=r"Ref\{float32\[3\]\}.*(.|\n)*test_references.py"):
            cv.jit(wrong)(ref)
    assert (ref[...] == X).all()


def test_arrays_stay_as_they_are():
    first = np.array(X)
    ref = new_ref(first)
    seen, part = ref[...], ref[1:]
    bump = cv.jit(lambda r: cv.ref.addupdate(r, ..., 1.0))
    bump(ref)
    later = ref[...]
    ref[0] = 9.0
    given = np.zeros(3)
    other = new_ref(X)
    other[...] = given
    bump(other)
    returned = cv.jit(lambda r: (cv.ref.addupdate(r, 0, 1.0), r[...])[1])(other)
    bump(other)
    for x, want in (
        (first, X), (seen, X), (part, X[1:]), (later, X + 1), (given, np.zeros(3)),
        (returned, [2, 1, 1]), (other, [3, 2, 2]), (ref, [9, 3, 4]),
    ):  # fmt: skip
        same(x, want)


def test_updates_happen_in_place():
    ref = new_ref(np.zeros(100_000))
    bump = cv.jit(lambda r, i: cv.ref.addupdate(r, i, 1.0))
    bump(ref, 3)
    place = ref._value.unsafe_buffer_pointer()
    for i in range(3):
        bump(ref, i)
        ref[i] = 5.0
        ref[2:4] = 1.0
        assert ref._value.unsafe_buffer_pointer() == place


# --- transformations ---------------------------------------------------------------------
# Each program makes or is given references; what it computes with NumPy's arrays stands beside.


def accumulate(ref, x):
    """Uses of a reference in all kinds of control flow; returns a value that depends on it."""

    def step(i, total):
        ref[i] += x * ref[(i + 1) % 3]
        return total + ref[i]

    total = lax.fori_loop(0, 3, step, 0.0)

    def body(c, v):
        ref[0] = ref[0] * 0.5 + v
        return c + ref[0], ref[0] - c

    total, ys = lax.scan(body, total, ref[...])
    lax.cond(total > 0.0, lambda r, v: cv.ref.set(r, 1, v), lambda r, v: None, ref, total)
    lax.switch(1, [lambda: None, lambda: cv.ref.addupdate(ref, 2, x), lambda: None])
    return np.sin(total) + ys.sum() + cv.checkpoint(lambda v: cv.jit(lambda: ref[1] * v)())(x)


def accumulate_numpy(a, x):
    a, total = [*map(float, a)], 0.0
    for i in range(3):
        a[i] += x * a[(i + 1) % 3]
        total += a[i]
    ys = 0.0
    for v in list(a):
        a[0] = a[0] * 0.5 + v
        ys += a[0] - total
        total += a[0]
    if total > 0:
        a[1] = total
    a[2] += x
    return onp.sin(total) + ys + a[1] * x, a


def inside(x):
    """The same with a reference made inside; its last value is a result, too."""
    ref = new_ref(np.array([1.0, 2.0, 3.0]) * x)
    out = accumulate(ref, x)
    return out, cv.freeze(ref)


def outcome(x):
    out, last = accumulate_numpy([1.0 * x, 2.0 * x, 3.0 * x], x)
    return onp.array([out, *last])


def flat(x):
    out, last = inside(x)
    return np.concatenate([out[None], last])


@pytest.mark.parametrize("x", [0.3, -0.4])
def test_values(x):
    with cv.disable_jit():
        same(flat(np.float32(x)), outcome(x))
    same(flat(np.float32(x)), outcome(x))
    same(cv.jit(flat)(x), outcome(x))
    for ref in (new_ref(X), new_ref(X)):
        want, last = accumulate_numpy(X, x)
        same(cv.jit(accumulate)(ref, x), want)
        same(ref[...], last)
    ref = new_ref(X)
    closed = cv.jit(lambda x: accumulate(ref, x))
    first, last = accumulate_numpy(X, x)
    second, end = accumulate_numpy(last, x)
    same(onp.stack([closed(x), closed(x)]), [first, second])
    same(ref[...], end)


def test_vmap():
    xs = onp.array([0.3, -0.4, 1.1], onp.float32)
    want = onp.stack([outcome(x) for x in xs])
    onp.testing.assert_allclose(cv.vmap(flat)(xs), want, rtol=1e-5)
    mapped = cv.jit(cv.vmap(cv.jit(flat), out_axes=1))(xs)
    onp.testing.assert_allclose(mapped, want.T, rtol=1e-5)
    # One reference, of which each call gets a part, along any axis.
    whole = onp.stack([onp.roll(onp.asarray(X), k) for k in range(3)])
    pairs = [accumulate_numpy(a, x) for a, x in zip(whole, xs, strict=True)]
    for axis in (0, 1, -1):
        for wrap in (lambda f: f, cv.jit):
            ref = new_ref(whole.T if axis else whole)
            out = wrap(cv.vmap(accumulate, in_axes=(axis, 0)))(ref, xs)
            onp.testing.assert_allclose(out, [p[0] for p in pairs], rtol=1e-5)
            same(ref[...].T if axis else ref[...], [p[1] for p in pairs])
    # What all share can be read, at mapped positions, and written, if the values are not mapped.
    ref = new_ref(X)
    same(cv.vmap(lambda i: ref[i] * 2)(np.arange(3)), 2 * X)
    same(cv.vmap(lambda r, i: r[i], in_axes=(None, 0))(ref, np.array([2, 0])), [3, 1])
    cv.vmap(lambda x: cv.ref.set(ref, 0, 5.0))(xs)
    same(ref[...], [5, 2, 3])


def test_derivatives():
    for x in (0.3, -0.4):
        eps = 1e-6
        slope = (outcome(x + eps) - outcome(x - eps)) / (2 * eps)
        for wrap in (lambda f: f, cv.jit):
            onp.testing.assert_allclose(wrap(cv.jacrev(flat))(x), slope, rtol=2e-5)
            onp.testing.assert_allclose(wrap(cv.jacfwd(flat))(x), slope, rtol=2e-5)
            value, tangent = wrap(lambda x: cv.jvp(cv.jit(flat), (x,), (1.0,)))(x)
            same(value, outcome(x))
            onp.testing.assert_allclose(tangent, slope, rtol=2e-5)
        value, push = cv.linearize(flat, x)
        onp.testing.assert_allclose(push(2.0), 2 * slope, rtol=2e-5)
        second = (outcome(x + 1e-3) - 2 * outcome(x) + outcome(x - 1e-3)) / 1e-6
        onp.testing.assert_allclose(cv.jacfwd(cv.jacrev(flat))(x), second, rtol=2e-3, atol=1e-2)
    xs = np.array([0.3, -0.4])
    each = [cv.jacrev(flat)(x) for x in xs]
    same(cv.vmap(cv.jacrev(flat))(xs), np.stack(each))


def test_derivatives_see_constants_in_references_from_outside():
    ref, log = new_ref(2.0), new_ref(0.0)

    def loss(x):
        log[...] = lax.stop_gradient(x) * 10
        return x**2 * ref[...] * log[...]

    for f in (loss, cv.jit(loss), cv.checkpoint(loss)):
        assert float(cv.grad(f)(3.0)) == 2 * 3 * 2 * 30 and float(log[...]) == 30
        log[...] = 0.0
    assert float(cv.grad(lambda x, r: x * r[...] ** 2)(3.0, ref)) == 4
    counter = new_ref(0)

    def counted(x):
        counter[...] += 1
        return x * 2

    assert float(cv.jit(cv.grad(counted))(1.0)) == 2 and int(counter[...]) == 1
    cv.vmap(cv.value_and_grad(counted))(X)
    assert int(counter[...]) == 2


def test_while_loop_reads_in_the_condition():
    limit, x = new_ref(10.0), new_ref(1.0)

    def run(start):
        def body(i):
            x[...] *= 2
            return i + 1

        return lax.while_loop(lambda i: x[...] < limit[...], body, start)

    assert int(run(0)) == 4 and float(x[...]) == 16
    limit[...] = 100.0
    assert int(cv.jit(run)(0)) == 3 and float(x[...]) == 128
    x[...] = 1.0
    assert int(cv.jit(run)(0)) == 7 and float(x[...]) == 128
    n = new_ref(0)
    cv.jit(lambda k: lax.fori_loop(0, k, lambda i, c: cv.ref.addupdate(n, ..., i), None))(5)
    assert int(n[...]) == 10


def test_scan_over_references():
    ref, weights = new_ref(np.zeros((3, 2))), new_ref(np.arange(3.0))

    def body(c, xs):
        part, w, x = xs
        part[0] = c
        part[1] += w[...] * x
        return c + x, part[...].sum()

    for run in (lax.scan, cv.jit(lax.scan, static_argnums=0)):
        ref[...] = 1.0
        c, ys = run(body, 0.0, (ref, weights, X))
        same(ref[...], [[0, 1], [1, 3], [3, 7]])
        same(ys, [1, 4, 10])
        same(weights[...], [0, 1, 2])
    lax.scan(lambda c, r: (c + 1, cv.ref.set(r, ..., c)), 0.0, weights, reverse=True)
    same(weights[...], [2, 1, 0])


def test_branches_that_differ_in_what_they_write():
    a, b, c = new_ref(1.0), new_ref(2.0), new_ref(3.0)

    def first():
        a[...] = b[...] * 10

    def second():
        local = new_ref(c[...])
        local[...] += 1.0
        b[...] = cv.freeze(local)

    run = cv.jit(lambda i: lax.switch(i, [first, second, lambda: None]))
    run(0)
    run(2)
    assert [float(r[...]) for r in (a, b, c)] == [20, 2, 3]
    run(1)
    assert [float(r[...]) for r in (a, b, c)] == [20, 4, 3]
    cv.vmap(lambda i, r: lax.cond(i > 0, lambda: cv.ref.set(r, ..., i), lambda: None))(
        X - 2, vector := new_ref(np.full(3, 9.0))
    )
    same(vector[...], [9, 9, 1])


# --- custom rules --------------------------------------------------------------------------


@cv.custom_vjp
def stash(ref, x):
    return x


def stash_bwd(ref, ct):
    ref[...] += ct
    return None, ct


stash.defvjp(lambda ref, x: (x, ref), stash_bwd)


def test_backward_passes_write_references():
    def loss(x, ref):
        return np.sin(stash(ref, x**2))

    want = onp.cos(0.49)
    for f in (cv.grad(loss), cv.grad(cv.jit(loss)), cv.jit(cv.grad(loss)),
              cv.jit(cv.grad(cv.jit(loss)))):  # fmt: skip
        ref = new_ref(0.0)
        same(f(0.7, ref), want * 1.4)
        same(ref[...], want)

    def layers(x, ref):
        return lax.scan(lambda c, _: (np.sin(stash(ref, c)), None), x, length=3)[0]

    x, cts = 1.0, []
    points = [x, onp.sin(x), onp.sin(onp.sin(x))]
    for p in reversed(points):
        cts.append((cts[-1] if cts else 1.0) * onp.cos(p))
    for f in (cv.grad(layers), cv.jit(cv.grad(cv.jit(layers)))):
        ref = new_ref(0.0)
        same(f(x, ref), cts[-1])
        same(ref[...], sum(cts))


def test_backward_passes_of_branches_write_references():
    ref, other = new_ref(0.0), new_ref(10.0)

    def loss(x):
        branches = [
            lambda x: stash(ref, x) * 3, lambda x: stash(other, stash(ref, 2 * x)), lambda x: x * x,
        ]  # fmt: skip
        return sum(lax.switch(i, branches, x) for i in (0, 1, 1, 2))

    def chosen(i, x):
        return lax.switch(i, [lambda x: stash(ref, x) * 3, lambda x: stash(other, x)], x)

    assert float(cv.grad(loss)(2.0)) == 3 + 2 + 2 + 4
    assert (float(ref[...]), float(other[...])) == (3 + 1 + 1, 12)
    for i, want in ((0, (8, 12)), (1, (8, 13)), (1, (8, 14))):
        cv.jit(cv.grad(chosen, argnums=1))(i, 2.0)
        assert (float(ref[...]), float(other[...])) == want


def test_functions_with_rules_read_references():
    scale = new_ref(3.0)

    @cv.custom_jvp
    def f(x):
        return x * scale[...]

    f.defjvp(lambda primals, tangents: (f(*primals), 100 * scale[...] * tangents[0]))

    @cv.custom_vjp
    def g(r, x):
        return x * r[...]

    g.defvjp(lambda r, x: (g(r, x), r[...]), lambda s, ct: (None, 10 * s * ct))
    for run in (lambda h: h, cv.jit, cv.checkpoint):
        scale[...] = 3.0
        assert float(run(f)(2.0)) == 6 and float(cv.grad(run(f))(2.0)) == 300
        assert float(run(lambda x: g(scale, x))(2.0)) == 6
        assert float(cv.grad(run(lambda x: g(scale, x)))(2.0)) == 30
    many = cv.grad(lambda x: lax.scan(lambda c, v: (f(c), None), x, X)[0])
    assert float(many(1.0)) == 300**3
    with pytest.raises(TypeError, match="must return None for argument 0, a reference"):
        wrong = cv.custom_vjp(lambda r, x: x)
        wrong.defvjp(lambda r, x: (x, None), lambda res, ct: (ct, ct))
        cv.grad(lambda x: wrong(scale, x))(1.0)


# --- caches --------------------------------------------------------------------------------


def test_traces_are_found_again():
    traced = []
    closed = new_ref(np.zeros(2))

    @cv.jit
    def f(ref, x):
        traced.append(ref.shape)
        ref[0] = x
        closed[0] += x
        return ref[...].sum()

    one, two, long = new_ref(np.zeros(3)), new_ref(np.ones(3)), new_ref(np.zeros(4))
    assert [float(f(r, x)) for r, x in ((one, 1.0), (two, 2.0), (long, 3.0), (one, 4.0))] == [
        1, 4, 3, 4,
    ]  # fmt: skip
    assert traced == [(3,), (4,)] and float(closed[0]) == 10
    same(f.lower(one, 1.0).compile()(two, 5.0), 7)
    same(two[...], [5, 1, 1])
    assert f.eval_shape(one, 1.0).shape == () and len(traced) == 2
    assert "scatter" not in str(cv.make_jaxpr(lambda r: r[0])(one))
    assert len(cv.make_jaxpr(f)(one, 1.0).jaxpr.outvars) == 1 + 2


def test_traces_keep_no_references_of_others():
    @cv.jit
    def f(ref):
        ref[...] += 1.0

    def use():
        ref = new_ref(X)
        f(ref)
        cv.grad(lambda x: (f(ref), x * 2)[1])(1.0)
        cv.vmap(f)(ref)
        return weakref.ref(ref)

    seen = use()
    gc.collect()
    assert seen() is None


# --- errors ----------------------------------------------------------------------------------


def here(text):
    """A message that names this file."""
    return re.escape(text).replace("HERE", r"[^ ]*test_references.py:\d+ \([^)]*\)[^ ]*.*")


REF = new_ref(0.0)
SQUARES = new_ref(np.zeros(3))


def freed():
    ref = new_ref(X)
    cv.free_ref(ref)
    return ref


def leaked(transform, *args):
    found = []
    transform(lambda x: (found.append(new_ref(x)), x)[1])(*args)
    return found[0]


ERRORS = {
    "given twice": (
        lambda: cv.jit(lambda a, b: a[...])(REF, REF), ValueError,
        "was given the reference of type Ref{float32[]} made at HERE twice, as a and as b",
    ),
    "given twice inside": (
        lambda: cv.vmap(lambda x: cv.jit(lambda a, b: a[...] + x)(REF, REF))(X), ValueError,
        "twice, as a and as b",
    ),
    "given twice to a branch": (
        lambda: lax.cond(True, lambda a, b: a[...], lambda a, b: b[...], REF, REF), ValueError,
        "twice, as operand 0 and as operand 1",
    ),
    "scanned twice": (
        lambda: lax.scan(lambda c, r: (c, None), 0, (SQUARES, SQUARES)), ValueError,
        "twice, as [0]",
    ),
    "given and closed over": (
        lambda: cv.jit(lambda a: a[...] + REF[...])(REF), ValueError,
        "closes over the reference of type Ref{float32[]} made at HERE, which was also passed as a",
    ),
    "returned": (
        lambda: cv.jit(lambda: new_ref(0.0))(), ValueError,
        "returned the reference of type Ref{float32[]} made at HERE, but references cannot be",
    ),
    "argument returned": (lambda: cv.jit(lambda r: r)(REF), ValueError, "cannot be returned"),
    "returned from vmap": (lambda: cv.vmap(new_ref)(X), ValueError, "cannot be returned"),
    "returned from grad": (lambda: cv.grad(new_ref)(1.0), ValueError, "cannot be returned"),
    "returned from a branch": (
        lambda: lax.cond(True, lambda: REF, lambda: REF), ValueError, "cannot be returned",
    ),
    "carried": (
        lambda: lax.scan(lambda c, x: (c, x), REF, X), TypeError, "close over a reference",
    ),
    "mapped value": (
        lambda: cv.vmap(lambda x: cv.ref.set(REF, ..., x))(X), ValueError,
        "a value of vectorisation (vmap) was written to the reference of type Ref{float32[]} made",
    ),
    "mapped position": (
        lambda: cv.vmap(lambda i: cv.ref.addupdate(SQUARES, i, 1.0))(np.arange(3)), ValueError,
        "vectorisation",
    ),
    "mapped value inside of jit": (
        lambda: cv.vmap(cv.jit(lambda x: cv.ref.set(REF, ..., x)))(X), ValueError, "vectorisation",
    ),
    "differentiated value": (
        lambda: cv.grad(lambda x: (cv.ref.set(REF, ..., x), x)[1])(1.0), ValueError,
        "a value of differentiation (jvp) was written",
    ),
    "by a reference": (
        lambda: cv.grad(lambda r: r[...] ** 2)(REF), TypeError,
        "grad: the argument r is not an array: it is a reference of type Ref{float32[]}",
    ),
    "freed": (
        lambda: freed()[0], ValueError,
        "the reference of type Ref{float32[3]} made at HERE cannot be used: it was freed at HERE",
    ),
    "frozen": (lambda: (lambda r: (cv.freeze(r), cv.freeze(r)))(new_ref(X)), ValueError,
               "it was frozen at HERE"),
    "freed, given": (lambda: cv.jit(lambda r: r[0])(freed()), ValueError, "it was freed at HERE"),
    "freed, written": (lambda: cv.ref.set(freed(), 0, 1.0), ValueError, "it was freed at HERE"),
    "frozen in a trace": (
        lambda: cv.jit(lambda: cv.freeze(REF))(), ValueError,
        "cannot be frozen inside of a function that is traced, because it was made outside of it",
    ),
    "argument freed in a trace": (
        lambda: cv.jit(cv.free_ref)(REF), ValueError, "cannot be freed inside of a function",
    ),
    "leaked from jit": (
        lambda: leaked(cv.jit, 1.0)[...], cv.errors.UnexpectedTracerError,
        "the reference of type Ref{float32[]} made at HERE was used outside of the function in",
    ),
    "leaked from vmap": (
        lambda: cv.jit(lambda: leaked(cv.vmap, X)[...])(), cv.errors.UnexpectedTracerError,
        "outside",
    ),
    "operand": (
        lambda: np.sin(REF), TypeError, "a reference of type Ref{float32[]} was given where an arr",
    ),
    "operand beside": (lambda: np.add(X, SQUARES), TypeError, "read its value with ref[...]"),
    "value": (lambda: cv.ref.set(REF, ..., SQUARES), TypeError, "read its value with ref[...]"),
    "reference to one": (lambda: new_ref(REF), TypeError, "read its value with ref[...]"),
    "list": (lambda: new_ref([1.0]), TypeError, "new_ref takes an array: a value of type list"),
    "no reference": (lambda: cv.ref.get(X), TypeError, "ref.get takes a reference, made by new_r"),
    "freeze of an array": (lambda: cv.freeze(X), TypeError, "freeze takes a reference"),
    "memory": (lambda: new_ref(X, memory_space="hbm"), NotImplementedError, "one kind of memory"),
    "backward pass of a step": (
        lambda: cv.grad(
            lambda x: lax.scan(lambda c, r: (stash(r, c), None), x, new_ref(np.zeros(3)))[0]
        )(1.0),
        cv.errors.UnexpectedTracerError, "was used outside of the function in which it was made",
    ),
    "condition": (
        lambda: lax.while_loop(lambda i: (cv.ref.set(REF, ..., 1.0), i < 2)[1], lambda i: i + 1, 0),
        ValueError, "a condition may read references, but not write them",
    ),
    "pure": (
        lambda: cv.custom_derivatives.linear_call(
            lambda r, x: x * REF[...], lambda r, ct: ct, (), 2.0
        ),
        NotImplementedError, "must be a pure function",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    run, error, message = ERRORS[name]
    before = float(REF[...])
    with pytest.raises(error, match=here(message)):
        run()
    assert float(REF[...]) == before


def test_closed_over_and_freed_later():
    ref = new_ref(X)
    f = cv.jit(lambda: ref[0])
    assert float(f()) == 1
    cv.free_ref(ref)
    with pytest.raises(ValueError, match=r"cannot be used: it was freed at .*test_references.py"):
        f()
    assert repr(ref).startswith("Ref{float32[3]} that was freed at ")


def test_a_program_that_fails_loses_what_it_was_writing():
    ref = new_ref(np.zeros(3))

    def fail(x):
        raise RuntimeError("no")

    @cv.jit
    def f(r):
        r[0] = cv.pure_callback(fail, cv.ShapeDtypeStruct((), np.float32), r[1])

    with pytest.raises(Exception, match="no"):
        f(ref)
    with pytest.raises(ValueError, match="was being written by a compiled function that raised"):
        ref[0]  # noqa: B018


def test_what_is_not_finite_is_found_in_references():
    ref = new_ref(np.zeros(2))

    @cv.jit
    def f(r):
        r[0] = np.log(r[1] - 1.0)

    cv.config.update("debug_nans", True)
    try:
        with pytest.raises(FloatingPointError, match="in the operation log"):
            f(ref)
    finally:
        cv.config.update("debug_nans", False)


def test_imported_when_used():
    import subprocess
    import sys

    code = """
import sys
import covector
assert "covector.ref" not in sys.modules
covector.new_ref(1.0)
assert covector.ref.Ref is covector.Ref and {"new_ref", "freeze"} <= set(dir(covector))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 9, 30_001])
def test_short_rounds(n):
    """Rounds of a few instructions, of which the compiled loop does several at a time."""
    at = onp.arange(n) * 7 % 5 - 2

    @cv.jit
    def counted(at):
        ref = new_ref(np.zeros(5, "int32"))

        def body(k, last):
            ref[at[k]] += 1
            return last + at[k] * k

        return lax.fori_loop(0, at.shape[0], body, 3), ref[...]

    last, got = counted(at.astype("int32"))
    onp.testing.assert_array_equal(got, onp.bincount(at % 5, minlength=5))
    assert int(last) == 3 + int((at * onp.arange(n)).sum())


def test_custom_rules_over_inner_references():
    """Rules run where the transformation was called from, where there is no such value."""

    def with_jvp(v, x):
        ref = new_ref(v)
        f = cv.custom_jvp(lambda x: ref[...] * x)
        f.defjvp(lambda p, t: (f(p[0]), ref[...] * t[0]))
        return f(x)

    def with_vjp(v, x):
        ref = new_ref(v)
        f = cv.custom_vjp(lambda x: ref[...] * x)
        f.defvjp(lambda x: (f(x), None), lambda res, g: (ref[...] * g,))
        return f(x)

    for f in (with_jvp, with_vjp):
        assert float(f(2.0, 3.0)) == float(cv.jit(f)(2.0, 3.0)) == 6.0
        for transformed in (
            lambda f=f: cv.grad(lambda v: f(v, 3.0 * v))(2.0),
            lambda f=f: cv.jit(cv.grad(lambda v: f(v, 3.0 * v)))(2.0),
        ):
            with pytest.raises(NotImplementedError, match="used in a function with a custom rule"):
                transformed()
        mapped = cv.vmap(lambda v, f=f: f(v, 3.0 * v))(np.array([1.0, 2.0]))
        onp.testing.assert_array_equal(mapped, [3.0, 12.0])


@pytest.mark.parametrize("what", ["custom_linear_solve", "custom_root", "reduce", "linear_call"])
def test_pure_functions_take_no_references(what):
    def f(v):
        ref = new_ref(v)
        if what == "custom_linear_solve":
            return lax.custom_linear_solve(lambda x: ref[...] * x, v, lambda mv, b: b / 2)
        if what == "custom_root":
            return lax.custom_root(lambda x: x - ref[...], v, lambda f, x: x, lambda g, y: y)
        if what == "reduce":
            return lax.reduce(np.ones(3) * v, 1.0, lambda a, b: a * b * ref[...], (0,))
        from covector.custom_derivatives import linear_call

        return linear_call(lambda _, x: ref[...] * x, lambda _, x: ref[...] * x, (), v)

    for call in (f, cv.grad(f), cv.jit(f)):
        with pytest.raises(NotImplementedError, match=f"used in {what} of .* must be a pure"):
            call(2.0)


# --- cotangents that are added to references ---------------------------------------------------


@pytest.mark.parametrize("wrapped", [lambda f: f, cv.jit], ids=["eager", "jit"])
def test_pullbacks_into_references(wrapped):
    x, w = {"a": np.array([1.0, 2.0]), "b": np.float32(3)}, np.array([4.0, 5.0])
    ad = cv.ad

    def f(x, w):
        return np.sin(x["a"]) * w + x["b"]

    def pulled(total):
        _, pullback = cv.vjp(f, x, w)
        return pullback.with_refs({"a": total, "b": ad.GradValue()}, ad.DontWant())(w)

    want = cv.vjp(f, x, w)[1](w)[0]
    total = cv.new_ref(np.ones(2))
    for k in (1, 2):
        (got, other) = wrapped(pulled)(total)
        assert got["a"] == ad.GradRef() and other == ad.DidntWant()
        onp.testing.assert_allclose(got["b"], want["b"])
        onp.testing.assert_allclose(total[...], 1 + k * want["a"], rtol=1e-6)


def test_pullbacks_into_references_are_pytrees_and_check():
    ad = cv.ad
    _, pullback = cv.vjp(lambda x, i: x * i, 2.0, 3)
    total = cv.new_ref(0.0)
    cv.jit(lambda p, r: p.with_refs(r, ad.DontWant())(1.0))(pullback, total)
    assert total[...] == 3
    assert pullback.with_refs(total, ad.GradValue())(1.0)[1].dtype == cv.float0
    assert hash(ad.GradRef()) == hash(ad.GradRef()) and repr(ad.DontWant()) == "DontWant()"
    for refs, error, match in (
        ((total,), ValueError, "for each array in the arguments, in their structure"),
        ((total, 3.0), TypeError, "for each array in the arguments, got float 3.0"),
        ((ad.GradValue, ad.DontWant()), TypeError, "got type"),
        ((cv.new_ref(np.ones(2)), ad.DontWant()), ValueError, r"type float32\[\] .*float32\[2\]"),
        ((total, total), ValueError, r"type int32\[\].* has no cotangent"),
    ):
        with pytest.raises(error, match=match):
            pullback.with_refs(*refs)
