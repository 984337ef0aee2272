"""Programs on eight devices, of whichever of the two libraries: run as ``python FILE LIBRARY OUT``.

Values, shardings and derivatives go into OUT, a ``.npz`` file.
"""

import importlib
import os
import sys

SPECS = {}


def programs(m, np, lax, P, mesh):  # noqa: N803 - the name that users give it
    """Names, functions and arguments."""
    import numpy as onp

    x = onp.linspace(-1, 1, 32, dtype="float32").reshape(8, 4)
    w = onp.linspace(0.5, 1.5, 16, dtype="float32").reshape(4, 4)

    def sm(f, i, o, **options):
        return m.shard_map(f, mesh=mesh, in_specs=i, out_specs=o, **options)

    xy, both = P("x", "y"), ("x", "y")
    table = {
        "psum": (sm(lambda a: lax.psum(np.sin(a), "x"), P("x"), P()), x),
        "pmean both": (sm(lambda a: lax.pmean(a, both), xy, P()), x),
        "pmax": (sm(lambda a: lax.pmax(a * a, "y"), P(None, "y"), P()), x),
        "gather": (sm(lambda a: lax.all_gather(a, "x", axis=1, tiled=True), P("x"),
                      P(None, "x")), x),
        "scatter": (sm(lambda a: lax.psum_scatter(a, "y", scatter_dimension=1, tiled=True),
                       P("x"), xy), x),
        "all_to_all": (sm(lambda a: lax.all_to_all(a, "x", 1, 0, tiled=True), P("x"),
                          P(None, "x")), x),
        "ppermute": (sm(lambda a: lax.ppermute(a, "x", [(0, 1), (1, 3), (3, 0)]), P("x"),
                        P("x")), x),
        "axis_index": (sm(lambda a: a + lax.axis_index("x") * 10 + lax.axis_index("y"), xy, xy), x),
        "flat index": (sm(lambda a: a + lax.axis_index(both), P(both), P(both)), x),
        "norm": (sm(lambda a: a / np.sqrt(lax.psum((a * a).sum(), both)), xy, xy), x),
        "matmul": (sm(lambda a, b: lax.psum(a @ b, "y"), (xy, P("y")), P("x")), x, w),
        "softmax": (sm(lambda a: np.exp(a) / lax.psum(np.exp(a).sum(1, keepdims=True), "y"),
                       xy, xy), x),
        "scan": (sm(lambda a: lax.scan(lambda c, r: (c * 0.5 + lax.psum(r, "y"), c),
                                       lax.pcast(np.zeros(4), ("x",), to="varying"), a)[1],
                    P("x"), P("x")), x),
        "fori": (sm(lambda a: lax.fori_loop(0, 3, lambda i, c: np.tanh(c + lax.pmean(a, "x")), a),
                    P("x"), P("x")), x),
        "cond": (sm(lambda a: lax.cond(a.sum() > 0, np.sin, np.cos, a), P("x"), P("x")), x),
        "while": (sm(lambda a: lax.while_loop(lambda s: s.sum() < 20, lambda s: s * 2 + 1, a),
                     P("x"), P("x")), x),
        "partial": (m.jit(sm(lambda a: a - lax.pmean(a, "x"), P("x"), P("x"),
                             axis_names={"x"})), x),
        "vmap in": (sm(m.vmap(lambda r: r - lax.psum(r, "x")), P("x"), P("x")), x),
        "vmap of": (m.vmap(sm(lambda r: r * lax.psum(r.sum(), "x"), P("x"), P("x")), in_axes=1,
                           out_axes=1), x),
    }  # fmt: skip
    for name, (f, *args) in table.items():
        yield name, f, args
        if name not in ("axis_index", "flat index", "while", "pmax"):
            yield f"grad of {name}", m.grad(lambda *a, f=f: (np.sin(f(*a)) ** 2).sum()), args
    for checked in (True, False):

        def inside(loss, i, o, checked=checked):
            return sm(lambda a, b: m.grad(loss)(b, a), i, o, check_vma=checked)

        yield (
            f"grad inside, shared {checked}",
            inside(lambda b, a: lax.pmean(((a @ b) ** 2).mean(), both), (xy, P("y")), P("y")),
            [x, w] if checked else [x, w],
        )
        yield (
            f"grad inside, psum {checked}",
            inside(lambda b, a: lax.psum((np.sin(a) * b.sum()).sum(), "x"), (P("x"), P()), P()),
            [x, w],
        )
        yield (
            f"grad inside, gather {checked}",
            inside(
                lambda b, a: (
                    lax.all_gather(b, "x", tiled=True) * lax.all_gather(a, "x", tiled=True)
                ).sum(),
                (P("x"), P("x")),
                P("x"),
            ),
            [x, x * x],
        )
        yield (
            f"grad inside, permuted {checked}",
            inside(
                lambda b, a: (lax.ppermute(b, "x", [(0, 1), (1, 0)]) * a).sum(),
                (P("x"), P("x")),
                P("x"),
            ),
            [x, x * x],
        )
    yield "pmap", m.pmap(lambda a: a / lax.psum(a, "i"), axis_name="i"), [x + 2]
    yield "pmap axes", m.pmap(lambda a, b: (a * b).sum(0), in_axes=(0, None), out_axes=0), [x, w]
    yield "grad of pmap", m.grad(lambda a: m.pmap(np.sin)(a).sum()), [x]


def sums(m, np, lax, P, mesh):  # noqa: N803 - the name that users give it
    """Programs of sums over devices that are not taken yet, and of what is reduced."""
    import numpy as onp

    x = onp.linspace(-1, 1, 5 * 64, dtype="float32").reshape(5, 8, 8)
    w = onp.linspace(-0.5, 1, 64, dtype="float32").reshape(8, 8)
    unreduced, shared, rows = P(unreduced={"x"}), P(reduced={"x"}), P("x", None)
    whole, by_rows, by_columns = P(None, None), P(None, "x", None), P(None, "x")

    def loss(w, x):
        return (lax.scan(lambda x, _: (np.tanh(x @ w), None), x, None, length=3)[0] ** 2).sum()

    @m.jit
    def step(w, xs):
        def one(total, x):
            return total + m.grad(loss)(w, x), None

        total = m.sharding.reshard(np.zeros_like(w), unreduced)
        return m.sharding.reshard(lax.scan(one, total, xs)[0], whole)

    @m.jit
    def product(a, b):
        c = np.einsum("ij,jk->ik", a, b, out_sharding=P(None, None, unreduced={"x"}))
        return m.sharding.reshard(c + c, whole)

    def mapped(f, i, o):
        return m.shard_map(f, in_specs=i, out_specs=o)

    terms = mapped(
        lambda a, b: lax.pcast(a @ b, "x", to="unreduced"), (by_columns, rows), unreduced
    )
    layer = mapped(lambda x, w: np.tanh(x @ w), (rows, P(None, None, reduced={"x"})), rows)
    taken = lambda x: m.sharding.reshard(x, whole)  # noqa: E731
    put = lambda x, s: m.device_put(x, m.NamedSharding(mesh, s))  # noqa: E731
    a, b, first = put(x[0].T @ x[0], by_columns), put(w, rows), put(x[0], rows)
    ws = put(w, shared)
    yield "a step", step, [ws, put(x, by_rows)]
    yield "a product", product, [a, b]
    yield "terms", m.jit(lambda a, b: taken(terms(a, b))), [a, b]
    yield "grad of terms", m.jit(m.grad(lambda a, b: (taken(terms(a, b)) ** 2).sum())), [a, b]
    of_weights = m.jit(m.grad(lambda w, x: (layer(x, w) ** 2).sum()))
    yield "grad of a layer", m.jit(lambda w, x: taken(of_weights(w, x))), [ws, first]
    gathered = mapped(
        lambda v: np.sin(lax.all_gather(v, "x", tiled=True, to="invarying")), rows, whole
    )
    yield "gathered", gathered, [first]
    yield "grad of gathered", m.jit(m.grad(lambda v: (gathered(v) ** 2).sum())), [first]
    summed = mapped(lambda w, x: lax.psum(m.grad(lambda w: (x @ w).sum())(w), "x"),
                    (P(None, None, reduced={"x"}), rows), whole)  # fmt: skip
    yield "a sum inside", summed, [ws, first]


def main():
    """Run all of them; those that fail have the name of their error."""
    library, out = sys.argv[1:]
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    m = importlib.import_module(library)
    np, lax = (importlib.import_module(f"{library}.{n}") for n in ("numpy", "lax"))
    import numpy as onp

    sharding = importlib.import_module(f"{library}.sharding")
    mesh = m.make_mesh((4, 2), ("x", "y"), (sharding.AxisType.Auto,) * 2)
    found = {}

    def run(made):
        for name, f, args in made:
            try:
                found[name] = onp.asarray(f(*args))
            except Exception as e:
                found[name] = onp.array(f"{type(e).__name__}: {e}"[:300])

    run(programs(m, np, lax, sharding.PartitionSpec, mesh))
    line = m.make_mesh((8,), ("x",))
    with m.set_mesh(line):
        run(sums(m, np, lax, sharding.PartitionSpec, line))
    onp.savez(out, **found)


if __name__ == "__main__":
    main()
