"""API boundaries: calls, filtered tracebacks, life cycle; options of threads; live arrays."""

import gc
import pickle
import sys
import threading
import traceback
import weakref

import numpy as np
import pytest

from tests.native.conftest import from_numpy


def function_in(filename, source, **namespace):
    exec(compile(source, filename, "exec"), namespace)
    return namespace["f"]


@pytest.fixture
def prefixes(native):
    native.set_internal_prefixes(["/lib/"], ["/helper/"])
    yield
    errors = sys.modules.get("covector.core.errors")  # what the package has set, if it is there
    if errors:
        native.set_internal_prefixes([errors.PACKAGE_DIR], errors.HELPERS)
    else:
        native.set_internal_prefixes([])


def files(call):
    try:
        call()
    except Exception as e:
        return [f.filename for f in traceback.extract_tb(e.__traceback__)][1:]
    raise AssertionError("no error")


def chain(native, *filenames):
    """A function in the first file that calls one in the second, and so on; the last raises."""
    f = function_in(filenames[-1], "def f(): raise ValueError(1)")
    for filename in reversed(filenames[:-1]):
        f = function_in(filename, "def f(): return g()", g=f)
    return native.Boundary(f)


@pytest.mark.parametrize(
    "filenames, kept",
    [
        (["/lib/a"], []),
        (["/lib/a", "/lib/b"], []),
        (["/user/a"], ["/user/a"]),
        (["/lib/a", "/user/b", "/lib/c", "/user/d"], ["/user/b", "/user/d"]),
        (["/lib/a", "/helper/b", "/user/c"], ["/user/c"]),
        (["/lib/a", "/user/b", "/helper/c"], ["/user/b", "/helper/c"]),
        (["/helper/a", "/lib/b"], []),
    ],
)
def test_frames(native, prefixes, filenames, kept):
    f = chain(native, *filenames)
    here = f"{__file__}"
    assert files(lambda: f()) == [here, *kept]
    native.set_thread_options(native.context_key(), False)
    try:
        assert files(lambda: f()) == [here, *filenames]
    finally:
        native.set_thread_options(native.context_key(), True)


def test_jit_functions_filter(native, prefixes):
    fallback = function_in("/lib/a", "def f(args, kwargs): return args[0]()")
    raises = function_in("/user/b", "def f(): raise ValueError")
    f = native.JitFunction(fallback)
    assert files(lambda: f(raises))[1:] == ["/user/b"]


def test_cyclic_chains(native, prefixes):
    def raises():
        a, b = ValueError("a"), ValueError("b")
        a.__context__, b.__context__ = b, a
        b.__cause__ = a
        raise a

    with pytest.raises(ValueError, match="a"):
        native.Boundary(raises)()


def test_other_exceptions_are_left_alone(native, prefixes):
    f = native.Boundary(function_in("/lib/a", "def f(): raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt) as info:
        f()
    assert str(info.traceback[-1].path) == "/lib/a"


def test_calls(native):
    f = native.Boundary(lambda *args, **kwargs: (args, kwargs))
    assert f() == ((), {})
    assert f(1, 2, x=3) == ((1, 2), {"x": 3})
    assert f(*[1], **{"y": 2}) == ((1,), {"y": 2})


def test_pickling_of_what_has_no_name(native):
    f = native.Boundary(len, "nowhere")
    assert f.__reduce__() == (native.Boundary, (len, "nowhere"))
    again = pickle.loads(pickle.dumps(f))
    assert again.__wrapped__ is len and again.__module__ == "nowhere"


def test_cycles_are_collected(native):
    def f():
        pass

    f.inside = native.Boundary(f)
    ref = weakref.ref(f.inside)
    del f
    gc.collect()
    assert ref() is None


def test_threads_have_the_options_of_the_process(native):
    seen = []

    def in_thread():
        thread = threading.Thread(target=lambda: seen.append(native.context_key()))
        thread.start()
        thread.join()
        return seen.pop()

    default, renewed = in_thread(), []
    native.set_rekey(lambda: renewed.append(native.set_thread_options(456, None)))
    native.set_thread_options(400, None)
    assert native.context_key() == 400 and not renewed
    native.set_default_options(123, True)
    try:
        # What a thread has of its own is put together anew with what it has from the process.
        assert in_thread() == 123 and native.context_key() == 456 and len(renewed) == 1
        assert native.context_key() == 456 and len(renewed) == 1
        native.set_thread_options(0, None)
        assert native.context_key() == 123
    finally:
        native.set_default_options(default, True)
        options = sys.modules.get("covector.core.config")  # if the package is there
        native.set_rekey(options.config._rekey if options else lambda: None)
    with pytest.raises(TypeError):
        native.set_default_options(1)
    with pytest.raises(TypeError):
        native.set_thread_options("a", True)


def test_options_that_change_during_a_call(native):
    calls = []
    key = native.context_key()

    def fallback(args, kwargs):
        calls.append(args)
        native.set_context_key(key + 1000)
        return None, "not looked at"

    f = native.JitFunction(fallback)
    try:
        f(1.0)
        assert f.cache_size() == 0
    finally:
        native.set_context_key(key)


def test_live_arrays(native):
    x = from_numpy(native, np.ones(3))
    y = from_numpy(native, np.ones(3))
    alive = [id(a) for a in native.live_arrays()]
    assert alive.index(id(x)) < alive.index(id(y))
    x.delete()
    z = from_numpy(native, np.ones(3))
    alive = [id(a) for a in native.live_arrays()]
    assert id(x) not in alive and alive[-1] == id(z)
    count = len(alive)
    del y
    assert len(native.live_arrays()) == count - 1


def test_live_arrays_in_weakref_callbacks(native):
    seen = []
    x = from_numpy(native, np.ones(3))
    count = len(native.live_arrays())
    ref = weakref.ref(x, lambda _: seen.append(len(native.live_arrays())))
    del x
    assert seen == [count - 1] and ref() is None
