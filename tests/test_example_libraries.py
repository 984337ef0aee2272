"""Layers and optimisers: beside NumPy, beside JAX, in a training loop; bad input."""

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp
from covector.example_libraries import optimizers, stax

OPTIMIZERS = {
    "sgd": (), "momentum": (0.5,), "nesterov": (0.5,), "adagrad": (0.8,), "rmsprop": (),
    "rmsprop_momentum": (), "adam": (), "adamax": (), "sm3": (0.5,),
}  # fmt: skip
SCHEDULES = {
    "constant": (0.1,), "exponential_decay": (0.1, 3, 0.5), "inverse_time_decay": (0.1, 3, 0.5, 1),
    "polynomial_decay": (0.1, 4, 0.01, 2.0), "piecewise_constant": ([2, 4], [0.1, 0.05, 0.01]),
}  # fmt: skip
X = np.random.RandomState(0).randn(2, 8, 8, 3).astype(np.float32)
# Layers of images, with what they are made of.
LAYERS = {
    "Dense": lambda s: s.Dense(4), "Conv": lambda s: s.Conv(4, (3, 3), (2, 1), "SAME"),
    "ConvTranspose": lambda s: s.ConvTranspose(4, (3, 3), (2, 2), "SAME"),
    "GeneralConv": lambda s: s.GeneralConv(("NHWC", "OHWI", "NHWC"), 4, (3, 3)),
    "GeneralConvTranspose": lambda s: s.GeneralConvTranspose(("NHWC", "HWIO", "NHWC"), 4, (2, 2)),
    "BatchNorm": lambda s: s.BatchNorm(), "MaxPool": lambda s: s.MaxPool((2, 2), (2, 2)),
    "SumPool": lambda s: s.SumPool((2, 3), padding="SAME"),
    "AvgPool": lambda s: s.AvgPool((3, 3), (2, 2), "SAME", spec="NHWC"),
    **{
        name: lambda s, name=name: getattr(s, name)
        for name in ("Elu Exp Flatten Gelu Identity LeakyRelu LogSoftmax Relu Selu Sigmoid Softmax "
                     "Softplus Tanh").split()
    },
    "Dropout": lambda s: s.Dropout(0.7), "elementwise": lambda s: s.elementwise(s.elu, alpha=2.0),
    "shape_dependent": lambda s: s.shape_dependent(lambda shape: s.Dense(shape[-1])),
    "FanOut": lambda s: s.serial(
        s.FanOut(2), s.parallel(s.Dense(3), s.Dense(3)), s.FanInSum, s.Dropout(0.5)
    ),
    "FanInConcat": lambda s: s.serial(s.FanOut(2), s.parallel(s.Dense(2), s.Tanh), s.FanInConcat()),
}  # fmt: skip


def trained(o, grad, name, args, tree=True):
    init, update, params = getattr(o, name)(o.exponential_decay(0.1, 10, 0.5), *args)
    x = {"a": np.float32([[1, -2, 3], [4, 5, -6]]), "b": [np.float32([0.5, 2])]}
    state = init(x)
    for i in range(5):
        p = params(state)
        state = update(i, grad(lambda p: (p["a"] ** 2).sum() + (p["b"][0] ** 4).sum())(p), state)
    return params(state)


def test_every_name_has_a_row():
    other = {"optimizer", "pack_optimizer_state", "unpack_optimizer_state", "make_schedule",
             "l2_norm", "clip_grads"}  # fmt: skip
    names = {n for n in optimizers.__all__ if n[0].islower()}
    assert names == {*OPTIMIZERS, *SCHEDULES, *other}
    rest = {"FanInSum", "serial", "parallel", "Conv1DTranspose"}
    assert {n for n in stax.__all__ if n[0].isupper()} <= {*LAYERS, *rest}


@pytest.mark.peer
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_beside_jax(name):
    jax = pytest.importorskip("jax")
    from jax.example_libraries import optimizers as theirs

    got = trained(optimizers, cv.grad, name, OPTIMIZERS[name])
    want = trained(theirs, jax.grad, name, OPTIMIZERS[name])
    for g, w in zip(cv.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(g, w, 1e-5)


@pytest.mark.peer
@pytest.mark.parametrize("name", "Dense Conv GeneralConvTranspose BatchNorm AvgPool FanOut".split())
def test_layers_beside_jax(name):
    jax = pytest.importorskip("jax")
    from jax.example_libraries import stax as theirs

    found = []
    for s, random in ((stax, cv.random), (theirs, jax.random)):
        init, apply = LAYERS[name](s)
        shape, params = init(random.key(0), X.shape)
        y = apply(params, X, rng=random.key(1))
        assert y.shape == shape
        found.append((y, cv.tree.leaves(params) if s is stax else jax.tree.leaves(params)))
    (y, params), (z, wanted) = found
    for g, w in zip([*params, y], [*wanted, z], strict=True):
        np.testing.assert_allclose(g, w, 2e-4, 2e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    init, apply = LAYERS[name](stax)
    shape, params = init(cv.random.key(0), X.shape)
    y = apply(params, X, rng=cv.random.key(1))
    assert y.shape == shape and y.dtype == np.float32 and np.isfinite(y).all()
    function = {"Exp": cnp.exp, "Tanh": cnp.tanh, "Identity": cnp.asarray}.get(
        name, getattr(cv.nn, {"LogSoftmax": "log_softmax", "LeakyRelu": "leaky_relu"}.get(
            name, name.lower()), None)
    )  # fmt: skip
    if function is not None:
        np.testing.assert_allclose(y, function(X), 1e-6)


def test_schedules():
    values = {
        "constant": [0.1] * 6, "exponential_decay": 0.1 * 0.5 ** (np.arange(6) / 3),
        "inverse_time_decay": 0.1 / (1 + 0.5 * np.floor(np.arange(6) / 3)),
        "polynomial_decay": 0.09 * (1 - np.minimum(np.arange(6), 4) / 4) ** 2 + 0.01,
        "piecewise_constant": [0.1, 0.1, 0.1, 0.05, 0.05, 0.01],
    }  # fmt: skip
    for name, args in SCHEDULES.items():
        schedule = getattr(optimizers, name)(*args)
        np.testing.assert_allclose([schedule(i) for i in range(6)], values[name], 1e-6)
    assert optimizers.make_schedule(schedule) is schedule
    with pytest.raises(TypeError, match="step size"):
        optimizers.make_schedule([0.1])
    with pytest.raises(ValueError, match="one more"):
        optimizers.piecewise_constant([1], [0.1])


def test_adam_beside_numpy():
    x, m, v = np.float64([1, -2]), 0, 0
    init, update, params = optimizers.adam(0.1)
    state = init(np.float32(x))
    for i in range(4):
        g = 2 * x
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - 0.1 * (m / (1 - 0.9 ** (i + 1))) / (np.sqrt(v / (1 - 0.999 ** (i + 1))) + 1e-8)
        state = cv.jit(update)(i, 2 * params(state), state)
    np.testing.assert_allclose(params(state), x, 1e-5)


def test_states():
    tree = {"a": cnp.ones(2), "b": [cnp.zeros(()), ()]}
    init, update, _ = optimizers.sm3(0.1)
    state = init(tree)
    marked = optimizers.unpack_optimizer_state(state)
    again = optimizers.pack_optimizer_state(marked)
    assert cv.tree.structure(again) == cv.tree.structure(state)
    assert isinstance(marked["a"], optimizers.JoinPoint)
    with pytest.raises(TypeError, match="tree of gradients"):
        update(0, {"a": cnp.ones(2)}, state)
    with pytest.raises(TypeError, match="JoinPoint"):
        optimizers.pack_optimizer_state([1.0])
    np.testing.assert_allclose(optimizers.l2_norm([3.0, np.float32([0, 4])]), 5)
    np.testing.assert_allclose(optimizers.clip_grads([3.0, 4.0], 10.0), [3, 4])
    np.testing.assert_allclose(optimizers.clip_grads([0.0], 0.0), [0])


def test_training():
    init, apply = stax.serial(stax.Dense(16), stax.Tanh, stax.Dense(1))
    _, params = init(cv.random.key(0), (-1, 2))
    x = cv.random.normal(cv.random.key(1), (64, 2))
    y = x[:, :1] * x[:, 1:]
    opt = optimizers.adam(1e-2)

    def loss(params):
        return cnp.mean((apply(params, x) - y) ** 2)

    step = cv.jit(lambda i, s: opt.update_fn(i, cv.grad(loss)(opt.params_fn(s)), s))
    state = opt.init_fn(params)
    for i in range(200):
        state = step(i, state)
    assert loss(opt.params_fn(state)) < 0.1 * loss(params)
    init, apply = stax.Conv1DTranspose(2, (3,), (2,))
    shape, params = init(cv.random.key(0), (1, 5, 3))
    assert apply(params, np.ones((1, 5, 3), np.float32)).shape == shape
    with pytest.raises(ValueError, match="rng"):
        stax.Dropout(0.5)[1]((), np.ones(3))
    np.testing.assert_array_equal(stax.Dropout(0.5, "test")[1]((), np.ones(3)), np.ones(3))
