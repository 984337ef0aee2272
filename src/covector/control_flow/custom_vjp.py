"""``custom_vjp``: functions with a backward pass given by the user."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from covector.control_flow.custom_rules import (
    Arguments,
    ClosedRule,
    CustomCall,
    CustomFunction,
    MappedRule,
    SymbolicZero,
)
from covector.control_flow.forward_pass import run_forward_pass
from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.config import config
from covector.core.dtypes import float0, is_float
from covector.core.errors import UnexpectedTracerError, at_user_line, describe
from covector.core.places import users_code
from covector.core.references import Reference
from covector.core.rules import (
    UndefinedPrimal,
    Zero,
    higher_order_rules,
    jvp_rules,
    transpose_only,
    transpose_rules,
)
from covector.core.structural import instantiate, mapped_first, reduce_sum
from covector.core.trace import Primitive, Tracer, current_trace, eval_trace, trace_to_jaxpr
from covector.core.tree_paths import path_names
from covector.transforms.arguments import fun_name
from covector.transforms.references import GivenRefs
from covector.transforms.vmap import BatchTrace, bring, placed_along, vmap_flat

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
    found = bwd(args[:num_res], cts)
    wanted = [ct for ct, a in zip(found, active, strict=True) if a]
    return [None] * num_res + [
        ct if type(x) is UndefinedPrimal else None
        for ct, x in zip(wanted, args[num_res:], strict=True)
    ]


def _lin_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
    return _no_forward_mode(primals, params)


# --- batching ----------------------------------------------------------------------------


class FlatBackward:
    """A backward pass at given operands, as a function from flat arrays to flat arrays."""

    __slots__ = ("rule", "num_res", "cts", "args", "found")

    def __init__(self, rule: FlatBwd, res: Sequence[Any], cts: Sequence[Any]) -> None:
        self.rule = rule
        self.num_res = len(res)
        self.cts = cts
        self.args = [*res, *(ct for ct in cts if type(ct) is not Zero)]
        self.found: list[Any] = []

    def __call__(self, *args: Any) -> list[Any]:
        n = self.num_res
        given = iter(args[n:])
        cts = [ct if type(ct) is Zero else next(given) for ct in self.cts]
        self.found = self.rule(args[:n], cts)
        return [ct for ct in self.found if type(ct) is not Zero]

    def split(self, outs: Sequence[Any]) -> list[Any]:
        """Cotangents, from what the call returned."""
        rest = iter(outs)
        return [ct if type(ct) is Zero else next(rest) for ct in self.found]


class _MappedBwd(MappedRule):
    __slots__ = ("res_batched",)

    def __init__(
        self,
        rule: FlatBwd,
        size: int,
        axis_name: Hashable,
        batched: tuple[bool, ...],
        out_batched: tuple[bool, ...],
        res_batched: tuple[bool, ...],
    ) -> None:
        super().__init__(rule, size, axis_name, batched, out_batched)
        self.res_batched = res_batched

    def __call__(self, res: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
        given = [
            Zero(ct.aval.without(0)) if type(ct) is Zero and b else ct
            for ct, b in zip(cts, self.out_batched, strict=True)
        ]
        flat = FlatBackward(self.rule, res, given)
        pairs = zip(given, self.out_batched, strict=True)
        batched = [*self.res_batched, *(b for ct, b in pairs if type(ct) is not Zero)]
        dims = [0 if b else None for b in batched]
        outs, out_dims = vmap_flat(flat, self.size, flat.args, dims, self.axis_name)
        moved = flat.split(
            [bring(x, self.size, self.axis_name, d, 0) for x, d in zip(outs, out_dims, strict=True)]
        )
        result: list[Any] = []
        for ct, b in zip(moved, self.batched, strict=True):
            if type(ct) is Zero:
                along = placed_along(self.axis_name)
                result.append(Zero(ct.aval.stacked(self.size, along)) if b else ct)
            else:
                # An argument that all elements share gets the sum of their cotangents.
                result.append(ct if b else reduce_sum(ct, (0,)))
        return result


class _MappedFwd(MappedRule):
    __slots__ = ()

    def __call__(
        self, args: Sequence[Any], active: Sequence[bool]
    ) -> tuple[list[Any], list[Any], FlatBwd]:
        n_out, bwd, outs, out_dims = self._mapped(args, active)
        results = self.placed(outs[:n_out], out_dims[:n_out], self.out_batched)
        res = mapped_first(outs[n_out:], out_dims[n_out:])
        res_batched = tuple(d is not None for d in out_dims[n_out:])
        # Only results that have tangents have cotangents.
        pairs = zip(results, self.out_batched, strict=True)
        of_cts = tuple(b for x, b in pairs if aval_of(x).to_tangent_aval().dtype != float0)
        mapped = _MappedBwd(bwd, self.size, self.axis_name, self.batched, of_cts, res_batched)
        return results, res, mapped

    def _mapped(
        self, args: Sequence[Any], active: Sequence[bool]
    ) -> tuple[int, FlatBwd, list[Any], list[int | None]]:
        """The number of results, the backward pass, results and residuals, and their axes."""
        n_out = 0
        bwd: Any = None

        def fun(*xs: Any) -> list[Any]:
            nonlocal n_out, bwd
            outs, res, bwd = self.rule(xs, active)
            n_out = len(outs)
            return [*outs, *res]

        dims = [0 if b else None for b in self.batched]
        outs, out_dims = vmap_flat(fun, self.size, args, dims, self.axis_name)
        return n_out, bwd, outs, out_dims

    def results_mapped(self, avals: Sequence[ShapedArray]) -> list[bool]:
        found: list[bool] = []

        def fun(*args: Any) -> list[Any]:
            n, _, outs, dims = self._mapped(args, [True] * len(args))
            found[:] = [d is not None for d in dims[:n]]
            return outs

        trace_to_jaxpr(fun, self.mapped_avals(avals))
        return found


def _batch_lin(
    trace: BatchTrace, args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[list[Any], list[int | None]]:
    size, n = trace.axis_size, params["num_res"]
    res_batched = tuple(d is not None for d in dims[:n])
    moved = mapped_first(args[:n], dims[:n])
    name = trace.axis_name
    moved += [bring(x, size, name, d, 0) for x, d in zip(args[n:], dims[n:], strict=True)]
    mapped = (True,) * len(params["out_avals"])
    bwd = _MappedBwd(params["bwd"], size, name, tuple(params["active"]), mapped, res_batched)
    avals = tuple(a.stacked(size, placed_along(name)) for a in params["out_avals"])
    outs = custom_lin_p.bind_params(moved, {**params, "bwd": bwd, "out_avals": avals})
    return outs, [0] * len(outs)


# --- closures ----------------------------------------------------------------------------


class _ClosedBwd(ClosedRule):
    __slots__ = ()
    sees_call = False

    def __call__(self, res: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
        n = len(self.values)
        flat = FlatBackward(self.rule, res[n:], cts)
        found = flat.split(self.run(flat, flat.args, res[:n]))
        return [*map(Zero.of, res[:n]), *found]


class _ClosedFwd(ClosedRule):
    __slots__ = ()

    def __call__(
        self, args: Sequence[Any], active: Sequence[bool]
    ) -> tuple[list[Any], list[Any], FlatBwd]:
        n, n_out = len(self.values), 0
        bwd: Any = None

        def fun(*xs: Any) -> list[Any]:
            nonlocal n_out, bwd
            outs, res, bwd = self.rule(xs, active[n:])
            n_out = len(outs)
            return [*outs, *res]

        outs = self.run(fun, args[n:], args[:n])
        # The backward pass closes over the same values.
        return outs[:n_out], [*args[:n], *outs[n_out:]], _ClosedBwd(bwd, self.values)


_call_custom_vjp = CustomCall("custom_vjp", "fwd", _differentiate, _MappedFwd, _ClosedFwd)
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
    optimize_remat = False

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
            Give ``fwd`` a `CustomVJPPrimal` in place of each array, and ``bwd`` a `SymbolicZero`
            in place of cotangents that are known to be zero.
        optimize_remat : bool
            Where no residual is needed, as in the forward pass of `checkpoint`, compute the
            function rather than ``fwd``.

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
        if symbolic_zeros and optimize_remat:
            raise NotImplementedError(
                "defvjp: symbolic_zeros and optimize_remat cannot be used together: the function "
                f"does not take CustomVJPPrimal{at_user_line()}"
            )
        self.fwd = fwd
        self.bwd = bwd
        self.optimize_remat = optimize_remat
        self._has_rule = fwd is not None and bwd is not None
        self.symbolic_zeros = symbolic_zeros

    def _constant(self, x: Tracer, argnum: int) -> Any:
        raise UnexpectedTracerError(
            f"argument {argnum} of the custom_vjp function {fun_name(self.fun)} is named by "
            f"nondiff_argnums (or nondiff_argnames), but holds a traced array, {x.describe()}. "
            "These are for arguments that hold no arrays, such as functions: leave it out of "
            "nondiff_argnums, and have the backward pass return None for it"
            f"{at_user_line()}"
        )

    def _flat_rule(self, arguments: Arguments) -> FlatFwd:
        in_tree = arguments.in_tree
        refs = arguments.refs
        in_avals = refs.put([aval_of(x) for x in arguments.leaves])

        def flat_fwd(
            leaves: Sequence[Any], active: Sequence[bool]
        ) -> tuple[list[Any], list[Any], FlatBwd]:
            outs, out_tree, res, res_tree, res_refs = self._run_fwd(arguments, leaves, active)

            def flat_bwd(res_leaves: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
                full = iter(cts)
                given = [next(full) if a.dtype != float0 else Zero(a) for a in ct_avals]
                if self.symbolic_zeros:
                    ct_leaves = [SymbolicZero(x.aval) if type(x) is Zero else x for x in given]
                else:
                    ct_leaves = [instantiate(x) for x in given]
                with users_code():
                    result = self.bwd(  # type: ignore[misc]
                        *arguments.nondiff,
                        tree.unflatten(res_tree, res_refs.put(res_leaves)),
                        tree.unflatten(out_tree, ct_leaves),
                    )
                return refs.others(self._check_cotangents(result, in_tree, in_avals))

            ct_avals = [aval_of(x).to_cotangent_aval() for x in outs]
            return outs, res, flat_bwd

        return flat_fwd

    def _run_fwd(
        self, arguments: Arguments, leaves: Sequence[Any], active: Sequence[bool]
    ) -> tuple[list[Any], Any, list[Any], Any, GivenRefs]:
        """Results and residuals of the forward pass, flat, with their structures, and references
        among the residuals."""
        res_tree: Any = None
        refs = GivenRefs(())

        def fwd(*xs: Any) -> list[Any]:
            nonlocal res_tree, refs
            given: Sequence[Any] = xs
            if self.symbolic_zeros:
                given = [CustomVJPPrimal(x, a) for x, a in zip(xs, active, strict=True)]
            with users_code():
                pair = self.fwd(*arguments.with_leaves(given))  # type: ignore[misc]
            out, residuals = self._check_pair(pair)
            outs, out_tree = tree.flatten(out)
            if arguments.out_tree is not None and out_tree != arguments.out_tree:
                raise TypeError(
                    f"the forward pass {fun_name(self.fwd)} must return an output of the same tree "
                    f"structure as {fun_name(self.fun)}, {arguments.out_tree}, it returned "
                    f"{out_tree}{at_user_line()}"
                )
            arguments.out_tree = out_tree
            res, res_tree = tree.flatten(residuals)
            refs = GivenRefs(res)
            return [*outs, *refs.others(res)]

        if self.optimize_remat and current_trace() is not eval_trace:
            flat = run_forward_pass(arguments.call, fwd, leaves, fun_name(self.fun))
        else:
            flat = fwd(*leaves)
        out_tree = arguments.out_tree
        n = out_tree.num_leaves
        return flat[:n], out_tree, flat[n:], res_tree, refs

    def _check_pair(self, pair: Any) -> tuple[Any, Any]:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(
                f"the forward pass {fun_name(self.fwd)} of {fun_name(self.fun)} must return a "
                f"pair (output, residuals), it returned {describe(pair)}{at_user_line()}"
            )
        return pair[0], pair[1]

    def _check_cotangents(self, result: Any, in_tree: Any, in_avals: list[Any]) -> list[Any]:
        """Flat cotangents from what ``bwd`` returned, None and ``float0`` made `Zero`.

        Arguments that are references, themselves in ``in_avals``, have none.
        """
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
                out += [self._check_cotangent(None, a, "", name) for a in avals]
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
            if config.disable_bwd_checks:
                out += [
                    Zero(a.to_cotangent_aval()) if x is None else x
                    for x, a in zip(leaves, avals, strict=True)
                ]
                continue
            paths = path_names(template)
            for path, x, a in zip(paths, leaves, avals, strict=True):
                out.append(self._check_cotangent(x, a, f"argument {i}{path}", name))
        return out

    def _check_cotangent(self, ct: Any, aval: Any, what: str, name: str) -> Any:
        if isinstance(aval, Reference):
            if ct is None:
                return None
            raise TypeError(
                f"{name} must return None for {what}, a reference: it has no cotangent, got "
                f"{describe(ct)}{at_user_line()}"
            )
        expected = aval.to_cotangent_aval()
        if ct is None or type(ct) in (SymbolicZero, Zero):
            return Zero(expected)
        if getattr(ct, "dtype", None) == float0 or expected.dtype == float0:
            return Zero(expected)
        got = aval_of(ct)
        floats = is_float(got.dtype) and is_float(expected.dtype)
        if got.shape != expected.shape or (got.dtype != expected.dtype and not floats):
            raise ValueError(
                f"{name} must return cotangents of the types of the arguments: for {what} expected "
                f"{expected.str_short()}, got {got.str_short()}{at_user_line()}"
            )
        over = got.varying - expected.varying - expected.marks.unreduced
        if over:
            axes = ", ".join(sorted(map(repr, over)))
            raise ValueError(
                f"{name}: {what} is the same on all devices along {axes}, and its cotangent may "
                f"differ there: its type is {got.str_short()}. Sum it over the devices that use "
                f"the argument, with lax.psum over {axes}{at_user_line()}"
            )
        return ct


def _aligned(ct: Any, template: Any, treedef: Any) -> tuple[list[Any], list[Any]]:
    """Leaves of ``ct`` (None among them) beside the parts of ``template`` they stand for."""
    import optree

    flat, spec = optree.tree_flatten(ct, none_is_leaf=True, namespace=tree.NAMESPACE)
    if spec.num_nodes == 1:
        return flat, [template]
    return flat, spec.flatten_up_to(template)
