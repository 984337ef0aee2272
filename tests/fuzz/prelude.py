"""What random programs and their checks are written with; reproducers hold it as it stands.

It is executed where `cv`, `np`, `lax` (Covector or JAX) and `onp` (NumPy) are defined.
"""
# ruff: noqa: F821, B905

SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, float("inf"), float("-inf"), float("nan"))


def make(seed, shape, dtype, special=False):
    """Random numbers, small ones; with `special` also zeros, infinities, NaN, limits."""
    rng = onp.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if "int" in dtype:
        info = onp.iinfo(dtype)
        x = rng.integers(max(-9, info.min), 10, shape).astype(dtype)
        limits = onp.array([info.min, info.max, info.max - 1, 0], dtype)
        return onp.where(rng.random(shape) < 0.2, rng.choice(limits, shape), x) if special else x
    x = onp.asarray(rng.normal(size=shape))
    if special:
        x = onp.where(rng.random(shape) < 0.3, rng.choice(SPECIAL, shape), x)
    if dtype.startswith("complex"):
        x = x + 1j * rng.normal(size=shape)
    return x.astype(getattr(np, dtype))


def with_jvp(f):
    """A custom rule that is the function's own derivative."""
    g = cv.custom_jvp(f)
    g.defjvp(lambda primals, tangents: cv.jvp(f, primals, tangents))
    return g


def with_vjp(f):
    """The same backwards."""
    g = cv.custom_vjp(f)
    g.defvjp(lambda x: (f(x), x), lambda x, c: cv.vjp(f, x)[1](c))
    return g


def put(inputs, k=0):
    """Fresh arrays of the `k`-th set of inputs."""
    return [np.asarray(x) for x in inputs(k)]


def by_vmap(f, inputs, mapped):
    """Results for three sets of inputs at once, of which some arguments differ."""
    sets = [inputs(k) for k in range(3)]
    args = [
        onp.stack([s[i] for s in sets]) if m else x for i, (m, x) in enumerate(zip(mapped, sets[0]))
    ]
    return cv.vmap(f, tuple(0 if m else None for m in mapped))(*map(np.asarray, args))


def by_loop(f, inputs, mapped):
    """The same one after another."""
    sets = [inputs(k) for k in range(3)]
    outs = [f(*[np.asarray(s[i] if m else sets[0][i]) for i, m in enumerate(mapped)]) for s in sets]
    return [onp.stack([onp.asarray(o[k]) for o in outs]) for k in range(len(outs[0]))]


def on_platform(name, run):
    with cv.default_device(cv.devices(name)[0]):
        return run()


def in_threads(n, f):
    """The value of `f()` computed by `n` threads."""
    before = cv._native.num_threads()
    cv._native.set_num_threads(n)
    try:
        return f()
    finally:
        cv._native.set_num_threads(before)


def without_jit(f):
    with cv.disable_jit():
        return f()


def is_float(x):
    return x.dtype == "float64"


def of_floats(f, args):
    """The function of the float64 arguments alone, to float64 results; they; a direction."""
    places = [i for i, x in enumerate(args) if is_float(x)]

    def g(*floats):
        full = list(args)
        for i, x in zip(places, floats):
            full[i] = x
        return [y for y in f(*full) if is_float(y)]

    floats = [np.asarray(args[i]) for i in places]
    return g, floats, [np.asarray(make(70 + i, x.shape, "float64")) for i, x in enumerate(floats)]


def weights(ys):
    return [np.asarray(make(90 + i, y.shape, "float64")) for i, y in enumerate(ys)]


def forward(f, args):
    """The slope of a weighted sum of the results in a direction, in forward mode."""
    g, x, t = of_floats(f, args)
    ys, dys = cv.jvp(g, x, t)
    return [sum(np.sum(w * dy) for w, dy in zip(weights(ys), dys)) + np.zeros(())]


def reverse(f, args):
    """The same in reverse mode."""
    g, x, t = of_floats(f, args)
    ys, pull = cv.vjp(g, *x)
    return [sum(np.sum(dx * s) for dx, s in zip(pull(weights(ys)), t)) + np.zeros(())]


def quotient(f, args):
    """The same by difference quotients, of the steps that change it least."""
    g, x, t = of_floats(f, args)

    def rise(h):
        up = g(*[a + h * s for a, s in zip(x, t)])
        down = g(*[a - h * s for a, s in zip(x, t)])
        return sum(np.sum(w * (a - b)) for w, a, b in zip(weights(up), up, down))

    found = [(8 * rise(h) - rise(2 * h)) / (12 * h) for h in (1e-5, 2e-6, 4e-7)]
    first, last = (abs(a - b) for a, b in zip(found, found[1:]))
    return [np.where(first <= last, found[0], found[2]) + np.zeros(())]


def second(f, args, outer, inner):
    """The slope of a slope."""
    g, x, t = of_floats(f, args)
    return outer(lambda *x: inner(g, x), x)
