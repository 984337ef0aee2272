"""How options are set, for whom, and which are accepted without effect."""

import os
import pathlib
import re
import subprocess
import sys
import threading
import warnings

import pytest

import covector as cv
from covector.core import config as config_module
from covector.core import contexts
from covector.core.options import OPTIONS, WITHOUT_EFFECT
from tests.test_options import fails, option

# --- options without effect -----------------------------------------------------------------


def _rows():
    text = (pathlib.Path(__file__).parents[1] / "docs" / "differences.md").read_text()
    table = text.split("| accepted, without effect | reason |\n|---|---|\n")[1].split("\n\n")[0]
    for row in table.splitlines():
        names, reason = (part.strip() for part in row.strip("|").split("|"))
        yield from ((name.strip("` "), reason) for name in names.split(","))


def test_options_without_effect_are_in_the_documents():
    assert dict(_rows()) == WITHOUT_EFFECT


def _another(value):
    if isinstance(value, bool):
        return not value
    return "x" if value is None or isinstance(value, str) else value + 1


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_options_without_effect_warn(name):
    default = OPTIONS[name].default
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cv.config.update(name, default)
    reason = re.escape(WITHOUT_EFFECT[name])
    with pytest.warns(UserWarning, match=f"{name} is accepted, without effect here: {reason}") as w:
        cv.config.update(name, _another(default))
    assert w[0].filename == __file__ and getattr(cv.config, name) == _another(default)
    cv.config.update(name, default)


# --- how they are set -----------------------------------------------------------------------


def test_misspelt_options_are_errors_with_the_nearest_name():
    fails(AttributeError, "did you mean 'debug_nans'", cv.config.update, "jax_debug_nan", True)
    fails(AttributeError, "did you mean 'transfer_guard'", cv.config.read, "transferguard")
    fails(AttributeError, "unknown configuration option 'zzz';", cv.config.read, "zzz")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("captured_constants_warn_bytes", "12", 12),
        ("persistent_cache_min_compile_time_secs", "0.5", 0.5),
        ("transfer_guard", "log", "log"),
        ("default_matmul_precision", "", None),
        ("no_tracing", "yes", True),
        ("optimization_level", "O1", "O1"),
    ],
)
def test_values_of_environment_variables(name, text, value):
    assert config_module._parse_env(name, f"COVECTOR_{name.upper()}", text) == value


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("captured_constants_warn_bytes", "many", "is not a number"),
        ("transfer_guard", "maybe", "takes one of"),
        ("num_cpu_devices", "0", "at least 1"),
        ("dump_ir_modes", "hlo", "names of stages"),
    ],
)
def test_wrong_values_of_environment_variables(name, text, match):
    variable = f"COVECTOR_{name.upper()}"
    fails(ValueError, match, config_module._parse_env, name, variable, text)


def test_a_wrong_variable_shows_no_frames_of_where_it_is_read():
    env = {**os.environ, "COVECTOR_NUM_CPU_DEVICES": "foo"}
    code = [sys.executable, "-c", "import covector"]
    run = subprocess.run(code, env=env, capture_output=True, text=True)
    assert run.returncode == 1 and "COVECTOR_NUM_CPU_DEVICES='foo' is not a number" in run.stderr
    # Python adds that of the module which is imported.
    assert run.stderr.count("  File ") == 2


def test_the_environment_and_where_values_are_from():
    code = (
        "import covector as cv\n"
        "cv.config.update('no_tracing', False)\n"
        "c = cv.config\n"
        "print(c.transfer_guard_device_to_host, c.sources['transfer_guard'], c.sources['scan3'],"
        " c.sources['no_tracing'], c.sources['debug_nans'])\n"
        "with cv.debug_nans(): print(c.sources['debug_nans'])\n"
    )
    env = {**os.environ, "COVECTOR_TRANSFER_GUARD": "log", "COVECTOR_SCAN3": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert run.stdout.split() == ["log", "environment", "environment", "set", "default", "block"]
    assert "scan3 is accepted, without effect here" in run.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("captured_constants_warn_bytes", "12"), ("captured_constants_warn_bytes", True),
     ("no_tracing", 1), ("dump_ir_to", None), ("numpy_rank_promotion", True)],
)  # fmt: skip
def test_values_of_the_wrong_type(name, value):
    fails((TypeError, ValueError), f"option '{name}' takes", cv.config.update, name, value)


def test_all_threads_see_an_option_and_one_what_a_block_sets():
    def elsewhere():
        found = []
        t = threading.Thread(target=lambda: found.append((c.no_tracing, c.transfer_guard)))
        t.start()
        t.join()
        return found[0]

    c = cv.config
    with option("no_tracing", True), cv.transfer_guard("log"):
        assert (c.no_tracing, c.transfer_guard) == (True, "log")
        assert elsewhere() == (True, None)
    assert elsewhere() == (False, None)


MANAGERS = sorted(n for n, m in cv._NAMES.items() if m == "covector.core.contexts" and n in OPTIONS)


@pytest.mark.parametrize("name", MANAGERS)
def test_context_managers(name):
    manager, default = getattr(cv, name), OPTIONS[name].default
    assert getattr(cv.config, name) == default or name == "enable_checks"
    if isinstance(default, bool) and name not in WITHOUT_EFFECT:
        before = getattr(cv.config, name)
        with manager():
            assert getattr(cv.config, name) is True
            with manager(False):
                assert getattr(cv.config, name) is False
        assert getattr(cv.config, name) is before
    elif not isinstance(default, bool):
        with pytest.raises(TypeError, match="needs a value|missing 1 required"):
            manager()
    if default is not None or OPTIONS[name].choices:
        with pytest.raises((TypeError, ValueError)), manager(5.5):
            pass


@pytest.mark.parametrize(
    ("manager", "value"),
    [
        (cv.array_garbage_collection_guard, "log"),
        (cv.auto_pcast, False),
        (cv.jax2tf_associative_scan_reductions, True),
        (cv.remove_size_one_mesh_axis_from_type, True),
        (cv.thread_guard, True),
        (cv.threefry_partitionable, False),
    ],
)
def test_context_managers_without_effect_warn(manager, value):
    with pytest.warns(UserWarning, match="accepted, without effect here"), manager(value):
        assert getattr(cv.config, manager.__name__) == value


def test_public_context_managers_are_for_options():
    assert {n for n in vars(contexts) if n in OPTIONS} == set(MANAGERS)


def test_a_block_that_fails_restores_what_was():
    with pytest.raises(KeyError), cv.debug_nans(True):
        raise KeyError
    assert cv.config.debug_nans is False


# --- contexts of users -----------------------------------------------------------------------


def test_user_contexts():
    scale = cv.make_user_context(2)
    traces = []

    @cv.jit
    def f(x):
        traces.append(scale.value)
        return x * scale.value

    assert float(f(3.0)) == 6 and float(f(3.0)) == 6
    with scale(5):
        assert scale.value == 5 and float(f(3.0)) == 15
        with scale(5.0):
            assert type(scale.value) is float and float(f(3.0)) == 15
        seen = []
        t = threading.Thread(target=lambda: seen.append(scale.value))
        t.start()
        t.join()
        assert seen == [2]
    assert scale.value == 2 and float(f(3.0)) == 6 and traces == [2, 5, 5.0]
    with pytest.raises(TypeError, match="must be hashable"), scale([]):
        pass
    assert cv.make_user_context().value is None
