"""What programs are made of, for those who build on Covector (`covector.core`)."""

from typing import Any

from covector.core.lazy import lazy_names as _lazy_names

_NAMES = {
    **dict.fromkeys(("AbstractValue", "ShapedArray"), "covector.core.avals"),
    **dict.fromkeys(("Atom", "eval_jaxpr"), "covector.core.jaxpr"),
    **dict.fromkeys(("Trace", "Tracer"), "covector.core.trace"),
    "ensure_compile_time_eval": "covector.runtime.devices",
    **dict.fromkeys(("ParamDict", "eval_context", "max_dim", "min_dim"), "covector.core.public"),
}

_find, __dir__ = _lazy_names(globals(), _NAMES)


def __getattr__(name: str) -> Any:
    # Names that stand in `covector.extend.core` and that programs look for here.
    if name in ("DropVar", "find_top_trace", "get_opaque_trace_state", "valid_jaxtype"):
        import covector.extend.core

        return getattr(covector.extend.core, name)
    return _find(name)


__all__ = sorted(_NAMES)
