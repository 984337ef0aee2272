"""``custom_vjp``: functions with a backward pass given by the user."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from covector.control_flow.custom_rules import (
    Arguments,
    CustomCall,
    CustomFunction,
    MappedRule,
    SymbolicZero,
)
from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.dtypes import float0
from covector.core.errors import at_user_line, describe
from covector.core.rules import (
    UndefinedPrimal,
    Zero,
    higher_order_rules,
    jvp_rules,
    transpose_only,
    transpose_rules,
)
from covector.core.structural import bring_dim, instantiate, mapped_first, reduce_sum
from covector.core.trace import Primitive
from covector.core.tree_paths import path_names
from covector.transforms.arguments import fun_name
from covector.transforms.vmap import BatchTrace, vmap_flat

# residuals, cotangents of the results -> a cotangent (or Zero) per argument
FlatBwd = Callable[[Sequence[Any], Sequence[Any]], list[Any]]


# arguments, which of them are perturbed -> results, residuals, backward pass
FlatFwd = Callable[[Sequence[Any], Sequence[bool]], tuple[list[Any], list[Any], FlatBwd]]


# The tangent of a call: linear in its last operands; only its transpose, `bwd`, is known.
custom_lin_p = Primitive("custom_lin", multiple_results=True)


@custom_lin_p.def_abstract_eval
def _lin_avals(
    *avals: ShapedArray,
    bwd: FlatBwd,
    num_res: int,
    out_avals: tuple[ShapedArray, ...],
    active: tuple[bool, ...],
    name: str,
) -> list[ShapedArray]:
    return list(out_avals)


def _no_forward_mode(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    raise TypeError(
        f"can't apply forward-mode differentiation (jvp) to the custom_vjp function "
        f"{params['name']}: only its backward pass is defined. Use grad, vjp or jacrev, or define "
        f"the function with custom_jvp{at_user_line()}"
    )


custom_lin_p.impl = _no_forward_mode
transpose_only.add(custom_lin_p)


def _differentiate(
    fwd: FlatFwd, primals: Sequence[Any], tangents: Sequence[Any], name: str
) -> tuple[list[Any], list[Any]]:
    """Results, and their tangents as one linear operation that transposes to the backward pass."""
    active = tuple(type(t) is not Zero for t in tangents)
    outs, res, bwd = fwd(primals, active)
    out_avals = [aval_of(x).to_tangent_aval() for x in outs]
    real = [a.dtype != float0 for a in out_avals]
    lin = iter(
        custom_lin_p.bind_params(
            [*res, *(t for t in tangents if type(t) is not Zero)],
            {
                "bwd": bwd,
                "num_res": len(res),
                "out_avals": tuple(a for a, r in zip(out_avals, real, strict=True) if r),
                "active": active,
                "name": name,
            },
        )
    )
    return outs, [next(lin) if r else Zero(a) for a, r in zip(out_avals, real, strict=True)]


def _transpose_lin(
    cts: Sequence[Any],
    *args: Any,
    bwd: FlatBwd,
    num_res: int,
    out_avals: Any,
    active: tuple[bool, ...],
    name: str,
) -> list[Any]:
    found = bwd(args[:num_res], [instantiate(ct) for ct in cts])
    wanted = [ct for ct, a in zip(found, active, strict=True) if a]
    return [None] * num_res + [
        ct if type(x) is UndefinedPrimal else None
        for ct, x in zip(wanted, args[num_res:], strict=True)
    ]


def _lin_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
    return _no_forward_mode(primals, params)


# --- batching ----------------------------------------------------------------------------


class _MappedBwd(MappedRule):
    __slots__ = ("res_batched",)

    def __init__(
        self,
        rule: FlatBwd,
        size: int,
        axis_name: Hashable,
        batched: tuple[bool, ...],
        res_batched: tuple[bool, ...],
    ) -> None:
        super().__init__(rule, size, axis_name, batched)
        self.res_batched = res_batched

    def __call__(self, res: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
        n = len(res)
        found: list[Any] = []

        def fun(*args: Any) -> list[Any]:
            found[:] = self.rule(args[:n], args[n:])
            return [ct for ct in found if type(ct) is not Zero]

        dims = [0 if b else None for b in self.res_batched] + [0] * len(cts)
        outs, out_dims = vmap_flat(fun, self.size, [*res, *cts], dims, self.axis_name)
        rest = iter(zip(outs, out_dims, strict=True))
        result: list[Any] = []
        for ct, batched in zip(found, self.batched, strict=True):
            if type(ct) is Zero:
                shape = (self.size, *ct.aval.shape) if batched else ct.aval.shape
                result.append(Zero(ct.aval.update(shape=shape)))
                continue
            x, d = next(rest)
            x = bring_dim(x, self.size, d, 0)
            # An argument that all elements share gets the sum of their cotangents.
            result.append(x if batched else reduce_sum(x, (0,)))
        return result


class _MappedFwd(MappedRule):
    __slots__ = ()

    def __call__(
        self, args: Sequence[Any], active: Sequence[bool]
    ) -> tuple[list[Any], list[Any], FlatBwd]:
        n_out = 0
        bwd: Any = None

        def fun(*xs: Any) -> list[Any]:
            nonlocal n_out, bwd
            outs, res, bwd = self.rule(xs, active)
            n_out = len(outs)
            return [*outs, *res]

        dims = [0 if b else None for b in self.batched]
        outs, out_dims = vmap_flat(fun, self.size, args, dims, self.axis_name)
        results = [
            bring_dim(x, self.size, d, 0)
            for x, d in zip(outs[:n_out], out_dims[:n_out], strict=True)
        ]
        res = mapped_first(outs[n_out:], out_dims[n_out:])
        res_batched = tuple(d is not None for d in out_dims[n_out:])
        mapped = _MappedBwd(bwd, self.size, self.axis_name, self.batched, res_batched)
        return results, res, mapped


def _batch_lin(
    trace: BatchTrace, args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[list[Any], list[int | None]]:
    size, n = trace.axis_size, params["num_res"]
    res_batched = tuple(d is not None for d in dims[:n])
    moved = mapped_first(args[:n], dims[:n])
    moved += [bring_dim(x, size, d, 0) for x, d in zip(args[n:], dims[n:], strict=True)]
    bwd = _MappedBwd(params["bwd"], size, trace.axis_name, tuple(params["active"]), res_batched)
    avals = tuple(a.update(shape=(size, *a.shape)) for a in params["out_avals"])
    outs = custom_lin_p.bind_params(moved, {**params, "bwd": bwd, "out_avals": avals})
    return outs, [0] * len(outs)


_call_custom_vjp = CustomCall("custom_vjp", "fwd", _differentiate, _MappedFwd)
custom_vjp_call_p = _call_custom_vjp.primitive
jvp_rules[custom_lin_p] = _lin_jvp
higher_order_rules[custom_lin_p] = _batch_lin
transpose_rules[custom_lin_p] = _transpose_lin


# --- what users call ---------------------------------------------------------------------


class CustomVJPPrimal:
    """An argument of a forward pass with ``symbolic_zeros=True``.

    Attributes
    ----------
    value : array
    perturbed : bool
        Whether it is differentiated by.

    Examples
    --------
    >>> import covector as cv
    >>> @cv.custom_vjp
    ... def multiply(x, y):
    ...     return x * y
    >>> def fwd(x, y):
    ...     print("differentiated by:", x.perturbed, y.perturbed)
    ...     return x.value * y.value, (x.value, y.value)
    >>> multiply.defvjp(fwd, lambda res, g: (g * res[1], g * res[0]), symbolic_zeros=True)
    >>> cv.grad(multiply)(2.0, 3.0)
    differentiated by: True False
    Array(3., dtype=float32, weak_type=True)
    """

    __slots__ = ("value", "perturbed")

    def __init__(self, value: Any, perturbed: bool) -> None:
        self.value = value
        self.perturbed = perturbed

    def __repr__(self) -> str:
        return f"CustomVJPPrimal(value={self.value!r}, perturbed={self.perturbed})"


class custom_vjp(CustomFunction):
    """A function with a rule of its own for reverse-mode differentiation.

    Parameters
    ----------
    fun : callable
    nondiff_argnums : sequence of int
        Arguments not differentiated, for example functions; ``bwd`` gets them first.
    nondiff_argnames : sequence of str

    Notes
    -----
    The two passes are given to `defvjp`. Forward mode (`jvp`, `jacfwd`) raises an error: for both
    modes use `custom_jvp`.

    Examples
    --------
    >>> import covector as cv
    >>> @cv.custom_vjp
    ... def clip_gradient(x):
    ...     return x
    >>> clip_gradient.defvjp(
    ...     lambda x: (x, None), lambda res, g: (cv.numpy.clip(g, -1, 1),)
    ... )
    >>> cv.grad(lambda x: clip_gradient(x) * 5)(2.0)
    Array(1., dtype=float32, weak_type=True)
    """

    _call = _call_custom_vjp
    _definer = "defvjp"
    _rules = ("fwd", "bwd")
    fwd: Callable[..., Any] | None
    bwd: Callable[..., Any] | None

    def defvjp(
        self,
        fwd: Callable[..., Any],
        bwd: Callable[..., Any],
        symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:
        """Set the passes.

        Parameters
        ----------
        fwd : callable
            ``fwd(*args) -> (out, residuals)``, with the arguments of the function in their order.
        bwd : callable
            ``bwd(*nondiff_args, residuals, ct) -> cotangents``, a tuple with one for each
            differentiated argument; None stands for zeros.
        symbolic_zeros : bool
            Give ``fwd`` a `CustomVJPPrimal` in place of each array.
        optimize_remat : bool
            Has no effect.

        Examples
        --------
        >>> import functools
        >>> import covector as cv
        >>> @functools.partial(cv.custom_vjp, nondiff_argnums=(0,))
        ... def scale_gradient(s, x):
        ...     return x
        >>> scale_gradient.defvjp(lambda s, x: (x, None), lambda s, res, g: (s * g,))
        >>> cv.grad(lambda x: scale_gradient(3.0, x))(1.0)
        Array(3., dtype=float32, weak_type=True)
        """
        self.fwd = fwd
        self.bwd = bwd
        self._has_rule = fwd is not None and bwd is not None
        self.symbolic_zeros = symbolic_zeros

    def _flat_rule(self, arguments: Arguments) -> FlatFwd:
        in_tree = arguments.in_tree
        in_avals = [aval_of(x) for x in arguments.leaves]

        def flat_fwd(
            leaves: Sequence[Any], active: Sequence[bool]
        ) -> tuple[list[Any], list[Any], FlatBwd]:
            if self.symbolic_zeros:
                leaves = [CustomVJPPrimal(x, a) for x, a in zip(leaves, active, strict=True)]
            pair = self.fwd(*arguments.with_leaves(leaves))  # type: ignore[misc]
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(
                    f"the forward pass {fun_name(self.fwd)} of {fun_name(self.fun)} must return a "
                    f"pair (output, residuals), it returned {describe(pair)}{at_user_line()}"
                )
            outs, out_tree = tree.flatten(pair[0])
            if arguments.out_tree is not None and out_tree != arguments.out_tree:
                raise TypeError(
                    f"the forward pass {fun_name(self.fwd)} must return an output of the same tree "
                    f"structure as {fun_name(self.fun)}, {arguments.out_tree}, it returned "
                    f"{out_tree}{at_user_line()}"
                )
            arguments.out_tree = out_tree
            res, res_tree = tree.flatten(pair[1])

            def flat_bwd(res_leaves: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
                full = iter(cts)
                ct_leaves = [
                    next(full) if a.dtype != float0 else instantiate(Zero(a)) for a in ct_avals
                ]
                result = self.bwd(  # type: ignore[misc]
                    *arguments.nondiff,
                    tree.unflatten(res_tree, res_leaves),
                    tree.unflatten(out_tree, ct_leaves),
                )
                return self._check_cotangents(result, in_tree, in_avals)

            ct_avals = [aval_of(x).to_tangent_aval() for x in outs]
            return outs, res, flat_bwd

        return flat_fwd

    def _check_cotangents(
        self, result: Any, in_tree: Any, in_avals: list[ShapedArray]
    ) -> list[Any]:
        """Flat cotangents from what ``bwd`` returned, None and ``float0`` made `Zero`."""
        name = f"the backward pass {fun_name(self.bwd)} of {fun_name(self.fun)}"
        per_arg = in_tree.children()
        if isinstance(result, list):
            result = tuple(result)
        if not isinstance(result, tuple) or len(result) != len(per_arg):
            got = f"a tuple of {len(result)}" if isinstance(result, tuple) else describe(result)
            raise TypeError(
                f"{name} must return a tuple with a cotangent for each of the {len(per_arg)} "
                f"differentiated arguments, it returned {got}{at_user_line()}"
            )
        out: list[Any] = []
        k = 0
        for i, (sub, ct) in enumerate(zip(per_arg, result, strict=True)):
            avals = in_avals[k : k + sub.num_leaves]
            k += sub.num_leaves
            if ct is None:
                out += [Zero(a.to_tangent_aval()) for a in avals]
                continue
            template = tree.unflatten(sub, avals)
            try:
                leaves = [
                    x
                    for part, whole in zip(*_aligned(ct, template, sub), strict=True)
                    for x in ([None] * len(tree.leaves(whole)) if part is None else [part])
                ]
            except (ValueError, TypeError):
                leaves = []
            if len(leaves) != len(avals):
                raise TypeError(
                    f"{name} must return cotangents of the structure of the arguments, but the one "
                    f"for argument {i} has the structure {tree.structure(ct)} and the argument "
                    f"{sub}{at_user_line()}"
                )
            paths = path_names(template)
            for path, x, a in zip(paths, leaves, avals, strict=True):
                out.append(self._check_cotangent(x, a, f"argument {i}{path}", name))
        return out

    def _check_cotangent(self, ct: Any, aval: ShapedArray, what: str, name: str) -> Any:
        expected = aval.to_tangent_aval()
        if ct is None or type(ct) in (SymbolicZero, Zero):
            return Zero(expected)
        if getattr(ct, "dtype", None) == float0 or expected.dtype == float0:
            return Zero(expected)
        got = aval_of(ct)
        if got.shape != expected.shape or got.dtype != expected.dtype:
            raise ValueError(
                f"{name} must return cotangents of the types of the arguments: for {what} expected "
                f"{expected.str_short()}, got {got.str_short()}{at_user_line()}"
            )
        return ct


def _aligned(ct: Any, template: Any, treedef: Any) -> tuple[list[Any], list[Any]]:
    """Leaves of ``ct`` (None among them) beside the parts of ``template`` they stand for."""
    import optree

    flat, spec = optree.tree_flatten(ct, none_is_leaf=True, namespace=tree.NAMESPACE)
    if spec.num_nodes == 1:
        return flat, [template]
    return flat, spec.flatten_up_to(template)
