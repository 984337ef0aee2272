"""Programs as values of JSON and arrays of bytes, and back.

A program refers to operations by name, to constants and to programs inside it by number. Whatever
is not listed here has no encoding: nothing in a file is ever run.

======================  =====================================================================
null, true, 7, "text"   themselves
[...]                   a tuple
{"list": [...]}         a list
{"float": "0x1.8p+1"}   a Python float, in hexadecimal digits
{"complex": [...]}      a complex number of two such
{"size": "2*b + 1"}     an expression in dimension variables
{"dtype": name}         a dtype
{"number": [...]}       a NumPy scalar: dtype, and its bytes in hexadecimal digits
{"type": [...]}         a type of arrays: dtype, sizes, weak or not, and how it is split, if it says
{"sharding": [...]}     names, sizes and types of the axes of a mesh; for each dimension the axes
                        that split it, or null where that is open
{"enum": [...]}         a member of an enumeration: class and name
{"record": [...]}       a named tuple: class and items
{"closed": [...]}       a program: its number, and those of its constants
{"jvp": ...}, {"vjp": ...}, {"no rule": ...}   derivative rules of users
======================  =====================================================================
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from covector.control_flow.checkpoint import checkpoint_p
from covector.control_flow.vmap_rules import custom_vmap_call_p
from covector.core import dtypes
from covector.core.avals import (
    ShapedArray,
    settled,
)
from covector.core.dim_scope import Parser, SymbolicScope
from covector.core.dims import DimExpr
from covector.core.errors import SourceFrame, at_user_line
from covector.core.jaxpr import Atom, ClosedJaxpr, DropVar, Jaxpr, JaxprEqn, Literal, Var
from covector.core.levels import descends
from covector.core.trace import NO_EFFECTS, Primitive
from covector.export._file import Refused
from covector.export._primitives import by_name, is_ours
from covector.export._rules import (
    RULE_PARAM,
    NoRule,
    StoredJvp,
    StoredRule,
    StoredVjp,
    stored,
)
from covector.lax.algorithms import DotAlgorithm, DotAlgorithmPreset
from covector.lax.precision import Precision
from covector.primitives.convolution import ConvDimensionNumbers
from covector.primitives.fourier import FftType
from covector.primitives.indexing import (
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
)
from covector.runtime.encoding import (
    array_code,
    arrays_of,
    aval_code,
    aval_of,
    dtype_of,
    sharding_code,
    sharding_of,
)
from covector.sharding.named import NamedSharding
from covector.transforms.jit import jit_p

_ENUMS: dict[str, Any] = {
    c.__name__: c for c in (GatherScatterMode, FftType, Precision, DotAlgorithmPreset)
}
_RECORDS: dict[str, Any] = {
    c.__name__: c
    for c in (GatherDimensionNumbers, ScatterDimensionNumbers, ConvDimensionNumbers, DotAlgorithm)
}


def _size_code(d: Any) -> Any:
    return {"size": str(d)} if type(d) is DimExpr else int(d)


class Encoder:
    """Writes programs: fills the tables `programs` and `constants`.

    Parameters
    ----------
    depth : int
        How many times what is written can be differentiated where users gave derivative rules.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.programs: list[Any] = []
        self.constants: list[Any] = []
        self.blob: list[bytes] = []
        self._numbers: dict[tuple[int, int], int] = {}
        self._arrays: dict[int, int] = {}
        self._keep: list[Any] = []

    def closed(self, closed: ClosedJaxpr) -> list[Any]:
        return [self.program(closed.jaxpr), [self.constant(c) for c in closed.consts]]

    @descends
    def program(self, jaxpr: Jaxpr) -> int:
        key = (id(jaxpr), self.depth)
        found = self._numbers.get(key)
        if found is None:
            code = self._program(jaxpr)
            found = self._numbers[key] = len(self.programs)
            self.programs.append(code)
            self._keep.append(jaxpr)
        return found

    def _program(self, jaxpr: Jaxpr) -> dict[str, Any]:
        types: list[Any] = []
        env: dict[Var, int] = {}

        def define(v: Var) -> int:
            env[v] = len(types)
            types.append(aval_code(v.aval, _size_code))
            return -1 - env[v] if isinstance(v, DropVar) else env[v]

        def read(a: Atom) -> Any:
            if isinstance(a, Var):
                return env[a]
            return {"literal": self.value(a.val), "of": aval_code(a.aval, _size_code)}

        consts, ins = ([define(v) for v in vs] for vs in (jaxpr.constvars, jaxpr.invars))
        eqns = []
        for e in jaxpr.eqns:
            operands = [read(a) for a in e.invars]
            prim, params = self._equation(e)
            eqns.append([prim, operands, [define(v) for v in e.outvars], params])
        outs = [read(a) for a in jaxpr.outvars]
        return {"types": types, "consts": consts, "ins": ins, "eqns": eqns, "outs": outs}

    def _equation(self, e: JaxprEqn) -> tuple[str, dict[str, Any]]:
        prim, params = e.primitive, dict(e.params)
        if not is_ours(prim):
            raise _no_bytes(e, f"the operation {prim}, which is not one of Covector's")
        if prim is custom_vmap_call_p:
            # Mapped, it is computed as what it is made of.
            prim, params = jit_p, {
                "jaxpr": params["call_jaxpr"], "name": str(params.get("name", prim.name)),
                "inline": True,
            }  # fmt: skip
        if prim is checkpoint_p and callable(params["policy"]):
            params["policy"] = None  # saves memory, or less of it: the numbers are the same
        if prim not in RULE_PARAM:
            return prim.name, self._params(e, params)
        rule = stored(e, self.depth)
        params[RULE_PARAM[prim]] = None
        made = self._params(e, params)
        made[RULE_PARAM[prim]] = self._rule(rule)
        return prim.name, made

    def _params(self, e: JaxprEqn, params: dict[str, Any]) -> dict[str, Any]:
        try:
            return {k: self.value(v) for k, v in params.items()}
        except TypeError as error:
            raise _no_bytes(e, str(error)) from error

    def _rule(self, rule: StoredRule) -> Any:
        if isinstance(rule, NoRule):
            return {"no rule": rule.name}
        self.depth -= 1
        programs = [self.closed(p) for p in rule.programs]
        self.depth += 1
        if isinstance(rule, StoredJvp):
            return {"jvp": [*programs, rule.moving, rule.moved]}
        assert isinstance(rule, StoredVjp)
        return {"vjp": [programs, rule.num_outs, rule.moved]}

    def value(self, x: Any) -> Any:
        """A parameter or a number."""
        match x:
            case None | bool() | str():
                return x
            case enum.Enum() if type(x).__name__ in _ENUMS:
                return {"enum": [type(x).__name__, x.name]}
            case np.generic():
                return {"number": [str(x.dtype), x.tobytes().hex()]}
            case int():
                return int(x)
            case float():
                return {"float": x.hex()}
            case complex():
                return {"complex": [x.real.hex(), x.imag.hex()]}
            case DimExpr():
                return _size_code(x)
            case np.dtype() | dtypes.KeyDType():
                return {"dtype": str(x)}
            case ClosedJaxpr():
                return {"closed": self.closed(x)}
            case ShapedArray():
                return {"type": aval_code(x, _size_code)}
            case NamedSharding():
                return {"sharding": sharding_code(x)}
            case tuple() if type(x).__name__ in _RECORDS:
                return {"record": [type(x).__name__, [self.value(v) for v in x]]}
            case tuple() if type(x) is tuple:
                return [self.value(v) for v in x]
            case list():
                return {"list": [self.value(v) for v in x]}
        raise TypeError(f"{type(x).__name__} {x!r:.80}, which has no bytes")

    def constant(self, x: Any) -> int:
        found = self._arrays.get(id(x))
        if found is None:
            found = self._arrays[id(x)] = len(self.constants)
            self._keep.append(x)
            code, data = array_code(x)
            self.constants.append(code)
            self.blob.append(data)
        return found


def _no_bytes(e: JaxprEqn, what: str) -> ValueError:
    where = f"\nIt stands at {SourceFrame(*e.source_info)}" if e.source_info else ""
    return ValueError(
        f"an exported function that applies {e.primitive} cannot be written to a file: it holds "
        f"{what}{where}{at_user_line()}"
    )


class Decoder:
    """Reads what an `Encoder` wrote.

    Raises
    ------
    Refused
        If it is none of that.
    """

    def __init__(self, programs: Any, constants: Any, blob: bytes, scope: SymbolicScope) -> None:
        self.codes = programs
        self.programs: list[Jaxpr] = []
        self.scope = scope
        self.constants = [settled(x) for x in arrays_of(constants, blob)]
        for code in programs:
            self.programs.append(self._program(code))

    def closed(self, code: Any) -> ClosedJaxpr:
        number, consts = code
        return ClosedJaxpr(self.programs[number], [self.constants[c] for c in consts])

    def size(self, code: Any) -> Any:
        return Parser(code["size"], self.scope).whole() if isinstance(code, dict) else int(code)

    def aval(self, code: Any) -> ShapedArray:
        return aval_of(code, self.size)

    def _program(self, code: Any) -> Jaxpr:
        avals = [self.aval(t) for t in code["types"]]
        env: dict[int, Var] = {}

        def define(k: int) -> Var:
            if k < 0:
                return DropVar(avals[-1 - k])
            env[k] = Var(avals[k])
            return env[k]

        def read(a: Any) -> Atom:
            if isinstance(a, dict):
                return Literal(self.value(a["literal"]), self.aval(a["of"]))
            return env[a]

        consts, ins = ([define(k) for k in code[part]] for part in ("consts", "ins"))
        eqns, effects = [], NO_EFFECTS
        for name, operands, outs, params in code["eqns"]:
            prim = by_name(name)
            if prim is None:
                raise NotImplementedError(
                    f"the file of an exported function uses the operation {name!r}, which this "
                    f"version of Covector does not have{at_user_line()}"
                )
            invars = [read(a) for a in operands]
            made = {k: self.value(v) for k, v in params.items()}
            found = _checked(prim, invars, made, [avals[k if k >= 0 else -1 - k] for k in outs])
            effects |= found
            eqns.append(JaxprEqn(invars, [define(k) for k in outs], prim, made, found))
        return Jaxpr(consts, ins, [read(a) for a in code["outs"]], eqns, effects)

    def value(self, code: Any) -> Any:
        if isinstance(code, list):
            return tuple([self.value(v) for v in code])
        if not isinstance(code, dict):
            return code
        ((kind, x),) = code.items()
        match kind:
            case "float":
                return float.fromhex(x)
            case "complex":
                return complex(*map(float.fromhex, x))
            case "number":
                return np.frombuffer(bytes.fromhex(x[1]), dtype_of(x[0]))[0]
            case "size":
                return self.size(code)
            case "dtype":
                return dtype_of(x)
            case "type":
                return self.aval(x)
            case "sharding":
                return sharding_of(x)
            case "closed":
                return self.closed(x)
            case "list":
                return [self.value(v) for v in x]
            case "enum":
                return _ENUMS[x[0]][x[1]]
            case "record":
                return _RECORDS[x[0]](*[self.value(v) for v in x[1]])
            case "jvp":
                return StoredJvp([self.closed(x[0])], *x[1:])
            case "vjp":
                return StoredVjp([self.closed(p) for p in x[0]], *x[1:])
            case "no rule":
                return NoRule(x)
        raise Refused(f"the file has a value of the unknown kind {kind!r}")


def _checked(
    prim: Primitive, invars: list[Atom], params: dict[str, Any], outs: list[ShapedArray]
) -> frozenset[Any]:
    """The effects of an operation, whose results must be of the types that were written."""
    try:
        found, effects = prim.infer([a.aval for a in invars], params)
    except (TypeError, ValueError, KeyError) as e:
        raise NotImplementedError(
            f"the file of an exported function applies the operation {prim} in a way that this "
            f"version of Covector does not have: {e}"
        ) from e
    if len(found) != len(outs) or not all(a.matches(b) for a, b in zip(found, outs, strict=True)):
        raise Refused(f"in the file, the operation {prim} has results of other types")
    return effects
