"""`jit`: static arguments, donation, structures, caches, stages, options."""

from __future__ import annotations

import collections
import dataclasses
import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import covector as cv
from covector import lax
from covector.control_flow.while_loop import fori_loop
from covector.core.config import override

Pair = collections.namedtuple("Pair", "a b")


@cv.tree_util.register_dataclass
@dataclasses.dataclass
class Layer:
    weight: Any
    bias: Any
    size: int = cv.tree.static(default=3)


def values(tree: Any) -> Any:
    return cv.tree.map(lambda x: np.asarray(x).tolist(), tree)


def test_static_arguments() -> None:
    traces = []

    def f(x: Any, n: int, *, m: int = 2) -> Any:
        traces.append((n, m))
        return lax.mul(x, float(n * m))

    g = cv.jit(f, static_argnums=1, static_argnames="m")
    assert values(g(1.0, 3)) == 6
    assert values(g(2.0, 3)) == 12
    assert values(g(1.0, 3, m=5)) == 15
    assert traces == [(3, 2), (3, 5)]
    by_name = cv.jit(f, static_argnames=("n", "m"))
    assert values(by_name(1.0, 3)) == values(by_name(1.0, n=3)) == 6
    assert values(cv.jit(f, static_argnums=(1,), static_argnames="m")(1.0, 4, m=1)) == 4


def test_static_argument_of_equal_value_and_other_type_is_another() -> None:
    f = cv.jit(lambda x, s: lax.mul(x, 2.0 if s is True else 3.0), static_argnums=1)
    assert values(f(1.0, True)) == 2
    assert values(f(1.0, 1)) == 3


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: cv.jit(lambda a: a, static_argnums=0)([1]), ValueError, "'a'"),
        (lambda: cv.jit(lambda a: a, static_argnums=3), ValueError, "takes only 1 positional"),
        (lambda: cv.jit(lambda a: a, static_argnames="b"), ValueError, "'b'"),
        (lambda: cv.jit(lambda a: a, static_argnums="x"), TypeError, "static_argnums"),
        (lambda: cv.jit(lambda a: a, static_argnames=3), TypeError, "static_argnames"),
        (lambda: cv.jit(lambda a: a, static_argnums=0, donate_argnums=0), ValueError, "donated"),
        (lambda: cv.jit(3), TypeError, "takes a function"),
        (lambda: cv.jit(lambda a: a)("text"), TypeError, "argument a"),
        (lambda: cv.jit(lambda a: a)(np.array(["text"])), TypeError, "argument a"),
        (lambda: cv.jit(lambda a: a)({"k": [1, object()]}), TypeError, r"a\['k'\]\[1\]"),
        (lambda: cv.jit(lambda a: "text")(1), TypeError, "returned str 'text'"),
        (lambda: cv.jit(lambda a: {"k": object})(1), TypeError, r"\['k'\]"),
    ],
)
def test_bad_use(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()


def test_donation() -> None:
    f = cv.jit(lambda x, y: lax.add(x, y), donate_argnums=0)
    a, b = (cv.device_put(np.ones(1000, np.float32)) for _ in range(2))
    assert values(f(a, b))[0] == 2
    with pytest.raises(RuntimeError, match="deleted"):
        lax.add(a, b)
    assert values(b)[0] == 1


def test_structures() -> None:
    tree = {"x": Pair(1.0, [2, None]), "l": Layer(3.0, (4,)), "n": None}

    def f(t: Any) -> Any:
        assert t["l"].size == 3
        return {"z": t["x"].a, "n": None, "l": [t["l"], (t["x"],)]}

    g = cv.jit(f)
    for _ in range(3):
        out = g(tree)
        assert list(out) == ["z", "n", "l"]
        assert isinstance(out["l"][0], Layer) and isinstance(out["l"][1][0], Pair)
        assert values(out["l"][0].bias) == (4,)
    assert g._cache_size() == 1


def test_no_results_and_no_arguments() -> None:
    assert cv.jit(lambda: ())() == ()
    assert cv.jit(lambda x: None)(1.0) is None
    assert values(cv.jit(lambda: (1, 2.0, True))()) == (1, 2.0, True)


def test_trace_is_shared_and_forgotten() -> None:
    traces = []

    def f(x: Any) -> Any:
        traces.append(1)
        return lax.sin(x)

    g = cv.jit(f)
    g(1.0), g(2.0), cv.jit(f)(3.0), cv.jit(lambda x: g(x))(1.0)
    assert len(traces) == 1
    g(np.float32(1))
    assert len(traces) == 2
    g.clear_cache()
    g(1.0)
    assert len(traces) == 3 and g._cache_size() == 1
    cv.clear_caches()
    g(1.0)
    assert len(traces) == 4
    with override(enable_x64=True):
        g(1.0)
    assert len(traces) == 5


def test_functions_are_not_kept_alive() -> None:
    def make() -> list[Any]:
        f = lambda x: lax.sin(x)  # noqa: E731
        step = lambda i, x: lax.sin(x)  # noqa: E731
        g = cv.jit(f)
        g(1.0)
        fori_loop(0, 3, step, 1.0)
        cv.jit(lambda x: fori_loop(0, 3, step, x))(1.0)
        return [weakref.ref(f), weakref.ref(g), weakref.ref(step)]

    refs = make()
    gc.collect()
    assert [r() for r in refs] == [None] * 3


def test_methods() -> None:
    class Model:
        scale = 3.0

        def call(self, x: Any) -> Any:
            return lax.mul(x, self.scale)

        @cv.jit
        def bad(self, x: Any) -> Any:
            return x

    m = Model()
    assert values(cv.jit(m.call)(2.0)) == 6
    with pytest.raises(TypeError, match="argument self"):
        m.bad(1.0)


def test_unused_arguments() -> None:
    f = cv.jit(lambda x, y: lax.mul(x, 2.0))
    assert values(f(1.0, np.ones(5))) == 2
    kept = cv.jit(lambda x, y: lax.mul(x, 2.0), keep_unused=True)
    assert values(kept(1.0, np.ones(5))) == 2


def test_stages() -> None:
    f = cv.jit(lambda x, n: lax.mul(x, float(n)), static_argnums=1)
    lowered = f.lower(cv.ShapeDtypeStruct((3,), "float32"), 3)
    assert "stablehlo.multiply" in lowered.as_text() and "mul" in lowered.as_text("jaxpr")
    assert lowered.out_info == cv.ShapeDtypeStruct((3,), "float32")
    compiled = lowered.compile()
    assert values(compiled(np.ones(3, np.float32))) == [3, 3, 3]
    memory = compiled.memory_analysis()
    assert memory.output_size_in_bytes == 12 and memory.generated_code_size_in_bytes > 100
    for part in ("generated_code", "argument", "output", "alias", "temp"):
        assert getattr(memory, f"host_{part}_size_in_bytes") == 0
    assert compiled.as_text("jaxpr")
    with pytest.raises(TypeError, match=r"made for float32\[3\], called with float32\[4\]"):
        compiled(np.ones(4, np.float32))
    with pytest.raises(TypeError, match="structure"):
        compiled(1.0, 2.0)
    traced = f.trace(1.0, 2)
    assert len(traced.jaxpr.eqns) == 1
    assert f.eval_shape(1.0, 2).weak_type


def test_disable_jit() -> None:
    seen = []
    f = cv.jit(lambda x: seen.append(type(x)) or lax.sin(x))
    with cv.disable_jit():
        f(1.0)
    assert seen == [float]


def test_closed_over_tracers() -> None:
    f = cv.jit(lambda x: cv.jit(lambda y: lax.mul(x, y))(3.0))
    assert values(f(2.0)) == 6
    g = cv.grad(lambda x: cv.jit(lambda y: lax.mul(x, lax.mul(x, y)))(3.0))
    assert values(g(2.0)) == 12
    h = cv.vmap(lambda x: cv.jit(lambda: lax.mul(x, 2.0))())
    assert values(h(np.arange(3.0))) == [0, 2, 4]


def test_threads() -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for i in range(20):
                got = np.asarray(cv.jit(lambda x: lax.sin(x))(float(i)))
                assert abs(got - np.sin(i)) < 1e-5
        except BaseException as e:  # noqa: BLE001
            errors.append(e)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors


def test_new_threads_see_the_options() -> None:
    f = cv.jit(lambda x: lax.add(x, 1.0))
    found: list[Any] = []

    def work() -> None:
        found.append([str(f(1.0).dtype) for _ in range(3)])

    def run() -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    run()
    cv.config.update("enable_x64", True)
    try:
        run()
    finally:
        cv.config.update("enable_x64", False)
    run()
    assert found == [["float32"] * 3, ["float64"] * 3, ["float32"] * 3]


def test_debug_nans() -> None:
    with override(debug_nans=True):
        with pytest.raises(FloatingPointError, match="operation log"):
            lax.log(-1.0)
        with pytest.raises(FloatingPointError, match="operation log"):
            cv.jit(lambda x: lax.add(lax.log(x), 1.0))(-1.0)
        assert values(cv.jit(lax.log)(1.0)) == 0
    with override(debug_infs=True), pytest.raises(FloatingPointError, match="inf"):
        lax.log(0.0)


def test_ensure_compile_time_eval() -> None:
    @cv.jit
    def f(x: Any) -> Any:
        with cv.ensure_compile_time_eval():
            n = int(np.asarray(lax.add(1, 2)))
        return lax.mul(x, float(n))

    assert values(f(2.0)) == 6


def test_make_jaxpr() -> None:
    closed, shape = cv.make_jaxpr(
        lambda x, n: {"y": lax.mul(x, float(n))}, static_argnums=1, return_shape=True
    )(1.0, 3)
    assert [e.primitive.name for e in closed.eqns] == ["mul"]
    assert shape["y"].shape == ()
    text = str(cv.make_jaxpr(cv.jit(lambda x: lax.sin(x)))(1.0))
    assert "jit[" in text and "sin a" in text
    f = cv.make_jaxpr(lambda x: lax.sin(x))
    assert f(cv.ShapeDtypeStruct((2,), np.float32)).out_avals[0].shape == (2,)


def test_eval_shape() -> None:
    out = cv.eval_shape(
        lambda d: {"a": lax.sin(d["x"])}, {"x": cv.ShapeDtypeStruct((3,), np.float32)}
    )
    assert out == {"a": cv.ShapeDtypeStruct((3,), np.float32)}
