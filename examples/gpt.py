"""A small GPT, trained on the characters of this repository's documentation on several devices.

Parameters and the moments of AdamW are split over all devices, batches over ``data``; matrices of a
layer are gathered over ``data`` when it runs, and heads and hidden units are split over ``tensor``.
Numbers are kept in float32 and products computed in bfloat16. Every so often all is written to a
checkpoint; a run that was ended goes on from there, on as many devices as there are.

    python examples/gpt.py
    COVECTOR_NUM_CPU_DEVICES=2 mpirun -n 2 python examples/gpt.py
"""

import argparse
import math
import os
import pathlib
import time

os.environ.setdefault("COVECTOR_NUM_CPU_DEVICES", "4")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy
from matplotlib import pyplot

import covector as cv
import covector.numpy as np
from covector import lax
from covector.ad_checkpoint import checkpoint_name
from covector.experimental.array_serialization import load, nonblocking_save
from covector.sharding import AxisType
from covector.sharding import PartitionSpec as P

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--steps", type=int, default=100)
parser.add_argument("--layers", type=int, default=3)
parser.add_argument("--width", type=int, default=96)
parser.add_argument("--heads", type=int, default=4)
parser.add_argument("--length", type=int, default=64)
parser.add_argument("--batch", type=int, default=16, help="sequences of one turn")
parser.add_argument("--turns", type=int, default=2, help="whose derivatives make up a step")
parser.add_argument("--tensor", type=int, default=2, help="devices among which heads are split")
parser.add_argument("--every", type=int, default=25, help="steps from a checkpoint to the next")
parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("gpt"))
parser.add_argument("--sample", type=int, default=160, help="characters written at the end")
options = parser.parse_args()

if any(int(os.environ.get(n, "1")) > 1 for n in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")):
    cv.distributed.initialize()
devices = cv.device_count()
tensor = math.gcd(options.tensor, devices)
mesh = cv.make_mesh((devices // tensor, tensor), ("data", "tensor"), (AxisType.Auto,) * 2)
first = cv.process_index() == 0


def where(spec):
    return cv.NamedSharding(mesh, spec)


def lie(x, *spec):
    return lax.with_sharding_constraint(x, where(P(*spec)))


# --- the text --------------------------------------------------------------------------------

docs = pathlib.Path(__file__).resolve().parent.parent / "docs"
text = "".join(path.read_text() for path in sorted(docs.glob("*.md")))
letters = sorted(set(text))
numbers = numpy.array([letters.index(c) for c in text], "int32")
WORDS = -(-len(letters) // 8) * 8  # so that it can be split


def batch(step):
    """Pieces of the text for one step, the same in every run: turns × batch × length.

    Each process makes those that its devices have.
    """
    shape = (options.turns, options.batch, options.length + 1)
    starts = numpy.random.default_rng((17, step)).integers(
        0, len(numbers) - options.length - 1, shape[:2]
    )

    def part(index):
        return numbers[starts[index[:2]][..., None] + numpy.arange(shape[2])]

    return cv.make_array_from_callback(shape, where(P(None, "data")), part)


# --- the network -----------------------------------------------------------------------------

D, H, SIZE = options.width, options.heads, options.width // options.heads
LAYER = {
    "norm1": ((D,), P()),
    "qkv": ((3, D, H, SIZE), P(None, "data", "tensor")),
    "out": ((H, SIZE, D), P("tensor", None, "data")),
    "norm2": ((D,), P()),
    "up": ((D, 4 * D), P("data", "tensor")),
    "down": ((4 * D, D), P("tensor", "data")),
}
TREE = {
    "words": ((WORDS, D), P(None, "data")),
    "places": ((options.length, D), P(None, "data")),
    "layers": {k: ((options.layers, *s), P(None, *spec)) for k, (s, spec) in LAYER.items()},
    "norm": ((D,), P()),
    "last": ((D, WORDS), P("data", "tensor")),
}


def is_entry(x):
    return isinstance(x, tuple)


specs = cv.tree.map(lambda e: e[1], TREE, is_leaf=is_entry)
shardings = cv.tree.map(where, specs, is_leaf=lambda x: isinstance(x, P))


def init(key):
    shapes, treedef = cv.tree.flatten(TREE, is_leaf=is_entry)
    keys = cv.random.split(key, len(shapes))
    found = []
    for k, (shape, _) in zip(keys, shapes, strict=True):
        scale = 0.02 if len(shape) > 2 or WORDS in shape or options.length in shape else 0.0
        found.append(cv.random.normal(k, shape) * scale if scale else np.ones(shape))
    return cv.tree.unflatten(treedef, found)


def norm(x, scale):
    x = x.astype("float32")
    return (x * lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale).astype("bfloat16")


def half(x):
    return x.astype("bfloat16")


def layer(x, w):
    # As parameters lie, so do their derivatives.
    w = {k: lie(v, *LAYER[k][1]) for k, v in w.items()}
    x = checkpoint_name(x, "between layers")
    q, k, v = np.einsum("bsd,cdhk->cbhsk", norm(x, w["norm1"]), half(w["qkv"]))
    scores = np.einsum("bhqk,bhsk->bhqs", q, k).astype("float32") * SIZE**-0.5
    seen = np.arange(x.shape[1])[:, None] >= np.arange(x.shape[1])
    weights = half(cv.nn.softmax(np.where(seen, scores, -1e30)))
    found = np.einsum("bhqs,bhsk->bhqk", weights, v)
    x = lie(x + np.einsum("bhqk,hkd->bqd", found, half(w["out"])), "data")
    h = cv.nn.gelu(norm(x, w["norm2"]) @ half(w["up"]))
    return lie(x + h @ half(w["down"]), "data")


# What is kept from the way forward is what layers hand on, in the memory of the host; the rest is
# computed again.
policy = cv.checkpoint_policies.save_and_offload_only_these_names(
    names_which_can_be_saved=[],
    names_which_can_be_offloaded=["between layers"],
    offload_src="device",
    offload_dst="pinned_host",
)


def logits(params, tokens):
    table, places = lie(half(params["words"])), lie(half(params["places"]))
    x = lie(table[tokens] + places[: tokens.shape[1]], "data")
    body = cv.checkpoint(lambda x, w: (layer(x, w), None), policy=policy)
    x, _ = lax.scan(body, x, params["layers"])
    return (norm(x, params["norm"]) @ half(lie(params["last"], "data", "tensor"))).astype("float32")


def loss(params, tokens):
    scores = cv.nn.log_softmax(logits(params, tokens[:, :-1]))
    right = tokens[:, 1:, None] == np.arange(WORDS)
    return -np.where(right, scores, 0).sum(-1).mean()


def rate(step):
    """Rising for a quarter of the steps, then falling as a cosine does."""
    rise = max(options.steps // 4, 1)
    fallen = np.clip((step - rise) / max(options.steps - rise, 1), 0, 1)
    return 2e-3 * np.minimum((step + 1) / rise, 0.1 + 0.9 * np.cos(np.pi / 2 * fallen) ** 2)


def step(state, tokens):
    """The derivatives of several turns, added up, and AdamW (Loshchilov and Hutter, 2019)."""
    params, m, v, i = state

    def turn(total, piece):
        value, g = cv.value_and_grad(loss)(params, piece)
        g = lax.with_sharding_constraint(g, shardings)
        return cv.tree.map(np.add, total, (value, g)), None

    start = (np.zeros(()), cv.tree.map(np.zeros_like, params))
    (value, g), _ = lax.scan(turn, start, tokens)
    value, g = cv.tree.map(lambda x: x / options.turns, (value, g))
    size = np.sqrt(sum((x**2).sum() for x in cv.tree.leaves(g)))
    g = cv.tree.map(lambda x: x / np.maximum(size, 1), g)
    m = cv.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
    v = cv.tree.map(lambda v, g: 0.99 * v + 0.01 * g**2, v, g)

    def update(p, m, v):
        change = m / (1 - 0.9 ** (i + 1)) / (np.sqrt(v / (1 - 0.99 ** (i + 1))) + 1e-8)
        return p - rate(i) * (change + 0.1 * p * (p.ndim > 1))

    return (cv.tree.map(update, params, m, v), m, v, i + 1), value


# --- training --------------------------------------------------------------------------------

everywhere = where(P())
of_state = (shardings, shardings, shardings, everywhere)
step = cv.jit(step, donate_argnums=0, out_shardings=(of_state, everywhere))
types = cv.eval_shape(init, cv.random.key(0))
count = sum(x.size for x in cv.tree.leaves(types))


def start(key):
    params = init(key)
    zeros = cv.tree.map(np.zeros_like, params)
    return params, zeros, zeros, np.zeros((), int)


options.folder.mkdir(parents=True, exist_ok=True)
place = options.folder / "checkpoint"
if (place / "index.json").exists():
    found = load(place, {"state": of_state, "losses": everywhere})
    state, losses = found["state"], list(numpy.asarray(found["losses"]))
else:
    state, losses = cv.jit(start, out_shardings=of_state)(cv.random.key(0)), []

begun = len(losses)
if first:
    there = f"{dict(mesh.shape)} devices of {cv.process_count()} processes"
    print(f"{count:,} parameters, {len(text):,} characters of {len(letters)} kinds, {there}, from "
          f"step {begun}")  # fmt: skip
writing = None
clock = time.perf_counter()
for i in range(begun, options.steps):
    state, value = step(state, batch(i))
    losses.append(numpy.float32(value))
    if first:
        words = options.turns * options.batch * options.length
        speed = words / (time.perf_counter() - clock)
        print(f"step {i + 1:4} of {options.steps}: loss {losses[-1]:.4f}, {speed:,.0f} characters "
              "a second", flush=True)  # fmt: skip
    clock = time.perf_counter()
    if writing is not None and (i + 1) % options.every == options.every // 2:
        writing.result()  # half a turn later it is on disk, whatever happens then
    if (i + 1) % options.every == 0 or i + 1 == options.steps:
        if writing is not None:
            writing.result()
        writing = nonblocking_save({"state": state, "losses": numpy.array(losses)}, place)
if writing is not None:
    writing.result()


# --- what it has learnt ------------------------------------------------------------------------


def write(params, key):
    """One character after the other, as likely as the network thinks: a text for each ``data``."""
    window = np.full((mesh.shape["data"], options.length), letters.index("\n"))

    def one(window, key):
        scores = logits(params, window)[:, -1] / 0.7
        found = cv.random.categorical(key, np.where(np.arange(WORDS) < len(letters), scores, -1e30))
        return np.concatenate([window[:, 1:], found[:, None]], 1), found[0]

    return lax.scan(one, window, cv.random.split(key, options.sample))[1]


if options.sample:
    found = cv.jit(write, out_shardings=everywhere)(state[0], cv.random.key(1))
    if first:
        print("".join(letters[k] for k in numpy.asarray(found)))

if first:
    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    axes.plot(range(1, len(losses) + 1), losses)
    axes.axhline(math.log(len(letters)), color="0.7", linestyle=":")
    axes.set(xlabel="step", ylabel="loss a character, nats")
    figure.savefig("gpt.png", dpi=120)
    numpy.save(options.folder / "losses.npy", numpy.array(losses))
    print("the loss is in gpt.png")
