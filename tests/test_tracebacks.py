"""Errors show the frames of users' code, not the library's, whatever function was called."""

import copy
import functools
import inspect
import pickle
import pydoc
import threading
import traceback
import weakref

import pytest

import covector as cv
import covector.numpy as np
from covector import lax, nn, ops, random
from covector.core.config import override
from covector.core.errors import PACKAGE_DIR
from covector.distributed.communicator import Collectives
from covector.experimental import sparse

MESH = cv.make_mesh((1,), ("i",))
REF = cv.new_ref(np.ones(3))
X = np.ones((2, 3))
V = np.ones(4)
KEY = random.key(0)


class Alone(Collectives):
    """One process, which sends nothing."""

    rank, size = 0, 1
    __abstractmethods__ = frozenset()


def library_frames(exc):
    frames = traceback.extract_tb(exc.__traceback__)
    return [f for f in frames if f.filename.startswith(PACKAGE_DIR)]


def error_of(call):
    try:
        call()
    except Exception as e:
        return e
    raise AssertionError("no error")


def leaked():
    kept = []
    cv.jit(lambda x: kept.append(x) or x)(1.0)
    return kept[0]


CALLS = {
    "operator": lambda: X + V,
    "reflected operator": lambda: "a" * X,
    "matmul": lambda: X @ V,
    "power": lambda: X**V,
    "comparison": lambda: X < V,
    "unary operator": lambda: ~X,
    "function": lambda: np.reshape(X, (4, 2)),
    "ufunc": lambda: np.sin("a"),
    "too large": lambda: np.zeros((1 << 40, 1 << 10)),
    "ragged": lambda: np.array([[1], [2, 3]]),
    "einsum": lambda: np.einsum("ij,jk", X, V),
    "method": lambda: X.reshape(5),
    "item": lambda: X[0, 0, 0],
    "item assignment": lambda: X.__setitem__(0, 1.0),
    "update": lambda: X.at[0, 0, 0].set(1.0),
    "iteration": lambda: list(np.array(1.0)),
    "lax": lambda: lax.add(X, V),
    "random": lambda: random.normal(3),
    "nn": lambda: nn.softplus("a"),
    "device_put": lambda: cv.device_put("a"),
    "jit of a bad argument": lambda: cv.jit(lambda x: x)("a"),
    "jit": lambda: cv.jit(lambda x: x + V)(X),
    "jit of jit": lambda: cv.jit(cv.jit(lambda x: x + V))(X),
    "grad": lambda: cv.grad(lambda x: x + V)(X),
    "grad of a vector": lambda: cv.grad(lambda x: x)(V),
    "vmap": lambda: cv.vmap(lambda x, y: x + y)(X, V),
    "scan": lambda: lax.scan(lambda c, x: (c + V, x), X, X),
    "make_jaxpr": lambda: cv.make_jaxpr(lambda x: x + V)(X),
    "bool of a tracer": lambda: cv.jit(lambda x: 1 if x else 2)(1.0),
    "reference": lambda: REF["a"],
    "part of a reference": lambda: REF.at["a"][...],
    "spec": lambda: cv.P({}),
    "sharding": lambda: cv.NamedSharding(MESH, cv.P("z")),
    "shape of a shard": lambda: cv.NamedSharding(MESH, cv.P("i")).shard_shape(()),
    "mesh": lambda: MESH.update(axis_names=()),
    "context of a mesh": lambda: cv.set_mesh(3),
    "lower": lambda: cv.jit(lambda x: x).lower("a"),
    "text of a program": lambda: cv.jit(lambda x: x).lower(1.0).as_text("foo"),
    "compiled": lambda: cv.jit(lambda x: x).lower(1.0).compile()("a"),
    "exported": lambda: cv.export.export(cv.jit(lambda x: x))(1.0).call("a"),
    "type": lambda: cv.ShapeDtypeStruct("a", "float32"),
    "dtype": lambda: np.float32("a"),
    "name of a module": lambda: np.foo,
    "sparse operator": lambda: sparse.eye(3) @ np.ones(4),
    "sparse item": lambda: sparse.eye(3)[5.0],
    "group of processes": lambda: Alone().group([5]),
    "collective": lambda: Alone().allreduce(object()),
    "leaked tracer": lambda: leaked() + 1.0,
    "bool of a leaked tracer": lambda: bool(leaked()),
}


@pytest.mark.parametrize("name", CALLS)
def test_only_user_frames(name):
    exc = error_of(CALLS[name])
    assert not library_frames(exc)
    chain = [exc.__cause__, exc.__context__]
    assert not any(library_frames(e) for e in chain if e is not None)
    last = traceback.extract_tb(exc.__traceback__)[-1]
    assert last.filename == __file__


@pytest.mark.parametrize("name", ["operator", "function", "method", "update", "jit", "vmap"])
def test_filtering_can_be_turned_off(name):
    with override(traceback_filtering="off"):
        assert library_frames(error_of(CALLS[name]))
    assert not library_frames(error_of(CALLS[name]))


def test_update_turns_it_off_in_new_threads_too():
    found = []

    def run():
        found.append(bool(library_frames(error_of(CALLS["operator"]))))

    for value in ("off", "auto"):
        cv.config.update("traceback_filtering", value)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert found == [True, False]


class Mine(Exception):
    pass


def fail(x):
    raise Mine("inner")


def scanned(c, x):
    return fail(c), x


RAISING = {
    "jit": lambda: cv.jit(lambda x: fail(x))(X),
    "vmap": lambda: cv.vmap(lambda x: fail(x))(X),
    "grad": lambda: cv.grad(lambda x: fail(x))(1.0),
    "scan": lambda: lax.scan(scanned, 0.0, V),
    "cond": lambda: lax.cond(True, fail, fail, 1.0),
    "nested": lambda: cv.jit(cv.vmap(cv.grad(lambda x: lax.scan(scanned, x, V)[0])))(V),
}


@pytest.mark.parametrize("name", RAISING)
def test_user_errors_keep_the_inner_frames(name):
    exc = error_of(RAISING[name])
    assert type(exc) is Mine
    assert not library_frames(exc)
    names = [f.name for f in traceback.extract_tb(exc.__traceback__)]
    assert names[-1] == "fail" and names[0] == "error_of"


def test_errors_caught_inside_a_traced_function():
    seen = []

    @cv.jit
    def f(x):
        seen.append(error_of(lambda: np.reshape(x, (7,))))
        return x

    f(X)
    assert not library_frames(seen[0])


def test_causes_and_contexts_are_kept():
    def f(x):
        try:
            np.reshape(x, (7,))
        except TypeError as e:
            raise Mine from e

    exc = error_of(lambda: cv.jit(f)(X))
    assert isinstance(exc.__cause__, TypeError) and exc.__context__ is exc.__cause__
    assert not library_frames(exc) and not library_frames(exc.__cause__)


def test_a_shared_traceback_is_not_changed():
    exc = error_of(lambda: 1 / 0)
    before = exc.__traceback__

    def f(x):
        raise exc

    error_of(lambda: cv.vmap(f)(X))
    assert len(traceback.extract_tb(before)) == 2


# --- what is wrapped stays a function to those who look at it ------------------------------


def test_boundary_is_transparent():
    f = np.reshape
    assert f.__name__ == f.__qualname__ == "reshape"
    assert f.__module__ == "covector.numpy"
    assert f.__doc__ == f.__wrapped__.__doc__
    assert list(inspect.signature(f).parameters)[:2] == ["a", "shape"]
    assert "reshape(a" in pydoc.render_doc(f, renderer=pydoc.plaintext)
    assert inspect.getsource(f).startswith("def reshape")
    assert weakref.ref(f)() is f
    assert copy.copy(f) is copy.deepcopy(f) is f
    assert np.arcsin is np.asin

    @functools.wraps(f)
    def g(*args):
        return f(*args)

    assert g.__name__ == "reshape" and g.__wrapped__ is f


PUBLIC = [cv, np, lax, random, nn, ops, cv.tree, cv.tree_util, cv.dtypes, cv.debug, cv.flatten_util]


@pytest.mark.parametrize("module", PUBLIC)
def test_public_functions_pickle_by_name(module):
    for name in module.__all__:
        f = getattr(module, name)
        if type(f) is cv._native.Boundary:
            assert pickle.loads(pickle.dumps(f)).__wrapped__ is f.__wrapped__, name


def test_jit_of_a_public_function_shares_its_traces():
    assert cv.jit(np.sinc)._jitted._entries() is cv.jit(np.sinc)._jitted._entries()


def test_attributes_fall_through():
    f = cv._native.Boundary(fail)
    f.note = 3
    assert fail.note == 3
    del f.note
    assert not hasattr(fail, "note")
    with pytest.raises(AttributeError):
        f.nothing  # noqa: B018
    assert repr(f) == f"<function {__name__}.fail>"


def test_boundary_as_a_method():
    class C:
        method = cv._native.Boundary(lambda self, x: (self, x))

    c = C()
    assert c.method(1) == (c, 1)
    assert C.method(c, x=2) == (c, 2)


def test_boundary_takes_callables_only():
    with pytest.raises(TypeError, match="takes a function"):
        cv._native.Boundary(3)


# --- threads -------------------------------------------------------------------------------


def test_new_threads_have_the_options_of_the_process():
    keys = []
    thread = threading.Thread(target=lambda: keys.append(cv._native.context_key()))
    thread.start()
    thread.join()
    assert keys == [cv._native.context_key()]


def test_an_override_does_not_reach_other_threads():
    f = cv.jit(lambda x: np.sum(x) * 2)
    outer = cv._native.context_key()
    seen = []

    def run():
        seen.extend([cv._native.context_key(), f(np.array([1, 2])).dtype])

    with cv.enable_x64():
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert seen == [outer, np.dtype("int32")]


# --- live arrays ---------------------------------------------------------------------------


def test_live_arrays():
    def alive(x):
        return any(a is x for a in cv.live_arrays())

    x, y = np.ones(3), np.ones(4)
    assert alive(x) and alive(y)
    y.delete()
    assert alive(x) and not alive(y)
    before = len(cv.live_arrays("cpu"))
    del x
    assert len(cv.live_arrays("cpu")) == before - 1
    with pytest.raises(RuntimeError):
        cv.live_arrays("nonsense")
