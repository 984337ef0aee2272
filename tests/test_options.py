"""Options: every one has an effect that is seen here, or is a row of docs/differences.md."""

import contextlib
import logging
import os
import re
import sys
import time
import warnings

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector.backends.pjrt import settings
from covector.core import config as config_module
from covector.core.options import OPTIONS, WITHOUT_EFFECT
from covector.runtime import progress
from tests.random import cases
from tests.runtime.test_progress import watched

X = np.arange(3.0)


@contextlib.contextmanager
def option(name, value):
    """An option of the process, for a block."""
    before = getattr(cv.config, name)
    cv.config.update(name, value)
    try:
        yield
    finally:
        cv.config.update(name, before)


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.WARNING, "covector")
    return lambda: [r.getMessage() for r in caplog.records]


def fails(error, match, fun, *args):
    with pytest.raises(error, match=match):
        fun(*args)


# --- what each option does ------------------------------------------------------------------


def enable_x64(_):
    with option("enable_x64", True):
        assert np.ones(1).dtype == "float64"


def explicit_x64_dtypes(_):
    with option("explicit_x64_dtypes", "error"):
        fails(ValueError, "ask for float32", np.zeros, 3, "float64")
        assert np.zeros(3, float).dtype == "float32"


def numpy_rank_promotion(_):
    with option("numpy_rank_promotion", "raise"):
        fails(ValueError, "rank", lambda: np.ones((2, 3)) + X)


def numpy_dtype_promotion(_):
    with option("numpy_dtype_promotion", "strict"):
        fails(cv.errors.TypePromotionError, "dtype", lambda: X + np.arange(3))


def default_matmul_precision(_):
    with option("default_matmul_precision", "highest"):
        assert "HIGHEST" in str(cv.make_jaxpr(lambda x: x @ x)(X))


def allow_f16_reductions(_):
    with option("allow_f16_reductions", False):
        half = X.astype("bfloat16")
        fails(ValueError, "allow_f16_reductions", cv.lax.reduce_sum, half, (0,))
        assert np.sum(half) == 3 and cv.lax.reduce_sum(X, (0,)) == 3


def softmax_custom_jvp(_):
    jaxpr = lambda: cv.make_jaxpr(cv.grad(lambda x: cv.nn.softmax(x)[0]))(X)  # noqa: E731
    short, slope = len(jaxpr().eqns), cv.grad(lambda x: cv.nn.softmax(x)[0])(X)
    with option("softmax_custom_jvp", False):
        assert len(jaxpr().eqns) > short
        other = cv.grad(lambda x: cv.nn.softmax(x)[0])(X)
        assert onp.allclose(other, slope, rtol=1e-5)


def disable_bwd_checks(_):
    @cv.custom_vjp
    def f(x):
        return x.sum()

    f.defvjp(lambda x: (x.sum(), None), lambda res, ct: (np.ones(1),))
    fails(ValueError, "shape|float32", cv.grad(f), X)
    with option("disable_bwd_checks", True):
        assert cv.grad(f)(X).shape == (1,)


def check_static_indices(_):
    with option("check_static_indices", True):
        for fun in (
            lambda x: x[3], lambda x: x[-4], lambda x: x.at[3].set(0.0),
            lambda x: x[None, 3], lambda x: x.at[None, 3].set(0.0),
            lambda x: x.reshape(1, 3).at[0, 3].add(1.0),
        ):  # fmt: skip
            fails(IndexError, "check_static_indices", fun, X)
            fails(IndexError, "check_static_indices", cv.jit(fun), X)
        assert X[-3] == 0 and X[np.array([7])] == 2 and X.at[2].set(5.0)[2] == 5
    assert X[3] == 2


def default_prng_impl(_):
    fails(ValueError, "threefry2x32", cv.config.update, "default_prng_impl", "rbg")
    cv.config.update("default_prng_impl", "threefry2x32")


def enable_custom_prng(_):
    with option("enable_custom_prng", True):
        assert cv.random.PRNGKey(3) == cv.random.key(3)


def legacy_prng_key(_):
    raw = cv.random.PRNGKey(0)
    with option("legacy_prng_key", "error"):
        fails(ValueError, "wrap_key_data", cv.random.normal, raw)
        fails(ValueError, "wrap_key_data", cv.random.split, raw)
        cv.random.normal(cv.random.wrap_key_data(raw))
    with option("legacy_prng_key", "warn"), pytest.warns(UserWarning, match="raw key"):
        cv.random.normal(raw)


def debug_key_reuse(_):
    r, lax = cv.random, cv.lax
    twice = lambda k: (r.normal(k), r.bits(k))  # noqa: E731
    once = lambda k: [r.normal(q) for q in r.split(k)]  # noqa: E731
    wrong = {
        "eager": lambda: twice(r.key(0)),
        "split": lambda: (lambda k: (r.split(k), r.normal(k)))(r.key(0)),
        "an element": lambda: (lambda ks: (r.normal(ks[1]), twice(ks[1:][0])))(r.split(r.key(0))),
        "jit": lambda: cv.jit(twice)(r.key(0)),
        "vmap": lambda: cv.vmap(twice)(r.split(r.key(0))),
        "grad": lambda: cv.grad(cv.jit(lambda x, k: x * sum(twice(k))))(1.0, r.key(0)),
        "scan": lambda: lax.scan(lambda k, _: (k, r.normal(k)), r.key(0), None, 3),
        "checkpoint": lambda: cv.checkpoint(twice)(r.key(0)),
        "grad of checkpoint": lambda: cv.grad(cv.checkpoint(lambda x, k: x * sum(twice(k))))(
            1.0, r.key(0)
        ),
        "mapped branch": lambda: cv.vmap(
            lambda k, p: lax.cond(p, lambda k: sum(twice(k)), r.normal, k)
        )(r.split(r.key(0)), np.array([True, False])),
    }
    right = {
        "clone": lambda: (lambda k: (r.normal(k), r.normal(r.clone(k))))(r.key(0)),
        "fold_in": lambda: (lambda k: [r.normal(r.fold_in(k, i)) for i in range(3)])(r.key(0)),
        "made twice": lambda: (r.normal(r.key(0)), r.normal(r.key(0))),
        "raw": lambda: twice(r.PRNGKey(0)),
        "jit": lambda: cv.jit(once)(r.key(0)),
        "vmap": lambda: cv.vmap(once)(r.split(r.key(0))),
        "grad of checkpoint": lambda: cv.grad(cv.checkpoint(lambda x, k: x * sum(once(k))))(
            1.0, r.key(0)
        ),
        "mapped loop": lambda: cv.vmap(
            lambda k: lax.scan(lambda k, _: (r.fold_in(k, 1), r.normal(k)), k, None, 3)
        )(r.split(r.key(0))),
        "scan": lambda: cv.jit(
            lambda k: lax.scan(lambda k, _: (r.fold_in(k, 1), r.normal(k)), k, None, 3)
        )(r.key(0)),
    }
    with option("debug_key_reuse", True):
        for fun in wrong.values():
            fails(cv.errors.KeyReuseError, "has used before.*\n.*test_options", fun)
        for fun in right.values():
            fun()
        for name, draw in {**cases.EXACT, **cases.CLOSE}.items():
            try:
                draw(r, r.key(1))
            except cv.errors.KeyReuseError:
                pytest.fail(f"{name} uses its key once")
    twice(r.key(0))


def random_seed_offset(_):
    with option("random_seed_offset", 3):
        shifted = [cv.random.key(4), cv.jit(cv.random.key)(4), cv.random.key(np.array(4))]
    assert all(k == cv.random.key(7) for k in shifted)


def high_dynamic_range_gumbel(_):
    draw = lambda **mode: cv.random.gumbel(cv.random.key(0), (5,), **mode)  # noqa: E731
    with option("high_dynamic_range_gumbel", True):
        assert (draw() == draw(mode="high")).all()
    assert (draw() == draw(mode="low")).all()


def disable_jit(_):
    with option("disable_jit", True):
        assert cv.jit(lambda x: float(x))(2.0) == 2.0


def debug_nans(_):
    f = cv.jit(lambda x: np.sqrt(x - 1).sum() * 2, donate_argnums=0)
    with option("debug_nans", True):
        fails(FloatingPointError, r"operation sqrt\n.*test_options", f, np.arange(3.0))
        assert cv.jit(lambda x: x / 0.0)(1.0) == onp.inf
        compiled = cv.jit(lambda x: np.log(x)).lower(X).compile()
        fails(FloatingPointError, "nan.*compiled function <lambda>", compiled, X - 1)
        scan = cv.jit(lambda x: cv.lax.scan(lambda c, a: (np.log(c - a), a), x[1], x)[0])
        fails(FloatingPointError, "operation log\n.*test_options", scan, X)
        for inside in (
            lambda x: cv.lax.map(lambda a: np.log(a - 1), x),
            lambda x: cv.lax.fori_loop(0, 2, lambda _, c: np.log(c - 1), x),
            lambda x: cv.lax.cond(True, lambda x: np.log(x - 1), lambda x: x, x),
            cv.vmap(lambda a: cv.lax.while_loop(lambda c: c >= 0, lambda c: np.log(c - 1), a)),
            lambda x: cv.vmap(lambda a: cv.lax.map(lambda b: np.log(b - 1), x * a))(x),
            cv.checkpoint(lambda x: np.log(x - 1)),
        ):  # fmt: skip
            fails(FloatingPointError, "operation log\n.*test_options", inside, X)


def debug_infs(_):
    with option("debug_infs", True):
        fails(FloatingPointError, "inf.*operation div", cv.jit(lambda x: (1.0 / x).sum()), X)


def error_checking_behavior_nan(_):
    with option("error_checking_behavior_nan", "raise"):
        fails(FloatingPointError, "operation log", cv.jit(lambda x: np.log(x - 1).sum()), X)


def error_checking_behavior_divide(_):
    with option("error_checking_behavior_divide", "raise"):
        fails(ZeroDivisionError, "test_options", cv.jit(lambda x: (1.0 / x).sum()), X)
        zero = np.arange(3)
        for divide in (
            lambda: zero // zero, lambda: zero % 0, lambda: np.fmod(zero, zero),
            lambda: cv.vmap(lambda i: i % (i - 1))(zero), lambda: X % 0, lambda: np.divmod(zero, 0),
            lambda: np.reciprocal(X), lambda: X**-1, lambda: X**-1.0, lambda: np.power(X, -1 - X),
            lambda: cv.vmap(lambda x: 1 / x)(X), lambda: cv.checkpoint(lambda x: 1 / x)(X),
            lambda: cv.vmap(lambda x: cv.lax.fori_loop(0, 2, lambda _, c: c + 1 / x, x))(X),
            lambda: cv.grad(cv.checkpoint(lambda x: (1 / x).sum()))(X),
        ):  # fmt: skip
            fails(ZeroDivisionError, "division by zero in .*\n.*test_options", divide)
        assert (X % 2.0)[2] == 0 and (zero % 2)[1] == 1 and ((X + 1) ** -1.0)[1] == 0.5
        assert (X / 2.0)[2] == 1
    assert (1.0 / X)[0] == onp.inf


def error_checking_behavior_oob(_):
    with option("error_checking_behavior_oob", "raise"):
        at = np.array([0, 3])
        for fun in (lambda x, i: x[i], lambda x, i: x.at[i].add(1.0), lambda x, i: x[i[1]]):
            fails(IndexError, "index 3 is out of bounds", fun, X, at)
            fails(IndexError, "index 3 is out of bounds", cv.jit(fun), X, at)
        read = lambda i: X[i]  # noqa: E731
        for fun in (
            read, cv.jit(read), lambda i: X.at[i].get(), lambda i: X.at[i].set(1.0),
            lambda i: X.at[i].max(1.0), lambda i: X[None][0, i], lambda i: X[None, i[None]],
            lambda i: cv.lax.cond(i > 0, read, lambda i: 0.0, i),
            lambda i: cv.lax.fori_loop(0, i + 1, lambda k, s: s + X[k], 0.0),
            lambda i: cv.lax.scan(lambda c, k: (c, X[k + i]), 0, at[:1])[1],
            cv.checkpoint(read),
        ):  # fmt: skip
            fails(IndexError, "index 3 is out of bounds.*\n.*test_options", cv.vmap(fun), at)
        y = np.array(3)
        for fun in (lambda x: x[y], lambda x: x[y[None]].sum(), cv.checkpoint(lambda x: x[y])):
            fails(IndexError, "index 3 is out of bounds.*\n.*test_options", cv.grad(fun), X)
        assert (cv.vmap(read)(np.array([-3, 2])) == X[np.array([0, 2])]).all()
        assert (cv.vmap(lambda i: X.at[i].get(mode="clip"))(at) == X[np.array([0, 2])]).all()
        assert X.at[at].get(mode="clip")[1] == 2 and X[np.array([-3])] == 0


def enable_checks(_):
    # Equal to what the tests set: all of them run with it.
    assert cv.config.enable_checks is (os.environ["COVECTOR_ENABLE_CHECKS"] == "1")


def check_tracer_leaks(_):
    for transform in (
        cv.jit, cv.vmap, lambda f: cv.grad(lambda x: f(x).sum()),
        lambda f: lambda x: cv.jvp(f, (x,), (x,)), cv.make_jaxpr,
    ):  # fmt: skip
        kept = []

        def f(x, kept=kept):
            kept.append(x * 3)
            return x

        transform(f)(X)
        kept.clear()
        cv.clear_caches()
        with option("check_tracer_leaks", True):
            fails(cv.errors.UnexpectedTracerError, "leaked.*\n.*held by a list", transform(f), X)
            total = transform(lambda x: cv.lax.scan(lambda c, a: (c * a, c), x, np.ones(3))[0])
            total(X)
        kept.clear()
    with cv.checking_leaks():
        assert cv.config.check_tracer_leaks


def tracer_error_num_traceback_frames(_):
    def message():
        kept = []
        cv.jit(lambda x: kept.append(x * 3))(X)
        with pytest.raises(cv.errors.UnexpectedTracerError) as caught:
            kept[0] + 1
        return str(caught.value)

    assert re.search(r"made by mul at .*test_options.py:\d+", message())
    with option("tracer_error_num_traceback_frames", 0):
        assert "made by mul" not in message()


def no_tracing(_):
    f = cv.jit(lambda x: x * 2)
    f(X)
    with option("no_tracing", True):
        assert float(f(X)[1]) == 2
        fails(RuntimeError, "no_tracing", f, np.arange(4.0))


def no_execution(_):
    f = cv.jit(lambda x: x * 2)
    compiled = f.lower(X).compile()
    f(X)
    with option("no_execution", True):
        for run in (f, compiled, lambda x: x + 1):
            fails(RuntimeError, "no_execution", run, X)
        assert f.eval_shape(X).shape == (3,)


def transfer_guard_host_to_device(said):
    f, on_host = cv.jit(lambda x: x * 2), onp.ones(3, "float32")
    for name in ("transfer_guard_host_to_device", "transfer_guard"):
        with option(name, "disallow"):
            for fun in (f, np.asarray, f, lambda x: X + x, lambda x: X * 2.0):
                fails(RuntimeError, "from the host to a device.*\n.*device_put", fun, on_host)
            assert list(onp.asarray(f(cv.device_put(on_host)))) == [2, 2, 2]
        with option(name, "disallow_explicit"):
            fails(RuntimeError, "forbids", cv.device_put, on_host)
        with option(name, "log"):
            f(on_host), f(on_host)
    assert len(said()) == 4 and "an operand of <lambda>, at" in said()[0]


def transfer_guard_device_to_device(said):
    toy = cv.devices("toy")[0]
    with option("transfer_guard_device_to_device", "disallow"):
        moved = cv.device_put(X, toy)
        fails(RuntimeError, "one device to another", cv.jit(lambda x: x + 1, device=toy), X)
        assert cv.jit(lambda x: x + 1)(moved)[1] == 2
    with option("transfer_guard_device_to_device", "disallow_explicit"):
        fails(RuntimeError, "CpuDevice.* to ToyDevice", cv.device_put, X, toy)


def transfer_guard_device_to_host(said):
    toy = cv.devices("toy")[0]
    with option("transfer_guard_device_to_host", "disallow"):
        fails(RuntimeError, "device to the host", onp.asarray, cv.device_put(np.ones(2), toy))
        assert cv.device_get(cv.device_put(np.ones(2), toy))[0] == 1
    with option("transfer_guard_device_to_host", "log_explicit"):
        cv.device_get(cv.device_put(np.ones(2), toy))
    assert len(said()) == 1


def transfer_guard(_):
    with option("transfer_guard", "log"):
        of_each = [cv.config.read(f"transfer_guard_{d}") for d in config_module._DIRECTIONS]
        assert of_each == ["log"] * 3


def traceback_filtering(_):
    import traceback

    def frames(value):
        with option("traceback_filtering", value), pytest.raises(TypeError) as caught:
            np.sin("a")
        return len(traceback.extract_tb(caught.value.__traceback__))

    assert frames("off") > frames("auto") == frames("remove_frames")


def log_compiles(said):
    def loss(x):
        return np.sin(x).sum()

    with option("log_compiles", True):
        cv.jit(loss)(X)
    lines = [line for line in said() if " loss for " in line]
    assert re.fullmatch(r"traced loss for \(float32\[3\]\) in \d\.\d+ s", lines[0])
    assert lines[1].startswith("compiled loss for (float32[3]) in")


def compiler_detailed_logging_min_ops(said):
    def loss(x):
        return np.sin(x).sum()

    with option("log_compiles", True), option("compiler_detailed_logging_min_ops", 1):
        cv.jit(loss)(X)
    assert any(line.startswith("lowered loss for") for line in said())


def explain_cache_misses(said):
    f = cv.jit(lambda x, n: x * n, static_argnums=1)
    with option("explain_cache_misses", True):
        f(X, 2)
        f(np.arange(4.0), 2)
        f(X, 3)
        f(X, 2)
        with option("numpy_rank_promotion", "warn"):
            f(X, 2)
        for _ in range(2):
            cv.jit(lambda x: x + 2)(X)
    *lines, again = said()
    assert "is traced anew" in again and "outside of the loop" in again
    assert [line.split(": ")[-1] for line in lines] == [
        "it has not been called before",
        "the argument x is float32[4], was float32[3]",
        "the static argument 1 is 3, was 2",
        "the option numpy_rank_promotion is 'warn', was 'allow'",
        "it has not been called before",
    ]
    assert "test_options.py" in said()[0]


def log_checkpoint_residuals(said):
    with option("log_checkpoint_residuals", True):
        cv.grad(lambda x: cv.checkpoint(lambda x: np.sin(np.sin(x)).sum())(x))(X)
    assert any(line.endswith("keeps float32[3]") for line in said())


def logging_level(_):
    logger = logging.getLogger("covector")
    before = logger.level
    with option("logging_level", "INFO"):
        assert logger.level == logging.INFO and len(logger.handlers) == 1
    assert logger.level == before and not logger.handlers


def debug_log_modules(_):
    logger = logging.getLogger("covector.compile")
    with option("debug_log_modules", "compile, covector.debug"):
        assert logger.level == logging.DEBUG and len(logger.handlers) == 1
    assert logger.level == logging.NOTSET and not logger.handlers


def captured_constants_warn_bytes(_):
    with option("captured_constants_warn_bytes", 12):
        with pytest.warns(UserWarning, match="12 bytes of constants"):
            cv.jit(lambda y: y + X)(X)
    with option("captured_constants_warn_bytes", 13), warnings.catch_warnings():
        warnings.simplefilter("error")
        cv.jit(lambda y: y + X)(X)


def captured_constants_report_frames(_):
    with option("captured_constants_warn_bytes", 0), option("captured_constants_report_frames", 1):
        with pytest.warns(UserWarning, match=r"\n  float32\[3\] at .*test_options.py"):
            cv.jit(lambda y: y - X)(X)


def show_progress(_):
    def slow(name):
        with progress.progress(name):
            time.sleep(0.05)

    with watched(0.01) as screen:
        slow("one")
        with option("show_progress", False):
            slow("another")
    assert "one" in screen.getvalue() and "another" not in screen.getvalue()


def pprint_use_color(_):
    class Terminal:
        isatty = staticmethod(lambda: True)

    text = cv.debug.show(lambda x: x + 1, X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Terminal())
        shown = repr(text)
        with option("pprint_use_color", False):
            plain = repr(text)
    assert "\x1b" in shown and "\x1b" not in plain


def _dumped(folder, **options):
    with contextlib.ExitStack() as stack:
        for name, value in {"dump_ir_to": str(folder), **options}.items():
            stack.enter_context(option(name, value))
        cv.jit(lambda x: x * 7)(X)
    files = sorted(folder.iterdir())
    return {f.name.split(".")[-2]: f.read_text() for f in files if "lambda" in f.name}


def dump_ir_to(folder):
    (name, text), *others = _dumped(folder).items()
    assert name == "jaxpr" and re.match(r"# <lambda> at .*test_options.py:\d+\n\{ lambda", text)
    assert not others


def dump_ir_modes(folder):
    found = _dumped(folder, dump_ir_modes="loop, llvm")
    assert set(found) == {"loop", "llvm"} and "define" in found["llvm"]
    fails(ValueError, "jaxpr, simplified", cv.config.update, "dump_ir_modes", "stablehlo")


def include_debug_info_in_dumps(folder):
    (text,) = _dumped(folder, include_debug_info_in_dumps=False).values()
    assert text.startswith("{ lambda")


def _level(value, name="optimization_level"):
    from covector.backends.cpu import codegen

    with option(name, value):
        out = cv.jit(lambda x: np.exp(x) * 2)(X)
        assert onp.allclose(out, 2 * onp.exp(onp.arange(3.0)), rtol=1e-6)
        return codegen.level()


def optimization_level(_):
    assert [_level(v) for v in ("UNKNOWN", "O0", "O1", "O3")] == [None, 0, 1, 3]


def cpu(_):
    from covector.backends.cpu import codegen

    with option("cpu", "x86-64-v2"):
        assert "ymm" not in cv.jit(lambda x: x * 2 + 1).lower(X).compile().as_text("asm")
        assert codegen.processor().name == "x86-64-v2"


def disable_most_optimizations(_):
    assert _level(True, "disable_most_optimizations") == 0


def _stored(folder, seconds=1.0, size=100, **options):
    from covector.backends.cpu import cache

    with contextlib.ExitStack() as stack:
        for name, value in {"compilation_cache_dir": str(folder), **options}.items():
            stack.enter_context(option(name, value))
        cache.store("key", b"x" * size, ([], []), seconds)
        return cache.load("key") is not None


def enable_compilation_cache(folder):
    assert not _stored(folder, enable_compilation_cache=False) and _stored(folder)


def compilation_cache_max_size(folder):
    assert not _stored(folder, compilation_cache_max_size=0)
    assert _stored(folder, compilation_cache_max_size=-1)


def persistent_cache_min_compile_time_secs(folder):
    assert not _stored(folder, 0.5, persistent_cache_min_compile_time_secs=0.75)
    assert _stored(folder, 1, persistent_cache_min_compile_time_secs=0.75)


def persistent_cache_min_entry_size_bytes(folder):
    assert not _stored(folder, persistent_cache_min_entry_size_bytes=5000)
    assert _stored(folder, size=6000, persistent_cache_min_entry_size_bytes=5000)


def raise_persistent_cache_errors(folder):
    (folder / "file").write_text("")
    with pytest.warns(UserWarning, match="not be kept in .*file"):
        assert not _stored(folder / "file")
    with pytest.raises(OSError, match="COVECTOR_COMPILATION_CACHE_DIR"):
        _stored(folder / "file", raise_persistent_cache_errors=True)


def platforms(_):
    with option("platforms", "toy,cpu"):
        assert cv.default_backend() == "toy"


def platform_name(_):
    with option("platform_name", "toy"):
        assert cv.default_backend() == "toy" and np.ones(2).device.platform == "toy"


def default_device(_):
    with option("default_device", cv.devices("toy")[0]):
        assert np.ones(2).device.platform == "toy"


def num_cpu_devices(_):
    fails(ValueError, "at least 1", cv.config.update, "num_cpu_devices", 0)
    with option("num_cpu_devices", 3):
        assert cv.device_count("cpu") == 3
    assert cv.device_count("cpu") == 1


def pjrt_client_create_options(_):
    with option("pjrt_client_create_options", "allocator:bfc;memory_fraction:0.5;some:1,2"):
        got = settings.client_options("cuda")
    want = {"preallocate": False, "allocator": "bfc", "memory_fraction": 0.5, "some": [1, 2]}
    assert got == want
    with option("pjrt_client_create_options", {"preallocate": True}):
        assert settings.client_options("cuda")["preallocate"] is True
        assert settings.client_options("xla_cpu") == {"preallocate": True}
    for bad in ("allocator", {"a": None}, {1: 2}, {"a": [1.5]}, 3):
        fails(ValueError, "key:value", cv.config.update, "pjrt_client_create_options", bad)


def cuda_visible_devices(_):
    with option("cuda_visible_devices", "0,2"):
        assert settings.client_options("cuda")["visible_devices"] == [0, 2]
        assert "visible_devices" not in settings.client_options("rocm")
    fails(ValueError, "numbers", cv.config.update, "cuda_visible_devices", "first")


def rocm_visible_devices(_):
    with option("rocm_visible_devices", "1"):
        assert settings.client_options("rocm")["visible_devices"] == [1]


WITH_FOLDER = {
    "dump_ir_to", "dump_ir_modes", "include_debug_info_in_dumps", "enable_compilation_cache",
    "compilation_cache_max_size", "persistent_cache_min_compile_time_secs",
    "persistent_cache_min_entry_size_bytes", "raise_persistent_cache_errors",
}  # fmt: skip
# Held by tests/backends/test_code_cache.py.
ELSEWHERE = {"compilation_cache_dir"}
WITH_EFFECT = sorted(set(OPTIONS) - set(WITHOUT_EFFECT) - ELSEWHERE)


@pytest.mark.parametrize("name", WITH_EFFECT)
def test_every_option_has_an_effect(name, said, tmp_path):
    globals()[name](tmp_path if name in WITH_FOLDER else said)


def test_options_are_listed_with_what_they_are_for():
    for name, option_ in OPTIONS.items():
        assert option_.summary and re.fullmatch("[a-z0-9_]+", name)
        config_module._check(name, option_.default)
