"""The stages of compilation that ``jit(f).lower(...).compile()`` passes through."""

from __future__ import annotations

from typing import Any

from covector.core import tree
from covector.core.avals import ShapedArray, aval_of, to_array
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr
from covector.transforms.jit import Entry, Jitted
from covector.transforms.shapes import struct_of


class ArgInfo:
    """Type of an argument of a compiled function, and whether it is donated.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    donated : bool

    Examples
    --------
    >>> import covector as cv
    >>> lowered = cv.jit(lambda x: x + 1, donate_argnums=0).lower(cv.numpy.arange(3))
    >>> (info,), kwargs = lowered.args_info
    >>> info.shape, info.donated
    ((3,), True)
    """

    __slots__ = ("_aval", "donated")

    def __init__(self, _aval: ShapedArray, donated: bool) -> None:
        self._aval = _aval
        self.donated = donated

    @property
    def shape(self) -> tuple[int, ...]:
        return self._aval.shape

    @property
    def dtype(self) -> Any:
        return self._aval.dtype

    def __repr__(self) -> str:
        return f"ArgInfo(aval={self._aval!r}, donated={self.donated})"


class _Stage:
    def __init__(self, jitted: Jitted, entry: Entry, donated: tuple[bool, ...]) -> None:
        self._jitted = jitted
        self._entry = entry
        self._donated = donated

    @property
    def in_tree(self) -> Any:
        return self._entry.in_tree

    @property
    def out_tree(self) -> Any:
        return self._entry.out_tree

    @property
    def args_info(self) -> Any:
        """Tree of `ArgInfo` of the arguments, as ``(args, kwargs)``."""
        n = len(self._entry.hoisted)
        infos = [
            ArgInfo(a, d)
            for a, d in zip(self._entry.closed.in_avals[n:], self._donated[n:], strict=True)
        ]
        return tree.unflatten(self._entry.in_tree, infos)

    @property
    def in_avals(self) -> Any:
        n = len(self._entry.hoisted)
        return tree.unflatten(self._entry.in_tree, self._entry.closed.in_avals[n:])

    @property
    def out_info(self) -> Any:
        """Tree of `ShapeDtypeStruct` of the result."""
        shapes = [struct_of(a) for a in self._entry.closed.out_avals]
        return tree.unflatten(self._entry.out_tree, shapes)

    @property
    def donate_argnums(self) -> tuple[int, ...]:
        return tuple(i for i, d in enumerate(self._donated) if d)


class Traced(_Stage):
    """A function traced for given types of its arguments.

    Attributes
    ----------
    jaxpr : ClosedJaxpr
    fun_name : str

    Examples
    --------
    >>> import covector as cv
    >>> traced = cv.jit(lambda x: x * 2).trace(cv.ShapeDtypeStruct((3,), "float32"))
    >>> traced.out_info
    ShapeDtypeStruct(shape=(3,), dtype=float32)
    """

    @property
    def jaxpr(self) -> ClosedJaxpr:
        return self._entry.closed

    @property
    def fun_name(self) -> str:
        return self._jitted.name

    def lower(self, **kwargs: Any) -> Lowered:
        """Prepare the program for compilation."""
        return Lowered(self._jitted, self._entry, self._donated)


class Lowered(_Stage):
    """A function ready to be compiled for given types of its arguments.

    Examples
    --------
    >>> import covector as cv
    >>> lowered = cv.jit(lambda x: x * 2).lower(cv.numpy.ones(3))
    >>> print(lowered.as_text())
    { lambda  ; a:f32[3]. let
        b:f32[3] = mul a 2.0:f32[]*
      in (b,) }
    """

    def as_text(self, dialect: str | None = None, *, debug_info: bool = False) -> str:
        """The program as text; ``dialect`` is None or ``"jaxpr"``."""
        if dialect not in (None, "jaxpr"):
            raise ValueError(
                f"Lowered.as_text: unknown dialect {dialect!r}; a lowered program is shown as "
                "'jaxpr', and after .compile() as 'loop', 'llvm' and 'asm' too"
            )
        return str(self._entry.closed)

    def compiler_ir(self, dialect: str | None = None) -> Any:
        """The program as an object: a ClosedJaxpr."""
        return self._entry.closed

    def cost_analysis(self) -> dict[str, float]:
        return _cost(self._entry.closed)

    def compile(self, compiler_options: dict[str, Any] | None = None) -> Compiled:
        """Compile to machine code."""
        return Compiled(self._jitted, self._entry, self._donated)


class Compiled(_Stage):
    """A compiled function: callable with arguments of exactly the types it was made for.

    Static arguments are left out in calls.

    Examples
    --------
    >>> import covector as cv
    >>> power = cv.jit(lambda x, n: x**n, static_argnums=1)
    >>> compiled = power.lower(cv.numpy.arange(3.0), 2).compile()
    >>> compiled(cv.numpy.array([1.0, 2.0, 3.0]))
    Array([1., 4., 9.], dtype=float32)
    >>> compiled.memory_analysis().output_size_in_bytes
    12
    """

    def __init__(self, jitted: Jitted, entry: Entry, donated: tuple[bool, ...]) -> None:
        super().__init__(jitted, entry, donated)
        self._program, self._kept = entry.compile(donated, jitted.keep_unused, jitted.name)

    def as_text(self, dialect: str | None = None) -> str:
        """The program at one stage: ``jaxpr``, ``loop``, ``llvm`` (the default) or ``asm``."""
        return self._program.as_text("llvm" if dialect is None else dialect)

    def cost_analysis(self) -> dict[str, float]:
        """Estimates of the work: ``flops``, ``bytes accessed``."""
        return _cost(self._entry.closed)

    def memory_analysis(self) -> MemoryStats:
        """Bytes of arguments, results and temporary memory."""
        closed = self._entry.closed
        return MemoryStats(
            sum(_nbytes(closed.in_avals[i]) for i in self._kept),
            sum(map(_nbytes, closed.out_avals)),
            getattr(self._program.executable, "workspace_bytes", 0),
        )

    def runtime_executable(self) -> Any:
        return self._program.executable

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        flat, in_tree = tree.flatten((args, kwargs))
        expected = self._entry.in_tree
        if in_tree != expected:
            raise TypeError(
                f"the compiled function {self._jitted.name} was made for arguments of structure "
                f"{expected}, but it was called with {in_tree} (static arguments are left out)"
                f"{at_user_line()}"
            )
        n = len(self._entry.hoisted)
        avals = self._entry.closed.in_avals[n:]
        given = [aval_of(x) for x in flat]
        wrong = [
            f"  argument {i}: made for {a.str_short()}, called with {g.str_short()}"
            for i, (a, g) in enumerate(zip(avals, given, strict=True))
            if not a.matches(g)
        ]
        if wrong:
            lines = "\n".join(wrong)
            raise TypeError(
                f"the compiled function {self._jitted.name} was made for other types of "
                f"arguments:\n{lines}{at_user_line()}"
            )
        values = [to_array(flat[i - n], avals[i - n]) for i in self._kept]
        outs = self._program.executable.call(values)
        return tree.unflatten(self._entry.out_tree, outs)


class MemoryStats:
    """Bytes that a compiled program needs."""

    __slots__ = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")

    def __init__(self, argument: int, output: int, temp: int) -> None:
        self.argument_size_in_bytes = argument
        self.output_size_in_bytes = output
        self.temp_size_in_bytes = temp

    def __repr__(self) -> str:
        items = ", ".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"MemoryStats({items})"


def _nbytes(aval: ShapedArray) -> int:
    return aval.size * int(aval.dtype.itemsize)


def _cost(closed: ClosedJaxpr) -> dict[str, float]:
    flops = 0.0
    for eqn in closed.eqns:
        size = sum(v.aval.size for v in eqn.outvars)
        if eqn.primitive.name == "dot_general":
            (contract, _), _ = eqn.params["dimension_numbers"]
            for d in contract:
                size *= 2 * eqn.invars[0].aval.shape[d]
        flops += size
    touched = sum(map(_nbytes, closed.in_avals)) + sum(map(_nbytes, closed.out_avals))
    return {"flops": flops, "bytes accessed": float(touched)}
