"""What a platform does not have, with a part of what is said of it."""

_CALLBACKS = dict.fromkeys(
    ("pure_callback", "io_callback", "debug_callback"), "Python functions run within programs for"
)
EXPECTED: dict[str, dict[str, str]] = {
    "cuda": _CALLBACKS,
    "tpu": {
        **_CALLBACKS,
        "reduce_precision": "TPUs reduce the precision of float32",
        "fft": "TPUs have Fourier transforms in complex64 alone",
    },
}
