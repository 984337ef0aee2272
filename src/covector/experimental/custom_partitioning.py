"""Functions with a rule for their parts on several devices (`custom_partitioning`).

A program runs on one device, where nothing is parted: the function is applied as it is, with its
rules kept beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.core.trace import Composed
from covector.transforms.arguments import api_boundary, check_callable, fun_name, index_tuple, wraps

__all__ = [
    "ArrayMapping", "BATCHING", "CompoundFactor", "SdyShardingRule", "custom_partitioning",
    "custom_partitioning_p",
]  # fmt: skip

BATCHING = "…"
custom_partitioning_p = Composed(
    "custom_partitioning", lambda *args, call: list(call(*args)), multiple_results=True
)


class CompoundFactor(tuple[str, ...]):
    """Factors that make up one axis of an array, the slowest first.

    Examples
    --------
    >>> from covector.experimental.custom_partitioning import CompoundFactor
    >>> CompoundFactor("i", "j")
    ('i', 'j')
    """

    __slots__ = ()

    def __new__(cls, *factors: Any) -> CompoundFactor:
        if len(factors) < 2:
            raise ValueError(f"a CompoundFactor has two factors or more{at_user_line()}")
        for f in factors:
            if not isinstance(f, str) or not f or f == BATCHING:
                raise ValueError(
                    f"a factor of a CompoundFactor is a name, got {describe(f)}{at_user_line()}"
                )
        return super().__new__(cls, factors)


class ArrayMapping(tuple[Any, ...]):
    """The factors of the axes of an array; `BATCHING` first stands for leading axes.

    Examples
    --------
    >>> from covector.experimental.custom_partitioning import ArrayMapping
    >>> ArrayMapping("i", "j")
    ('i', 'j')
    """

    __slots__ = ()

    def __new__(cls, *dim_mappings: Any) -> ArrayMapping:
        for k, d in enumerate(dim_mappings):
            if not isinstance(d, (str, CompoundFactor)):
                raise ValueError(
                    "each item of an ArrayMapping is a name or a CompoundFactor, got "
                    f"{describe(d)}{at_user_line()}"
                )
            if d == BATCHING and k:
                raise ValueError(f"{BATCHING} comes first in an ArrayMapping{at_user_line()}")
        return super().__new__(cls, dim_mappings)

    @property
    def factors(self) -> set[str]:
        """The names in it."""
        single = {d for d in self if isinstance(d, str) and d != BATCHING}
        return single.union(*[d for d in self if isinstance(d, CompoundFactor)])


class SdyShardingRule:
    """How the axes of operands and results correspond, by names of factors.

    Parameters
    ----------
    operand_mappings, result_mappings : tuple of ArrayMapping
    reduction_factors, need_replication_factors, permutation_factors : tuple of str
    **factor_sizes : int
        Sizes of the factors of compound ones.

    Examples
    --------
    >>> from covector.experimental.custom_partitioning import ArrayMapping, SdyShardingRule
    >>> SdyShardingRule((ArrayMapping("i"), ArrayMapping("i", "j")), (ArrayMapping("j"),))
    SdyShardingRule((('i',), ('i', 'j')), (('j',),), {})
    """

    def __init__(
        self,
        operand_mappings: tuple[ArrayMapping, ...],
        result_mappings: tuple[ArrayMapping, ...],
        *,
        reduction_factors: tuple[str, ...] = (),
        need_replication_factors: tuple[str, ...] = (),
        permutation_factors: tuple[str, ...] = (),
        **factor_sizes: int,
    ) -> None:
        known: set[str] = set()
        for m in (*operand_mappings, *result_mappings):
            if not isinstance(m, ArrayMapping):
                raise TypeError(f"a mapping is an ArrayMapping, got {describe(m)}{at_user_line()}")
            known |= m.factors
        special = (*reduction_factors, *need_replication_factors, *permutation_factors)
        unknown = [f for f in (*special, *factor_sizes) if f not in known]
        if unknown:
            raise ValueError(
                f"the factors {', '.join(unknown)} are in none of the mappings{at_user_line()}"
            )
        self.operand_mappings = operand_mappings
        self.result_mappings = result_mappings
        self.reduction_factors = reduction_factors
        self.need_replication_factors = need_replication_factors
        self.permutation_factors = permutation_factors
        self.factor_sizes = factor_sizes

    def __repr__(self) -> str:
        mappings = f"{self.operand_mappings}, {self.result_mappings}"
        return f"SdyShardingRule({mappings}, {self.factor_sizes})"


class custom_partitioning:  # noqa: N801 - a decorator
    """A function with a rule for its parts on several devices.

    Parameters
    ----------
    fun : callable
    static_argnums : int or sequence of int
        Arguments that are no arrays.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental.custom_partitioning import custom_partitioning
    >>> f = custom_partitioning(lambda x: x + 1)
    >>> f.def_partition(lambda *args: None, sharding_rule="i -> i")
    >>> f(cv.numpy.ones(2))
    Array([2., 2.], dtype=float32)
    """

    def __init__(self, fun: Callable[..., Any], static_argnums: int | Sequence[int] = ()) -> None:
        check_callable(fun, "custom_partitioning")
        wraps(fun)(self)
        self.fun = fun
        self.static_argnums = index_tuple(static_argnums, "static_argnums")
        self.partition: Callable[..., Any] | None = None
        self.rules: dict[str, Any] = {}

    def def_partition(
        self,
        partition: Callable[..., Any],
        infer_sharding_from_operands: Any = None,
        propagate_user_sharding: Any = None,
        decode_shardings: bool = True,
        sharding_rule: Any = None,
        *,
        reduction_factors: tuple[str, ...] = (),
        need_replication_factors: tuple[str, ...] = (),
        permutation_factors: tuple[str, ...] = (),
        **factor_sizes: int,
    ) -> None:
        """Set the rules, which a program of one device does not ask.

        Parameters
        ----------
        partition : callable
            Says how a part is computed.
        infer_sharding_from_operands, propagate_user_sharding : callable, optional
        decode_shardings : bool
        sharding_rule : str or SdyShardingRule, optional
        reduction_factors, need_replication_factors, permutation_factors : tuple of str
        **factor_sizes : int

        Returns
        -------
        None

        Examples
        --------
        >>> from covector.experimental.custom_partitioning import custom_partitioning
        >>> custom_partitioning(abs).def_partition(lambda *args: None)
        """
        check_callable(partition, "def_partition")
        self.partition = partition
        self.rules = {
            "infer_sharding_from_operands": infer_sharding_from_operands,
            "propagate_user_sharding": propagate_user_sharding,
            "decode_shardings": decode_shardings,
            "sharding_rule": sharding_rule,
            "reduction_factors": reduction_factors,
            "need_replication_factors": need_replication_factors,
            "permutation_factors": permutation_factors,
            "factor_sizes": factor_sizes,
        }

    @api_boundary
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The value of the function."""
        if self.partition is None:
            raise AttributeError(
                f"custom_partitioning: {fun_name(self.fun)} has no rule; give it one with "
                f"def_partition{at_user_line()}"
            )
        return self.fun(*args, **kwargs)


_export(globals(), __all__)
