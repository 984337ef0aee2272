"""Shardings as XLA writes them, which Covector has none of (`covector.extend.sharding`)."""

from __future__ import annotations

from typing import Any, NoReturn

from covector.core.errors import export as _export
from covector.core.errors import meaningless

_WHY = "Covector has no XLA, whose format of shardings this is: use covector.sharding"


class GSPMDSharding:
    """Not to be had: a sharding in the format of XLA.

    Examples
    --------
    >>> import covector as cv
    >>> isinstance(cv.numpy.ones(2).sharding, cv.extend.sharding.GSPMDSharding)
    False
    """

    __slots__ = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise meaningless("GSPMDSharding", _WHY)


def get_hlo_sharding_from_serialized_proto(sharding: bytes) -> NoReturn:
    """Not to be had: a sharding read from the format of XLA.

    Parameters
    ----------
    sharding : bytes

    Returns
    -------
    None

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.sharding.get_hlo_sharding_from_serialized_proto(b"")
    Traceback (most recent call last):
    NotImplementedError: get_hlo_sharding_from_serialized_proto: Covector has no XLA, whose \
format of shardings this is: use covector.sharding
    """
    raise meaningless("get_hlo_sharding_from_serialized_proto", _WHY)


def get_op_sharding_from_serialized_proto(sharding: bytes) -> NoReturn:
    """Not to be had: a sharding read from the format of XLA.

    Parameters
    ----------
    sharding : bytes

    Returns
    -------
    None

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.sharding.get_op_sharding_from_serialized_proto(b"")
    Traceback (most recent call last):
    NotImplementedError: get_op_sharding_from_serialized_proto: Covector has no XLA, whose \
format of shardings this is: use covector.sharding
    """
    raise meaningless("get_op_sharding_from_serialized_proto", _WHY)


def get_serialized_proto_from_hlo_sharding(sharding: Any) -> NoReturn:
    """Not to be had: a sharding written in the format of XLA.

    Parameters
    ----------
    sharding : object

    Returns
    -------
    None

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.sharding.get_serialized_proto_from_hlo_sharding(None)
    Traceback (most recent call last):
    NotImplementedError: get_serialized_proto_from_hlo_sharding: Covector has no XLA, whose \
format of shardings this is: use covector.sharding
    """
    raise meaningless("get_serialized_proto_from_hlo_sharding", _WHY)


__all__ = [
    "GSPMDSharding",
    "get_hlo_sharding_from_serialized_proto",
    "get_op_sharding_from_serialized_proto",
    "get_serialized_proto_from_hlo_sharding",
]
_export(globals(), __all__)
