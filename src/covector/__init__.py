"""Covector: arrays, and transformations of functions of arrays, compiled to native code.

Import it as ``import covector as cv`` and its NumPy interface as ``import covector.numpy as np``.
Functions are transformed by `jit` (compile), `grad`, `vjp`, `jvp` (differentiate) and `vmap`
(vectorise), in any order and depth. Modules are imported when they are first used.
"""

from __future__ import annotations

__version__ = "0.1.0"

from covector import _native
from covector.core.collector import paused as _paused

try:
    import covector.core.config
except ValueError as _error:
    # Of an environment variable: where the library reads it is nobody's concern.
    raise _error.with_traceback(None) from None

with _paused():
    # These register themselves with the traces: evaluation, and the rules of calls.
    import covector.runtime.dispatch
    import covector.runtime.execution
    import covector.transforms.dce_rules
    import covector.transforms.jit_rules

    # The operators and methods of arrays come with the NumPy interface.
    import covector.numpy  # noqa: F401  # isort: skip
    from covector.core.array_type import Array
    from covector.core.config import config, default_device, disable_jit, enable_x64
    from covector.core.dtypes import float0
    from covector.core.errors import export as _export
    from covector.core.lazy import lazy_names as _lazy_names
    from covector.transforms.autodiff import fwd_and_bwd, jvp, linear_transpose, linearize, vjp
    from covector.transforms.cache import clear_all as _clear_all
    from covector.transforms.grad import grad, value_and_grad
    from covector.transforms.jit import jit
    from covector.transforms.make_jaxpr import eval_shape, make_jaxpr
    from covector.transforms.shapes import ShapeDtypeStruct, typeof
    from covector.transforms.vmap_api import vmap


def clear_caches() -> None:
    """Forget all traces and compiled programs kept in memory.

    Memory that is not in use goes back to the system. Programs that the compilation cache keeps
    on disk stay there.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> @cv.jit
    ... def f(x):
    ...     print("tracing")
    ...     return x + 1
    >>> y = f(1)
    tracing
    >>> y = f(2)
    >>> cv.clear_caches()
    >>> y = f(2)
    tracing
    """
    _clear_all()
    _native.trim_allocator()


# Where other public names live. A name that is not a module is found in the module given.
_MODULES = frozenset((
    "ad", "memory",
    "ad_checkpoint", "api_util", "custom_batching", "custom_derivatives", "debug", "dlpack",
    "distributed", "dtypes", "errors", "example_libraries", "experimental", "export", "extend",
    "ffi", "flatten_util", "image", "interpreters", "lax", "monitoring", "nn", "numpy", "ops",
    "random", "ref", "scipy", "sharding", "stages", "test_util", "tree", "tree_util", "typing",
))  # fmt: skip
_NAMES = {
    **dict.fromkeys(("jacfwd", "jacrev", "jacobian", "hessian"), "covector.transforms.jacobian"),
    **dict.fromkeys(
        ("checkpoint", "remat", "checkpoint_policies"), "covector.control_flow.checkpoint"
    ),
    **dict.fromkeys(
        ("custom_gradient", "closure_convert"), "covector.control_flow.custom_gradient"
    ),
    "custom_jvp": "covector.control_flow.custom_jvp",
    "custom_vjp": "covector.control_flow.custom_vjp",
    **dict.fromkeys(("Ref", "empty_ref", "free_ref", "freeze", "new_ref"), "covector.ref"),
    "NamedSharding": "covector.sharding.named",
    "P": "covector.sharding.spec",
    "make_mesh": "covector.sharding.mesh",
    "pmap": "covector.runtime.pmap",
    "reshard": "covector.runtime.constraints",
    "set_mesh": "covector.sharding.context",
    **dict.fromkeys(("shard_map", "smap"), "covector.sharding.shard_map"),
    **dict.fromkeys(
        (
            "Shard", "make_array_from_callback", "make_array_from_process_local_data",
            "make_array_from_single_device_arrays",
        ),
        "covector.runtime.shards",
    ),
    "pure_callback": "covector.transforms.callbacks",
    "Device": "covector.core.device",
    "ds": "covector.numpy._index",
    **dict.fromkeys(
        (
            "allow_f16_reductions", "array_garbage_collection_guard", "auto_pcast",
            "check_tracer_leaks", "checking_leaks", "debug_infs", "debug_key_reuse", "debug_nans",
            "default_matmul_precision", "default_prng_impl", "enable_checks", "enable_custom_prng",
            "explain_cache_misses", "jax2tf_associative_scan_reductions", "legacy_prng_key",
            "log_compiles", "make_user_context", "no_execution", "no_tracing",
            "numpy_dtype_promotion", "numpy_rank_promotion", "remove_size_one_mesh_axis_from_type",
            "softmax_custom_jvp", "thread_guard", "threefry_partitionable", "transfer_guard",
            "transfer_guard_device_to_device", "transfer_guard_device_to_host",
            "transfer_guard_host_to_device",
        ),
        "covector.core.contexts",
    ),
    **dict.fromkeys(
        (
            "block_until_ready", "copy_to_host_async", "default_backend", "device_count",
            "device_get", "device_put", "devices", "effects_barrier", "ensure_compile_time_eval",
            "host_count", "host_id", "host_ids", "live_arrays", "local_device_count",
            "local_devices", "named_call", "named_scope", "print_environment_info",
            "process_count", "process_index", "process_indices",
        ),
        "covector.runtime.devices",
    ),
}  # fmt: skip

__getattr__, __dir__ = _lazy_names(globals(), _NAMES, _MODULES)

__all__ = [
    "Array",
    "ShapeDtypeStruct",
    "clear_caches",
    "config",
    "default_device",
    "disable_jit",
    "enable_x64",
    "eval_shape",
    "float0",
    "fwd_and_bwd",
    "grad",
    "jit",
    "jvp",
    "linear_transpose",
    "linearize",
    "make_jaxpr",
    "typeof",
    "value_and_grad",
    "vjp",
    "vmap",
    *_NAMES,
]

_export(globals(), __all__)
