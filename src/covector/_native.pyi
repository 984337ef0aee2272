"""The native core: arrays, memory, threads and the call path of compiled code.

Dtype codes: 0 bool, 1-4 i8 i16 i32 i64, 5-8 u8 u16 u32 u64, 9 f16, 10 bf16, 11 f32, 12 f64,
13 c64, 14 c128, 15 PRNG key (two 32-bit words).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

class Array:
    """An immutable, C-contiguous array. Python attaches its operators and methods."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def itemsize(self) -> int: ...
    @property
    def dtype(self) -> Any:
        """The object registered for the dtype's code."""
    @property
    def weak_type(self) -> bool: ...
    @property
    def aval(self) -> Any:
        """What the factory makes of shape, dtype and weak type. Equal ones are shared."""
    @property
    def sharding(self) -> Any:
        """The sharding of the array's placement."""
    @property
    def committed(self) -> bool: ...
    @property
    def _placement(self) -> int:
        """Index of the placement; 0 is the first device of the CPU, not committed."""
    @property
    def _on_host(self) -> bool:
        """Whether the host can address the elements."""
    @property
    def _handle(self) -> Any:
        """What `opaque_array` was given, or None."""
    @property
    def _code(self) -> int: ...
    def unsafe_buffer_pointer(self) -> int: ...
    def on_device_size_in_bytes(self) -> int: ...
    def copy_to_host_async(self) -> None: ...
    def is_deleted(self) -> bool: ...
    def delete(self) -> None:
        """Give up the memory. Views that exist keep it; later use raises RuntimeError."""
    def block_until_ready(self) -> Array: ...
    def _to_host(self) -> Array:
        """The array itself, or its copy on the host, which it keeps."""
    @property
    def _viewable(self) -> bool:
        """Whether the host addresses it and it is on one device."""

    def _rows(self, start: int, stop: int, /) -> Array:
        """A block along the first axis, on the same memory."""

    def _placed(self, placement: int, /) -> Array:
        """The same memory with another placement of the same device."""
    def _copied(self) -> Array: ...
    def _with_weak(self, weak: bool, /) -> Array:
        """The same memory with another weak_type; self if it is the same."""
    def _reshaped(self, shape: Sequence[int], /) -> Array:
        """The same memory with another shape of the same size."""
    def _bitcast(self, code: int, shape: Sequence[int], /) -> Array:
        """The same bytes as another dtype and shape, strongly typed."""
    def _subarray(self, index: int, /) -> Array:
        """self[index] along the first axis, on the same memory."""
    def item(self, *index: Any) -> Any: ...
    def tolist(self) -> Any: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __int__(self) -> int: ...
    def __float__(self) -> float: ...
    def __complex__(self) -> complex: ...
    def __index__(self) -> int: ...
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """A read-only view that keeps the memory alive; TypeError for PRNG keys."""
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __dlpack__(
        self,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

class Executable:
    """What a compiled program is to those who call it, whatever runs it."""

    def donate(self, inputs: Sequence[int], /) -> None: ...
    def call(self, arrays: Sequence[Array], /) -> list[Array]:
        """Run on one array per input; arrays that are elsewhere are brought."""
    @property
    def name(self) -> str: ...

class CpuExecutable(Executable):
    """A compiled program: int32 entry(void** bufs, const int64* params, const void* rt).

    bufs are the inputs, the constants, the outputs that are allocated, in order, and the
    workspace. The entry returns 0, 1 (out of memory), 2 (a Python exception is set) or another
    number, which becomes a RuntimeError.
    """

    def __init__(
        self,
        entry: int,
        params: Sequence[int],
        consts: Sequence[Array],
        in_specs: Sequence[tuple[int, Sequence[int]]],
        out_specs: Sequence[tuple[int, Sequence[int], bool]],
        out_kinds: Sequence[int],
        workspace_bytes: int = 0,
        donations: Sequence[tuple[int, int]] = (),
        release_gil: bool = False,
        keepalive: Any = None,
        name: str = "<program>",
        placement: int | Sequence[int] = 0,
    ) -> None:
        """Specs are (code, shape) and (code, shape, weak).

        out_kinds: -1 is allocated; k < 2**20 forwards input k; 2**20 + c is constant c.
        donations: pairs (input, output): the output takes over the input's memory, or a copy
        where others can see it; the input is deleted, and bufs hold the output at both places.
        """
    @property
    def params(self) -> tuple[int, ...]: ...
    @property
    def workspace_bytes(self) -> int: ...
    @property
    def keepalive(self) -> Any: ...

class HostedExecutable(Executable):
    """A program that ``function(arrays) -> arrays`` runs; specs are (code, shape, weak)."""

    def __init__(
        self,
        function: Callable[[list[Array]], Sequence[Array]],
        in_specs: Sequence[tuple[int, Sequence[int], bool]],
        out_specs: Sequence[tuple[int, Sequence[int], bool]],
        name: str,
    ) -> None: ...

class FastPath:
    """How a JitFunction runs an executable without Python."""

    def __init__(self, executable: Executable, kept: Sequence[int], out_tree: Any) -> None:
        """kept[j] is the dynamic leaf of the call that feeds input j.

        Leaves are counted over the positional arguments in order, then the keyword arguments
        sorted by name, without the static ones; dicts by sorted keys; None has no leaves.
        Python scalars are converted to the input's dtype.

        out_tree: k (output k), ("t", [...]) tuple, ("l", [...]) list, ("d", keys, [...]) dict,
        ("n",) None, ("c", unflatten, [...]) which calls unflatten(list_of_children).
        """
    @property
    def executable(self) -> Executable: ...

class JitFunction:
    __signature__: Any
    """A callable with a cache from the signatures of calls to FastPaths.

    Calls fallback(args, kwargs) -> (result, FastPath | None) for a signature it does not know,
    for arguments that need Python (tracers, unknown types, unhashable static values), and
    always while the current trace is not the eval trace; only in the first case the FastPath
    is stored. Works as a method and an operator; accepts any attributes.
    """

    hits: int
    misses: int
    __name__: str
    __qualname__: str
    __wrapped__: Any
    __copy__: Callable[..., Any]
    __deepcopy__: Callable[..., Any]
    def __init__(
        self,
        fallback: Callable[[tuple[Any, ...], dict[str, Any]], tuple[Any, FastPath | None]],
        static_argnums: Sequence[int] = (),
        static_argnames: Sequence[str] = (),
        name: str = "<jit>",
        max_entries: int = 4096,
    ) -> None: ...
    @property
    def fallback(self) -> Callable[..., Any]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __get__(self, instance: Any, owner: Any = None, /) -> Any: ...
    def __getattr__(self, name: str, /) -> Any: ...
    def __setattr__(self, name: str, value: Any, /) -> None: ...
    def clear_cache(self) -> None: ...
    def cache_size(self) -> int: ...

class Boundary:
    """A function whose errors show the frames of its callers and not those of the library.

    Otherwise it is the function: in calls, as a method, by its attributes (its own are
    ``__wrapped__`` and ``__module__``), in pickles by its qualified name.
    """

    __wrapped__: Callable[..., Any]
    def __init__(self, function: Callable[..., Any], module: str | None = None) -> None:
        """module: where users find the function, by default where it is defined."""
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __get__(self, instance: Any, owner: Any = None, /) -> Any: ...
    def __getattr__(self, name: str, /) -> Any: ...
    def __setattr__(self, name: str, value: Any, /) -> None: ...

# Arrays

def nonzero(array: Array, code: int) -> tuple[Array, ...]:
    """The indices along each dimension of what is not zero, of int32 or int64."""

def opaque_array(
    handle: Any, code: int, shape: Sequence[int], weak: bool, placement: int, /
) -> Array:
    """An array in memory that the host cannot address: ``handle.to_host()`` gives its bytes."""

def add_placement(sharding: Any, committed: bool, spread: bool, typed: bool, /) -> int:
    """Register a placement; returns its index. It stays for as long as the process."""

def set_default_sharding(function: Callable[[], Any], /) -> None:
    """Set what gives the sharding of placement 0; asked once."""

pjrt: Any  # made by load_pjrt

def load_pjrt() -> None:
    """Make the submodule of plugins."""

def live_arrays() -> list[Array]:
    """The arrays that exist and are not deleted, the oldest first."""

def array_from_buffer(
    obj: Any, code: int, shape: Sequence[int], weak: bool = False, alias: bool = False, /
) -> Array:
    """An Array from a C-contiguous buffer of exactly the right number of bytes.

    Copies, unless `alias` is set and the buffer is aligned: then it is kept and shared. NumPy
    arrays of bfloat16 export no buffer: pass a view as uint16.
    """

def array_from_scalar(value: complex, code: int, weak: bool = False, /) -> Array:
    """A 0-d Array from a bool, int, float or complex; OverflowError where it does not fit."""

def empty(code: int, shape: Sequence[int], weak: bool = False, /) -> Array:
    """An Array with arbitrary contents."""

def from_dlpack_capsule(capsule: Any, copy: bool | None = None, /) -> Array:
    """An Array on a CPU tensor, sharing its memory.

    It is copied if it is strided or misaligned, which is an error where ``copy`` is False, or if
    ``copy`` is True.
    """

# Registration

def set_small_type(code: int, kind: str, dlpack: int, doubles: bytes) -> None:
    """Register what each byte stands for in a dtype of at most eight bits."""

def set_dtypes(dtypes: Sequence[Any]) -> None:
    """The dtype object of each code."""

def set_placed_aval_factory(factory: Callable[[Any, Any], Any]) -> None:
    """Register f(aval, sharding), which makes avals of arrays whose types say where they are."""

def set_aval_factory(factory: Callable[[tuple[int, ...], Any, bool], Any]) -> None:
    """f(shape, dtype, weak_type), which must return immutable objects."""

def set_numpy_types(ndarray: type, generic: type) -> None: ...
def set_converter(converter: Callable[[Any], Array]) -> None:
    """f(obj) -> Array for NumPy arrays and scalars among the arguments of a JitFunction."""

def register_node(type: type, flatten: Callable[[Any], tuple[Iterable[Any], Any]]) -> None:
    """flatten(obj) -> (children, hashable aux) for a container type."""

def set_routines(routines: dict[str, int]) -> None:
    """Addresses of Fortran-style routines of BLAS and LAPACK (native/cpu/fortran.h) by name."""

# The state of a thread

def current_trace() -> Any: ...
def swap_trace(trace: Any, /) -> Any:
    """Set the current trace; returns the old one."""

def set_eval_trace(trace: Any, /) -> None:
    """The trace that every thread starts with."""

def context_key() -> int: ...
def set_context_key(key: int, /) -> None:
    """A number below 2**64 that is part of every signature; 0: that of the process."""

def set_thread_options(context_key: int, filter_tracebacks: bool | None, /) -> None:
    """What the thread has in place of the options of the process; 0 and None: nothing."""

def set_default_options(context_key: int, filter_tracebacks: bool, /) -> None:
    """The options of the process."""

def set_rekey(rekey: Callable[[], None], /) -> None:
    """Set the function that calls `set_thread_options` when those of the process change."""

# Memory, threads and the runtime of generated code

def allocator_stats() -> dict[str, int]: ...
def trim_allocator() -> None:
    """Give cached memory back to the system."""

def num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
def limit_instructions(most: int) -> int:
    """Let kernels be of an instruction set at most: 0 is the least, 3 all there is.

    Returns the old limit.
    """

runtime_slots: dict[str, int]
"""Names of the functions that generated code may call: their places in `runtime_table`."""

statuses: dict[str, int]
"""What generated code returns."""

dtype_names: tuple[str, ...]
"""The dtypes in the order of their codes."""

constant_output: int
"""An output of this kind and above is a constant; one below, and not negative, an input."""

loads_code: bool
"""Whether `load_code` is there for this processor and system."""

def load_code(files: list[tuple[str, bytes]], entry: str) -> tuple[int, object]:
    """The address of a function of object files, (name, content), which are loaded, and what keeps
    it loaded. A file with a name has a function ``function``, which the others call by that name.
    """

def runtime_table() -> int:
    """The address of 64 function pointers; `runtime_slots` names them."""

def register_callback(callable: Callable[[list[int], list[int]], Any]) -> int:
    """Make f(input_addresses, output_addresses) callable by generated code; returns its id."""

def unregister_callback(id: int) -> bool: ...

# Source locations

def user_frame(prefix: str, /) -> tuple[str, int, str] | None:
    """(file, line, function) of the innermost frame whose file does not start with prefix."""

def set_internal_prefixes(library: Iterable[str], helpers: Iterable[str] = (), /) -> None:
    """Beginnings of the names of the library's files and of those of packages it calls.

    user_frame skips both. Tracebacks lose the library's frames, and those of helpers where the
    library called them.
    """

# Made by load_ffi.
ffi: Any

def load_ffi() -> None: ...

# Made by load_processes.
processes: Any

def load_processes() -> None: ...
