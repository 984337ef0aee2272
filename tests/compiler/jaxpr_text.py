"""Jaxprs from their printed form, for tests that set text against text."""

import ast
import gc
import inspect
import re

import numpy as np

import covector as cv
import covector.numpy  # noqa: F401 - makes all primitives
from covector.core import dtypes
from covector.core.avals import ShapedArray, to_array
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var
from covector.core.trace import Primitive

_SHORT = {"f": "float", "i": "int", "u": "uint", "c": "complex", "bf": "bfloat"}
_TYPE = re.compile(r"(\w+)\[([\d,]*)\](\*?)$")


def primitives():
    """All primitives, by name."""
    return {p.name: p for p in gc.get_objects() if isinstance(p, Primitive)}


def aval(text):
    """``f32[3,4]*`` as a type; the star marks weak types."""
    name, dims, weak = _TYPE.match(text).groups()
    short = re.match(r"([a-z]+)(\d+)$", name)
    if short and short[1] in _SHORT:
        name = _SHORT[short[1]] + short[2]
    shape = tuple(int(d) for d in dims.split(",") if d)
    return ShapedArray(shape, dtypes.as_dtype(name), bool(weak))


def _value(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return dtypes.as_dtype(text)


def _params(text, prim):
    out = {}
    for item in re.split(r" (?=\w+=)", text) if text else ():
        key, value = item.split("=", 1)
        out[key] = _value(value)
    # Parameters that are None are not printed.
    for p in inspect.signature(prim._abstract_eval).parameters.values():
        if p.kind is p.KEYWORD_ONLY:
            out.setdefault(p.name, None)
    return out


def parse(text):
    """The closed jaxpr of a text; its constants are zeros."""
    head, body, tail = re.match(
        r"\{ lambda (.*?)\. let(.*) in \((.*?),?\) \}$", text, re.S
    ).groups()
    env, prims = {}, primitives()

    def define(item):
        name, kind = item.split(":")
        env[name] = Var(aval(kind))
        return env[name]

    def read(item):
        if ":" not in item:
            return env[item]
        value, kind = item.rsplit(":", 1)
        a = aval(kind)
        return Literal(_value(value) if a.weak_type else np.asarray(_value(value), a.dtype)[()], a)

    consts, args = head.split(";")
    constvars = [define(c) for c in consts.split()]
    invars = [define(c) for c in args.split()]
    eqns = []
    for line in filter(None, map(str.strip, body.splitlines())):
        outs, name, _, params, ins = re.match(
            r"(.*?) = (\w+)(\[(.*?)\](?= |$))? ?(.*)$", line
        ).groups()
        prim = prims[name]
        operands = [read(i) for i in ins.split()]
        eqns.append(
            JaxprEqn(operands, [define(o) for o in outs.split()], prim, _params(params, prim))
        )
    jaxpr = Jaxpr(constvars, invars, [read(o) for o in re.split(r", ", tail) if o], eqns)
    return ClosedJaxpr(jaxpr, [to_array(np.zeros(v.aval.shape, v.aval.dtype)) for v in constvars])


def traced(fun, *args):
    return str(cv.make_jaxpr(fun)(*args))
