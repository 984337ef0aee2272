"""JitFunction: signatures, the cache, results, and its place in Python's object model."""

import collections
import functools
import gc
import inspect
import sys
import threading
import weakref

import numpy as np
import pytest

from .conftest import CODE

F32 = CODE["f32"]
Point = collections.namedtuple("Point", "x y")


class Recorder:
    """A fallback that counts its calls and hands out a program which adds one to leaf 0."""

    def __init__(self, native, program, tree=0, fast=True):
        self.native, self.program, self.tree, self.fast = native, program, tree, fast
        self.calls = []

    def __call__(self, args, kwargs):
        assert type(args) is tuple and type(kwargs) is dict
        self.calls.append((args, kwargs))
        if not self.fast:
            return "slow", None
        return "slow", self.native.FastPath(self.program("add_one"), [0], self.tree)


@pytest.fixture
def recorder(native, program):
    return Recorder(native, program)


@pytest.fixture
def f(native, recorder):
    return native.JitFunction(recorder, (), (), "f")


@pytest.fixture
def x(array):
    return array(np.float32(1))


def test_second_call_is_fast(f, x, recorder):
    assert f(x) == "slow"
    assert f(x).item() == 2 and f(f(x)).item() == 3
    assert len(recorder.calls) == 1 and recorder.calls[0] == ((x,), {})
    assert f.cache_size() == 1 and (f.hits, f.misses) == (3, 1)
    f.clear_cache()
    assert f.cache_size() == 0 and f(x) == "slow"


def distinct_calls(array):
    one = array(np.float32(1))
    return [
        lambda f: f(one),
        lambda f: f(one._with_weak(True)),
        lambda f: f(one, one),
        lambda f: f((one,)),
        lambda f: f([one]),
        lambda f: f({"a": one}),
        lambda f: f({"b": one}),
        lambda f: f({1: one}),
        lambda f: f({1.0: one}),
        lambda f: f({"a": one, "b": 1}),
        lambda f: f(a=one),
        lambda f: f(b=one),
        lambda f: f(one, None),
        lambda f: f(one, ()),
        lambda f: f(one, {}),
        lambda f: f(one, 1),
        lambda f: f(one, 1.0),
        lambda f: f(one, True),
        lambda f: f(one, 1j),
        lambda f: f(one, array(1)),
        lambda f: f(one, array([1])),
        lambda f: f(one, array([1, 2])),
        lambda f: f(one, array([[1, 2]])),
        lambda f: f(one, array([[1], [2]])),
        lambda f: f(Point(one, 1)),
        lambda f: f((one, 1)),
        lambda f: f(((one, 1), ())),
        lambda f: f(((one,), (1,))),
        lambda f: f(one, (None,) * 30),
        lambda f: f(one, (None,) * 31),
        lambda f: f(one, [1] * 100),
    ]


def test_signatures_distinguish_types_shapes_and_structure(f, array, recorder):
    calls = distinct_calls(array)
    for call in calls:
        assert call(f) == "slow"
    assert f.cache_size() == len(calls)
    for call in [*calls, *reversed(calls)]:
        assert call(f).item() == 2
    assert len(recorder.calls) == len(calls)


def test_values_do_not_matter(f, array, x, recorder):
    f(x, 1, 2.0, array([1, 2]))
    f(x, -5, 7.0, array([3, 4]))
    f(x, b=1, a=2)
    f(x, a=3, b=4)
    f({"b": 1, "a": x})
    assert f({"a": x, "b": 2}).item() == 2
    name = "".join(["a", "a"])
    f(x, **{name: 1})
    f(x, **{"".join(["a", "a"]): 1})
    assert len(recorder.calls) == 4


def test_unsortable_keys_and_unknown_types_take_the_slow_way(f, x, recorder):
    for _ in range(2):
        assert f({1: x, "a": x}) == "slow"
        assert f(x, object()) == "slow"
        assert f(x, "text") == "slow"
        assert f(collections.OrderedDict(a=x)) == "slow"
    assert f.cache_size() == 0 and len(recorder.calls) == 8


def test_numpy_arguments_are_converted(f, x, recorder):
    for a in (np.float32(1), np.ones((), np.float32), np.float32(5)):
        f(a)
    assert f(np.float32(5)).item() == 6
    assert f(x) is not None
    assert len(recorder.calls) == 1  # the same signature as the Array's
    assert type(recorder.calls[0][0][0]) is np.float32


def test_registered_nodes(native, f, x, recorder):
    class Box:
        def __init__(self, value, tag):
            self.value, self.tag = value, tag

    assert f(Box(x, "a")) == "slow" and f.cache_size() == 0
    native.register_node(Box, lambda b: ((b.value,), b.tag))
    for tag in ("a", "b"):
        assert f(Box(x, tag)) == "slow"
        assert f(Box(x, tag)).item() == 2
    assert f(Box(x, [])) == "slow" and f.cache_size() == 2  # an unhashable tag

    def fail(b):
        raise KeyError("flatten")

    native.register_node(Box, fail)
    with pytest.raises(KeyError, match="flatten"):
        f(Box(x, "a"))
    native.register_node(Box, lambda b: 3)
    with pytest.raises(TypeError, match="must return"):
        f(Box(x, "a"))


def test_deleted_leaf(f, x):
    x.delete()
    with pytest.raises(RuntimeError, match="deleted"):
        f([x])


def test_trace_and_context(native, f, x, recorder):
    f(x)
    token = object()
    old = native.swap_trace(token)
    try:
        assert native.current_trace() is token
        assert f(x) == "slow" and f.cache_size() == 1
        seen = []
        t = threading.Thread(target=lambda: seen.append(native.current_trace()))
        t.start()
        t.join()
        assert seen == [old]
    finally:
        assert native.swap_trace(old) is token
    assert f(x).item() == 2
    key = native.context_key()
    native.set_context_key(key + 1)
    try:
        assert f(x) == "slow" and f(x).item() == 2
    finally:
        native.set_context_key(key)
    assert f(x).item() == 2


class Weird:
    def __init__(self, value):
        self.value = value

    def __hash__(self):
        return hash(self.value)

    def __eq__(self, other):
        return isinstance(other, Weird) and self.value == other.value


def test_static_arguments(native, recorder, x):
    f = native.JitFunction(recorder, (1,), ("mode",), "f")
    statics = [1, 2, 1.0, True, 0.0, -0.0, "a", "ab", None, (1, 2), Weird(1), Weird(2), 10**30, int]
    for s in statics:
        assert f(x, s) == "slow"
    for s in [*statics[:10], Weird(1), Weird(2), 10**30, int, "".join(["a", "b"]), tuple([1, 2])]:
        assert f(x, s).item() == 2
    assert f(x, mode="fast") == "slow" and f(x, mode="fast").item() == 2
    assert f(x, mode="slow") == "slow"
    calls = len(recorder.calls)
    assert f(x, [1]) == "slow" and f(x, [1]) == "slow"  # unhashable
    assert len(recorder.calls) == calls + 2
    last = native.JitFunction(recorder, (-1,), (), "last")
    assert last(x, 1) == "slow" and last(x, 2) == "slow" and last(x, 1).item() == 2


def test_errors_in_comparisons_and_reentrance(native, recorder, x):
    class Bad(Weird):
        def __eq__(self, other):
            raise ZeroDivisionError

        __hash__ = Weird.__hash__

    f = native.JitFunction(recorder, (1,), (), "f")
    f(x, Bad(1))
    with pytest.raises(ZeroDivisionError):
        f(x, Bad(1))

    class Reentrant(Weird):
        def __eq__(self, other):
            f.clear_cache()
            f(x, 5)
            return self.value == other.value

        __hash__ = Weird.__hash__

    f(x, Reentrant(1))
    assert f(x, Reentrant(1)) == "slow"


def test_eviction_of_the_least_recently_used(native, recorder, x):
    f = native.JitFunction(recorder, (1,), (), "f", max_entries=3)
    for i in range(3):
        f(x, i)
    assert f(x, 0) != "slow"  # now the most recent
    assert f(x, 3) == "slow" and f.cache_size() == 3
    assert f(x, 0) != "slow" and f(x, 2) != "slow"
    assert f(x, 1) == "slow"


def test_python_scalars_become_elements(native, program):
    spec = (CODE["i32"], ())
    run = program("from_int", in_specs=[spec])

    f = native.JitFunction(lambda a, k: (None, native.FastPath(run, [0], 0)), (), (), "f")
    f(1)
    assert f(41).item() == 41.0
    f(True)
    assert f(True).item() == 1.0
    with pytest.raises(OverflowError, match="Python integer 3000000000 out of bounds for int32"):
        f(3_000_000_000)
    f(1.0)
    with pytest.raises(TypeError):
        f(1.0)  # a float is no int32: the fallback should not have said so
    for name in ("f32", "f16", "bf16"):
        forward = native.CpuExecutable(
            program("status").keepalive.get_function_address("status"),
            [0], [], [(CODE[name], ())], [(CODE[name], (), True)], [0], 0, [], False, None, "id",
        )  # fmt: skip
        path = native.FastPath(forward, [0], 0)
        g = native.JitFunction(lambda a, k, path=path: (None, path), (), (), "g")
        g(1.5)
        out = g(2.5)
        assert out.item() == 2.5 and out.weak_type


def test_kept_leaves(native, program, x, array):
    path = native.FastPath(program("add", n_in=2), [3, 1], 0)
    f = native.JitFunction(lambda a, k: (None, path), (), (), "f")
    y = array(np.float32(10))
    f(1, x, {"b": y, "a": 2})
    assert f(1, x, {"b": y, "a": 2}).item() == 11
    f(1, x, b=y, a=2)
    assert f(1, x, b=y, a=2).item() == 11


TREES = [
    (("t", [0, 1]), lambda a, b: (a, b)),
    (("t", [1, 0]), lambda a, b: (b, a)),
    (("l", [0, 1]), lambda a, b: [a, b]),
    (("d", ("p", "q"), [0, 1]), lambda a, b: {"p": a, "q": b}),
    (("t", [0, ("n",), ("l", [1, ("t", [])])]), lambda a, b: (a, None, [b, ()])),
    (("c", lambda c: Point(*c), [0, ("l", [1])]), lambda a, b: Point(a, [b])),
    (("n",), lambda a, b: None),
    (("t", [0, 0, 1]), lambda a, b: (a, a, b)),
    (1, lambda a, b: b),
    (("t", []), lambda a, b: ()),
]


def values(tree):
    if isinstance(tree, dict):
        return {k: values(v) for k, v in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*map(values, tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(map(values, tree))
    return tree.item() if hasattr(tree, "item") else tree


@pytest.mark.parametrize("tree, expected", TREES, ids=range(len(TREES)))
def test_results(native, program, x, tree, expected):
    path = native.FastPath(program("pair", n_out=2), [0], tree)
    f = native.JitFunction(lambda a, k: (None, path), (), (), "f")
    f(x)
    for _ in range(3):
        assert values(f(x)) == expected(2.0, 3.0)


def test_failing_unflatten(native, program, x):
    def fail(children):
        raise ValueError("unflatten")

    path = native.FastPath(program("pair", n_out=2), [0], ("t", [0, ("c", fail, [1])]))
    f = native.JitFunction(lambda a, k: (None, path), (), (), "f")
    f(x)
    for _ in range(10):
        with pytest.raises(ValueError, match="unflatten"):
            f(x)


def test_bad_fast_paths(native, program, x, array):
    run = program("add_one")
    for tree in (5, -1, "x", ("t",), ("z", []), ("d", ["a"], []), ("c", 3, []), ("t", [9])):
        with pytest.raises(ValueError, match="out_tree"):
            native.FastPath(run, [0], tree)
    with pytest.raises(ValueError, match="kept"):
        native.FastPath(run, [0, 1], 0)
    f = native.JitFunction(lambda a, k: (None, native.FastPath(run, [1], 0)), (), (), "f")
    with pytest.raises(ValueError, match="leaves"):
        f(x)
    with pytest.raises(ValueError, match="type of leaf"):
        f(x, array(np.zeros(5)))
    for result in (None, 3, (1,), (1, 2)):
        g = native.JitFunction(lambda a, k, result=result: result, (), (), "g")
        with pytest.raises(TypeError, match="fallback"):
            g(x)


def test_exception_in_fallback(native, x):
    def fail(args, kwargs):
        raise LookupError("from the fallback")

    f = native.JitFunction(fail, (), (), "f")
    with pytest.raises(LookupError, match="from the fallback"):
        f(x, a=1)


def test_recursion(native, program, x):
    run = program("add_one")

    def fallback(args, kwargs):
        if args[1:]:
            f(args[0])
            f(*args[:-1])
        return "slow", native.FastPath(run, [0], 0)

    f = native.JitFunction(fallback, (), (), "f")
    f(x, 1, 2, 3)
    assert f.cache_size() == 4 and f(x).item() == 2
    nested = x
    for _ in range(100_000):
        nested = (nested,)
    with pytest.raises(RecursionError):
        f(nested)


def test_method_and_operator(native, program, array, x):
    run = program("add", n_in=2)
    add = native.JitFunction(lambda a, k: (None, native.FastPath(run, [0, 1], 0)), (), (), "add")
    saved = native.Array.__dict__.get("__add__")
    native.Array.__add__ = add
    native.Array._plus = add
    try:
        x + x, x._plus(x), x + 2.0
        assert (x + x).item() == 2 and x._plus(x).item() == 2 and (x + 2.0).item() == 3
        assert functools.partial(x._plus, x)().item() == 2
        assert native.Array._plus is add
    finally:
        del native.Array._plus
        if saved is None:
            del native.Array.__add__
        else:
            native.Array.__add__ = saved


def test_as_a_function_object(native, recorder):
    def original(a, b=2):
        """Documentation."""

    f = functools.wraps(original)(native.JitFunction(recorder, (), (), "name"))
    assert f.__name__ == "original" and f.__doc__ == "Documentation." and f.__wrapped__ is original
    assert str(inspect.signature(f)) == "(a, b=2)"
    assert f.fallback is recorder and repr(f) == "<JitFunction name>" and callable(f)
    g = native.JitFunction(recorder)
    assert g.__name__ == "<jit>"
    with pytest.raises(TypeError):
        native.JitFunction(3)


def test_cycles_are_collected(native, program, x):
    class Keep:
        pass

    keep = Keep()
    path = native.FastPath(program("add_one"), [0], ("c", lambda c: (keep, c), [0]))
    f = native.JitFunction(lambda a, k: (f, path), (1,), (), "f")
    f.keep, keep.f = keep, f
    f(x, keep)
    f(x, keep)
    r = weakref.ref(keep), weakref.ref(f)
    keep = f = path = None
    gc.collect()
    assert [w() for w in r] == [None, None]


def test_no_leaks(native, program, x):
    path = native.FastPath(program("pair", n_out=2), [0], ("d", "ab", [("l", [0]), ("n",)]))
    f = native.JitFunction(lambda a, k: (None, path), (1,), (), "f", max_entries=5)

    def once(i):
        f([x, {"a": 1, "b": (2.0, None)}], i % 10, k={"z": np.float32(1), "y": [1, 2]})
        f([x], "s", **{"kw" + str(i % 3): 1})
        f(Point(x, 1), None)
        try:
            f([x], [])
        except TypeError:
            pass

    for i in range(200):
        once(i)
    gc.collect()
    blocks, used = sys.getallocatedblocks(), native.allocator_stats()["bytes_in_use"]
    count = sys.getrefcount(x)
    for i in range(2000):
        once(i)
    gc.collect()
    assert native.allocator_stats()["bytes_in_use"] == used
    assert abs(sys.getallocatedblocks() - blocks) < 200 and sys.getrefcount(x) == count


def test_calls_from_threads(native, program, array):
    runs = {n: program("add_one", (n,), release_gil=True) for n in range(1, 30)}

    def fallback(args, kwargs):
        run = runs[args[0].size]
        return run.call(list(args))[0], native.FastPath(run, [0], 0)

    f = native.JitFunction(fallback, (), (), "f", max_entries=10)
    failures = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for n in rng.integers(1, 30, 2000):
            y = f(array(np.full(n, seed, np.float32)))
            if y.tolist() != [seed + 1] * n:
                failures.append((seed, n))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
