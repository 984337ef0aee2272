"""Where operations come from: the user's line and `named_scope`, through transformations."""

import re
import threading

import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.core.jaxpr import sub_jaxprs
from covector.core.places import scope_of

X = np.ones(3)


def plain(x):
    return np.sin(x) * x


def block(x):
    with cv.named_scope("blk"):
        return np.sin(x) * x


LINE_OF = {plain: plain.__code__.co_firstlineno + 1, block: block.__code__.co_firstlineno + 2}


def custom_jvp(f):
    f = cv.custom_jvp(f)
    f.defjvp(lambda primals, tangents: cv.jvp(f.fun, primals, tangents))
    return f


def custom_vjp(f):
    f = cv.custom_vjp(f)
    f.defvjp(lambda x: cv.vjp(f.fun, x), lambda pull, ct: pull(ct))
    return f


def while_loop(f):
    return lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, f(c[1])), (0, x))[1]


SAVING = cv.checkpoint_policies.everything_saveable
# What a function is called by.
CALLS = {
    "nothing": lambda f: f,
    "jit": cv.jit,
    "inlined": lambda f: cv.jit(f, inline=True),
    "jit of jit": lambda f: cv.jit(cv.jit(f)),
    "scan": lambda f: lambda x: lax.scan(lambda c, _: (f(c), None), x, None, 3)[0],
    "while": while_loop,
    "cond": lambda f: lambda x: lax.cond(x[0] > 0, f, lambda x: x, x),
    "map": lambda f: lambda x: lax.map(f, x),
    "checkpoint": cv.checkpoint,
    "policy": lambda f: cv.checkpoint(cv.jit(f), policy=SAVING),
    "custom_jvp": custom_jvp,
    "custom_vjp": custom_vjp,
}


def grad(f):
    return cv.grad(lambda x: f(x).sum())


def rows(f):
    return lambda x: cv.vmap(f)(x[None])


TRANSFORMATIONS = {
    "none": lambda f: f,
    "jvp": lambda f: lambda x: cv.jvp(f, (x,), (x,)),
    "linearize": lambda f: lambda x: cv.linearize(f, x)[1](x),
    "grad": grad,
    "vmap": rows,
    "vmap of grad": lambda f: rows(grad(f)),
    "grad of vmap": lambda f: grad(rows(f)),
    "grad of jit": lambda f: grad(cv.jit(f)),
    "vmap of jit": lambda f: rows(cv.jit(f)),
    "grad of checkpoint": lambda f: grad(cv.checkpoint(f)),
    "hessian": lambda f: cv.jacfwd(grad(f)),
}
# Where scopes are: the function that is called, what stands around the call, the scopes of all.
SCOPES = {
    "inside": (block, lambda f: f, "blk"),
    "around": (plain, cv.named_scope("outer"), "outer"),
    "both": (block, cv.named_scope("outer"), "outer/blk"),
}


def has_rule(how, call):
    if call == "while":
        return not any(word in how for word in ("grad", "hessian"))
    return call != "custom_vjp" or how not in ("jvp", "linearize", "hessian")


CASES = [(how, call) for how in TRANSFORMATIONS for call in CALLS if has_rule(how, call)]
# What the function is made of, and its derivatives.
OPERATIONS = {"sin": "sine", "cos": "cosine", "mul": "multiply", "neg": "negate"}


def equations(jaxpr, outer=""):
    """Operations with the scopes they stand in, those of calls before their own."""
    for eqn in jaxpr.eqns:
        scope = "/".join(filter(None, (outer, scope_of(eqn.source_info))))
        yield eqn, scope
        for inner in sub_jaxprs(eqn.params):
            yield from equations(inner, scope)


def places(text):
    """The name, scope and line of each operation of a program as StableHLO."""
    at = dict(ln.split(" = ", 1) for ln in text.splitlines() if ln.startswith("#loc"))
    for ln in text.splitlines():
        if "stablehlo." in ln and " loc(" in ln:
            place = at[ln.rsplit("loc(", 1)[1].rstrip(")")]
            scope, line = re.fullmatch(r'loc\((?:"([^"]*)"\()?"[^"]*":(\d+):0\)+', place).groups()
            yield re.search(r"stablehlo\.(\w+)", ln)[1], scope or "", int(line)


def without_marks(scope):
    return re.sub(r"transpose\(|\)", "", scope)


@pytest.mark.parametrize(("how", "call"), CASES)
def test_operations_keep_their_place(how, call):
    for fun, around, scopes in SCOPES.values():
        called = CALLS[call](fun)
        f = TRANSFORMATIONS[how](around(lambda x, called=called: called(x)))
        traced = cv.jit(f).trace(X)
        found = {
            (without_marks(scope), eqn.source_info[1])
            for eqn, scope in equations(traced.jaxpr.jaxpr)
            if eqn.primitive.name in OPERATIONS
        }
        assert found == {(scopes, LINE_OF[fun])}
        text = traced.lower(lowering_platforms=("cuda",)).as_text(debug_info=True)
        found = {
            (without_marks(scope), line)
            for name, scope, line in places(text)
            if name in OPERATIONS.values()
        }
        assert found == {(scopes, LINE_OF[fun])}


def operations(f, *args):
    """Scope and line of each operation, by its name."""
    found = equations(cv.make_jaxpr(f)(*args).jaxpr)
    return {eqn.primitive.name: (scope, eqn.source_info[1]) for eqn, scope in found}


def test_the_backward_pass_is_marked():
    @cv.jit
    def f(x):
        with cv.named_scope("a"), cv.named_scope("b"):
            return np.sin(x)

    found = operations(grad(lambda x: cv.named_scope("c")(f)(x)), X)
    assert found["cos"][0] == "c/a/b" and found["mul"][0] == "transpose(c)/transpose(a)/b"


def test_rules_of_users_have_their_own_lines_in_the_scope_of_the_call():
    @cv.custom_vjp
    def f(x):
        return np.sin(x)

    def fwd(x):
        return np.tan(x), x

    def bwd(x, ct):
        with cv.named_scope("rule"):
            return (ct * np.exp(x),)

    f.defvjp(fwd, bwd)

    @cv.custom_batching.custom_vmap
    def g(x):
        return np.cos(x)

    @g.def_vmap
    def rule(size, mapped, x):
        return np.tanh(x), True

    scoped = cv.jit(cv.named_scope("blk")(f))
    found = operations(cv.jit(grad(scoped)), X)
    assert found["tan"] == ("blk", fwd.__code__.co_firstlineno + 1)
    assert found["exp"] == ("transpose(blk)/rule", bwd.__code__.co_firstlineno + 2)
    found = operations(rows(cv.jit(cv.named_scope("blk")(g))), X)
    assert found["tanh"] == ("blk", rule.__code__.co_firstlineno + 2)


def test_functions_of_the_library_have_the_lines_of_their_calls():
    def first(x):
        return np.nanmean(x)

    def second(x):
        return np.nanmean(x)

    for f in (first, second):
        found = operations(grad(cv.jit(f)), X)
        assert {line for _, line in found.values()} - {grad.__code__.co_firstlineno + 1} == {
            f.__code__.co_firstlineno + 1
        }


def test_what_a_rule_adds_comes_from_the_equation():
    def f(x):
        return lax.scan(
            lambda c, _: (c * x, None),
            1.0,
            None,
            3,  # the sum of cotangents of x
        )[0]

    found = operations(cv.jit(cv.grad(cv.jit(f))), 2.0)
    assert found["add_any"][1] in range(
        f.__code__.co_firstlineno + 1, f.__code__.co_firstlineno + 4
    )


def test_interpreters_may_have_their_own_lines():
    closed = cv.make_jaxpr(block)(X)

    def again(x, propagate):
        return cv.core.eval_jaxpr(closed.jaxpr, closed.consts, x, propagate_source_info=propagate)

    assert operations(lambda x: again(x, True), X)["sin"] == ("blk", LINE_OF[block])
    assert operations(lambda x: again(x, False), X)["sin"] == (
        "",
        again.__code__.co_firstlineno + 1,
    )


def test_places_end_with_the_rule():
    odd_p = cv.extend.core.Primitive("odd")
    odd_p.def_abstract_eval(lambda x: x)

    def odd(x):
        return odd_p.bind(x)

    def g(x):
        with pytest.raises(NotImplementedError) as e:
            cv.vmap(cv.jit(odd))(x)
        assert f"test_places.py:{odd.__code__.co_firstlineno + 1} (odd)" in str(e.value)
        return np.sin(x)

    assert operations(g, X)["sin"] == ("", g.__code__.co_firstlineno + 4)


def test_nans_of_a_backward_pass_are_found_where_they_arise():
    def f(x):
        y = np.sqrt(x)
        return (0 * y).sum()

    with cv.debug_nans(True), pytest.raises(FloatingPointError) as e:
        cv.jit(cv.grad(f))(np.zeros(3))
    assert f"test_places.py:{f.__code__.co_firstlineno + 1} (f)" in str(e.value)


def test_threads_have_their_own_places():
    lines = []
    pull = cv.vjp(plain, X)[1]

    @cv.custom_vjp
    def f(x):
        return x

    def look():
        lines.append(operations(lambda x: np.tan(x), X)["tan"][1])

    def bwd(_, ct):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return (pull(ct)[0],)

    f.defvjp(lambda x: (x, None), bwd)
    grad(f)(X)
    look()
    assert lines == [look.__code__.co_firstlineno + 1] * 2
