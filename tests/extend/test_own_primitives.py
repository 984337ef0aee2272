"""A primitive of the user's own, written as for JAX: its rules, and what computes it."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.core import ShapedArray
from covector.core.rules import batching_rules, jvp_rules
from covector.extend.core import Effect, Primitive, primitives
from covector.interpreters import ad, batching, mlir, partial_eval

# x * y + z, as in JAX's "How JAX primitives work".
multiply_add_p = Primitive("test_multiply_add")


def multiply_add(x, y, z):
    return multiply_add_p.bind(x, y, z)


@multiply_add_p.def_abstract_eval
def _abstract(x, y, z):
    assert x.shape == y.shape == z.shape
    return ShapedArray(x.shape, x.dtype)


def _value_and_jvp(primals, tangents):
    x, y, z = primals
    xt, yt, zt = (np.zeros_like(x) if type(t) is ad.Zero else t for t in tangents)
    return multiply_add(x, y, z), multiply_add(xt, y, multiply_add(x, yt, zt))


def _transpose(ct, x, y, z):
    if not ad.is_undefined_primal(x):
        assert ad.is_undefined_primal(y)
        return None, multiply_add(x, ct, np.zeros_like(x)), ct
    return multiply_add(ct, y, np.zeros_like(y)), None, ct


def _batch(args, dims):
    (size,) = {x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None}
    return multiply_add(
        *(batching.bdim_at_front(x, d, size) for x, d in zip(args, dims, strict=True))
    ), 0


ad.primitive_jvps[multiply_add_p] = _value_and_jvp
ad.primitive_transposes[multiply_add_p] = _transpose
batching.primitive_batchers[multiply_add_p] = _batch


def with_numpy(x, y, z):
    return onp.add(onp.multiply(x, y), z)


def with_covector(x, y, z):
    return x * y + z


@pytest.fixture(params=[with_numpy, with_covector, "lowering"])
def impl(request):
    if request.param == "lowering":
        multiply_add_p.impl = multiply_add_p.function = None
        rule = mlir.lower_fun(with_covector, multiple_results=False)
        mlir.register_lowering(multiply_add_p, rule)
    else:
        multiply_add_p.expansion = None
        multiply_add_p.def_impl(request.param)
    cv.clear_caches()


def square_add(a, b):
    return multiply_add(a, a, b)


def test_it_works_in_every_transformation(impl):
    a, b = np.array([2.0, 3.0]), np.array([10.0, 20.0])
    assert square_add(a, b).tolist() == cv.jit(square_add)(a, b).tolist() == [14, 29]
    assert isinstance(square_add(a, b), cv.Array)
    out, tangent = cv.jit(lambda a, b: cv.jvp(square_add, (a, b), (a, b)))(a, b)
    assert (out.tolist(), tangent.tolist()) == ([14, 29], [18, 38])
    assert cv.grad(square_add)(2.0, 10.0) == cv.jit(cv.grad(square_add))(2.0, 10.0) == 4
    assert cv.vmap(square_add, (0, None))(a, 1.0).tolist() == [5, 10]
    both = cv.jit(cv.vmap(cv.value_and_grad(square_add)))(a, b)
    assert [x.tolist() for x in both] == [[14, 29], [4, 6]]
    assert "multiply_add" in str(cv.make_jaxpr(square_add)(a, b))


def test_it_works_in_loops_and_branches(impl):
    def steps(x):
        out, _ = lax.scan(lambda c, y: (multiply_add(c, y, y), c), 1.0, x)
        return lax.cond(out > 0, lambda: square_add(out, 1.0), lambda: out)

    x = np.array([1.0, 2.0])
    assert cv.jit(steps)(x) == 37  # ((1 * 1 + 1) * 2 + 2)² + 1
    assert cv.jit(cv.grad(steps))(x).tolist() == [48, 36]
    assert cv.checkpoint(square_add)(2.0, 1.0) == 5
    assert cv.grad(cv.checkpoint(square_add))(2.0, 1.0) == 4


def test_several_results():
    p = Primitive("test_sum_and_difference")
    p.multiple_results = True
    p.def_impl(lambda x, y: (x + y, x - y))
    p.def_abstract_eval(lambda x, y: (x, x))
    ad.primitive_jvps[p] = lambda primals, tangents: (
        p.bind(*primals), p.bind(*map(ad.instantiate_zeros, tangents)),
    )  # fmt: skip
    ad.primitive_transposes[p] = lambda cts, x, y: p.bind(*map(ad.instantiate_zeros, cts))
    batching.defvectorized(p)

    def f(x, y):
        return (lambda s, d: s * d)(*p.bind(x, y))

    assert p.bind(3.0, 2.0) == [5, 1]
    assert cv.jit(f)(3.0, 2.0) == 5
    assert cv.grad(f, (0, 1))(3.0, 2.0) == (6, -4)
    assert cv.jit(cv.vmap(f))(np.array([3.0, 1.0]), np.array([2.0, 1.0])).tolist() == [5, 0]


def test_parameters_reach_every_rule():
    p = Primitive("test_power_of")
    p.def_impl(lambda x, *, n: x**n)
    p.def_abstract_eval(lambda x, *, n: ShapedArray(x.shape, onp.float32))
    ad.defjvp(p, lambda g, x, *, n: g * n * p.bind(x, n=n - 1))
    batching.defvectorized(p)
    f = cv.jit(cv.vmap(cv.grad(cv.grad(lambda x: p.bind(x, n=3)))))
    assert f(np.arange(3.0)).tolist() == [0, 6, 12]


def test_forms_of_rules():
    x = np.array([1.0, 2.0])
    p, q = Primitive("test_twice_of"), Primitive("test_product_of")
    for prim, fun in ((p, lambda x: 2 * x), (q, lambda x, y: x * y)):
        prim.def_impl(fun)
        prim.def_abstract_eval(lambda x, *_: x)
        batching.defbroadcasting(prim)
    ad.deflinear(p, lambda ct: [p.bind(ct)])
    ad.defbilinear(q, lambda ct, x, y: q.bind(ct, y), lambda ct, x, y: q.bind(x, ct))

    def f(x):
        return q.bind(p.bind(x), x).sum()

    assert cv.jit(cv.grad(f))(x).tolist() == [4, 8]
    assert cv.linear_transpose(p.bind, x)(x)[0].tolist() == [2, 4]
    assert cv.jit(cv.vmap(cv.grad(f)))(np.stack([x, x])).tolist() == [[4, 8], [4, 8]]
    r = Primitive("test_total_of")
    r.def_impl(lambda x, axes: x.sum(axes))
    batching.defreducer(r)
    y = np.arange(24.0).reshape(2, 3, 4)
    got = cv.vmap(lambda y: r.bind(y, axes=(1,)), in_axes=1)(y)
    assert (got == y.sum(2).T).all()


@pytest.mark.parametrize("table", ["fancy_primitive_batchers", "axis_primitive_batchers"])
def test_batching_rules_that_know_the_axis(table):
    p = Primitive(f"position_{table}")
    p.def_impl(lambda x: x)
    p.def_abstract_eval(lambda x: x)
    seen = []

    def fancy(axis, args, dims):
        seen.append((axis.name, axis.size))
        return args[0] * axis.size, dims[0]

    def of_axis(size, name, kind, args, dims):
        return fancy(batching.AxisData(name, size), args, dims)

    rules = getattr(batching, table)
    rules[p] = fancy if table[0] == "f" else of_axis
    assert rules[p] in (fancy, of_axis)
    assert cv.vmap(p.bind, axis_name="i")(np.ones(3)).tolist() == [3, 3, 3]
    assert seen == [("i", 3)]


def test_tables_are_those_of_the_library():
    assert ad.primitive_jvps is jvp_rules
    sin_p = primitives.sin_p
    assert sin_p in batching.primitive_batchers and len(batching.primitive_batchers) > 100
    x = np.ones((2, 3))
    out, dim = batching.primitive_batchers[sin_p]((x,), (1,))
    assert (out == np.sin(x)).all() and dim == 1
    (out,), (dim,) = batching.fancy_primitive_batchers[primitives.jit_p](
        batching.AxisData(None, 2), (x,), (0,), **cv.make_jaxpr(cv.jit(np.sin))(x[0]).eqns[0].params
    )
    assert (out == np.sin(x)).all() and dim == 0
    p = Primitive("test_removed")
    batching.primitive_batchers[p] = lambda args, dims: (args[0], dims[0])
    assert p in batching_rules
    del batching.primitive_batchers[p]
    assert p not in batching_rules and p not in batching.primitive_batchers


def test_rules_of_partial_evaluation_and_dead_code():
    p = Primitive("test_two_of")
    p.multiple_results = True
    p.def_impl(lambda x: [x, x * 2])
    p.def_abstract_eval(lambda x: [x, x])
    seen = []

    def dead(used, eqn):
        seen.append(list(used))
        return ([True], eqn) if any(used) else ([False], None)

    partial_eval.dce_rules[p] = dead
    assert partial_eval.dce_rules[p] is dead
    assert cv.jit(lambda x: p.bind(x)[1])(3.0) == 6
    assert [False, True] in seen
    used, less = partial_eval.dce_rules[primitives.jit_p](
        [True, False],
        cv.make_jaxpr(cv.jit(lambda x, y: (x, y)))(1.0, 2.0).eqns[0],
    )
    assert used == [True, False] and len(less.outvars) == 1


def test_effects_keep_an_equation():
    class Logged(Effect):
        pass

    p, seen = Primitive("test_log_to"), []
    p.multiple_results = True
    p.def_effectful_abstract_eval(lambda x: ([], {Logged()}))
    p.def_impl(lambda x: seen.append(float(x)) or [])

    def f(x):
        return (p.bind(x), x)[1]

    cv.jit(f)(3.0)
    f(4.0)
    assert seen == [3.0, 4.0]
    (effect,) = cv.make_jaxpr(f)(1.0).effects
    assert type(effect) is Logged


def test_what_lacks_a_rule_is_said():
    p = Primitive("test_bare")
    with pytest.raises(NotImplementedError, match="bare has no abstract evaluation.*def_abstract"):
        p.bind(1.0)
    p.def_abstract_eval(lambda x: x)
    with pytest.raises(NotImplementedError, match="bare has no lowering rule[^$]*needs def_impl"):
        p.bind(1.0)
    with pytest.raises(NotImplementedError, match="bare has no derivative"):
        cv.grad(p.bind)(1.0)
    with pytest.raises(NotImplementedError, match="bare has no batching rule"):
        cv.vmap(p.bind)(np.ones(2))
    p.def_impl(lambda x: x.astype("int32"))
    with pytest.raises(
        TypeError, match=r"of the primitive test_bare computes int32\[\].*float32\[\]"
    ):
        cv.jit(p.bind)(1.0)
    p.multiple_results = True
    p.def_impl(lambda x: [x, x])
    p.def_abstract_eval(lambda x: [x])
    with pytest.raises(TypeError, match="returns 2 results; its abstract evaluation says 1"):
        cv.jit(p.bind)(1.0)
    with pytest.raises(TypeError, match="no MLIR"):
        mlir.register_lowering(p, lambda ctx, x: x)


def test_it_runs_on_other_devices(impl):
    toy = cv.devices("toy")[0]
    x = cv.device_put(np.array([2.0, 3.0]), toy)
    got = cv.jit(lambda x: square_add(x, x) + 1)(x)
    assert got.device == toy and got.tolist() == [7, 13]
    with pytest.raises(NotImplementedError, match="native function rms_norm runs on the CPU"):
        cv.jit(cv.ffi.ffi_call("rms_norm", cv.ShapeDtypeStruct((2,), "float32")))(x)
