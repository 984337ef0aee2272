"""Functions of the parts that devices have: `shard_map`, `smap`, and collectives in them."""

import re

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.sharding import AbstractMesh, AxisType
from covector.sharding import PartitionSpec as P
from covector.sharding.mapped import shard_map_p


def mesh_of(*sizes, names="xyz", kind=AxisType.Auto):
    return cv.make_mesh(sizes, tuple(names[: len(sizes)]), (kind,) * len(sizes))


MESH = None


@pytest.fixture(autouse=True)
def mesh(eight_devices):
    global MESH
    MESH = mesh_of(4, 2)


def on(f, in_specs, out_specs, **options):
    return cv.shard_map(f, mesh=MESH, in_specs=in_specs, out_specs=out_specs, **options)


def blocks(x, axis=0, n=4):
    return onp.split(onp.asarray(x), n, axis)


X = onp.arange(8.0, dtype="float32")
A = onp.arange(32.0, dtype="float32").reshape(8, 4)


# --- the parts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "local"),
    [
        (P(), (8, 4)),
        (P("x"), (2, 4)),
        (P(None, "y"), (8, 2)),
        (P("x", "y"), (2, 2)),
        (P("y", "x"), (4, 1)),
        (P(("x", "y")), (1, 4)),
        (P(("y", "x"), None), (1, 4)),
    ],
)
@pytest.mark.parametrize("jitted", [False, True])
def test_a_device_sees_its_part_and_results_are_put_together(spec, local, jitted):
    seen = []

    def f(a):
        seen.append(a.shape)
        return a + 1

    g = on(f, spec, spec)
    out = (cv.jit(g) if jitted else g)(A)
    assert seen[0] == local
    onp.testing.assert_array_equal(out, A + 1)
    assert out.sharding == cv.NamedSharding(MESH, spec) or out.sharding.is_equivalent_to(
        cv.NamedSharding(MESH, spec), 2
    )


def test_each_part_is_the_one_that_the_sharding_says():
    spec = P(("y", "x"))
    out = on(lambda a: a * 0 + lax.axis_index(("x", "y")), spec, spec)(X)
    sharding = cv.NamedSharding(MESH, spec)
    for device, (index,) in sharding.devices_indices_map((8,)).items():
        at = onp.argwhere(MESH.device_ids == device.id)[0]
        assert onp.asarray(out)[index] == 2 * at[0] + at[1]


def test_arguments_and_results_are_trees():
    def f(p, x):
        return {"y": p["w"] * x, "n": lax.psum(x, "x")}

    g = on(f, ({"w": P(), "b": P()}, P("x")), {"y": P("x"), "n": P()})
    out = g({"w": 2.0, "b": 1.0}, X)
    onp.testing.assert_array_equal(out["y"], 2 * X)
    onp.testing.assert_array_equal(out["n"], sum(blocks(X)))


def test_values_that_are_closed_over_are_the_same_on_all_devices():
    w = np.asarray(3.0)

    def outer(x):
        y = x.sum()
        return on(lambda a: a * w + y, P("x"), P("x"))(x)

    for f in (outer, cv.jit(outer)):
        onp.testing.assert_array_equal(f(X), X * 3 + 28)


def test_a_decorator_and_a_mesh_that_is_set():
    with cv.set_mesh(MESH):

        @cv.shard_map(in_specs=P("x"), out_specs=P("x"))
        def f(a):
            assert cv.sharding.get_abstract_mesh().manual_axes == ("x", "y")
            return a * lax.axis_size("x")

        onp.testing.assert_array_equal(f(X), 4 * X)


def test_along_some_axes_others_are_whole():
    def f(a):
        assert a.shape == (2, 4)
        assert cv.sharding.get_abstract_mesh().axis_types == (AxisType.Manual, AxisType.Auto)
        return lax.psum(a, "x")

    g = on(f, P("x"), P(), axis_names={"x"})
    onp.testing.assert_array_equal(g(A), sum(blocks(A)))


def test_one_in_another():
    def inner(a):
        return a + lax.psum(a.sum(), "y")

    def outer(a):
        nested = cv.shard_map(
            inner, mesh=MESH, in_specs=P(None, "y"), out_specs=P(None, "y"), axis_names={"y"}
        )
        return nested(a)

    out = on(outer, P("x"), P("x"), axis_names={"x"})(A)
    expected = onp.concatenate([b + b.sum() for b in blocks(A)])
    onp.testing.assert_array_equal(out, expected)


def test_smap_takes_positions_of_dimensions():
    with cv.set_mesh(MESH):
        f = cv.smap(lambda a, b: (a.sum(1) + b, b), in_axes=(1, None), out_axes=(None, None),
                    axis_name="y")  # fmt: skip
        with pytest.raises(ValueError, match="may differ"):
            f(A, 1.0)
        g = cv.smap(lambda a: lax.psum(a.sum(1), "y"), in_axes=1, out_axes=None, axis_name="y")
        onp.testing.assert_array_equal(g(A), A.sum(1))


def test_specs_are_those_of_the_types_where_axes_are_explicit():
    mesh = mesh_of(4, 2, kind=AxisType.Explicit)
    x = cv.device_put(A, cv.NamedSharding(mesh, P("x", "y")))
    seen = []

    def f(a):
        seen.append(a.shape)
        return a

    out = cv.shard_map(f, mesh=mesh, out_specs=P("x", "y"))(x)
    assert seen == [(2, 2)]
    assert cv.typeof(out).str_short() == "float32[8@x,4@y]"


# --- collectives -----------------------------------------------------------------------------


COLLECTIVES = {
    "psum": (lambda a: lax.psum(a, "x"), P(), lambda b: sum(b)),
    "pmean": (lambda a: lax.pmean(a, "x"), P(), lambda b: sum(b) / 4),
    "pmax": (lambda a: lax.pmax(a, "x"), P(), lambda b: onp.max(b, 0)),
    "pmin": (lambda a: lax.pmin(a, "x"), P(), lambda b: onp.min(b, 0)),
    "all_gather": (lambda a: lax.all_gather(a, "x")[None], P("x"), lambda b: onp.array([b] * 4)),
    "all_gather tiled": (
        lambda a: lax.all_gather(a, "x", tiled=True), P("x"), lambda b: onp.concatenate(b * 4)
    ),
    "ppermute": (
        lambda a: lax.ppermute(a, "x", [(i, (i + 1) % 4) for i in range(4)]), P("x"),
        lambda b: onp.concatenate(b[-1:] + b[:-1]),
    ),
    "ppermute of some": (
        lambda a: lax.ppermute(a, "x", [(0, 2)]), P("x"),
        lambda b: onp.concatenate([0 * b[0], 0 * b[0], b[0], 0 * b[0]]),
    ),
    "pshuffle": (
        lambda a: lax.pshuffle(a, "x", [3, 0, 1, 2]), P("x"),
        lambda b: onp.concatenate([b[3], b[0], b[1], b[2]]),
    ),
    "psum_scatter": (
        lambda a: lax.psum_scatter(a.reshape(4, 2), "x"), P("x"), lambda b: sum(b).reshape(-1)
    ),
    "all_to_all": (
        lambda a: lax.all_to_all(a.reshape(4, 2), "x", 0, 0)[None], P("x"),
        lambda b: onp.swapaxes(onp.array(b).reshape(4, 4, 2), 0, 1),
    ),
    "pbroadcast": (
        lambda a: lax.pbroadcast(a, "x", 2), P("x"), lambda b: onp.concatenate([b[2]] * 4)
    ),
    "groups": (
        lambda a: lax.psum(a, "x", axis_index_groups=[[0, 3], [1, 2]]), P("x"),
        lambda b: onp.concatenate([b[0] + b[3], b[1] + b[2], b[1] + b[2], b[0] + b[3]]),
    ),
    "axis_index": (
        lambda a: a * lax.axis_index("x"), P("x"),
        lambda b: onp.concatenate([i * x for i, x in enumerate(b)]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COLLECTIVES)
@pytest.mark.parametrize("how", ["eager", "jit", "scan"])
def test_collectives_exchange_what_devices_have(name, how):
    f, out_spec, expected = COLLECTIVES[name]
    x = onp.arange(32.0, dtype="float32")
    if how == "scan":
        g = f

        def f(a):
            return lax.scan(lambda c, _: (c, g(a)), 0.0, None, length=2)[1][1]

    mapped = on(f, P("x"), out_spec)
    mapped = mapped if how == "eager" else cv.jit(mapped)
    onp.testing.assert_allclose(mapped(x), expected(blocks(x)), rtol=1e-6)


@pytest.mark.parametrize("name", [n for n in COLLECTIVES if n not in ("pmax", "pmin")])
def test_derivatives_of_collectives_are_those_of_what_they_do(name):
    f, out_spec, expected = COLLECTIVES[name]
    x = onp.linspace(0.1, 1, 32).astype("float64")
    with cv.enable_x64():
        g = lambda x: np.sum(np.sin(on(f, P("x"), out_spec)(x)))  # noqa: E731
        cv.test_util.check_grads(g, (x,), order=2, modes=("fwd", "rev"))


def test_over_both_axes():
    g = on(lambda a: lax.psum(a, ("x", "y")), P(("x", "y")), P())
    onp.testing.assert_array_equal(g(X), [28])


# --- what varies -----------------------------------------------------------------------------


def test_types_say_over_which_axes_values_vary():
    def f(a, b):
        assert cv.typeof(a).varying == {"x"}
        assert cv.typeof(b).varying == frozenset()
        assert cv.typeof(a * b).varying == {"x"}
        assert cv.typeof(lax.psum(a, "x")).varying == frozenset()
        assert cv.typeof(lax.axis_index("y")).varying == {"y"}
        assert cv.typeof(np.zeros(3)).varying == frozenset()
        assert cv.typeof(cv.jit(lambda u: u + 1)(a)).varying == {"x"}
        assert cv.typeof(lax.pcast(b, "y", to="varying")).varying == {"y"}
        return a * b

    on(f, (P("x"), P()), P("x"))(X, 2.0)


@pytest.mark.parametrize("jitted", [False, True])
def test_derivatives_inside_by_what_is_shared_are_summed(jitted):
    def loss(w, a):
        return lax.psum((a * w).sum(), "x")

    g = on(lambda a, w: cv.grad(loss)(w, a), (P("x"), P()), P())
    g = cv.jit(g) if jitted else g
    assert float(g(X, 2.0)) == 28
    local = on(lambda a, w: cv.grad(lambda w: (a * w).sum())(w), (P("x"), P()), P())
    assert float(local(X, 2.0)) == 28
    unchecked = on(lambda a, w: cv.grad(loss)(w, a), (P("x"), P()), P(), check_vma=False)
    assert float(unchecked(X, 2.0)) == 4  # of the first device: the sum of equal cotangents


def test_derivatives_from_outside():
    def f(w):
        return on(lambda a, w: lax.psum((a * w).sum(), "x"), (P("x"), P()), P())(X, w)

    assert float(cv.grad(f)(2.0)) == 28
    assert float(cv.grad(cv.jit(f))(2.0)) == 28
    assert float(cv.jit(cv.grad(f))(2.0)) == 28


def test_a_carry_varies_where_the_body_makes_it_vary():
    def f(a):
        c, _ = lax.scan(lambda c, _: (c + a, None), np.zeros(2), None, length=3)
        w = lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] + a), (0, np.zeros(2)))[1]
        f = lax.fori_loop(0, 3, lambda i, s: s + a, np.zeros(2))
        return c + w + f

    onp.testing.assert_array_equal(on(f, P("x"), P("x"))(X), 9 * X)


# --- control flow that depends on the device -------------------------------------------------


@pytest.mark.parametrize("jitted", [False, True])
def test_a_branch_runs_only_where_it_is_taken(jitted, capsys):
    def f(a):
        def loud(a):
            cv.debug.print("device {}", lax.axis_index("x"))
            return a + 1

        return lax.cond(lax.axis_index("x") == 2, loud, lambda a: a, a)

    g = on(f, P("x"), P("x"))
    out = (cv.jit(g) if jitted else g)(X)
    onp.testing.assert_array_equal(out, X + (onp.arange(8) // 2 == 2))
    assert capsys.readouterr().out.split("\n")[:-1] == ["device 2"] * 2  # along "y"


def test_a_loop_ends_where_its_condition_says():
    def f(a):
        n = lax.axis_index("x")
        return lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] * 2), (0, a))[1]

    onp.testing.assert_array_equal(on(f, P("x"), P("x"))(X), X * 2.0 ** (onp.arange(8) // 2))


def test_effects_happen_once_a_device(capsys):
    def f(a):
        cv.debug.print("at {} {}", lax.axis_index("x"), lax.axis_index("y"))
        return a

    on(f, P("x"), P("x"))(X)
    lines = capsys.readouterr().out.strip().split("\n")
    assert sorted(lines) == [f"at {i} {j}" for i in range(4) for j in range(2)]


def tell(a, ordered=False):
    cv.debug.callback(lambda: print("here"), ordered=ordered)
    return a


EFFECTS = {
    "nothing": tell,
    "ordered": lambda a: tell(a, ordered=True),
    "along x": lambda a: (cv.debug.print("{}", a), a)[1],
    "the same": lambda a: (cv.debug.print("{}", lax.psum(a, "x")), a)[1],
    "constant": lambda a: (cv.debug.print("{}", np.arange(2)), a)[1],
    "compiled": cv.jit(tell),
    "apart": lambda a: (cv.jit(lambda: tell(1))(), a)[1],
    "loop": lambda a: lax.fori_loop(0, 1, lambda _, c: tell(c), a),
    "branch": lambda a: lax.cond(lax.psum(1, "x") == 4, tell, lambda a: a, a),
    "scan": lambda a: lax.scan(lambda c, _: (tell(c), None), a, None, length=1)[0],
    "checkpoint": cv.checkpoint(tell),
    "io_callback": lambda a: (
        a + cv.experimental.io_callback(lambda: (print("here"), 0.0)[1], np.float32(0))
    ),
    "ordered io_callback": lambda a: (
        a
        + cv.experimental.io_callback(lambda: (print("here"), 0.0)[1], np.float32(0), ordered=True)
    ),
}


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("name", EFFECTS)
def test_effects_happen_once_a_device_whatever_they_say(name, jitted, capsys):
    f = on(EFFECTS[name], P("x"), P("x"))
    out = (cv.jit(f) if jitted else f)(X)
    onp.testing.assert_array_equal(out, X)
    assert len(capsys.readouterr().out.splitlines()) == 8


def test_effects_of_derivatives_and_of_pmap(capsys):
    cv.grad(lambda x: on(tell, P("x"), P("x"))(x).sum())(X)
    assert capsys.readouterr().out == "here\n" * 8
    cv.pmap(tell)(X)
    assert capsys.readouterr().out == "here\n" * 8
    cv.vmap(tell, axis_name="x")(X)
    assert capsys.readouterr().out == "here\n"
    cv.shard_map(tell, mesh=MESH, in_specs=P("x"), out_specs=P("x"), axis_names={"x"})(X)
    assert capsys.readouterr().out == "here\n" * 4


# --- with other transformations --------------------------------------------------------------


def test_vmap_of_it_and_in_it():
    batch = onp.stack([X, 2 * X, 3 * X])
    f = on(lambda a: a / lax.psum(a.sum(), "x"), P("x"), P("x"))
    onp.testing.assert_allclose(cv.vmap(f)(batch), batch / batch.sum(1, keepdims=True), rtol=1e-6)
    g = on(cv.vmap(lambda a: a - lax.pmean(a, "x")), P("x"), P("x"))
    onp.testing.assert_allclose(g(A), A - onp.tile(sum(blocks(A)) / 4, (4, 1)), rtol=1e-6)


def test_with_custom_rules_and_checkpoint():
    @cv.custom_vjp
    def f(x):
        return x * x

    f.defvjp(lambda x: (f(x), x), lambda x, ct: (3 * ct * x,))
    g = on(lambda a: f(a), P("x"), P("x"))
    onp.testing.assert_array_equal(cv.grad(lambda x: g(x).sum())(X), 3 * X)
    h = on(cv.checkpoint(lambda a: np.sin(a) * lax.psum(a, "x")), P("x"), P("x"))
    k = on(lambda a: np.sin(a) * lax.psum(a, "x"), P("x"), P("x"))
    onp.testing.assert_allclose(
        cv.grad(lambda x: h(x).sum())(X), cv.grad(lambda x: k(x).sum())(X), rtol=1e-6
    )


def test_random_numbers_of_each_device():
    key = cv.random.key(0)

    def f(a):
        return a * 0 + cv.random.normal(cv.random.fold_in(key, lax.axis_index("x")), a.shape)

    out = onp.asarray(on(f, P("x"), P("x"))(X))
    expected = [cv.random.normal(cv.random.fold_in(key, i), (2,)) for i in range(4)]
    onp.testing.assert_array_equal(out, onp.concatenate(expected))


def test_its_jaxpr_shows_it():
    text = str(cv.make_jaxpr(on(lambda a: lax.psum(a, "x"), P("x"), P()))(X))
    assert "shard_map[" in text
    assert "a:f32[2]{V:x}" in text
    assert shard_map_p.name == "shard_map"


# --- bad input -------------------------------------------------------------------------------


def fails(error, text, f, *args):
    with pytest.raises(error, match=re.escape(text)) as info:
        f(*args)
    assert __file__.rsplit("/", 1)[-1] in str(info.value)


def test_bad_specs_say_what_is_wrong():
    same = lambda a: a  # noqa: E731
    fails(ValueError, "axis 0 of the argument a, float32[7]", on(same, P("x"), P("x")), X[:7])
    fails(ValueError, "at least 2 dimensions; the argument a", on(same, P("x", "y"), P("x")), X)
    fails(ValueError, "in_specs of the argument a: P('q',) names the axis 'q'",
          on(same, P("q"), P("x")), X)  # fmt: skip
    two = on(lambda a: {"b": (a, a)}, P("x"), {"b": (P("x"), P("q"))})
    fails(ValueError, "out_specs of the result['b'][1]: P('q',) names the axis 'q'", two, X)
    fails(ValueError, "may differ there: its type is float32[2]{V:x}", on(same, P("x"), P()), X)
    fails(ValueError, "there is nothing to join", on(lambda a: a.sum(), P("x"), P("x")), X)
    fails(TypeError, "must be a tree of PartitionSpec", on(same, ("x",), P("x")), X)
    fails(ValueError, "prefix of the arguments", on(same, (P("x"), P("x")), P("x")), X)
    fails(ValueError, "It has 2 entries, and there is 1", on(same, (P("x"), P("x")), P("x")), X)
    fails(ValueError, "prefix of the result", on(same, P("x"), (P("x"), P("x"))), X)
    fails(ValueError, "It is a tuple where there is one leaf",
          on(same, P("x"), (P("x"), P("x"))), X)  # fmt: skip
    for specs, text in (
        ({"b": (P("x"),)}, "Its part ['b'] has 1 entry, and there are 2"),
        ({"b": [P("x")] * 2}, "Its part ['b'] is a list where there is a tuple"),
        ({"c": P("x")}, "It has no entry for 'b', and 'c', which is not there"),
    ):
        fails(ValueError, text, on(lambda a: {"b": (a, a)}, P("x"), specs), X)
    fails(
        ValueError,
        "axis_names has 'q', which the mesh",
        on(same, P("x"), P("x"), axis_names={"q"}),
        X,
    )
    fails(ValueError, "there is no mesh", cv.shard_map(same, in_specs=P(), out_specs=P()), X)
    fails(TypeError, "all axes are of the type Explicit",
          cv.shard_map(same, mesh=MESH, out_specs=P("x")), X)  # fmt: skip
    with pytest.raises(TypeError, match="mesh must be a Mesh"):
        cv.shard_map(same, mesh="x", in_specs=P(), out_specs=P())
    with pytest.raises(NameError, match="unbound axis name: 'q'"):
        on(lambda a: lax.psum(a, "q"), P("x"), P())(X)


def test_an_abstract_mesh_will_do_for_a_trace():
    mesh = AbstractMesh((4, 2), ("x", "y"))
    f = cv.shard_map(lambda a: lax.psum(a, "x"), mesh=mesh, in_specs=P("x"), out_specs=P())
    assert cv.eval_shape(f, X).shape == (2,)


# --- rules of users, branches that devices take on their own ---------------------------------


def test_backward_passes_of_users_sum_once():
    @cv.custom_vjp
    def dense(w, x):
        return w * x

    def backward(r, ct):
        return lax.psum((ct * r[1]).sum(), "x"), ct * r[0]

    dense.defvjp(lambda w, x: (w * x, (w, x)), backward)
    inside = on(lambda w, a: cv.grad(lambda w: dense(w, a).sum())(w), (P(), P("x")), P())
    assert float(inside(2.0, X)) == X.sum()
    outside = on(dense, (P(), P("x")), P("x"))
    for g in (cv.grad, lambda f: cv.jit(cv.grad(f)), lambda f: cv.grad(cv.jit(f))):
        found = g(lambda w: (outside(w, X) ** 2).sum())(2.0)
        onp.testing.assert_allclose(found, 4 * (X**2).sum(), rtol=1e-6)
    by_x = cv.grad(lambda x: (outside(2.0, x) ** 2).sum())(X)
    onp.testing.assert_allclose(by_x, 8 * X, rtol=1e-6)


def test_a_cotangent_that_varies_where_its_argument_does_not_is_an_error():
    @cv.custom_vjp
    def f(w, x):
        return w * x

    f.defvjp(lambda w, x: (w * x, (w, x)), lambda r, ct: ((ct * r[1]).sum(), ct * r[0]))
    g = on(lambda w, a: cv.grad(lambda w: f(w, a).sum())(w), (P(), P("x")), P())
    with pytest.raises(ValueError, match="its cotangent may differ there"):
        g(2.0, X)


@pytest.mark.parametrize("closed", [False, True])
def test_derivatives_through_a_branch_by_what_devices_share(closed):
    def loss(w, x):
        if closed:
            return lax.cond(x.sum() > 5, lambda: (w * x).sum(), lambda: (w * w * x).sum())
        return lax.cond(
            x.sum() > 5, lambda w, x: (w * x).sum(), lambda w, x: (w * w * x).sum(), w, x
        )

    expected = sum(b.sum() if b.sum() > 5 else 4 * b.sum() for b in blocks(X))
    g = on(lambda w, a: cv.grad(loss)(w, a), (P(), P("x")), P())
    assert float(g(2.0, X)) == expected
    steps = lambda w, a: lax.scan(lambda c, _: (c + loss(w, a), None), 0.0, None, length=3)[0]  # noqa: E731
    h = on(lambda w, a: cv.grad(steps)(w, a), (P(), P("x")), P())
    assert float(h(2.0, X)) == 3 * expected
    outside = cv.grad(lambda w: on(
        lambda w, a: lax.psum(loss(w, a), "x"), (P(), P("x")), P()
    )(w, X))(2.0)  # fmt: skip
    assert float(outside) == expected


def test_no_arguments_and_no_specs():
    f = on(lambda: lax.axis_index("x")[None], (), P("x"))
    onp.testing.assert_array_equal(f(), [0, 1, 2, 3])
    g = on(lambda a, n: lax.psum(a, "x") + n, (P("x"), None), None)
    onp.testing.assert_array_equal(g(X, 1.0), sum(blocks(X)) + 1)
    onp.testing.assert_array_equal(
        cv.pmap(lambda: lax.axis_index("i"), axis_name="i", axis_size=3)(), [0, 1, 2]
    )


def test_axes_are_used_once():
    with pytest.raises(ValueError, match="names an axis twice"):
        on(lambda a: lax.psum(a, ("x", "x")), P("x"), P())(X)
    with pytest.raises(ValueError, match="runs along 'x', 'y' already"):
        on(lambda a: on(lambda b: b, P("x"), P("x"))(a), P("x"), P("x"))(onp.ones(64))


@pytest.mark.parametrize("check_vma", [True, False])
def test_a_callback_is_called_on_each_device(check_vma):
    seen = []

    def double(v):
        seen.append(v.shape)
        return onp.asarray(v) * 2

    def body(v):
        out = cv.pure_callback(double, cv.ShapeDtypeStruct(v.shape, v.dtype), v)
        return out + cv.pure_callback(lambda: onp.ones((), v.dtype),
                                      cv.ShapeDtypeStruct((), v.dtype))  # fmt: skip

    f = on(body, P("x"), P("x"), check_vma=check_vma)
    for g in (f, cv.jit(f)):
        seen.clear()
        onp.testing.assert_allclose(g(X), X * 2 + 1, rtol=1e-6)
        assert seen == [(X.shape[0] // 4, *X.shape[1:])] * 4
    batched = lambda v: cv.pure_callback(  # noqa: E731
        double, cv.ShapeDtypeStruct(v.shape, v.dtype), v, vmap_method="expand_dims"
    )
    seen.clear()
    onp.testing.assert_allclose(on(batched, P("x"), P("x"))(X), X * 2, rtol=1e-6)
    assert len(seen) == 1


def test_all_devices_come_to_a_collective():
    total = lambda v: lax.psum(v, "x") + v  # noqa: E731
    own = lambda v: lax.cond(v.sum() > 0, total, lambda v: v * 2, v)  # noqa: E731
    text = "devices along 'x' may go different ways"
    fails(ValueError, text, on(own, P("x"), P("x")), X)
    fails(ValueError, "psum over 'x'", cv.jit(on(own, P("x"), P("x"))), X)
    fails(ValueError, "while_loop: devices along 'x'", on(
        lambda v: lax.while_loop(lambda c: c.sum() < 30, total, v), P("x"), P("x")
    ), X)  # fmt: skip
    # All of them go one way, or the collective is over another axis, or it is none.
    for body in (
        lambda v: lax.cond(lax.psum(v.sum(), "x") > 0, total, lambda v: v * 2, v),
        lambda v: lax.cond(v.sum() > 0, lambda v: lax.psum(lax.pcast(v, "y", to="varying"), "y"),
                           lambda v: v * 2, v),
        lambda v: lax.cond(v.sum() > 0, lambda v: v * lax.axis_index("x"), lambda v: v * 2, v),
    ):  # fmt: skip
        assert on(body, P("x"), P("x"))(X).shape == X.shape


def test_what_varies_is_not_cast_again():
    text = "varies over 'x' already"
    fails(ValueError, text, on(lambda v: lax.pcast(v, "x", to="varying"), P("x"), P("x")), X)
    both = lambda v: lax.pcast(v, ("x", "y"), to="varying")  # noqa: E731
    fails(ValueError, text, on(both, P("x"), P("x", "y")), X)
    f = on(lambda v: lax.pcast(v, "x", to="varying"), P("x"), P("x"), check_vma=False)
    onp.testing.assert_array_equal(f(X), X)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_parts_are_not_laid_out_over_the_axes_that_make_them(kind):
    mesh = mesh_of(4, 2, kind=kind)
    with cv.set_mesh(mesh):
        for f in (
            lambda v: lax.with_sharding_constraint(v, P("y")),
            lambda v: lax.with_sharding_constraint(v, cv.NamedSharding(mesh, P("y"))),
            lambda v: cv.sharding.reshard(v, P("y")),
            lambda v: cv.jit(lambda x: x * 2, in_shardings=P("y"))(v),
        ):
            body = cv.shard_map(f, in_specs=P("x"), out_specs=P("x"))
            fails(ValueError, "names the axis 'y'", body, onp.asarray(X))


def test_types_of_gathered_values():
    f = cv.vmap(lambda x: lax.all_gather(x, "i", to="invarying"), axis_name="i", out_axes=None)
    onp.testing.assert_array_equal(f(np.arange(2.0)), [0, 1])
    g = on(lambda x: lax.all_gather(x, "x", tiled=True, to="invarying"), P("x"), P())
    onp.testing.assert_array_equal(g(X), X)
