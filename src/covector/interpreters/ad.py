"""How derivatives go through primitives (`covector.interpreters.ad`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import tree
from covector.core.avals import ShapedArray
from covector.core.definers import def_jvp, def_jvp_linear, def_jvp_out
from covector.core.errors import export as _export
from covector.core.rules import UndefinedPrimal, Zero, missing_rule
from covector.core.rules import jvp_rules as primitive_jvps
from covector.core.rules import transpose_rules as primitive_transposes
from covector.core.structural import add_any, add_any_p, add_tangents, instantiate, zeros
from covector.core.trace import Primitive
from covector.transforms.jvp import JVPTrace, JVPTracer, jvp_flat
from covector.transforms.linearize import linearize_flat

add_jaxvals_p = add_any_p
add_jaxvals = add_any
instantiate_zeros = instantiate
zeros_like_aval = zeros


def is_undefined_primal(x: Any) -> bool:
    """Whether an argument of a transpose rule is one in which the operation is linear.

    Parameters
    ----------
    x : object

    Returns
    -------
    bool

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import ad
    >>> ad.is_undefined_primal(ad.UndefinedPrimal(cv.typeof(1.0))), ad.is_undefined_primal(1.0)
    (True, False)
    """
    return type(x) is UndefinedPrimal


def get_primitive_transpose(p: Primitive) -> Callable[..., Any]:
    """The transpose rule of a primitive.

    Parameters
    ----------
    p : Primitive

    Returns
    -------
    callable

    Raises
    ------
    NotImplementedError
        If it has none.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import ad
    >>> rule = ad.get_primitive_transpose(cv.lax.neg_p)
    >>> rule(cv.numpy.ones(()), ad.UndefinedPrimal(cv.typeof(1.0)))
    [Array(-1., dtype=float32)]
    """
    rule = primitive_transposes.get(p)
    if rule is None:
        raise missing_rule(p, "transpose")
    return rule


def defjvp(primitive: Primitive, *jvprules: Callable[..., Any] | None) -> None:
    """Derivative of a primitive of one result, by each of its arguments.

    Parameters
    ----------
    primitive : Primitive
    *jvprules : callable or None
        ``rule(g, *primals, **params)``: the tangent of the result for the tangent ``g`` of this
        argument; None where there is none.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import ad
    >>> cube_p = cv.extend.core.Primitive("cube")
    >>> cube = cube_p.def_impl(lambda x: x**3)
    >>> ad.defjvp(cube_p, lambda g, x: 3 * x**2 * g)
    >>> cv.jvp(cube_p.bind, (2.0,), (1.0,))
    (Array(8., dtype=float32, weak_type=True), Array(12., dtype=float32, weak_type=True))
    """
    def_jvp(primitive, *jvprules)


def defjvp2(primitive: Primitive, *jvprules: Callable[..., Any] | None) -> None:
    """As `defjvp`, of rules that use the result too.

    Parameters
    ----------
    primitive : Primitive
    *jvprules : callable or None
        ``rule(g, result, *primals, **params)``.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import ad
    >>> power_p = cv.extend.core.Primitive("power_of_e")
    >>> power = power_p.def_impl(lambda x: cv.numpy.exp(x))
    >>> ad.defjvp2(power_p, lambda g, y, x: g * y)
    >>> cv.jvp(power_p.bind, (0.0,), (2.0,))[1]
    Array(2., dtype=float32, weak_type=True)
    """
    def_jvp_out(primitive, *jvprules)


def deflinear2(primitive: Primitive, transpose_rule: Callable[..., Sequence[Any]]) -> None:
    """Rules of a primitive that is linear in all of its operands together.

    Parameters
    ----------
    primitive : Primitive
    transpose_rule : callable
        ``rule(ct, *args, **params)`` gives a cotangent, or None, for each argument.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import ad
    >>> half_p = cv.extend.core.Primitive("half")
    >>> half = half_p.def_impl(lambda x: x / 2)
    >>> kind = half_p.def_abstract_eval(lambda x: x)
    >>> ad.deflinear2(half_p, lambda ct, x: [half_p.bind(ct)])
    >>> cv.grad(half_p.bind)(3.0)
    Array(0.5, dtype=float32, weak_type=True)
    """
    def_jvp_linear(primitive)
    primitive_transposes[primitive] = transpose_rule


def deflinear(primitive: Primitive, transpose_rule: Callable[..., Sequence[Any]]) -> None:
    """As `deflinear2`, of a rule that needs the cotangent alone.

    Parameters
    ----------
    primitive : Primitive
    transpose_rule : callable
        ``rule(ct, **params)`` gives a cotangent, or None, for each argument.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import ad
    >>> fifth_p = cv.extend.core.Primitive("fifth")
    >>> fifth = fifth_p.def_impl(lambda x: x / 5)
    >>> kind = fifth_p.def_abstract_eval(lambda x: x)
    >>> ad.deflinear(fifth_p, lambda ct: [fifth_p.bind(ct)])
    >>> cv.grad(fifth_p.bind)(3.0)
    Array(0.2, dtype=float32, weak_type=True)
    """
    deflinear2(primitive, lambda ct, *args, **params: transpose_rule(ct, **params))


def defbilinear(
    prim: Primitive, lhs_rule: Callable[..., Any], rhs_rule: Callable[..., Any]
) -> None:
    """Rules of a primitive that is linear in each of its two operands.

    Parameters
    ----------
    prim : Primitive
    lhs_rule : callable
        ``rule(ct, x, y, **params)``: the cotangent of ``x``, of which only the type is known.
    rhs_rule : callable
        Likewise that of ``y``.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import ad
    >>> product_p = cv.extend.core.Primitive("product")
    >>> product = product_p.def_impl(lambda x, y: x * y)
    >>> kind = product_p.def_abstract_eval(lambda x, y: x)
    >>> ad.defbilinear(product_p, lambda ct, x, y: ct * y, lambda ct, x, y: x * ct)
    >>> cv.grad(product_p.bind, (0, 1))(3.0, 4.0)[0]
    Array(4., dtype=float32, weak_type=True)
    """
    def_jvp(
        prim,
        lambda g, x, y, **params: prim.bind(g, y, **params),
        lambda g, x, y, **params: prim.bind(x, g, **params),
    )

    def transpose(ct: Any, x: Any, y: Any, **params: Any) -> list[Any]:
        if is_undefined_primal(x) and is_undefined_primal(y):
            raise TypeError(f"{prim.name} of two values that both vary is not linear")
        if is_undefined_primal(x):
            return [lhs_rule(ct, x, y, **params), None]
        return [None, rhs_rule(ct, x, y, **params)]

    primitive_transposes[prim] = transpose


def jvp(
    fun: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
    instantiate: bool | Sequence[bool] = True,
    transform_stack: bool = True,
) -> Any:
    """Results and tangents of a function of flat arguments, with zeros that are known as such.

    Parameters
    ----------
    fun : callable or linear_util.WrappedFun
        From flat arguments to a flat sequence; with ``has_aux``, to a pair of that and a pytree.
    primals, tangents : sequence of array_like
        Tangents may be `Zero`.
    has_aux : bool
    instantiate : bool or sequence of bool
        Of which results the tangents are to be arrays if they are zero.
    transform_stack : bool
        Has no effect.

    Returns
    -------
    tuple of list
        Results and tangents, and what the function returned besides.

    Examples
    --------
    >>> import covector as cv
    >>> cv.interpreters.ad.jvp(lambda x: [2.0 * x, 1.0], (3.0,), (1.0,), instantiate=False)[1]
    [Array(2., dtype=float32, weak_type=True), Zero(float32[])]
    """
    extra: list[Any] = []
    treedef: Any = None

    def flat(*args: Any) -> list[Any]:
        nonlocal treedef
        out = getattr(fun, "call_wrapped", fun)(*args)
        if has_aux:
            out, aux = out
            leaves, treedef = tree.flatten(aux)
            extra[:] = leaves
        return list(out)

    outs, found = jvp_flat(flat, primals, tangents, extra if has_aux else None)
    wanted = [instantiate] * len(outs) if isinstance(instantiate, bool) else instantiate
    found = [instantiate_zeros(t) if w else t for t, w in zip(found, wanted, strict=True)]
    return (outs, found, tree.unflatten(treedef, extra)) if has_aux else (outs, found)


def linearize(
    traceable: Callable[..., Any],
    primals_ft: Sequence[Any],
    has_aux: bool = False,
    is_vjp: bool = False,
) -> Any:
    """Results of a function of flat arguments, and its derivative there as a program.

    Parameters
    ----------
    traceable : callable or linear_util.WrappedFun
        From flat arguments to a flat sequence; with ``has_aux``, to a pair of that and a list.
    primals_ft : sequence of array_like
    has_aux : bool
    is_vjp : bool
        Has no effect.

    Returns
    -------
    tuple
        Results; types of their tangents, None where they are zero; the linear program; values of
        its constant variables; what the function returned besides.

    Examples
    --------
    >>> import covector as cv
    >>> outs, avals, jaxpr, consts = cv.interpreters.ad.linearize(lambda x: [x * x], (3.0,))
    >>> cv.core.eval_jaxpr(jaxpr, consts, 1.0)
    [Array(6., dtype=float32, weak_type=True)]
    """
    extra: list[Any] = []

    def flat(*args: Any) -> list[Any]:
        out = getattr(traceable, "call_wrapped", traceable)(*args)
        if has_aux:
            out, extra[:] = out
        return list(out)

    lin = linearize_flat(flat, primals_ft, extra if has_aux else None)
    types = iter(lin.jaxpr.out_avals)
    avals: list[ShapedArray | None] = [next(types) if nz else None for nz in lin.nonzero]
    found = (lin.outs, avals, lin.jaxpr, lin.residuals)
    return (*found, extra) if has_aux else found


__all__ = [
    "JVPTrace",
    "JVPTracer",
    "UndefinedPrimal",
    "Zero",
    "add_jaxvals",
    "add_jaxvals_p",
    "add_tangents",
    "defbilinear",
    "defjvp",
    "defjvp2",
    "deflinear",
    "deflinear2",
    "get_primitive_transpose",
    "instantiate_zeros",
    "is_undefined_primal",
    "jvp",
    "linearize",
    "primitive_jvps",
    "primitive_transposes",
    "zeros_like_aval",
]
_export(globals(), __all__)
