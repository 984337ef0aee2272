"""What the compiler promises: rules for all primitives, sizes erased, buffers reused."""

import os
import re
import subprocess
import sys
import threading

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import _native, lax
from covector.backends.cpu import backend as cpu
from covector.backends.cpu import generate
from covector.backends.cpu.writer import BLOCK_LENGTH
from covector.compiler.lower.lowering import lower
from covector.compiler.passes import simplify


def test_a_new_size_compiles_nothing():
    f = cv.jit(lambda x, y: np.sum(np.exp(x) @ y, axis=0) / x.shape[0])
    rng = onp.random.default_rng(0)

    def check(m, k, n):
        x = rng.normal(size=(m, k)).astype(onp.float32)
        y = rng.normal(size=(k, n)).astype(onp.float32)
        out = onp.asarray(f(np.asarray(x), np.asarray(y)))
        assert onp.allclose(out, (onp.exp(x) @ y).sum(0) / m, rtol=1e-4, atol=1e-4)

    check(100, 50, 70)
    before = cpu.statistics["compiled"] + cpu.statistics["loaded"]
    for m, k, n in [(101, 57, 20), (33, 44, 55), (1000, 17, 400)]:
        check(m, k, n)
    assert cpu.statistics["compiled"] + cpu.statistics["loaded"] == before


@pytest.mark.parametrize("shapes", [[(5,), (50,), (17,)], [(3, 4), (40, 50), (2, 100)]])
def test_eager_operations_compile_once_for_a_rank(shapes):
    x = np.ones(shapes[0])
    (x * 2.0 - x).block_until_ready()
    before = cpu.statistics["compiled"] + cpu.statistics["loaded"]
    for shape in shapes[1:]:
        x = np.ones(shape)
        y = x * 2.0 - x
        assert y.shape == shape and float(y.ravel()[0]) == 1.0
    assert cpu.statistics["compiled"] + cpu.statistics["loaded"] <= before + 1


def test_donated_argument_is_overwritten():
    f = cv.jit(lambda x: x * 2 + 1, donate_argnums=0)
    x = np.asarray(onp.arange(1000.0, dtype=onp.float32))
    address = x.unsafe_buffer_pointer()
    y = f(x)
    assert y.unsafe_buffer_pointer() == address
    assert x.is_deleted()
    with pytest.raises(RuntimeError, match="deleted"):
        x + 1
    assert onp.array_equal(onp.asarray(y), onp.arange(1000.0) * 2 + 1)


def test_donated_argument_that_is_viewed_is_copied():
    f = cv.jit(lambda x: x.at[3].set(7.0), donate_argnums=0)
    x = np.arange(1000.0)
    view = onp.asarray(x)
    y = f(x)
    assert view[3] == 3.0
    assert float(y[3]) == 7.0


def test_update_of_a_loop_carry_happens_in_place():
    def f(x):
        return lax.fori_loop(0, 10, lambda i, a: a.at[i].set(a[i] + 1.0), x)

    text = cv.jit(f).lower(np.zeros(1000)).compile().as_text("llvm")
    # One copy of the initial value, none per round.
    assert text.count("memmove") == 0
    assert onp.asarray(cv.jit(f)(np.zeros(1000)))[:12].tolist() == [1.0] * 10 + [0.0] * 2


def workspace(f, *args):
    module = cpu.CpuModule(cv.make_jaxpr(f)(*args), [False] * len(args), "f")
    return module.compile(cv.devices("cpu")[0], 0).workspace_bytes


def llvm(f, *args):
    return cv.jit(f).lower(*args).compile().as_text("llvm")


def stores(text):
    """Stores of vectors by all loops; those that are alike share a function.

    What is written past the caches if it is large is written in one of two ways.
    """
    count = 0
    for function in ("\n" + text).split("\ndefine ")[1:]:
        name = re.match(r".*@([\w.]+)\(", function)[1]
        written = function.count("store <") - function.count("!nontemporal")
        count += written * max(1, text.count(f"call void @{name}("))
    return count


def test_rows_of_a_loop_carry_are_updated_in_place():
    def f(x):
        return lax.fori_loop(1, 500, lambda i, a: a.at[i].set(a[i - 1] * 0.5 + a[i]), x)

    x = onp.random.RandomState(0).rand(500, 300).astype(onp.float32)
    # A row is computed apart; the array is copied once, into the result.
    assert workspace(f, x) < 10_000
    want = x.copy()
    for i in range(1, 500):
        want[i] = want[i - 1] * onp.float32(0.5) + want[i]
    assert onp.allclose(cv.jit(f)(x), want, rtol=1e-6)


def test_cotangents_of_rows_are_added_in_place():
    def f(x):
        return lax.fori_loop(0, 500, lambda i, s: s + np.sin(x[i]).sum(), 0.0)

    x = onp.random.RandomState(0).rand(500, 300).astype(onp.float32)
    text = cv.jit(cv.grad(f)).lower(x).compile().as_text("simplified")
    sums = [line for line in text.splitlines() if "add_any" in line]
    assert sums and not any("f32[500,300]" in line for line in sums)
    assert onp.allclose(cv.jit(cv.grad(f))(x), onp.cos(x), atol=1e-6)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.reshape(-1) + 1,
        lambda x: np.exp(x).reshape(-1),
        lambda x: x.T.reshape(-1) * 2,
        lambda x: np.tile(x[0], 100),
        lambda x: np.repeat(x[0], 100) + 1,
        lambda x: np.kron(x, x),
        lambda x: x.reshape(70, 2, 15, 3).transpose(0, 2, 1, 3).reshape(1050, 6),
    ],
)
def test_reshaped_values_are_read_without_division(f):
    x = onp.arange(70 * 90, dtype=onp.float32).reshape(70, 90)
    assert not any(op in llvm(f, x) for op in ("udiv <", "urem <"))
    assert onp.array_equal(cv.jit(f)(x), f(cv.numpy.asarray(x)))


@pytest.mark.parametrize("shape", [(0, 70, 2), (70, 0), (0, 1), (1, 0, 20)])
def test_empty_values_are_reshaped(shape):
    x = onp.zeros(0, onp.float32)
    assert onp.array_equal(
        cv.jit(lambda x: np.sin((x + 1).reshape(shape)).sum(-1))(x), onp.zeros(shape[:-1])
    )


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.pad(x, 3),
        lambda x: np.pad(x * x, ((1, 2), (0, 5)))[:, 1:] + 1,
        lambda x: x[::-1, ::-1] * 2,
        lambda x: np.roll(x, 3, 1) * x,
        cv.grad(lambda x: np.sum((x[:, 1:] - x[:, :-1]) ** 2)),
    ],
)
def test_borders_and_reversed_axes_need_no_gather(f):
    assert not gathers(llvm(f, onp.ones((70, 90), onp.float32)))


def gathers(text):
    """Whether vectors are loaded from anywhere, by an instruction or number by number."""
    return "gather" in text or "> zeroinitializer, float" in text or "> zeroinitializer, i" in text


def test_elements_at_given_places_are_gathered():
    x, i = onp.ones(100, onp.float32), onp.zeros(100, onp.int32)
    assert gathers(llvm(lambda x, i: x[i], x, i))


@pytest.mark.parametrize("shape, axis", [((300, 7), 1), ((300, 200), 1), ((300, 200), 0)])
def test_positions_are_searched_in_vectors(shape, axis):
    assert "fcmp ogt <16 x float>" in llvm(lambda x: np.argmax(x, axis), np.ones(shape))


def test_values_read_at_many_places_are_computed_once():
    def f(x):
        return lax.associative_scan(lambda a, b: np.sin(a) + b, x)

    short, long = (len(llvm(f, np.ones(n))) for n in (1 << 6, 1 << 10))
    # Four more levels of the scan, not sixteen times the code.
    assert long < 3 * short


@pytest.mark.parametrize(
    "f",
    [
        lambda a, i: lax.cond(i % 3 == 0, lambda: a.at[i].set(a[i] + 1), lambda: a),
        lambda a, i: lax.switch(i, [lambda: a, lambda: -a, lambda: a.at[i].add(1).at[0].mul(2)]),
        lambda a, i: lax.cond(
            i > 3, lambda: a, lambda: lax.fori_loop(0, 3, lambda j, b: b.at[i, j].set(b[j, i]), a)
        ),
        lambda a, i: lax.cond(
            i > 3, lambda: lax.cond(i > 6, lambda: a.at[i].set(0.0), lambda: a * 2), lambda: a
        ),
    ],
)
def test_branches_update_what_a_loop_carries_in_place(f):
    def run(a):
        return lax.fori_loop(0, 9, lambda i, b: f(b, i), a * 1)

    a = onp.arange(9000.0, dtype=onp.float32).reshape(30, 300)
    assert workspace(run, a) < a.nbytes
    want = np.asarray(a)
    for i in range(9):
        want = f(want, i)
    assert onp.array_equal(cv.jit(run)(a), want)


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: a[:, :, :20] @ b[0, :20, :25],
        lambda a, b: a[0, :20, :20] @ b[1, :20, :20].T,
        lambda a, b: a[:2, :25, :20] @ b[:2, :20],
        lambda a, b: np.swapaxes(a[:, :20], 1, 2) @ b[:, :20, :40],
        lambda a, b: cv.vmap(np.dot)(a[:, 0, :30], b[:, 0, :30]),
        lambda a, b: np.tensordot(a[:, :, :20], b[:, :, :20], axes=((0, 1), (0, 1))),
    ],
)
def test_products_of_the_beginnings_of_arrays(f):
    a, b = (onp.random.default_rng(k).normal(size=(3, 30, 60)).astype("f") for k in range(2))
    want = f(np.asarray(a), np.asarray(b))
    assert onp.allclose(cv.jit(f)(a, b), want, atol=1e-4)


ROTATIONS = {
    "exchanged": (lambda a, b, c: (b, a, c), 0),
    "round": (lambda a, b, c: (b, c, a), 0),
    "shifted": (lambda a, b, c: (b, c, a * 0.5 - b), 1),
    "three terms": (lambda a, b, c: (b, 2 * b - a, c), 1),
    "last value": (lambda a, b, c: (a[::-1] * 0.5, a, b), 1),
    "copied": (lambda a, b, c: (b, b, c * 0.5), 2),
    "updated": (lambda a, b, c: (b.at[3].set(a[4]), a, c), 1),
}


@pytest.mark.parametrize("name", ROTATIONS)
@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 4])
def test_carries_change_places_without_copies(name, rounds):
    step, new = ROTATIONS[name]

    def run(*carries):
        return lax.fori_loop(0, rounds, lambda i, s: step(*s), carries)

    xs = [onp.arange(9000.0, dtype=onp.float32).reshape(30, 300) % m for m in (5, 7, 11)]
    want = tuple(map(np.asarray, xs))
    for _ in range(rounds):
        want = step(*want)
    for got, expected in zip(cv.jit(run)(*xs), want, strict=True):
        assert onp.allclose(got, expected, atol=1e-6)
    # The carries' first values, and what is new each round.
    assert stores(llvm(run, *xs)) == 3 + new


def test_softmax_needs_no_temporary_matrix():
    def softmax(x):
        e = np.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    compiled = cv.jit(softmax).lower(np.ones((1000, 1000))).compile()
    assert workspace(softmax, np.ones((1000, 1000))) < 100_000
    assert "exp" in compiled.as_text("loop")


@pytest.mark.parametrize("dialect", ["jaxpr", "simplified", "loop", "llvm", "optimised", "asm"])
def test_every_stage_can_be_read(dialect):
    text = cv.jit(lambda x: np.sin(x) * 2).lower(np.ones(100)).compile().as_text(dialect)
    assert len(text) > 20


def test_unknown_dialect():
    with pytest.raises(ValueError, match="dialect"):
        cv.jit(lambda x: x + 1).lower(1.0).compile().as_text("french")


_THREADS = """
import numpy as onp, hashlib
import covector as cv, covector.numpy as np
x = np.asarray(onp.random.default_rng(0).normal(size=(700, 1300)).astype(onp.float32))
def f(x):
    s = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    return s, x.sum(), x.sum(0), np.cumsum(x, 1), (x * x).mean(), x.prod(1), np.var(x), x.max()
h = hashlib.sha256()
for y in cv.jit(f)(x):
    h.update(onp.asarray(y).tobytes())
print(h.hexdigest())
"""


def test_results_do_not_depend_on_the_number_of_threads():
    digests = set()
    for n in ("1", "2", "3", "7"):
        env = dict(os.environ, COVECTOR_NUM_THREADS=n)
        out = subprocess.run(
            [sys.executable, "-c", _THREADS], env=env, capture_output=True, text=True, check=True
        )
        digests.add(out.stdout.strip())
    assert len(digests) == 1


def test_calls_from_several_threads_at_once():
    f = cv.jit(lambda x, n: np.sum(np.sin(x) * n))
    xs = [np.linspace(0, 1, 1000 + 100 * (k % 5)) for k in range(40)]
    expected = [float(onp.sin(onp.asarray(x)).sum() * k) for k, x in enumerate(xs)]
    got = [0.0] * len(xs)

    def work(first):
        for k in range(first, len(xs), 4):
            got[k] = float(f(xs[k], float(k)))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert onp.allclose(got, expected, rtol=1e-4)


def test_fork_after_use():
    big = np.ones(1_000_000)
    total = cv.jit(lambda x: np.sum(x * 2))
    assert float(total(big)) == 2_000_000
    pid = os.fork()
    if pid == 0:
        os._exit(0 if float(total(big)) == 2_000_000 else 1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_out_of_memory():
    with pytest.raises(MemoryError):
        np.zeros((1 << 40, 1 << 10))


def test_vectors_of_every_length():
    f = cv.jit(lambda x: (x * 3.0 + 1.0, np.sum(x), np.max(x), x[::-1], np.cumsum(x)))
    for n in range(1, 70):
        x = onp.random.default_rng(n).normal(size=n).astype(onp.float32)
        out = [onp.asarray(y) for y in f(np.asarray(x))]
        assert onp.allclose(out[0], x * 3 + 1, rtol=1e-6, atol=1e-6)
        assert onp.allclose(out[1], x.sum(), rtol=1e-4, atol=1e-5)
        assert out[2] == x.max()
        assert onp.array_equal(out[3], x[::-1])
        assert onp.allclose(out[4], onp.cumsum(x), rtol=1e-4, atol=1e-5)


def test_number_of_threads_is_set_by_the_environment():
    assert _native.num_threads() >= 1


@pytest.mark.parametrize("k", [2, 4, 5, 8])
def test_batched_products_of_mixed_types(k):
    rng = onp.random.default_rng(0)
    with cv.enable_x64():
        x = rng.normal(size=(2, 3, 4, k))
        y = rng.normal(size=(2, 3, k, 3)).astype(onp.float32)
        assert onp.allclose(np.matmul(x, y), x @ y)


def test_constants_are_operands_of_library_calls():
    y = onp.arange(300, dtype=onp.float32)
    for _ in range(3):
        onp.empty(300).fill(7.0)  # what a buffer may hold beforehand
        got = cv.jit(lambda x: lax.dot(lax.full((1, 40), 0.5), x))(onp.ones((40, 300), onp.float32))
        assert onp.array_equal(got, onp.full((1, 300), 20.0))
        assert onp.array_equal(cv.jit(lambda x: np.sort(lax.full((5,), 3.0)) + x)(y[:1]), [3.0] * 5)
        got = cv.jit(cv.grad(lambda x: y @ (x * y)))(y)
        assert onp.array_equal(got, y * y)
        assert onp.array_equal(
            cv.jit(lambda s: cv.vjp(lambda a: a @ y, s * y)[1](2.0)[0])(1.0), 2 * y
        )


def test_outer_products_join_what_uses_them():
    a, b = onp.ones(300, onp.float32), onp.arange(400, dtype=onp.float32)
    f = cv.jit(lambda w, a, b: w - 0.5 * np.outer(a, b))
    compiled = f.lower(onp.ones((300, 400), onp.float32), a, b).compile()
    assert "call gemm" not in compiled.as_text("loop")
    assert onp.array_equal(f(onp.ones((300, 400), onp.float32), a, b), 1 - 0.5 * onp.outer(a, b))


def test_a_branch_keeps_what_it_reads_through_a_view_from_outside():
    # The transpose is not stored, so that its reader in the branch reads the sorted array.
    def f(x, p):
        u = np.sort(x, axis=1)
        v = u.T
        return lax.cond(
            p, lambda: np.cumsum(np.cumsum(np.exp(np.sin(u)), axis=0) + v, axis=1), lambda: v * 2.0
        )

    x = onp.random.default_rng(0).normal(size=(100, 100)).astype(onp.float32)
    u = onp.sort(x, axis=1).astype(onp.float64)
    expected = onp.cumsum(onp.cumsum(onp.exp(onp.sin(u)), axis=0) + u.T, axis=1)
    error = onp.abs(onp.asarray(cv.jit(f)(x, True)) - expected)
    assert error.max() < 1e-6 * onp.abs(expected).max()


def test_long_straight_line_code_compiles_in_linear_time():
    # Functions of complex numbers: instructions that LLVM's fast selection does not know.
    x = onp.full((2, 3), 0.1 + 0.3j, onp.complex64)

    def f(x):
        for _ in range(40):
            x = np.sqrt(x * x + np.abs(x)) / (1 + x)
        return x

    program = lower(simplify(cv.make_jaxpr(f)(x)), "f").program
    text, _ = generate.llvm_text(program)
    assert text.effort == 0
    blocks = text.text.split(":\n")
    assert max(b.count("\n") for b in blocks) < 2 * BLOCK_LENGTH + 50
    with cv.disable_jit():
        assert onp.allclose(cv.jit(f)(x), f(cv.numpy.asarray(x)), rtol=1e-4)


def test_costly_functions_of_small_arrays_are_loops():
    x = onp.full((5, 9), 0.1 + 0.3j, onp.complex64)
    text = llvm(lambda x: [np.arcsinh(x), np.arccos(x)], x)
    assert text.count("\n") < 3000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_division_by_what_a_loop_does_not_change_is_exact(dtype):
    rng = onp.random.default_rng(0)
    bits = onp.dtype(dtype).itemsize * 8

    def anything(n):
        return rng.integers(0, 2**bits, n, dtype=f"uint{bits}").view(dtype)

    # Quotients next to the middle of two floats are the hard ones.
    ordinary = rng.uniform(1, 2, 20_000).astype(dtype) * 2.0 ** rng.integers(-40, 40, 20_000)
    special = [0.0, -0.0, onp.inf, -onp.inf, onp.nan, 1.0, onp.finfo(dtype).max,
               onp.finfo(dtype).tiny, onp.finfo(dtype).smallest_subnormal]  # fmt: skip
    special = onp.asarray(special, dtype)
    ordinary = ordinary.astype(dtype)
    x = onp.concatenate([anything(20_000), ordinary, special])
    divisors = onp.concatenate([x[::600], special, onp.asarray([3.0, 0.1, 255.0], dtype)])
    with cv.enable_x64(), onp.errstate(all="ignore"):
        divide = cv.jit(lambda x, y: x / y)
        for y in divisors:
            want = x / y
            got = onp.asarray(divide(x, y))
            assert onp.array_equal(got, want, equal_nan=True), y
            number = ~onp.isnan(want)
            assert onp.array_equal(onp.signbit(got)[number], onp.signbit(want)[number]), y
        # A constant of the program, and one divisor a row.
        got = cv.jit(lambda x: x / 255.0)(ordinary)
        assert onp.array_equal(onp.asarray(got), ordinary / onp.asarray(255, dtype))
        rows = ordinary.reshape(20, 1000)
        got = cv.jit(lambda r: r / r.sum(1, keepdims=True))(rows)
        assert onp.allclose(onp.asarray(got).sum(1), 1, rtol=1e-4)


@pytest.mark.parametrize("n", [1, 3, 15, 16, 17, 63, 64, 65, 127, 129, 200])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int32", "float16"])
def test_rows_reduced_by_several_running_results(dtype, n):
    rng = onp.random.default_rng(n)
    x = rng.integers(-50, 50, (37, n)).astype(dtype)
    with cv.enable_x64():
        for name in ("max", "min", "sum", "argmax", "argmin"):
            f = cv.jit(lambda x, name=name: getattr(np, name)(x, axis=1))
            assert onp.array_equal(onp.asarray(f(x)), getattr(onp, name)(x, axis=1)), name
    if dtype.startswith("f"):
        x[5, n // 2] = onp.nan
        for name in ("max", "min", "argmax"):
            f = cv.jit(lambda x, name=name: getattr(np, name)(x, axis=1))
            want = getattr(onp, name)(x, axis=1)
            assert onp.array_equal(onp.asarray(f(x)), want, equal_nan=True), name


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
@pytest.mark.parametrize("transposed", ["", "a", "b"])
def test_products_without_blas_walk_memory_in_order(dtype, transposed):
    rng = onp.random.default_rng(0)

    def product(a, b):
        return (a.T if "a" in transposed else a) @ (b.T if "b" in transposed else b)

    with cv.enable_x64():
        f = cv.jit(product)
        for n in (17, 64, 100):
            a, b = rng.integers(-100, 100, (2, n, n)).astype(dtype)
            assert onp.array_equal(onp.asarray(f(a, b)), product(a, b))
        text = f.lower(a, b).compile().as_text("llvm")
    assert not gathers(text)


@pytest.mark.parametrize("axes", [(0, 2), (1, 2), (0, 1), (1, 3), (0, 3), (0, 1, 3)])
@pytest.mark.parametrize("last", [3, 40])
def test_reductions_over_several_axes(axes, last):
    x = onp.random.default_rng(0).integers(-9, 9, (5, 20, 30, last)).astype("float32")
    for name in ("sum", "max"):
        f = cv.jit(lambda x, name=name: getattr(np, name)(x, axis=axes))
        assert onp.array_equal(onp.asarray(f(x)), getattr(onp, name)(x, axis=axes)), name


@pytest.mark.parametrize("shape", [(2**32, 2**32), (2**40, 2**24)])
@pytest.mark.parametrize("f", [np.max, np.sum, np.any, np.mean])
def test_more_elements_than_can_be_counted(f, shape):
    with pytest.raises(MemoryError, match=r"is too large\nThe error arose at .*test_compiler.py"):
        cv.jit(lambda x: f(np.broadcast_to(x, shape)))(1.0)


def test_compiling_writes_nothing(tmp_path):
    """To the error stream, also where passes skip a function."""
    code = """
import covector as cv, covector.numpy as np
cv.jit(np.sin)(np.arange(100, dtype="float32") * 1e5)
"""
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_llvms_own_loader(monkeypatch):
    """As on processors whose object code the native core does not load."""
    monkeypatch.setattr(_native, "loads_code", False)
    x = onp.random.default_rng(0).normal(size=(17, 33))
    for i in range(3):
        got = cv.jit(lambda x, i=i: np.fmod(np.sin(x) * (i + 0.8765), 0.25).sum(1))(x)
        want = onp.fmod(onp.sin(x) * (i + 0.8765), 0.25).sum(1)
        onp.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
def test_whole_quotients_of_vectors(dtype):
    """Exact beside multiples of the divisor and at the ends, whichever loop knows the divisor."""
    info = onp.iinfo(dtype)
    rng = onp.random.default_rng(0)
    ends = onp.array([info.min, info.min + 1, info.max - 1, info.max, 0, 1, 2, 3, 7], dtype)
    y = onp.concatenate([rng.integers(info.min, info.max, 2000), rng.integers(1, 99, 2000)])
    y = y.astype(dtype).astype(onp.int64)
    multiples = rng.integers(info.min, info.max, 4000) // onp.where(y == 0, 1, y) * y
    x = onp.concatenate([multiples + k for k in (-1, 0, 1)]).astype(dtype)

    def divided(x, y):
        y = np.broadcast_to(y, x.shape)
        return lax.div(x, y), lax.rem(x, y)

    divided = cv.jit(divided)
    pairs = [(x, onp.tile(y.astype(dtype), 3)), (onp.repeat(ends, 9), onp.tile(ends, 9))]
    for a, b in [*pairs, *((x, k) for k in ends)]:
        n, d = a.astype(onp.int64), onp.where(b == 0, 1, b).astype(onp.int64)
        q = onp.abs(n) // onp.abs(d) * onp.sign(n) * onp.sign(d)
        got = divided(a, b)
        onp.testing.assert_array_equal(got[0], onp.where(b == 0, -1, q).astype(dtype))
        onp.testing.assert_array_equal(got[1], onp.where(b == 0, n, n - q * d).astype(dtype))


@pytest.mark.parametrize(("dtype", "bits"), [("float32", (8, 23)), ("float64", (11, 52))])
@pytest.mark.parametrize("n", [1, 3, 1000])
def test_products_that_are_rounded_are_not_fused(dtype, bits, n):
    x = onp.random.default_rng(0).normal(size=n).astype(dtype)
    y = -(x * x[::-1])  # the sum is zero, but of the product that is not rounded
    with cv.enable_x64():
        f = cv.jit(lambda x, y: lax.reduce_precision(x * x[::-1], *bits) + y)
        onp.testing.assert_array_equal(f(x, y), onp.zeros(n, dtype))
