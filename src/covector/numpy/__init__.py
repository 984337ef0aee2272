"""NumPy's functions on immutable, traceable arrays (`covector.numpy`).

What most programs use is imported with the package; the modules of the names in ``_LAZY`` when
one of them is first used.
"""

from numpy import iterable

from covector.core.array_type import Array as ndarray
from covector.core.errors import export as _export
from covector.core.lazy import lazy_names as _lazy_names
from covector.numpy import array_methods as _array_methods
from covector.numpy import elementwise as _elementwise
from covector.numpy import powers as _powers
from covector.numpy import reductions as _reductions
from covector.numpy import ufuncs as _ufuncs
from covector.numpy.creation import (
    array,
    asarray,
    astype,
    broadcast_to,
    copy,
    empty,
    empty_like,
    from_dlpack,
    frombuffer,
    fromfile,
    fromiter,
    fromstring,
    full,
    full_like,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from covector.numpy.dtypes import (
    ComplexWarning,
    bfloat16,
    bool_,
    can_cast,
    cdouble,
    character,
    complex64,
    complex128,
    complex_,
    complexfloating,
    csingle,
    double,
    dtype,
    e,
    euler_gamma,
    finfo,
    flexible,
    float16,
    float32,
    float64,
    float_,
    floating,
    generic,
    iinfo,
    inexact,
    inf,
    int8,
    int16,
    int32,
    int64,
    int_,
    integer,
    isdtype,
    issubdtype,
    nan,
    newaxis,
    number,
    object_,
    pi,
    promote_types,
    result_type,
    signedinteger,
    single,
    uint,
    uint8,
    uint16,
    uint32,
    uint64,
    unsignedinteger,
)
from covector.numpy.elementwise import (
    angle,
    around,
    clip,
    copysign,
    fmax,
    fmin,
    frexp,
    gcd,
    heaviside,
    hypot,
    imag,
    iscomplex,
    iscomplexobj,
    isfinite,
    isinf,
    isnan,
    isneginf,
    isposinf,
    isreal,
    isrealobj,
    isscalar,
    lcm,
    ldexp,
    logaddexp,
    logaddexp2,
    modf,
    nan_to_num,
    real,
    round,
    signbit,
    sinc,
    spacing,
    where,
)
from covector.numpy.joining import (
    append,
    array_split,
    block,
    column_stack,
    concat,
    concatenate,
    dsplit,
    dstack,
    hsplit,
    hstack,
    repeat,
    resize,
    split,
    stack,
    tile,
    unstack,
    vsplit,
    vstack,
)
from covector.numpy.manipulation import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_arrays,
    broadcast_shapes,
    expand_dims,
    flip,
    fliplr,
    flipud,
    matrix_transpose,
    moveaxis,
    ndim,
    permute_dims,
    ravel,
    reshape,
    roll,
    rollaxis,
    rot90,
    shape,
    size,
    squeeze,
    swapaxes,
    transpose,
)
from covector.numpy.powers import (
    divmod,
    float_power,
    floor_divide,
    fmod,
    mod,
    pow,
    power,
    remainder,
)
from covector.numpy.printing import (
    array_repr,
    array_str,
    get_printoptions,
    printoptions,
    set_printoptions,
)
from covector.numpy.products import (
    cross,
    dot,
    inner,
    kron,
    matmul,
    matvec,
    outer,
    tensordot,
    vdot,
    vecdot,
    vecmat,
)
from covector.numpy.ranges import (
    arange,
)
from covector.numpy.reductions import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    average,
    count_nonzero,
    cumprod,
    cumsum,
    cumulative_prod,
    cumulative_sum,
    max,
    mean,
    min,
    nancumprod,
    nancumsum,
    prod,
    ptp,
    std,
    sum,
    var,
)
from covector.numpy.ufunc_methods import attach_ufunc_methods as _attach_ufunc_methods
from covector.numpy.ufuncs import (
    abs,
    absolute,
    acos,
    acosh,
    add,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_count,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_not,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    cbrt,
    ceil,
    conj,
    conjugate,
    cos,
    cosh,
    deg2rad,
    degrees,
    divide,
    equal,
    exp,
    exp2,
    expm1,
    fabs,
    floor,
    greater,
    greater_equal,
    invert,
    left_shift,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    negative,
    nextafter,
    not_equal,
    positive,
    rad2deg,
    radians,
    reciprocal,
    right_shift,
    rint,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    true_divide,
    trunc,
)

bool = bool_  # noqa: A001

_array_methods.attach()
_attach_ufunc_methods(
    {
        name: next(vars(m)[name] for m in (_powers, _elementwise, _ufuncs) if name in vars(m))
        for name in (
            "add", "subtract", "multiply", "divide", "maximum", "minimum", "power",
            "logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or",
            "bitwise_xor", "floor_divide", "remainder", "arctan2", "logaddexp", "logaddexp2",
        )
    },
    {
        "add": _reductions.sum,
        "multiply": _reductions.prod,
        "maximum": _reductions.max,
        "minimum": _reductions.min,
        "logical_and": _reductions.all,
        "logical_or": _reductions.any,
    },
    [negative],
)  # fmt: skip

_LAZY = {
    name: f"covector.numpy.{module}"
    for module, names in {
        "calculus": (
            "bartlett blackman convolve corrcoef correlate cov diff ediff1d gradient hamming "
            "hanning i0 interp kaiser trapezoid unwrap"
        ),
        "comparison": "allclose array_equal array_equiv isclose",
        "diagonals": (
            "diag diag_indices diag_indices_from diagflat diagonal eye fill_diagonal identity "
            "trace tri tril tril_indices tril_indices_from triu triu_indices triu_indices_from"
        ),
        "contraction": "einsum einsum_path",
        "files": "load save savez",
        "functional": "apply_along_axis apply_over_axes frompyfunc ufunc vectorize",
        "grids": "fromfunction indices meshgrid vander",
        "index_tricks": "c_ index_exp mgrid ogrid r_ s_",
        "insertion": "delete insert trim_zeros",
        "nan_reductions": (
            "median nanargmax nanargmin nanmax nanmean nanmedian nanmin nanpercentile nanprod "
            "nanquantile nanstd nansum nanvar percentile quantile"
        ),
        "namespace_info": "__array_namespace_info__",
        "padding": "pad",
        "polynomial": "poly polyadd polyder polydiv polyfit polyint polymul polysub polyval roots",
        "positions": "argwhere flatnonzero nonzero",
        "ranges": "geomspace linspace logspace",
        "selection": (
            "choose compress extract ix_ mask_indices piecewise place put put_along_axis "
            "ravel_multi_index select take take_along_axis unravel_index"
        ),
        "sets": (
            "intersect1d isin packbits setdiff1d setxor1d union1d unique unique_all unique_counts "
            "unique_inverse unique_values unpackbits"
        ),
        "sorting": (
            "argpartition argsort bincount digitize histogram histogram2d histogram_bin_edges "
            "histogramdd lexsort partition searchsorted sort sort_complex"
        ),
    }.items()
    for name in names.split()
}

__array_api_version__ = "2024.12"

__getattr__, __dir__ = _lazy_names(globals(), _LAZY, ("fft", "linalg"))

__all__ = [
    "ComplexWarning", "abs", "absolute", "acos", "acosh", "add", "all", "amax",
    "amin", "angle", "any", "append", "arange", "arccos", "arccosh", "arcsin", "arcsinh",
    "arctan", "arctan2", "arctanh", "argmax", "argmin", "around", "array",
    "array_repr", "array_split", "array_str", "asarray", "asin", "asinh",
    "astype", "atan", "atan2", "atanh", "atleast_1d", "atleast_2d", "atleast_3d", "average",
    "bfloat16", "bitwise_and", "bitwise_count", "bitwise_invert", "bitwise_left_shift",
    "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "block", "bool", "bool_",
    "broadcast_arrays", "broadcast_shapes", "broadcast_to", "can_cast", "cbrt", "cdouble",
    "ceil", "character", "clip", "column_stack", "complex128", "complex64", "complex_",
    "complexfloating", "concat", "concatenate", "conj", "conjugate", "copy", "copysign", "cos",
    "cosh", "count_nonzero", "cross", "csingle", "cumprod", "cumsum", "cumulative_prod",
    "cumulative_sum", "deg2rad", "degrees", "divide", "divmod", "dot", "double", "dsplit",
    "dstack", "dtype", "e", "empty", "empty_like", "equal",
    "euler_gamma", "exp", "exp2", "expand_dims", "expm1", "fabs", "finfo", "flexible", "flip",
    "fliplr", "flipud", "float16", "float32", "float64", "float_", "float_power", "floating",
    "floor", "floor_divide", "fmax", "fmin", "fmod", "frexp", "from_dlpack", "frombuffer",
    "fromfile", "fromiter", "fromstring", "full", "full_like", "gcd", "generic",
    "get_printoptions", "greater", "greater_equal", "heaviside", "hsplit", "hstack", "hypot",
    "iinfo", "imag", "inexact", "inf", "inner", "int16", "int32", "int64", "int8", "int_",
    "integer", "invert", "iscomplex", "iscomplexobj", "isdtype", "isfinite", "isinf",
    "isnan", "isneginf", "isposinf", "isreal", "isrealobj", "isscalar", "issubdtype",
    "iterable", "kron", "lcm", "ldexp", "left_shift", "less", "less_equal", "log", "log10",
    "log1p", "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not", "logical_or",
    "logical_xor", "matmul", "matrix_transpose", "matvec", "max", "maximum", "mean", "min",
    "minimum", "mod", "modf", "moveaxis", "multiply", "nan", "nan_to_num", "nancumprod",
    "nancumsum", "ndarray", "ndim", "negative", "newaxis", "nextafter", "not_equal", "number",
    "object_", "ones", "ones_like", "outer", "permute_dims", "pi", "positive", "pow", "power",
    "printoptions", "prod", "promote_types", "ptp", "rad2deg", "radians", "ravel", "real",
    "reciprocal", "remainder", "repeat", "reshape", "resize", "result_type", "right_shift",
    "rint", "roll", "rollaxis", "rot90", "round", "set_printoptions", "shape", "sign",
    "signbit", "signedinteger", "sin", "sinc", "single", "sinh", "size", "spacing", "split",
    "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum", "swapaxes", "tan", "tanh",
    "tensordot", "tile", "transpose", "true_divide", "trunc", "uint", "uint16", "uint32",
    "uint64", "uint8", "unsignedinteger", "unstack", "var", "vdot", "vecdot",
    "vecmat", "vsplit", "vstack", "where", "zeros", "zeros_like",
    *_LAZY,
]  # fmt: skip

_export(globals(), __all__)
