"""What a platform does not have, with a part of what is said of it."""

EXPECTED: dict[str, dict[str, str]] = {
    "cuda": {},
    "tpu": {
        "reduce_precision": "TPUs reduce the precision of float32",
        "fft": "TPUs have Fourier transforms in complex64 alone",
    },
}
