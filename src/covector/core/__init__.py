"""What programs are made of, for those who build on Covector (`covector.core`)."""

from covector.core.lazy import lazy_names as _lazy_names

_NAMES = {
    **dict.fromkeys(("AbstractValue", "ShapedArray"), "covector.core.avals"),
    **dict.fromkeys(("Atom", "eval_jaxpr"), "covector.core.jaxpr"),
    **dict.fromkeys(("Trace", "Tracer"), "covector.core.trace"),
    "ensure_compile_time_eval": "covector.runtime.devices",
    **dict.fromkeys(("ParamDict", "eval_context", "max_dim", "min_dim"), "covector.core.public"),
}

# Names of `covector.extend.core` that programs look for here.
_ELSEWHERE = dict.fromkeys(
    ("DropVar", "find_top_trace", "get_opaque_trace_state", "valid_jaxtype"), "covector.extend.core"
)

__getattr__ = _lazy_names(globals(), {**_NAMES, **_ELSEWHERE})[0]
__dir__ = _lazy_names(globals(), _NAMES)[1]

__all__ = sorted(_NAMES)
