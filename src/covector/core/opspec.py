"""What an elementwise operation is: one row, from which everything said of it is made.

Made from the row: the primitive with its rules, the function for people with its docstring, the
lowering, the cost that the scheduler reckons with, folding of constants, and tests.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from covector.core.dtypes import DType

Interval = tuple[float, float]
UNIT: Interval = (0.2, 0.8)


class FunctionDoc(NamedTuple):
    """What the docstring of the function for people says beside what the row knows.

    Attributes
    ----------
    name : str
        The function's name.
    operands : tuple of str
        Their names.
    summary : str
    example : str
        Lines of an interpreter session.
    parameters, returns : str, optional
        In place of what follows from the dtypes.
    raises, references : str, optional
    accuracy : bool
        Whether the function takes the keyword ``accuracy``.
    """

    name: str
    operands: tuple[str, ...]
    summary: str
    example: str
    parameters: str | None = None
    returns: str | None = None
    raises: str | None = None
    references: str | None = None
    accuracy: bool = False


class OpSpec(NamedTuple):
    """A row of the table of elementwise operations.

    Attributes
    ----------
    name : str
        Of the primitive, and of the scalar operation of the loop IR.
    arity : int
    accepts : str
        A kind of dtypes (`primitives.common`).
    result : callable or DType, optional
        The dtype of the result, given or of the operands'; by default it is that of the operands.
    plain : bool
        Whether it has no parameters, so that it is lowered to the operation of its name.
    cost, complex_cost : int
        Rough number of simple operations, on real and on complex numbers.
    domain : sequence of (float, float)
        For each operand, an interval inside which the operation is smooth.
    values : sequence of (tuple, number)
        Operands and the value there, at special points.
    fold : callable, optional
        The same of NumPy scalars, bit for bit: literals are computed with it.
    smooth : bool
        Whether its derivative is that of calculus, neither refused nor declared zero.
    doc : FunctionDoc, optional
        Without one, the function for people is written by hand, or there is none.
    """

    name: str
    arity: int
    accepts: str
    result: Callable[[DType], DType] | DType | None = None
    plain: bool = True
    cost: int = 1
    complex_cost: int = 250
    domain: Sequence[Interval] = ()
    values: Sequence[tuple[tuple[Any, ...], Any]] = ()
    fold: Callable[..., Any] | None = None
    smooth: bool = True
    doc: FunctionDoc | None = None
