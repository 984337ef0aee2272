"""``checkpoint`` (``remat``): intermediate values computed again in the backward pass."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.custom_rules import SymbolicZero
from covector.control_flow.saving import (
    Offloadable,
    Policy,
    inline_calls,
    saveable,
    split_saved,
)
from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.config import config, runs_by_operation
from covector.core.dce import dce
from covector.core.definers import def_jvp_linear, def_vectorized
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.references import Reference, values_of, write_back
from covector.core.rules import UndefinedPrimal, Zero, transpose_rules
from covector.core.structural import instantiate, optimization_barrier_p, zeros
from covector.core.trace import Primitive, close_over, trace_to_jaxpr
from covector.primitives.dot import dot_general_p
from covector.transforms.arguments import (
    STATIC,
    api_boundary,
    argument_names,
    check_arrays,
    check_callable,
    debug_info,
    fun_name,
    in_range,
    index_tuple,
    name_tuple,
    wraps,
)
from covector.transforms.autodiff import FlatFunction
from covector.transforms.cache import FunctionCache, cached_on_jaxpr, context_key
from covector.transforms.dce_rules import pick
from covector.transforms.jit import jit_p
from covector.transforms.jit_rules import def_jaxpr_call
from covector.transforms.linearize import linearize_flat
from covector.transforms.partial_eval import (
    PartialTrace,
    dce_closed,
    def_partial_eval_call,
    merge,
    partial_eval_jaxpr,
    pick_residuals,
    split,
)
from covector.transforms.references import GivenRefs
from covector.transforms.transpose import backward_pass

checkpoint_p = Primitive("checkpoint", multiple_results=True, call_param="jaxpr")


# Marks a value with a name that policies refer to.
name_p = Primitive("name")


@checkpoint_p.def_abstract_eval
def _avals(
    *avals: ShapedArray, jaxpr: ClosedJaxpr, policy: Policy | None, name: str
) -> list[ShapedArray]:
    return jaxpr.out_avals


checkpoint_p.def_effects(lambda params: params["jaxpr"].effects)


def _evaluate(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    return jit_p.bind_params(
        args, {"jaxpr": params["jaxpr"], "name": params["name"], "inline": False}
    )


checkpoint_p.impl = _evaluate


@name_p.def_abstract_eval
def _name_aval(x: ShapedArray, *, name: str) -> ShapedArray:
    return x


name_p.impl = lambda args, params: [args[0]]
def_vectorized(name_p)
def_jvp_linear(name_p)
transpose_rules[name_p] = lambda ct, x, *, name: [ct]


# --- partial evaluation: keep what the policy says, recompute the rest ----------------------


@cached_on_jaxpr
def _dead_code_free(
    closed: ClosedJaxpr, used_out: tuple[bool, ...]
) -> tuple[ClosedJaxpr, tuple[bool, ...]]:
    small, used_in = dce_closed(closed, used_out)
    return small, tuple(used_in)


def _partial_eval(trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    closed, policy = params["jaxpr"], params["policy"]
    unknown = tuple(trace.is_unknown(x) for x in args)
    parts = partial_eval_jaxpr(closed, unknown)
    known_args, _ = split(unknown, args)
    rest, save, num_kept = closed, None, 0
    if policy is not None:
        found = split_saved(inline_calls(closed), unknown, policy)
        rest, save, num_kept = found.rest, found.known, len(found.kept)
    small, used = _dead_code_free(rest, tuple(parts.unknown_out))
    keep = used[:num_kept]
    n = len(parts.unknown_out) - sum(parts.unknown_out)
    known_outs: list[Any] = []
    kept: list[Any] = []
    forward = _outs_and_kept(parts.known, n, save, keep)
    if forward.jaxpr.outvars:
        outs = trace.evaluate(
            jit_p, known_args, {"jaxpr": forward, "name": params["name"], "inline": False}
        )
        known_outs, kept = outs[:n], outs[n:]
    if config.log_checkpoint_residuals:
        given = [x for x in pick(args, used[num_kept:]) if not trace.is_unknown(x)]
        _log_residuals(params["name"], [*kept, *given])
    unknown_outs: list[Any] = []
    if any(parts.unknown_out):
        operands = [*kept, *pick(args, used[num_kept:])]
        unknown_outs = trace.record(checkpoint_p, operands, {**params, "jaxpr": small})
    return merge(parts.unknown_out, known_outs, unknown_outs)


def _log_residuals(name: str, values: Sequence[Any]) -> None:
    from covector.core import log  # few processes need it

    types = [aval_of(x).str_short() for x in values]
    log.say("checkpoint", True, "checkpoint of %s keeps %s", name, ", ".join(types) or "nothing")


@cached_on_jaxpr
def _outs_and_kept(
    known: ClosedJaxpr, n: int, save: ClosedJaxpr | None, keep: tuple[bool, ...]
) -> ClosedJaxpr:
    """The forward pass: the first ``n`` results of ``known``, and the values to ``keep``, of the
    last results of ``save``."""

    def fun(*args: Any) -> list[Any]:
        outs = eval_jaxpr(known.jaxpr, known.consts, *args)[:n]
        if save is None or not any(keep):
            return outs
        values = eval_jaxpr(save.jaxpr, save.consts, *args)
        return outs + pick(values[len(values) - len(keep) :], keep)

    jaxpr, consts = trace_to_jaxpr(fun, known.in_avals, known.jaxpr.debug_info)
    return ClosedJaxpr(dce(jaxpr), consts)


@cached_on_jaxpr
def _backward(
    closed: ClosedJaxpr, undefined: tuple[bool, ...], nonzero: tuple[bool, ...]
) -> ClosedJaxpr:
    """Recomputation of the known part followed by the transpose of the linear part."""
    parts = partial_eval_jaxpr(closed, undefined)
    in_avals = closed.in_avals
    out_avals = [a.to_cotangent_aval() for a in closed.out_avals]
    known_avals, lin_avals = split(undefined, in_avals)
    n_known = len(known_avals)

    def fun(*args: Any) -> list[Any]:
        known, given = args[:n_known], iter(args[n_known:])
        # Keeps the compiler from merging this with the forward pass it repeats.
        known = optimization_barrier_p.bind(*known) if known else []
        cts = [next(given) if nz else Zero(a) for nz, a in zip(nonzero, out_avals, strict=True)]
        n_outs = len(parts.known.out_avals) - parts.num_new
        new = eval_jaxpr(parts.known.jaxpr, parts.known.consts, *known)[n_outs:]
        residuals = pick_residuals(parts.residuals, known, new)
        _, cts = split(parts.unknown_out, cts)
        found = backward_pass(
            parts.unknown.jaxpr,
            parts.unknown.consts,
            [*residuals, *(UndefinedPrimal(a) for a in lin_avals)],
            cts,
        )
        return [instantiate(ct) for ct in found[len(residuals) :]]

    avals = [*known_avals, *(a for a, nz in zip(out_avals, nonzero, strict=True) if nz)]
    jaxpr, consts = trace_to_jaxpr(fun, avals, closed.jaxpr.debug_info)
    return ClosedJaxpr(dce(jaxpr), consts)


def _transpose(cts: Sequence[Any], *args: Any, **params: Any) -> list[Any]:
    undefined = tuple(type(x) is UndefinedPrimal for x in args)
    nonzero = tuple(type(ct) is not Zero for ct in cts)
    closed = _backward(params["jaxpr"], undefined, nonzero)
    known, _ = split(undefined, args)
    outs = jit_p.bind_params(
        [*known, *(ct for ct in cts if type(ct) is not Zero)],
        {"jaxpr": closed, "name": params["name"], "inline": False},
    )
    found = iter(outs)
    return [next(found) if u else None for u in undefined]


def_jaxpr_call(checkpoint_p)
def_partial_eval_call(checkpoint_p, _partial_eval)
transpose_rules[checkpoint_p] = _transpose


# --- policies ----------------------------------------------------------------------------


def everything_saveable(*_: Any, **__: Any) -> bool:
    """Keep every intermediate value, as without `checkpoint`."""
    return True


def nothing_saveable(*_: Any, **__: Any) -> bool:
    """Keep the arguments only."""
    return False


def dots_saveable(prim: Primitive, *_: Any, **__: Any) -> bool:
    """Keep results of matrix products."""
    return prim is dot_general_p


def dots_with_no_batch_dims_saveable(prim: Primitive, *_: Any, **params: Any) -> bool:
    """Keep results of matrix products without batch dimensions."""
    if prim is not dot_general_p:
        return False
    (_, _), (lhs_batch, rhs_batch) = params["dimension_numbers"]
    return not lhs_batch and not rhs_batch


def save_any_names_but_these(*names: str) -> Policy:
    """Keep values named by `checkpoint_name`, but not these."""
    unwanted = frozenset(names)
    return lambda prim, *_, **params: prim is name_p and params["name"] not in unwanted


def save_only_these_names(*names: str) -> Policy:
    """Keep values that `checkpoint_name` gave one of these names."""
    wanted = frozenset(names)
    return lambda prim, *_, **params: prim is name_p and params["name"] in wanted


def save_anything_except_these_names(*names: str) -> Policy:
    """Keep every value but those that `checkpoint_name` gave one of these names."""
    unwanted = frozenset(names)
    return lambda prim, *_, **params: not (prim is name_p and params["name"] in unwanted)


def save_from_both_policies(first: Policy, second: Policy) -> Policy:
    """Keep what either policy keeps."""
    return lambda prim, *avals, **params: (
        saveable(first(prim, *avals, **params)) or saveable(second(prim, *avals, **params))
    )


def save_and_offload_only_these_names(
    *,
    names_which_can_be_saved: Sequence[str],
    names_which_can_be_offloaded: Sequence[str],
    offload_src: str,
    offload_dst: str,
) -> Policy:
    """Keep values of some names; those of others in another memory, if the device has one."""
    here, there = frozenset(names_which_can_be_saved), frozenset(names_which_can_be_offloaded)
    if here & there:
        raise ValueError(
            "save_and_offload_only_these_names: names are saved or offloaded, not both: "
            f"{', '.join(sorted(here & there))}{at_user_line()}"
        )

    def policy(prim: Primitive, *_: Any, **params: Any) -> Any:
        if prim is name_p and params["name"] in there:
            return Offloadable(offload_src, offload_dst)
        return prim is name_p and params["name"] in here

    return policy


def offload_dot_with_no_batch_dims(offload_src: str, offload_dst: str) -> Policy:
    """Keep results of matrix products without batch dimensions in another memory."""

    def policy(prim: Primitive, *avals: Any, **params: Any) -> Any:
        kept = dots_with_no_batch_dims_saveable(prim, *avals, **params)
        return Offloadable(offload_src, offload_dst) if kept else False

    return policy


class checkpoint_policies:
    """What `checkpoint` may keep of the forward pass.

    Each is a policy or, with names or policies as arguments, makes one.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> layer = lambda w, x: np.tanh(w @ x).sum()
    >>> f = cv.checkpoint(layer, policy=cv.checkpoint_policies.dots_saveable)
    >>> cv.grad(f)(np.zeros((1, 2)), np.array([1.0, 2.0]))
    Array([[1., 2.]], dtype=float32)
    """

    everything_saveable = staticmethod(everything_saveable)
    nothing_saveable = staticmethod(nothing_saveable)
    dots_saveable = staticmethod(dots_saveable)
    checkpoint_dots = staticmethod(dots_saveable)
    dots_with_no_batch_dims_saveable = staticmethod(dots_with_no_batch_dims_saveable)
    checkpoint_dots_with_no_batch_dims = staticmethod(dots_with_no_batch_dims_saveable)
    save_any_names_but_these = staticmethod(save_any_names_but_these)
    save_only_these_names = staticmethod(save_only_these_names)
    save_anything_except_these_names = staticmethod(save_anything_except_these_names)
    save_from_both_policies = staticmethod(save_from_both_policies)
    save_and_offload_only_these_names = staticmethod(save_and_offload_only_these_names)
    offload_dot_with_no_batch_dims = staticmethod(offload_dot_with_no_batch_dims)


def checkpoint_name(x: Any, name: str) -> Any:
    """``x``, named for the policies of `checkpoint`.

    Parameters
    ----------
    x : pytree of arrays
    name : str

    Returns
    -------
    pytree of arrays
        ``x``

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> from covector.ad_checkpoint import checkpoint_name
    >>> policy = cv.checkpoint_policies.save_only_these_names("inner")
    >>> f = cv.checkpoint(lambda x: np.sin(checkpoint_name(np.exp(x), "inner")), policy=policy)
    >>> round(float(cv.grad(f)(0.0)), 4)
    0.5403
    """
    return tree.map(lambda leaf: name_p.bind_params((leaf,), {"name": name}), x)


@api_boundary
def checkpoint(
    fun: Callable[..., Any] | None = None,
    *,
    prevent_cse: bool | Sequence[bool] = True,
    policy: Policy | None = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    concrete: Any = None,
) -> Any:
    """Have differentiation compute intermediate values of a function again, to save memory.

    Parameters
    ----------
    fun : callable
        Without it, a decorator is returned.
    prevent_cse : bool
        Has no effect: the recomputation is never merged with the forward pass.
    policy : callable, optional
        Which values to keep nonetheless; see `checkpoint_policies`.
    static_argnums, static_argnames : optional
        Arguments passed to ``fun`` as they are.
    concrete : optional
        Has no effect.

    Returns
    -------
    callable
        Of the same value and derivatives as ``fun``.

    Examples
    --------
    The cosines that the derivative needs are kept, or computed again from the argument:

    >>> import covector as cv
    >>> from covector.ad_checkpoint import print_saved_residuals
    >>> f = lambda x: cv.numpy.sin(cv.numpy.sin(x))
    >>> print_saved_residuals(f, 0.0)
    f32[] output of cos
    f32[] output of cos
    >>> print_saved_residuals(cv.checkpoint(f), 0.0)
    f32[] from the argument x
    >>> cv.grad(cv.checkpoint(f))(0.0)
    Array(1., dtype=float32, weak_type=True)
    """
    if fun is None:
        return functools.partial(
            checkpoint,
            prevent_cse=prevent_cse,
            policy=policy,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
        )
    check_callable(fun, "checkpoint")
    if policy is not None and not callable(policy):
        raise TypeError(
            f"checkpoint: policy must be a function, one of checkpoint_policies, got {policy!r}"
            f"{at_user_line()}"
        )
    nums = index_tuple(static_argnums, "static_argnums")
    names = name_tuple(static_argnames, "static_argnames")

    call = _Checkpointed(fun, policy, nums, names)

    @api_boundary
    @wraps(fun)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        return call(args, kwargs)

    return checkpointed


_traces = FunctionCache()


class _Checkpointed:
    """A function of which `checkpoint` keeps a trace for each signature of its arguments."""

    __slots__ = ("fun", "policy", "nums", "names", "own_entries")

    def __init__(
        self,
        fun: Callable[..., Any],
        policy: Policy | None,
        nums: tuple[int, ...],
        names: tuple[str, ...],
    ) -> None:
        self.fun = fun
        self.policy = policy
        self.nums = nums
        self.names = names
        self.own_entries: dict[Any, tuple[ClosedJaxpr, Any]] = {}

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if runs_by_operation():
            return self.fun(*args, **kwargs)
        static = in_range(self.nums, len(args))
        dyn = tuple([x for i, x in enumerate(args) if i not in static])
        dyn_kwargs = {k: v for k, v in kwargs.items() if k not in self.names}
        flat, in_tree = tree.flatten((dyn, dyn_kwargs))
        avals = check_arrays(
            flat, lambda: argument_names(self.fun, dyn, dyn_kwargs, sorted(static)), "checkpoint",
            refs=True, static=STATIC.format("checkpoint"),
        )  # fmt: skip
        refs = GivenRefs(flat)
        fixed: list[tuple[Any, ...]] = [(i, type(args[i]), args[i]) for i in sorted(static)]
        fixed += [(k, type(v), v) for k, v in sorted(kwargs.items()) if k in self.names]
        key: Any = (in_tree, tuple(avals), tuple(fixed), context_key())
        entries = self._entries()
        hoisted: list[Any] = []
        written: list[Reference] = []
        try:
            found = entries.get(key)
        except TypeError:  # static arguments need not be hashable
            found, entries, key = None, {}, None
        if found is None:
            info = debug_info(self.fun, "checkpoint", dyn, dyn_kwargs, sorted(static))
            closed, hoisted, out_tree, written = self._trace(
                args, kwargs, static, in_tree, refs, refs.others(avals), info
            )
            if not hoisted and not refs.refs:
                entries[key] = (closed, out_tree)
        else:
            closed, out_tree = found
        params = {"jaxpr": closed, "policy": self.policy, "name": fun_name(self.fun)}
        outs = checkpoint_p.bind_params([*values_of(hoisted), *refs.others(flat)], params)
        return tree.unflatten(out_tree, write_back(written, outs))

    def _trace(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        static: set[int],
        in_tree: Any,
        refs: GivenRefs,
        avals: list[ShapedArray],
        info: Any,
    ) -> tuple[ClosedJaxpr, list[Any], Any, list[Reference]]:
        out_tree: Any = None

        def flat_fun(*leaves: Any) -> list[Any]:
            nonlocal out_tree
            a, k = tree.unflatten(in_tree, refs.put(leaves))
            rest = iter(a)
            full = [x if i in static else next(rest) for i, x in enumerate(args)]
            fixed = {name: v for name, v in kwargs.items() if name in self.names}
            outs, out_tree = tree.flatten(self.fun(*full, **k, **fixed))
            return outs

        written: list[Reference] = []
        jaxpr, consts = trace_to_jaxpr(flat_fun, avals, info, written)
        closed, hoisted = close_over(jaxpr, consts)
        return closed, hoisted, out_tree, written

    def _entries(self) -> dict[Any, Any]:
        if type(self.fun) is types.FunctionType:
            return _traces.entries(self.fun)
        return self.own_entries


remat = checkpoint


def print_saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Print the values that the backward pass of ``f`` at these arguments needs.

    Parameters
    ----------
    f : callable
    *args, **kwargs
        Its arguments; it is differentiated by the positional ones.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> cv.ad_checkpoint.print_saved_residuals(lambda x, y: cv.numpy.sin(x) * y, 1.0, 2.0)
    f32[] output of cos
    f32[] from the argument y
    f32[] output of sin
    """
    flat, in_tree = tree.flatten(args)
    avals = [aval_of(x) for x in flat]

    def fun(*xs: Any) -> list[Any]:
        ff = FlatFunction(lambda *a: f(*a, **kwargs), in_tree, False, "print_saved_residuals")
        return linearize_flat(ff, xs).residuals

    jaxpr, _ = trace_to_jaxpr(fun, avals)
    names = argument_names(f, args, {})
    for v in jaxpr.outvars:
        if v in jaxpr.invars:
            where = f"from the argument {names[jaxpr.invars.index(v)]}"
        else:
            eqn = next((e for e in jaxpr.eqns if v in e.outvars), None)
            where = f"output of {eqn.primitive.name}" if eqn is not None else "a constant"
        print(f"{v.aval.str_short(True)} {where}")


def zero_from_primal(val: Any, symbolic_zeros: bool = False) -> Any:
    """A zero tangent for ``val``.

    Parameters
    ----------
    val : pytree of arrays
    symbolic_zeros : bool
        Return a `SymbolicZero`.

    Returns
    -------
    pytree of Array or SymbolicZero
        Of the shapes and dtypes in ``val``; of dtype ``float0`` for integers and booleans.

    Examples
    --------
    >>> import covector as cv
    >>> cv.custom_derivatives.zero_from_primal(cv.numpy.ones(2))
    Array([0., 0.], dtype=float32)
    """
    kind = SymbolicZero if symbolic_zeros else zeros
    return tree.map(lambda x: kind(aval_of(x).to_tangent_aval()), val)
