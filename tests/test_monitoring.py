"""Events and their listeners, types for annotations, and what is logged from programs."""

import logging
import typing

import numpy as onp
import pytest

import covector as cv
from covector import monitoring
from covector.typing import ArrayLike, DTypeLike, SupportsDType

KINDS = {
    "event": ("register_event_listener", "unregister_event_listener", "record_event", ()),
    "duration": (
        "register_event_duration_secs_listener", "unregister_event_duration_listener",
        "record_event_duration_secs", (0.5,),
    ),
    "time_span": (
        "register_event_time_span_listener", "unregister_event_time_span_listener",
        "record_event_time_span", (1.0, 1.5),
    ),
    "scalar": ("register_scalar_listener", "unregister_scalar_listener", "record_scalar", (3,)),
}  # fmt: skip


@pytest.fixture(autouse=True)
def nobody_listens():
    yield
    monitoring.clear_event_listeners()


@pytest.mark.parametrize("kind", KINDS)
def test_listeners(kind):
    register, unregister, record, values = KINDS[kind]
    register, unregister, record = (getattr(monitoring, n) for n in (register, unregister, record))
    seen = []

    def listener(*what, **metadata):
        seen.append((what, metadata))

    register(listener)
    record("/a/b", *values, rows=3)
    assert seen == [(("/a/b", *values), {"rows": 3})]
    for other in set(KINDS) - {kind}:
        getattr(monitoring, KINDS[other][2])("/other", *KINDS[other][3])
    assert len(seen) == 1
    unregister(listener)
    record("/a/b", *values)
    assert len(seen) == 1
    with pytest.raises(ValueError, match="is no listener"):
        unregister(listener)
    with pytest.raises(TypeError, match="a listener is a function"):
        register(3)


def test_every_name_is_of_a_kind():
    names = {n for kind in KINDS.values() for n in kind[:3]}
    assert set(monitoring.__all__) == names | {"clear_event_listeners"}


def test_a_listener_may_take_itself_away():
    seen = []

    def once(event):
        seen.append(event)
        monitoring.unregister_event_listener(once)

    monitoring.register_event_listener(once)
    monitoring.register_event_listener(seen.append)
    monitoring.record_event("a")
    monitoring.record_event("b")
    assert seen == ["a", "a", "b"]


def test_what_the_library_tells(tmp_path):
    events, durations = [], []
    monitoring.register_event_listener(lambda event, **more: events.append(event))
    monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **more: durations.append((event, seconds >= 0, more["fun_name"]))
    )

    def unlikely(x):
        return x * 1234.5 - 5

    before = cv.config.compilation_cache_dir, cv.config.enable_compilation_cache
    cv.config.update("compilation_cache_dir", str(tmp_path))
    cv.config.update("enable_compilation_cache", True)
    try:
        for _ in range(2):
            cv.jit(unlikely)(1.0)
            cv.clear_caches()
    finally:
        cv.config.update("compilation_cache_dir", before[0])
        cv.config.update("enable_compilation_cache", before[1])
    steps = ("jaxpr_trace", "jaxpr_to_mlir_module", "backend_compile")
    each = [(f"/jax/core/compile/{step}_duration", True, "unlikely") for step in steps]
    assert durations == each * 2
    assert events == ["/jax/compilation_cache/cache_misses", "/jax/compilation_cache/cache_hits"]


def test_types():
    for value in (cv.numpy.ones(2), onp.ones(2), onp.float32(1), onp.True_, True, 1, 1.0, 1j):
        assert isinstance(value, ArrayLike)
    assert not isinstance([1.0], ArrayLike) and not isinstance("1", ArrayLike)
    assert isinstance(onp.ones(2), SupportsDType) and SupportsDType in typing.get_args(DTypeLike)


def test_programs_log(caplog, capsys):
    caplog.set_level(logging.INFO, "covector.debug")
    cv.jit(lambda x: cv.debug.log("x = {x}, {}", x + 1, x=x))(3)
    cv.vmap(lambda x: cv.debug.log("row {}", x))(cv.numpy.arange(2))
    cv.debug.log("printed {}", 1, _use_logging=False)
    cv.debug.print("logged {}", 1, _use_logging=True)
    assert [r.getMessage() for r in caplog.records] == ["x = 3, 4", "row 0", "row 1", "logged 1"]
    assert {(r.name, r.levelno) for r in caplog.records} == {("covector.debug", logging.INFO)}
    assert capsys.readouterr().out == "printed 1\n"
    with pytest.raises(ValueError, match="debug.log: the arguments 1 are not used"):
        cv.debug.log("{}", 1, 2)
    with pytest.raises(TypeError, match="debug.log takes a format string first"):
        cv.debug.log(3)
