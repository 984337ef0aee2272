"""Interpreters of the user's own: over programs, and as traces."""

import functools

import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.extend import core
from covector.extend import linear_util as lu
from covector.interpreters import ad
from covector.interpreters import partial_eval as pe

# --- JAX's "Writing custom Jaxpr interpreters in JAX" ------------------------------------

inverse_registry = {lax.exp_p: np.log, lax.tanh_p: np.arctanh}


def inverse(fun):
    @functools.wraps(fun)
    def wrapped(*args, **kwargs):
        closed_jaxpr = cv.make_jaxpr(fun)(*args, **kwargs)
        out = inverse_jaxpr(closed_jaxpr.jaxpr, closed_jaxpr.literals, *args)
        return out[0]

    return wrapped


def inverse_jaxpr(jaxpr, consts, *args):
    env = {}

    def read(var):
        if type(var) is core.Literal:
            return var.val
        return env[var]

    def write(var, val):
        env[var] = val

    for var, val in zip(jaxpr.outvars, args, strict=True):
        write(var, val)
    for var, val in zip(jaxpr.constvars, consts, strict=True):
        write(var, val)
    for eqn in jaxpr.eqns[::-1]:
        invals = [read(v) for v in eqn.outvars]
        if eqn.primitive not in inverse_registry:
            raise NotImplementedError(f"{eqn.primitive} does not have registered inverse.")
        outval = inverse_registry[eqn.primitive](*invals)
        for var, val in zip(eqn.invars, [outval], strict=True):
            write(var, val)
    return [read(v) for v in jaxpr.invars]


def test_the_inverse_of_a_function():
    def f(x):
        return np.exp(np.tanh(x))

    f_inv = inverse(f)
    assert abs(f_inv(f(1.0)) - 1) < 1e-5
    assert [e.primitive.name for e in cv.make_jaxpr(f_inv)(f(1.0)).eqns] == ["log", "atanh"]
    x = (np.arange(5) + 1.0) / 5.0
    want = 1 / (x * (1 - np.log(x) ** 2))
    assert np.allclose(cv.jit(cv.vmap(cv.grad(f_inv)))(x), want, rtol=1e-4)


# --- a trace of the user's own -----------------------------------------------------------


class NamedTracer(cv.core.Tracer):
    def __init__(self, trace, value):
        self._trace = trace
        self.value = value

    @property
    def aval(self):
        return cv.typeof(self.value)


class NamedTrace(cv.core.Trace):
    """Notes the operations, and does them."""

    def __init__(self, parent_trace, tag):
        self.parent_trace = parent_trace
        self.tag = tag
        self.seen = []

    def process_primitive(self, primitive, tracers, params):
        self.seen.append(primitive.name)
        values = [t.value if isinstance(t, NamedTracer) else t for t in tracers]
        with core.set_current_trace(self.parent_trace):
            out = primitive.bind(*values, **params)
        if primitive.multiple_results:
            return [NamedTracer(self, x) for x in out]
        return NamedTracer(self, out)


def noted(fun, *args):
    with core.take_current_trace() as parent:
        trace = NamedTrace(parent, core.TraceTag())
        with core.set_current_trace(trace):
            out = fun(*[NamedTracer(trace, x) for x in args])
    return out.value, trace.seen


def test_a_trace_sees_the_operations():
    def f(x):
        return np.sin(x) * 2 + cv.jit(np.cos)(x)

    out, seen = noted(f, 1.0)
    assert out == f(1.0) and seen == ["sin", "mul", "jit", "add"]
    inside = cv.jit(lambda x: noted(f, x)[0])
    assert abs(inside(1.0) - f(1.0)) < 1e-6
    assert abs(cv.jit(cv.grad(inside))(1.0) - cv.grad(f)(1.0)) < 1e-6
    assert cv.vmap(inside)(np.ones(2)).shape == (2,)


def test_axes_around_a_trace_are_seen():
    def f(x):
        out, seen = noted(lambda x: lax.psum(x, "i") + lax.axis_index("i"), x)
        assert seen[0] == "psum" and core.unsafe_get_axis_names_DO_NOT_USE() == ["i"]
        return out

    assert cv.vmap(f, axis_name="i")(np.array([1.0, 2.0])).tolist() == [3, 4]
    assert cv.jit(cv.vmap(f, axis_name="i"))(np.array([1.0, 2.0])).tolist() == [3, 4]


def test_a_trace_must_say_what_it_does():
    class Silent(cv.core.Trace):
        pass

    with core.set_current_trace(Silent()):
        with pytest.raises(NotImplementedError, match="Silent says nothing of sin"):
            np.sin(1.0)
    assert np.sin(0.0) == 0


# --- programs ----------------------------------------------------------------------------


def test_programs_are_put_together():
    closed = cv.make_jaxpr(lambda x: np.sin(x) * 2)(1.0)
    jaxpr = closed.jaxpr
    assert isinstance(closed, core.ClosedJaxpr) and isinstance(jaxpr, core.Jaxpr)
    (sin, mul) = jaxpr.eqns
    assert isinstance(sin, core.JaxprEqn) and isinstance(sin.outvars[0], core.Var)
    cos = core.new_jaxpr_eqn(
        sin.invars, sin.outvars, core.primitives.cos_p, sin.params, sin.effects, sin.source_info
    )
    other = core.Jaxpr(jaxpr.constvars, jaxpr.invars, jaxpr.outvars, [cos, mul], jaxpr.effects)
    core.check_jaxpr(other)
    assert core.jaxpr_as_fun(core.ClosedJaxpr(other, ()))(1.0)[0] == np.cos(1.0) * 2
    assert cv.core.eval_jaxpr(other, (), 0.0) == [2]
    with pytest.raises(core.JaxprTypeError, match="used before it is bound"):
        core.check_jaxpr(other.replace(eqns=[mul]))
    assert closed.map_jaxpr(lambda j: other).jaxpr is other
    assert jaxpr.debug_info.func_src_info.startswith("<lambda>")
    assert mul.replace(params={}).primitive is mul.primitive


def test_an_interpreter_binds_what_it_finds():
    """As JAX's `eval_jaxpr` is written, and interpreters after it."""

    def evaluate(jaxpr, consts, *args):
        env = dict(zip(jaxpr.constvars, consts, strict=True))
        env.update(zip(jaxpr.invars, args, strict=True))
        for eqn in jaxpr.eqns:
            subfuns, params = eqn.primitive.get_bind_params(eqn.params)
            values = [v.val if isinstance(v, core.Literal) else env[v] for v in eqn.invars]
            out = eqn.primitive.bind(*subfuns, *values, **params)
            outs = out if eqn.primitive.multiple_results else [out]
            env.update(zip(eqn.outvars, outs, strict=True))
        return [v.val if isinstance(v, core.Literal) else env[v] for v in jaxpr.outvars]

    @cv.custom_jvp
    def square(x):
        return x * x

    square.defjvp(lambda primals, tangents: (square(*primals), tangents[0]))

    def f(x):
        out, _ = lax.scan(lambda c, y: (c * y, c), x, np.arange(1.0, 4.0))
        return lax.cond(out > 0, square, np.sin, out) + cv.checkpoint(cv.jit(np.cos))(x)

    closed = cv.make_jaxpr(f)(2.0)
    interpreted = lambda x: evaluate(closed.jaxpr, closed.consts, x)[0]  # noqa: E731
    assert interpreted(2.0) == f(2.0) and cv.grad(interpreted)(2.0) == cv.grad(f)(2.0)


def test_parts_of_programs():
    closed = cv.make_jaxpr(lambda x, y: (2 * x, 3 * y))(1.0, 1.0)
    less, used = pe.dce_jaxpr(closed.jaxpr, [False, True], instantiate=[True, False])
    assert used == [True, True] and len(less.eqns) == 1
    aval = cv.typeof(1.0)
    f = lu.wrap_init(lambda x, y: [x * y, y * y])
    jaxpr, outs, consts = pe.trace_to_jaxpr_nounits(
        f, [pe.PartialVal.unknown(aval), pe.PartialVal.known(3.0)], instantiate=True
    )
    assert all(not p.is_known() for p in outs)
    assert cv.core.eval_jaxpr(jaxpr, consts, 2.0) == [6, 9]
    jaxpr, avals, consts = pe.trace_to_jaxpr_dynamic(f, [aval, aval])
    assert avals[0].shape == () and cv.core.eval_jaxpr(jaxpr, consts, 2.0, 3.0) == [6, 9]
    assert cv.eval_shape(lambda x: isinstance(x, pe.DynamicJaxprTracer) * x, 1.0).shape == ()
    with pytest.raises(TypeError, match="PartialVal takes"):
        pe.PartialVal((None, None))


def test_derivatives_of_flat_functions():
    def f(x, y):
        return [x * y, 1.0]

    outs, tangents = ad.jvp(f, (2.0, 3.0), (1.0, ad.Zero.from_primal_value(3.0)))
    assert outs == [6, 1] and tangents == [3, 0]
    outs, tangents, aux = ad.jvp(lambda x: ([x], {"k": 2 * x}), (2.0,), (1.0,), has_aux=True)
    assert aux == {"k": 4}
    outs, avals, jaxpr, consts = ad.linearize(f, (2.0, 3.0))
    assert avals[1] is None and cv.core.eval_jaxpr(jaxpr, consts, 1.0, 1.0) == [5]
    assert cv.jit(lambda x: ad.jvp(f, (x, 3.0), (1.0, 0.0))[1][0])(2.0) == 3


def test_what_is_traced_around():
    assert not core.unsafe_am_i_under_a_jit_DO_NOT_USE()
    outside, seen = core.get_opaque_trace_state(), []

    @cv.jit
    def f(x):
        seen.append(core.unsafe_am_i_under_a_jit_DO_NOT_USE())
        seen.append(core.get_opaque_trace_state() == outside)
        with pytest.raises(cv.errors.ConcretizationTypeError, match="not known.*sizes must be"):
            core.concrete_or_error(int, x, "sizes must be")
        with cv.core.eval_context():
            seen.append(float(np.ones(()) + 1))
        return x

    f(1)
    assert seen == [True, False, 2.0]
    assert core.get_opaque_trace_state() == outside
    assert core.concrete_or_error(None, 3) == 3


def test_a_trace_sees_functions_with_rules():
    @cv.custom_jvp
    def f(x):
        return x * x

    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))
    out, seen = noted(lambda x: f(x) + 1, 3.0)
    assert out == 10 and seen == ["custom_jvp_call", "add"]
    assert cv.grad(lambda x: noted(f, x)[0])(3.0) == 1
