"""A convolutional network that learns to read digits: drawn with a small font, moved, in noise."""

import time

import covector as cv
import covector.numpy as np
from covector import lax
from covector.example_libraries.optimizers import adam
from covector.nn import initializers, log_softmax, relu
from covector.tour.pictures import save

FONT = (  # five rows of three pixels for each digit
    "111101101101111 010110010010111 111001111100111 111001111001111 101101111001001 "
    "111100111001111 111100111101111 111001010010010 111101111101111 111101111001111"
)
glyphs = np.array([[int(c) for c in g] for g in FONT.split()], float).reshape(10, 5, 3)
large = cv.image.resize(glyphs, (10, 10, 6), "linear")


def draw(key):
    """One picture of 16 x 16 pixels, and its digit."""
    which, where, strength, noise = cv.random.split(key, 4)
    digit = cv.random.randint(which, (), 0, 10)
    row, column = cv.random.randint(where, (2,), 0, np.array([7, 11]))
    ink = cv.random.uniform(strength, minval=0.8, maxval=1.2) * large[digit]
    picture = lax.dynamic_update_slice(np.zeros((16, 16)), ink, (row, column))
    return picture + 0.1 * cv.random.normal(noise, (16, 16)), digit


draw_many = cv.jit(lambda key, n: cv.vmap(draw)(cv.random.split(key, n)), static_argnums=1)


def init(key):
    he = initializers.he_normal
    k1, k2, k3 = cv.random.split(key, 3)
    return {
        "conv1": he(in_axis=1, out_axis=0)(k1, (8, 1, 3, 3)),
        "conv2": he(in_axis=1, out_axis=0)(k2, (16, 8, 3, 3)),
        "dense": he()(k3, (16 * 4 * 4, 10)),
        "bias": np.zeros(10),
    }


def pool(x):
    """The largest of each 2 x 2 pixels."""
    return lax.reduce_window(x, -np.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def log_probabilities(params, pictures):
    x = pictures[:, None]  # one channel
    for name in ("conv1", "conv2"):
        x = pool(relu(lax.conv(x, params[name], (1, 1), "SAME")))
    return log_softmax(x.reshape(len(x), -1) @ params["dense"] + params["bias"])


def loss(params, pictures, digits):
    logp = log_probabilities(params, pictures)
    return -np.mean(np.take_along_axis(logp, digits[:, None], axis=1))


first, update, current = adam(0.01)


@cv.jit
def train(params, keys):
    """Adam, on a fresh batch for each key."""

    def step(state, numbered):
        k, key = numbered
        value, g = cv.value_and_grad(loss)(current(state), *draw_many(key, 64))
        return update(k, g, state), value

    state, losses = lax.scan(step, first(params), (np.arange(len(keys)), keys))
    return current(state), losses


params = init(cv.random.key(0))
pictures, digits = draw_many(cv.random.key(1), 1000)
start = time.perf_counter()
params, losses = cv.block_until_ready(train(params, cv.random.split(cv.random.key(2), 400)))
print(f"400 steps, compilation included: {time.perf_counter() - start:.1f} s")
guess = np.argmax(log_probabilities(params, pictures), axis=1)
accuracy = np.mean(guess == digits)
print(f"loss {losses[:10].mean():.2f} -> {losses[-10:].mean():.2f}")
print(f"of 1000 new pictures {accuracy:.1%} are read as what they are")
assert accuracy > 0.9

# Forty pictures, and under each what the network reads.
read = np.pad(glyphs[guess[:40]], ((0, 0), (2, 2), (6, 7))) * 1.5
tiles = np.concatenate([np.clip(pictures[:40], -0.5, 1.5), read], axis=1)
save("convolution.png", np.vstack([np.hstack(row) for row in tiles.reshape(4, 10, 25, 16)]), 3)
print("The picture is in convolution.png")
