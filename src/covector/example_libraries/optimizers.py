"""Optimisers of trees of parameters (`covector.example_libraries.optimizers`).

An optimiser is three functions: one makes a state of parameters, one takes a step number, a
gradient and a state to the next state, and one gives the parameters of a state.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from covector import lax
from covector import numpy as cnp
from covector.core import tree
from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.tree_util import register_pytree_node

__all__ = [
    "InitFn", "JoinPoint", "Optimizer", "OptimizerState", "ParamsFn", "Schedule", "UpdateFn",
    "adagrad", "adam", "adamax", "clip_grads", "constant", "exponential_decay",
    "inverse_time_decay", "l2_norm", "make_schedule", "momentum", "nesterov", "optimizer",
    "pack_optimizer_state", "piecewise_constant", "polynomial_decay", "rmsprop",
    "rmsprop_momentum", "sgd", "sm3", "unpack_optimizer_state",
]  # fmt: skip

# From a step number to a step size.
Schedule = Callable[[Any], Any]
# From parameters to a state; from step number, gradient and state to a state; from a state to
# parameters.
InitFn = Callable[[Any], Any]
UpdateFn = Callable[[Any, Any, Any], Any]
ParamsFn = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True)
class OptimizerState:
    """The state of an optimiser: a pytree.

    Attributes
    ----------
    packed_state : tuple
        For each parameter the leaves of its state.
    tree_def : PyTreeDef
        The structure of the parameters.
    subtree_defs : tuple of PyTreeDef
        The structure of the state of each parameter.
    """

    packed_state: Any
    tree_def: Any
    subtree_defs: Any


register_pytree_node(
    OptimizerState,
    lambda s: ((s.packed_state,), (s.tree_def, s.subtree_defs)),
    lambda data, children: OptimizerState(children[0], *data),
)


class Optimizer(NamedTuple):
    """The three functions of an optimiser.

    Attributes
    ----------
    init_fn, update_fn, params_fn : callable
    """

    init_fn: InitFn
    update_fn: UpdateFn
    params_fn: ParamsFn


class JoinPoint:
    """Marks where the state of a parameter begins in a tree; no pytree itself.

    Parameters
    ----------
    subtree : pytree
    """

    def __init__(self, subtree: Any) -> None:
        self.subtree = subtree

    def __iter__(self) -> Any:
        yield self.subtree


def optimizer(opt_maker: Callable[..., Any]) -> Callable[..., Optimizer]:
    """An optimiser of trees, of one of single arrays.

    Parameters
    ----------
    opt_maker : callable
        That returns the three functions for one array.

    Returns
    -------
    callable
        Of the same arguments, that returns an `Optimizer`. A gradient whose tree differs from that
        of the parameters is a TypeError.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.example_libraries import optimizers
    >>> @optimizers.optimizer
    ... def signs(step):
    ...     return (lambda x: x), (lambda i, g, x: x - step * np.sign(g)), (lambda x: x)
    >>> init, update, params = signs(0.5)
    >>> params(update(0, {"a": -3.0}, init({"a": 1.0})))
    {'a': Array(1.5, dtype=float32, weak_type=True)}
    """

    @functools.wraps(opt_maker)
    def make(*args: Any, **kwargs: Any) -> Optimizer:
        init, update, get_params = opt_maker(*args, **kwargs)

        def tree_init(x0_tree: Any) -> OptimizerState:
            leaves, structure = tree.flatten(x0_tree)
            return _packed([init(x) for x in leaves], structure)

        def tree_update(i: Any, grad_tree: Any, opt_state: OptimizerState) -> OptimizerState:
            grads, structure = tree.flatten(grad_tree)
            if structure != opt_state.tree_def:
                raise TypeError(
                    f"the tree of gradients, {structure}, is not that of the parameters, "
                    f"{opt_state.tree_def}{at_user_line()}"
                )
            states = _states(opt_state)
            new = _packed([update(i, g, s) for g, s in zip(grads, states, strict=True)], structure)
            if new.subtree_defs != opt_state.subtree_defs:
                raise TypeError(
                    "the function that updates gave a state of another structure than the one "
                    f"before: {new.subtree_defs} after {opt_state.subtree_defs}{at_user_line()}"
                )
            return new

        def tree_params(opt_state: OptimizerState) -> Any:
            return tree.unflatten(opt_state.tree_def, [get_params(s) for s in _states(opt_state)])

        return Optimizer(tree_init, tree_update, tree_params)

    return make


def _packed(states: list[Any], structure: Any) -> OptimizerState:
    flat = [tree.flatten(s) for s in states]
    return OptimizerState(
        tuple([tuple(leaves) for leaves, _ in flat]), structure, tuple([d for _, d in flat])
    )


def _states(state: OptimizerState) -> list[Any]:
    return [
        tree.unflatten(d, leaves)
        for d, leaves in zip(state.subtree_defs, state.packed_state, strict=True)
    ]


def unpack_optimizer_state(opt_state: OptimizerState) -> Any:
    """The state of an optimiser as a tree like the parameters, for storing.

    Parameters
    ----------
    opt_state : OptimizerState

    Returns
    -------
    pytree
        With a `JoinPoint` in the place of each parameter.

    Examples
    --------
    >>> from covector.example_libraries import optimizers
    >>> state = optimizers.sgd(0.1).init_fn({"a": 1.0})
    >>> optimizers.unpack_optimizer_state(state)["a"].subtree
    1.0
    """
    return tree.unflatten(opt_state.tree_def, [JoinPoint(s) for s in _states(opt_state)])


def pack_optimizer_state(marked_pytree: Any) -> OptimizerState:
    """The inverse of `unpack_optimizer_state`.

    Parameters
    ----------
    marked_pytree : pytree
        Whose leaves are `JoinPoint`.

    Returns
    -------
    OptimizerState

    Raises
    ------
    TypeError
        If a leaf is something else.

    Examples
    --------
    >>> from covector.example_libraries import optimizers
    >>> state = optimizers.sgd(0.1).init_fn({"a": 1.0})
    >>> optimizers.pack_optimizer_state(optimizers.unpack_optimizer_state(state)) == state
    True
    """
    leaves, structure = tree.flatten(marked_pytree)
    for x in leaves:
        if not isinstance(x, JoinPoint):
            raise TypeError(
                "pack_optimizer_state takes a tree whose leaves are JoinPoint, got "
                f"{describe(x)}{at_user_line()}"
            )
    return _packed([x.subtree for x in leaves], structure)


# --- optimisers -----------------------------------------------------------------------------

_DOC = """{summary}

Parameters
----------
{parameters}

Returns
-------
Optimizer
    Functions ``init_fn(params)``, ``update_fn(step, gradient, state)``, ``params_fn(state)``.
{notes}
Examples
--------
>>> import covector as cv
>>> import covector.numpy as np
>>> from covector.example_libraries import optimizers
>>> init, update, params = optimizers.{name}({example})
>>> state = init(np.array([1.0, -1.0]))
>>> for i in range(100):
...     state = update(i, cv.grad(lambda x: (x**2).sum())(params(state)), state)
>>> bool(abs(params(state)).max() < 0.9)
True
"""
_STEP = "step_size : float or callable\n    A number, or a function of the step number."
_PARAMETERS = {
    "mass": "mass : float\n    How much of the last step is taken again.",
    "momentum": "momentum : float\n    How much of the last direction is kept.",
    "gamma": "gamma : float\n    How much of the mean square of gradients is kept.",
    "eps": "eps : float\n    Added to denominators.",
    "b1": "b1, b2 : float\n    How much of the mean of gradients, and of their size, is kept.",
}


def _documented(summary: str, parameters: str, example: str, reference: str = "") -> Any:
    def decorate(f: Any) -> Any:
        rows = [_STEP, *(_PARAMETERS[p] for p in parameters.split())]
        notes = f"\nReferences\n----------\n{reference}\n" if reference else ""
        f.__doc__ = _DOC.format(
            summary=summary, parameters="\n".join(rows), name=f.__name__, example=example,
            notes=notes,
        )  # fmt: skip
        return f

    return decorate


@_documented("Gradient descent.", "", "0.1")
@optimizer
def sgd(step_size):
    step_size = make_schedule(step_size)
    return (lambda x0: x0), (lambda i, g, x: x - step_size(i) * g), (lambda x: x)


@_documented("Gradient descent with momentum.", "mass", "0.1, 0.5")
@optimizer
def momentum(step_size: Schedule, mass: float):
    step_size = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, velocity = state
        velocity = mass * velocity + g
        return x - step_size(i) * velocity, velocity

    return (lambda x0: (x0, cnp.zeros_like(x0))), update, (lambda s: s[0])


@_documented(
    "Gradient descent with Nesterov's momentum.", "mass", "0.1, 0.5",
    '.. [1] I. Sutskever et al., "On the importance of initialization and momentum in deep\n'
    '   learning", ICML, 2013.',
)  # fmt: skip
@optimizer
def nesterov(step_size: Schedule, mass: float):
    step_size = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, velocity = state
        velocity = mass * velocity + g
        return x - step_size(i) * (mass * velocity + g), velocity

    return (lambda x0: (x0, cnp.zeros_like(x0))), update, (lambda s: s[0])


def _inverse_root(x: Any) -> Any:
    """One over the square root; 0 at 0."""
    return cnp.where(x > 0, 1 / cnp.sqrt(cnp.where(x > 0, x, 1)), 0)


@_documented(
    "Adagrad: steps divided by the root of the sum of squared gradients.", "momentum", "0.5",
    '.. [1] J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and\n'
    '   stochastic optimization", Journal of Machine Learning Research 12, 2011.',
)  # fmt: skip
@optimizer
def adagrad(step_size, momentum=0.9):
    step_size = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, squares, m = state
        squares = squares + cnp.square(g)
        m = (1 - momentum) * (g * _inverse_root(squares)) + momentum * m
        return x - step_size(i) * m, squares, m

    return (lambda x: (x, cnp.zeros_like(x), cnp.zeros_like(x))), update, (lambda s: s[0])


@_documented(
    "RMSProp: steps divided by the root of the mean square of gradients.", "gamma eps", "0.01",
    '.. [1] T. Tieleman, G. Hinton, "Lecture 6.5, rmsprop", COURSERA, 2012.',
)  # fmt: skip
@optimizer
def rmsprop(step_size, gamma=0.9, eps=1e-8):
    step_size = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, mean = state
        mean = mean * gamma + cnp.square(g) * (1 - gamma)
        return x - step_size(i) * g / cnp.sqrt(mean + eps), mean

    return (lambda x: (x, cnp.zeros_like(x))), update, (lambda s: s[0])


@_documented(
    "RMSProp with momentum.", "gamma eps momentum", "0.01",
    '.. [1] T. Tieleman, G. Hinton, "Lecture 6.5, rmsprop", COURSERA, 2012.',
)  # fmt: skip
@optimizer
def rmsprop_momentum(step_size, gamma=0.9, eps=1e-8, momentum=0.9):
    step_size = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, mean, m = state
        mean = mean * gamma + cnp.square(g) * (1 - gamma)
        m = momentum * m + step_size(i) * g / cnp.sqrt(mean + eps)
        return x - m, mean, m

    return (lambda x: (x, cnp.zeros_like(x), cnp.zeros_like(x))), update, (lambda s: s[0])


_ADAM = (
    '.. [1] D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR, 2015,\n'
    "   algorithm {}."
)


@_documented("Adam: running means of gradients and of their squares, without their bias.",
             "b1 eps", "0.1", _ADAM.format(1))  # fmt: skip
@optimizer
def adam(step_size, b1=0.9, b2=0.999, eps=1e-8):
    step_size = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, m, v = state
        m = (1 - b1) * g + b1 * m
        v = (1 - b2) * cnp.square(g) + b2 * v
        i_ = cnp.asarray(i, m.dtype) + 1
        mean, square = m / (1 - b1**i_), v / (1 - b2**i_)
        return x - step_size(i) * mean / (cnp.sqrt(square) + eps), m, v

    return (lambda x: (x, cnp.zeros_like(x), cnp.zeros_like(x))), update, (lambda s: s[0])


@_documented("Adamax: Adam with the greatest gradient in place of the mean square.",
             "b1 eps", "0.1", _ADAM.format(2))  # fmt: skip
@optimizer
def adamax(step_size, b1=0.9, b2=0.999, eps=1e-8):
    step_size = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, m, u = state
        m = (1 - b1) * g + b1 * m
        u = cnp.maximum(b2 * u, cnp.abs(g))
        i_ = cnp.asarray(i, m.dtype) + 1
        return x - (step_size(i) / (1 - b1**i_)) * m / (u + eps), m, u

    return (lambda x: (x, cnp.zeros_like(x), cnp.zeros_like(x))), update, (lambda s: s[0])


@_documented(
    "SM3: Adagrad whose sums are kept for each row of each axis alone.", "momentum", "0.5",
    '.. [1] R. Anil, V. Gupta, T. Koren, Y. Singer, "Memory-efficient adaptive optimization",\n'
    "   NeurIPS, 2019.",
)  # fmt: skip
@optimizer
def sm3(step_size, momentum=0.9):
    step_size = make_schedule(step_size)

    def init(x0: Any) -> Any:
        x0 = cnp.asarray(x0)
        sums = [cnp.zeros(n, x0.dtype) for n in x0.shape] or [cnp.zeros((), x0.dtype)]
        return x0, cnp.zeros_like(x0), sums

    def update(i: Any, g: Any, state: Any) -> Any:
        x, m, sums = state
        spread = [
            v.reshape([-1 if k == axis else 1 for k in range(x.ndim)]) if x.ndim else v
            for axis, v in enumerate(sums)
        ]
        total = functools.reduce(cnp.minimum, spread) + cnp.square(g)
        m = (1 - momentum) * (g * _inverse_root(total)) + momentum * m
        sums = [
            total.max(tuple(k for k in range(x.ndim) if k != axis)) for axis in range(x.ndim)
        ] or [total]
        return x - step_size(i) * m, m, sums

    return init, update, (lambda s: s[0])


# --- step sizes -----------------------------------------------------------------------------


def constant(step_size: Any) -> Schedule:
    """The same step size always.

    Parameters
    ----------
    step_size : float

    Returns
    -------
    callable
        Of the step number.

    Examples
    --------
    >>> from covector.example_libraries import optimizers
    >>> optimizers.constant(0.1)(7)
    0.1
    """
    return lambda i: step_size


def exponential_decay(step_size: Any, decay_steps: Any, decay_rate: Any) -> Schedule:
    """Step sizes multiplied by ``decay_rate`` over each ``decay_steps`` steps.

    Parameters
    ----------
    step_size : float
        The first one.
    decay_steps, decay_rate : float

    Returns
    -------
    callable
        Of the step number.

    Examples
    --------
    >>> from covector.example_libraries import optimizers
    >>> optimizers.exponential_decay(1.0, 10, 0.5)(20)
    0.25
    """
    return lambda i: step_size * decay_rate ** (i / decay_steps)


def inverse_time_decay(
    step_size: Any, decay_steps: Any, decay_rate: Any, staircase: Any = False
) -> Schedule:
    """Step sizes ``step_size / (1 + decay_rate * i / decay_steps)``.

    Parameters
    ----------
    step_size : float
        The first one.
    decay_steps, decay_rate : float
    staircase : bool
        Whether ``i / decay_steps`` is rounded down.

    Returns
    -------
    callable
        Of the step number.

    Examples
    --------
    >>> from covector.example_libraries import optimizers
    >>> optimizers.inverse_time_decay(1.0, 10, 0.5)(20)
    0.5
    """
    if staircase:
        return lambda i: step_size / (1 + decay_rate * cnp.floor(i / decay_steps))
    return lambda i: step_size / (1 + decay_rate * i / decay_steps)


def polynomial_decay(
    step_size: Any, decay_steps: Any, final_step_size: Any, power: Any = 1.0
) -> Schedule:
    """Step sizes that fall to ``final_step_size`` as a power of the steps that are left.

    Parameters
    ----------
    step_size : float
        The first one.
    decay_steps : float
        When the final one is reached.
    final_step_size, power : float

    Returns
    -------
    callable
        Of the step number.

    Examples
    --------
    >>> from covector.example_libraries import optimizers
    >>> optimizers.polynomial_decay(1.0, 10, 0.5)(5)
    Array(0.75, dtype=float32, weak_type=True)
    """

    def schedule(i: Any) -> Any:
        left = (1 - cnp.minimum(i, decay_steps) / decay_steps) ** power
        return left * (step_size - final_step_size) + final_step_size

    return schedule


def piecewise_constant(boundaries: Any, values: Any) -> Schedule:
    """Step sizes that are constant between boundaries.

    Parameters
    ----------
    boundaries : array_like
        Step numbers after which the next size holds.
    values : array_like
        One more than boundaries.

    Returns
    -------
    callable
        Of the step number.

    Raises
    ------
    ValueError
        If these are not vectors of such lengths.

    Examples
    --------
    >>> from covector.example_libraries import optimizers
    >>> sizes = optimizers.piecewise_constant([10, 20], [1.0, 0.5, 0.1])
    >>> [float(sizes(i)) for i in (0, 15)]
    [1.0, 0.5]
    """
    boundaries, values = cnp.asarray(boundaries), cnp.asarray(values)
    if not boundaries.ndim == values.ndim == 1 or values.shape[0] != boundaries.shape[0] + 1:
        raise ValueError(
            "piecewise_constant takes a vector of boundaries and one of values with one more "
            f"element, got {boundaries.aval.str_short()} and {values.aval.str_short()}"
            f"{at_user_line()}"
        )
    return lambda i: values[cnp.sum(i > boundaries)]


def make_schedule(scalar_or_schedule: Any) -> Schedule:
    """A function of the step number, of such a function or a number.

    Parameters
    ----------
    scalar_or_schedule : float or callable

    Returns
    -------
    callable

    Raises
    ------
    TypeError
        If it is neither.

    Examples
    --------
    >>> from covector.example_libraries import optimizers
    >>> optimizers.make_schedule(0.5)(3)
    0.5
    """
    if callable(scalar_or_schedule):
        return scalar_or_schedule
    if cnp.ndim(scalar_or_schedule) == 0:
        return constant(scalar_or_schedule)
    raise TypeError(
        "a step size is a number or a function of the step number, got "
        f"{describe(scalar_or_schedule)}{at_user_line()}"
    )


# --- gradients ------------------------------------------------------------------------------


def l2_norm(tree: Any) -> Any:
    """The Euclidean norm of all numbers of a tree.

    Parameters
    ----------
    tree : pytree of arrays

    Returns
    -------
    Array

    Examples
    --------
    >>> from covector.example_libraries import optimizers
    >>> optimizers.l2_norm({"a": 3.0, "b": [4.0]})
    Array(5., dtype=float32, weak_type=True)
    """
    return cnp.sqrt(sum(cnp.vdot(x, x).real for x in _leaves(tree)))


_leaves = tree.leaves


def clip_grads(grad_tree: Any, max_norm: Any) -> Any:
    """A gradient, shortened to a norm if it is longer.

    Parameters
    ----------
    grad_tree : pytree of arrays
    max_norm : float

    Returns
    -------
    pytree of arrays

    Examples
    --------
    >>> from covector.example_libraries import optimizers
    >>> optimizers.clip_grads([3.0, 4.0], 1.0)
    [Array(0.6, dtype=float32), Array(0.8, dtype=float32)]
    """
    norm = l2_norm(grad_tree)
    factor = cnp.where(norm < max_norm, 1, max_norm / cnp.where(norm > 0, norm, 1))
    return tree.map(lambda g: lax.convert_element_type(factor, cnp.result_type(g)) * g, grad_tree)


_export(globals(), __all__)
