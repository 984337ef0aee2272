"""Why a compiled function is traced again (option `explain_cache_misses`)."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

from covector.core import log
from covector.core.config import changed_options
from covector.core.errors import user_frame
from covector.transforms.arguments import fun_source, names_of

# Code of functions that were traced while the option was set.
_seen: weakref.WeakSet[Any] = weakref.WeakSet()


def explain(jitted: Any, key: tuple[Any, ...], entries: dict[Any, Any]) -> None:
    """Log how the signature ``key`` of a call differs from the nearest of the known ones."""
    where = f" at {user_frame()}" if user_frame() else ""
    source = fun_source(jitted.fun)
    what = f"{jitted.name} of {source}" if source else jitted.name
    if not entries:
        reason = "it has not been called before"
        code = getattr(jitted.fun, "__code__", None)
        if code in _seen:
            reason = (
                "it is a new function object, whose code was traced before: make the function, and "
                "its jit, once, outside of the loop or function that makes them"
            )
        if code is not None:
            _seen.add(code)
    else:
        found = [list(_differences(jitted, key, known)) for known in entries]
        fewest: list[str] = min(found, key=len)
        reason = "; ".join(fewest)
    log.say("cache_misses", True, "%s is traced anew%s: %s", what, where, reason)


def _differences(jitted: Any, new: tuple[Any, ...], old: tuple[Any, ...]) -> Iterator[str]:
    """How two signatures differ, each difference in words."""
    (tree, avals, statics, context), (old_tree, old_avals, old_statics, old_context) = new, old
    if statics != old_statics:
        before = {w: v for w, _, v in old_statics}
        for which, _, value in statics:
            if which not in before or before[which] != value:
                was = f", was {before[which]!r:.60}" if which in before else ""
                yield f"the static argument {which!r} is {value!r:.60}{was}"
    if tree != old_tree:
        yield f"the arguments have the structure {tree}, had {old_tree}"
    else:
        skip = [w for w, _, _ in statics if isinstance(w, int)]
        names = names_of(jitted.fun, tree, skip) if avals != old_avals else ()
        for k, (a, b) in enumerate(zip(avals, old_avals, strict=True)):
            if a != b:
                yield f"the argument {names[k]} is {a.str_short()}, was {b.str_short()}"
    if context != old_context:
        options = changed_options(old_context[0], context[0])
        yield from (f"the option {n} is {now!r}, was {was!r}" for n, was, now in options)
        if context[1:] != old_context[1:]:
            yield "other axes are mapped around the call"
