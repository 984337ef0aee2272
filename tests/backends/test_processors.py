"""Programs compiled for a level of x86-64, not for the processor at hand."""

import platform as machine

import ml_dtypes
import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector.backends.cpu import codegen
from covector.backends.cpu.codegen import Processor
from tests import programs
from tests.lax import test_rules
from tests.property_tables import CASES, DISCRETE
from tests.random.cases import EXACT
from tests.test_options import option

if machine.machine() not in ("x86_64", "AMD64"):
    pytest.skip("levels are of x86-64", allow_module_level=True)

# Differences, in roundings of the largest number: without fused multiply-add, which the second
# level does not have, last bits are others.
LEVELS = {"x86-64-v2": 64, "x86-64-v3": 0}
PROGRAMS = programs.programs(cv, np)


def has(level):
    try:
        codegen._of_level(level)
    except ValueError:
        return False
    return True


@pytest.fixture(params=LEVELS)
def platform(request):
    if not has(request.param):
        pytest.skip("this processor does not have the level")
    return request.param


def alike(got, want, roundings):
    for g, w in zip(*map(cv.tree_util.tree_leaves, (got, want)), strict=True):
        g, w = onp.asarray(g), onp.asarray(w)
        assert (g.dtype, g.shape) == (w.dtype, w.shape)
        if not roundings or g.dtype.kind in "iub":
            onp.testing.assert_array_equal(g, w)
        else:
            eps = float(ml_dtypes.finfo(g.dtype).eps)
            kind = "complex128" if g.dtype.kind == "c" else "float64"
            g, w = g.astype(kind), w.astype(kind)
            scale = onp.abs(w[onp.isfinite(w)]).max(initial=1e-30)
            onp.testing.assert_allclose(g, w, rtol=0, atol=roundings * eps * scale)


@pytest.mark.platform
@pytest.mark.parametrize("name", [*CASES, *DISCRETE])
def test_values_are_those_of_this_processor(name, platform):
    with cv.enable_x64(), onp.errstate(all="ignore"):
        fun, args = (CASES[name] if name in CASES else DISCRETE[name])[:2]
        fun = cv.jit(test_rules.flat(fun))
        want = fun(*args)
        with option("cpu", platform):
            alike(fun(*args), want, LEVELS[platform])


@pytest.mark.platform
@pytest.mark.parametrize("name", EXACT)
def test_random_numbers_have_the_same_bits(name, platform):
    draw = cv.jit(lambda key: EXACT[name](cv.random, key))
    want = draw(cv.random.key(42))
    with option("cpu", platform):
        alike(draw(cv.random.key(42)), want, 0)


@pytest.mark.platform
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name, platform):
    want = PROGRAMS[name]()
    with option("cpu", platform):
        # Iterations carry differences on.
        alike(PROGRAMS[name](), want, 64 * LEVELS[platform])


def test_the_code_is_for_the_level():
    f = cv.jit(lambda x: np.exp(x) * x + 1)
    texts = {}
    for level in ("native", *filter(has, LEVELS)):
        with option("cpu", level):
            texts[level] = f.lower(np.ones(1000)).compile().as_text("asm")
    assert "ymm" not in texts["x86-64-v2"] and "xmm" in texts["x86-64-v2"]
    if "x86-64-v3" in texts:
        assert "vfmadd" in texts["x86-64-v3"] and "zmm" not in texts["x86-64-v3"]


def test_code_of_one_level_is_not_taken_for_another(tmp_path):
    """Levels have entries of their own in the cache on disk."""
    with option("compilation_cache_dir", str(tmp_path)), option("enable_compilation_cache", True):
        for count, level in enumerate(["native", *filter(has, LEVELS)], 1):
            with option("cpu", level):
                assert float(cv.jit(lambda x: x * 3.5 + 0.25)(np.ones(3))[0]) == 3.75
            assert len(list(tmp_path.iterdir())) == count


def test_halves_without_instructions_for_them():
    """The second level has none: every number, and what lies between two."""
    every = onp.arange(1 << 16, dtype="uint16").view("float16")
    up, down = cv.jit(lambda x: x.astype("float32")), cv.jit(lambda x: x.astype("float16"))
    with onp.errstate(all="ignore"):
        wide = every.astype("float32")
        between = onp.nextafter(wide * 1.00048828125, onp.array([[-9e9], [9e9]], "float32"))
    with option("cpu", "x86-64-v2"):
        onp.testing.assert_array_equal(up(every), wide)
        for x in (wide, *between):
            with onp.errstate(all="ignore"):
                onp.testing.assert_array_equal(down(x), x.astype("float16"))


def test_a_level_that_the_processor_does_not_have(monkeypatch):
    host = Processor("oldtimer", "+sse3,+ssse3,+cx16,+sse4.1,+sse4.2,+popcnt,+sahf")
    monkeypatch.setattr(codegen, "host", lambda: host)
    codegen._of_level.cache_clear()
    with option("cpu", "x86-64-v3"):
        match = r"cpu='x86-64-v3': this processor \(oldtimer\) has no avx, avx2.*COVECTOR_CPU"
        with pytest.raises(ValueError, match=match):
            cv.jit(lambda x: x * 7.5)(1.0)
    codegen._of_level.cache_clear()


def test_a_level_that_there_is_not():
    with pytest.raises(ValueError, match="x86-64-v4"):
        cv.config.update("cpu", "x86-64-v5")
