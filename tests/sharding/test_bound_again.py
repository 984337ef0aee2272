"""Programs with types of explicit axes, gone through once more: by `jit` in another transformation,
loops, branches, checkpoints. What their operations left open was laid out when they were traced.
"""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.sharding import PartitionSpec as P
from tests.sharding.test_out_sharding import CASES, A, B

ROWS, COLUMNS, WHOLE = P("x"), P(None, "x"), P()

# Functions of two arrays, how they are split, and how the result is to be. With "left open", an
# axis of the mesh splits what is summed over, or both operands.
PROGRAMS = {
    **{
        name: (CASES[name], P("x"), P(None, "y"), ROWS)
        for name in (
            "numpy.broadcast_to", "numpy.einsum", "numpy.matmul", "numpy.ravel", "numpy.repeat",
            "numpy.reshape", "lax.broadcast", "lax.dot_general", "lax.reduce_sum", "at.get",
            "at.set", "at.add", "x.reshape", "segment_sum", "numpy.percentile", "at.get fill",
            "at.apply",
        )
    },
    "left open, sum": (
        lambda a, b, **o: np.matmul(b, a, **o), ROWS, COLUMNS, WHOLE
    ),
    "left open, part": (
        lambda a, b, **o: np.einsum("ki,jk->ij", a, b, **o), ROWS, COLUMNS, P("y")
    ),
    "left open, both": (
        lambda a, b, **o: np.einsum("ik,kj->ij", a, b, **o), ROWS, COLUMNS, P(None, "x")
    ),
    "left open, rows": (
        lambda a, b, **o: a.at[onp.array([3, 1, 7, 0])].get(**o), ROWS, COLUMNS, WHOLE
    ),
    "sum later": (
        lambda a, b, **o: 2 * np.matmul(b, a, **o), ROWS, COLUMNS, P(unreduced={"x"}),
    ),
    "no result of their own": (
        lambda a, b, **o: np.tanh(a.sum() * b), ROWS, P(None, "y"), None
    ),
}  # fmt: skip

WAYS = {
    "jit": lambda f: cv.jit(cv.jit(f)),
    "vmap": lambda f: lambda a, b: cv.vmap(cv.jit(f))(a[None], b[None])[0],
    "jit of vmap": lambda f: lambda a, b: cv.jit(cv.vmap(cv.jit(f), (0, None)))(a[None], b)[0],
    "jvp": lambda f: lambda a, b: cv.jvp(cv.jit(f), (a, b), (a, b))[1],
    "linearize": lambda f: (
        lambda a, b: cv.jit(lambda a, b: cv.linearize(cv.jit(f), a, b)[1](a, b))(a, b)
    ),
    "checkpoint": lambda f: cv.jit(cv.checkpoint(f)),
    "loop": lambda f: (
        lambda a, b: cv.jit(lambda a, b: lax.scan(lambda c, _: (c, f(*c)), (a, b), None, 2)[1][1])(
            a, b
        )
    ),
    "loop of vmap": lambda f: (
        lambda a, b: cv.vmap(lambda a, b: lax.scan(lambda c, _: (c, f(*c)), (a, b), None, 2)[1][1])(
            a[None], b[None]
        )[0]
    ),
    "branch": lambda f: cv.jit(lambda a, b: lax.cond(a.shape[0] > 0, cv.jit(f), f, a, b)),
}


def whole(x):
    """``x``, its sum taken, where it has a type that says how it is split."""
    return x if cv.sharding.get_abstract_mesh().empty else cv.reshard(x, P())


def gradient(f):
    """The derivatives by both operands, that of the function in `jit`."""
    return lambda a, b: cv.grad(lambda a, b: (np.sin(whole(cv.jit(f)(a, b))) ** 2).sum(), (0, 1))(
        a, b
    )


DERIVATIVES = {
    "grad": gradient,
    "jit of grad": lambda f: cv.jit(gradient(f)),
    "vmap of grad": lambda f: (
        lambda a, b: cv.tree.map(lambda x: x[0], cv.vmap(cv.jit(gradient(f)))(a[None], b[None]))
    ),
    "grad in a loop": lambda f: (
        lambda a, b: cv.tree.map(
            lambda x: x[1], lax.scan(lambda c, _: (c, gradient(f)(*c)), (a, b), None, 2)[1]
        )
    ),
    "grad of a loop": lambda f: gradient(
        lambda a, b: lax.scan(lambda c, _: (c, f(*c)), (a, b), None, 2)[1][1]
    ),
    "grad of a checkpoint": lambda f: gradient(cv.checkpoint(f)),
    "grad of grad": lambda f: (
        lambda a, b: cv.grad(
            lambda a, b: sum(np.cos(whole(g)).sum() for g in cv.jit(gradient(f))(a, b)), (0, 1)
        )(a, b)
    ),
}


@pytest.fixture(scope="module")
def mesh():
    return cv.make_mesh((4, 2), ("x", "y"))


def both(way, name, mesh):
    """The results on the mesh and without one."""
    f, of_a, of_b, out = PROGRAMS[name]
    given = {} if out is None else {"out_sharding": out}
    want = way(lambda a, b: f(a, b))(A, B)
    with cv.set_mesh(mesh):
        a, b = cv.device_put(A, of_a), cv.device_put(B, of_b)
        return way(lambda a, b: f(a, b, **given))(a, b), want, out


@pytest.mark.platform
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_bound_again(name, way, mesh):
    got, want, out = both(WAYS[way], name, mesh)
    if out is not None and way in ("jit", "checkpoint", "branch", "jvp"):
        spec = got.sharding.spec
        assert spec.partitions[: len(out)] == out.partitions and spec.unreduced == out.unreduced
    onp.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.platform
@pytest.mark.parametrize("way", DERIVATIVES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_derivatives_are_bound_again(name, way, mesh):
    got, want, _ = both(DERIVATIVES[way], name, mesh)
    for g, w, spec in zip(got, want, PROGRAMS[name][1:3], strict=True):
        if way in ("grad", "jit of grad", "grad of a checkpoint"):
            assert g.sharding.spec.partitions[: len(spec)] == spec.partitions
        onp.testing.assert_allclose(g, w, rtol=1e-3, atol=1e-4)
