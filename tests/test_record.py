"""Records, and the pause of the collector while something is built."""

import gc
import pickle

import pytest

from covector.core.collector import paused
from covector.core.record import Record


class Span(Record):
    start: int
    stop: int = 10


def test_fields_are_given_by_place_by_name_or_by_default():
    assert Span(1, 2) == Span(stop=2, start=1) == (1, 2)
    assert Span(1).stop == 10 and Span._fields == ("start", "stop")
    assert Span(1)._replace(stop=3) == Span(1, 3)
    assert repr(Span(1)) == "Span(start=1, stop=10)"
    match Span(4, 5):
        case Span(a, stop=b):
            assert (a, b) == (4, 5)


@pytest.mark.parametrize(
    "args, kwargs, message",
    [
        ((), {}, "needs start"),
        ((1, 2, 3), {}, "takes 2 values, not 3"),
        ((1,), {"start": 2}, "two values for start"),
        ((1,), {"step": 2}, "no field step"),
    ],
)
def test_what_does_not_fit(args, kwargs, message):
    with pytest.raises(TypeError, match=f"Span .*{message}"):
        Span(*args, **kwargs)


def test_records_do_not_change_and_are_pickled():
    with pytest.raises(AttributeError):
        Span(1).start = 2
    with pytest.raises(AttributeError):
        Span(1).other = 2
    again = pickle.loads(pickle.dumps(Span(1, 2)))
    assert type(again) is Span and again == Span(1, 2)


def test_the_collector_runs_again_after_a_pause():
    assert gc.isenabled()
    with paused():
        assert not gc.isenabled()
        with paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError), paused():
        raise ValueError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
