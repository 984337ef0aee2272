"""The options there are: their defaults, what they take, and why some have no effect here."""

from __future__ import annotations

from typing import Any


class Option:
    """A row: one option.

    Attributes
    ----------
    default : object
    summary : str
        What it is for, or why it has no effect.
    choices : tuple
        The values that it takes; without them, those of the type of the default.
    traced : bool
        Whether it changes what is traced or compiled, or what a call does: it is part of the
        context key then.
    """

    __slots__ = ("default", "summary", "choices", "traced")

    def __init__(
        self, default: Any, summary: str, choices: tuple[Any, ...] = (), traced: bool = False
    ) -> None:
        self.default, self.summary = default, summary
        self.choices, self.traced = choices, traced


_GUARDS = (None, "allow", "log", "disallow", "log_explicit", "disallow_explicit")
_CHECKING = ("ignore", "raise")
STAGE_NAMES = ("jaxpr", "simplified", "loop", "schedule", "llvm", "optimised", "asm")

OPTIONS: dict[str, Option] = {
    # --- numbers and programs
    "enable_x64": Option(False, "64-bit types", traced=True),
    "explicit_x64_dtypes": Option(
        "warn", "what becomes of a 64-bit dtype that is asked for while there are none",
        ("warn", "error"), traced=True,
    ),
    "numpy_rank_promotion": Option(
        "allow", "what becomes of operands of different rank", ("allow", "warn", "raise"), True
    ),
    "numpy_dtype_promotion": Option(
        "standard", "whether arrays of different dtypes mix", ("standard", "strict"), True
    ),
    "default_matmul_precision": Option(
        None, "the precision of matrix products that none is given for",
        (None, "default", "fastest", "high", "highest", "bfloat16", "bfloat16_3x",
         "tensorfloat32", "float32"), True,
    ),
    "allow_f16_reductions": Option(
        True, "whether lax.reduce_sum adds numbers of 16 bits in their own format", traced=True
    ),
    "softmax_custom_jvp": Option(
        True, "derivatives of softmax by its result rather than by its operations", traced=True
    ),
    "disable_bwd_checks": Option(
        False, "cotangents of custom_vjp are taken without a look at their shapes", traced=True
    ),
    "check_static_indices": Option(
        False, "an integer index out of bounds is an error", traced=True
    ),
    # --- random numbers
    "default_prng_impl": Option(
        "threefry2x32", "the generator of new keys", ("threefry2x32",), True
    ),
    "enable_custom_prng": Option(False, "random.PRNGKey gives typed keys", traced=True),
    "legacy_prng_key": Option(
        "allow", "what becomes of raw keys in place of typed ones", ("allow", "warn", "error"), True
    ),
    "random_seed_offset": Option(0, "a number added to every seed", traced=True),
    "debug_key_reuse": Option(
        False, "a typed key that is used twice is an error; functions run operation by operation",
        traced=True,
    ),
    "high_dynamic_range_gumbel": Option(
        False, "random.gumbel and categorical resolve the upper tail too", traced=True
    ),
    # --- looking for mistakes
    "disable_jit": Option(
        False, "compiled functions and control flow run as plain Python", traced=True
    ),
    "debug_nans": Option(False, "an operation that gives NaN is an error", traced=True),
    "debug_infs": Option(False, "an operation that gives an infinity is an error", traced=True),
    "error_checking_behavior_nan": Option(
        "ignore", "the same as debug_nans, by its other name", _CHECKING, True
    ),
    "error_checking_behavior_divide": Option(
        "ignore", "a division by zero, also as a remainder or a negative power, is an error; "
        "functions run operation by operation",
        _CHECKING, True,
    ),
    "error_checking_behavior_oob": Option(
        "ignore", "an index out of bounds (x[i], x.at[i], not of take and lax) is an error; "
        "functions run operation by operation",
        _CHECKING, True,
    ),
    "enable_checks": Option(False, "check every program that is traced and compiled", traced=True),
    "check_tracer_leaks": Option(False, "a traced value that outlives its trace is an error"),
    "no_tracing": Option(False, "tracing a function for jit is an error"),
    "no_execution": Option(False, "running a program is an error", traced=True),
    "transfer_guard": Option(None, "sets the three transfer_guard_... at once", _GUARDS, True),
    "transfer_guard_host_to_device": Option(
        None, "which transfers of numbers and NumPy arrays are errors or logged", _GUARDS, True
    ),
    "transfer_guard_device_to_device": Option(
        None, "which transfers between devices are errors or logged", _GUARDS, True
    ),
    "transfer_guard_device_to_host": Option(
        None, "which transfers to the host are errors or logged", _GUARDS, True
    ),
    # --- what is said
    "traceback_filtering": Option(
        "auto", "whether tracebacks leave out the frames of the library",
        ("auto", "off", "on", "tracebackhide", "remove_frames", "quiet_remove_frames"),
    ),
    "tracer_error_num_traceback_frames": Option(
        5, "0 leaves out where a leaked value was made"
    ),
    "log_compiles": Option(False, "log each trace and each compilation, with its time"),
    "compiler_detailed_logging_min_ops": Option(
        10, "equations from which log_compiles says the time of each step"
    ),
    "explain_cache_misses": Option(False, "log why a compiled function is traced again"),
    "log_checkpoint_residuals": Option(False, "log what checkpoint keeps for the backward pass"),
    "logging_level": Option(
        "NOTSET", "level of the library's loggers, which write to the error stream then",
        ("NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    ),
    "debug_log_modules": Option(
        "", "loggers, separated by commas, that write all they have to the error stream"
    ),
    "captured_constants_warn_bytes": Option(
        2000000000, "bytes of constants in a program from which there is a warning; -1: none"
    ),
    "captured_constants_report_frames": Option(
        0, "how many constants captured_constants_warn_bytes says the lines of; -1: all"
    ),
    "show_progress": Option(
        True, "a line in a terminal or notebook while a compilation takes more than a second"
    ),
    "pprint_use_color": Option(True, "colours of programs on a terminal"),
    "dump_ir_to": Option("", "a folder for the texts of all programs that are compiled"),
    "dump_ir_modes": Option(
        "jaxpr", f"the texts, separated by commas: {', '.join(STAGE_NAMES)}", ()
    ),
    "include_debug_info_in_dumps": Option(
        True, "jaxprs in dump_ir_to say the line of the function that they are of"
    ),
    # --- compiling, and the cache
    "optimization_level": Option(
        "UNKNOWN", "how hard LLVM tries: O0 to O3; by default as hard as it is worth",
        ("UNKNOWN", "O0", "O1", "O2", "O3"), True,
    ),
    "cpu": Option(
        "native", "the processor that programs for the CPU are compiled for: this one, or a level "
        "of x86-64", ("native", "x86-64-v2", "x86-64-v3", "x86-64-v4"), True,
    ),
    "disable_most_optimizations": Option(False, "the same as optimization_level=O0", traced=True),
    "enable_compilation_cache": Option(True, "keep compiled programs on disk"),
    "compilation_cache_dir": Option(
        None, "the folder of compiled programs; by default in the user's folder of caches"
    ),
    "compilation_cache_max_size": Option(
        512 << 20, "bytes on disk from which old programs are dropped; -1: never, 0: none is kept"
    ),
    "persistent_cache_min_compile_time_secs": Option(
        0.0, "programs that took less time to compile are not kept on disk"
    ),
    "persistent_cache_min_entry_size_bytes": Option(0, "smaller programs are not kept on disk"),
    "raise_persistent_cache_errors": Option(
        False, "a cache that cannot be read or written is an error"
    ),
    # --- devices
    "platforms": Option(
        None, "the backend to use, the first of several separated by commas",
        traced=True,
    ),
    "platform_name": Option("", "the backend to use, where platforms says nothing", traced=True),
    "default_device": Option(None, "where arrays and programs are", traced=True),
    "num_cpu_devices": Option(
        -1, "logical devices of the CPU: its threads run the programs of each"
    ),
    "pjrt_client_create_options": Option(
        None, "what the client of a plugin is made with when it starts: a dict, or key:value;…"
    ),
    "cuda_visible_devices": Option(
        "all", "the numbers of the CUDA devices to use, separated by commas, when they start"
    ),
    "rocm_visible_devices": Option(
        "all", "the numbers of the ROCm devices to use, separated by commas, when they start"
    ),
}  # fmt: skip

_XLA = "for parts of XLA that are not used here: what is compiled by plugins has its own settings"
_ACCELERATOR = "for devices, or for libraries of devices, that no backend here uses"
_PALLAS = "for the kernel languages Pallas and Mosaic, which there are not"
_MESH = (
    "meshes, casts and checks of types in shard_map go one way; `check_vma=` switches checks off"
)
_PROCESSES = (
    "for how JAX's processes meet, wait and exchange arrays: here `initialize` and the launcher "
    "say it"
)
_TF = "for the conversion to TensorFlow, which there is not"
_PGLE = "for programs that XLA compiles anew by their profiles"
_INSIDE = "chooses between two implementations inside JAX; here there is one"
_LOCATIONS = "an equation records one place, the line of the user's code"
_EXPORT = "serialized programs have a format of their own"

# By reason, the options that have no effect here, with their defaults.
_BY_REASON: dict[str, dict[str, Any]] = {
    _XLA: {
        "backend_target": "", "xla_backend": "", "xla_profile_version": 0,
        "compiler_enable_remat_pass": True, "exec_time_optimization_effort": 0.0,
        "memory_fitting_effort": 0.0, "memory_fitting_level": "O2",
        "experimental_unsafe_xla_runtime_errors": False,
        "persistent_cache_enable_xla_caches": "xla_gpu_per_fusion_autotune_cache_dir",
        "send_traceback_to_runtime": "off",
        "check_proxy_envs": True, "debug_leaked_clients_on_clear_backends": False,
        "remove_custom_partitioning_ptr_from_cache_key": False,
    },
    _PGLE: {
        "enable_pgle": False, "pgle_aggregation_percentile": 90, "pgle_profiling_runs": 3,
        "compilation_cache_expect_pgle": False,
    },
    _ACCELERATOR: {
        "oneapi_visible_devices": "all", "mock_gpu_topology": "", "mock_num_gpu_processes": 0,
        "bcoo_cusparse_lowering": False, "threefry_gpu_kernel_lowering": False,
        "use_magma": "auto", "ragged_dot_use_gpu_pallas_triton_lowering": False,
        "ragged_dot_use_ragged_dot_instruction": True,
    },
    _PALLAS: {
        "mosaic_allow_hlo": False, "pallas_enable_debug_checks": False,
        "pallas_poison_buffers": False, "pallas_use_mosaic_gpu": True,
        "pallas_verbose_errors": False, "use_emit_pipeline_primitive": False,
    },
    _MESH: {
        "auto_pcast": True, "check_vma": False, "disable_vmap_shmap_error": False,
        "disallow_mesh_context_manager": False, "remove_size_one_mesh_axis_from_type": False,
    },
    "Shardy partitions programs of plugins, and our own partitioner those of the CPU": {
        "use_shardy_partitioner": True,
    },
    "collectives of processes notice by themselves that these call different ones": {
        "thread_guard": False,
    },
    _PROCESSES: {
        "cpu_collectives_implementation": "gloo", "cpu_get_global_topology_timeout_minutes": 5,
        "cpu_get_local_topology_timeout_minutes": 2, "cross_host_transfer_socket_address": "",
        "cross_host_transfer_timeout_seconds": None, "cross_host_transfer_transfer_size": None,
        "cross_host_transport_addresses": "", "distributed_debug": False,
        "enable_preemption_service": True, "enable_recoverability": False,
        "force_dcn_cross_host_transfers": False, "share_binary_between_hosts": False,
        "share_binary_between_hosts_timeout_ms": 1200000, "sort_devices_by_process_index": True,
    },
    _TF: {
        "jax2tf_associative_scan_reductions": False, "jax2tf_default_native_serialization": True,
    },
    _INSIDE: {
        "custom_vjp3": False, "remat3": False, "scan3": False, "refs_to_pins": False,
        "use_direct_linearize": True, "use_simplified_jaxpr_constants": False,
    },
    _LOCATIONS: {
        "include_full_tracebacks_in_locations": True, "traceback_in_locations_limit": 100,
        "hlo_source_file_canonicalization_regex": None, "source_url_schema": None,
    },
    _EXPORT: {
        "export_calling_convention_version": 10, "export_ignore_forward_compatibility": False,
        "serialization_version": 0,
    },
    "programs run when they are called; what they compute is there when the call returns": {
        "cpu_enable_async_dispatch": True,
    },
    "constants are arguments of the machine code, which is shared by programs of any constants": {
        "embedded_constants_max_bytes": 32,
    },
    "the compiler folds constants; covector.ensure_compile_time_eval does so while tracing": {
        "eager_constant_folding": False,
    },
    "the key of the code cache is the program without its places in source files": {
        "compilation_cache_include_metadata_in_key": False,
    },
    "every entry is checked when it is read: it has a checksum of all its content": {
        "compilation_cache_check_contents": False,
    },
    "arrays are freed when the last reference goes; those in cycles when Python finds them": {
        "array_garbage_collection_guard": None,
    },
    "what a reference to an array may be used for is always checked": {
        "mutable_array_checks": True,
    },
    "streams are those of JAX's default, the partitionable generator; older ones are not here": {
        "threefry_partitionable": True,
    },
}  # fmt: skip

# The reason for each option that is accepted, without effect.
WITHOUT_EFFECT = {name: reason for reason, defaults in _BY_REASON.items() for name in defaults}
for _reason, _defaults in _BY_REASON.items():
    for _name, _value in _defaults.items():
        OPTIONS[_name] = Option(_value, _reason)
