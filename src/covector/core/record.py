"""Records: named tuples whose classes cost little to make.

`typing.NamedTuple` compiles the annotation of every field and the source of a constructor: two to
three tenths of a millisecond a class, in every process that imports it. The compiler has some
thirty such classes; all are imported by the first call.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any, ClassVar, Self, dataclass_transform


@dataclass_transform(frozen_default=True)
class _RecordType(type):
    """Makes the annotations of a class the fields of its tuples."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        fields = tuple(namespace.get("__annotations__", ()))
        namespace["_fields"] = namespace["__match_args__"] = fields
        namespace["_defaults"] = {f: namespace[f] for f in fields if f in namespace}
        for k, field in enumerate(fields):
            namespace[field] = property(itemgetter(k))
        namespace["__slots__"] = ()
        return super().__new__(mcs, name, bases, namespace)


class Record(tuple[Any, ...], metaclass=_RecordType):
    """A tuple whose elements have names, those of the annotations of its class.

    Examples
    --------
    >>> class Span(Record):
    ...     start: int
    ...     stop: int = 10
    >>> Span(3)
    Span(start=3, stop=10)
    >>> Span(3, stop=5)._replace(start=4).start
    4
    >>> start, stop = Span(1, 2)
    >>> Span(stop=2)
    Traceback (most recent call last):
    TypeError: Span needs start
    """

    _fields: ClassVar[tuple[str, ...]]
    _defaults: ClassVar[dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if kwargs or len(args) != len(cls._fields):
            args = cls._complete(args, kwargs)
        return tuple.__new__(cls, args)

    @classmethod
    def _complete(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The values of all fields."""
        if len(args) > len(cls._fields):
            raise TypeError(f"{cls.__name__} takes {len(cls._fields)} values, not {len(args)}")
        given = dict(zip(cls._fields, args, strict=False))
        for field in kwargs:
            if field not in cls._fields or field in given:
                fault = "two values for" if field in given else "no field"
                raise TypeError(f"{cls.__name__} has {fault} {field}")
        values = {**cls._defaults, **given, **kwargs}
        lacking = [f for f in cls._fields if f not in values]
        if lacking:
            raise TypeError(f"{cls.__name__} needs {', '.join(lacking)}")
        return tuple([values[f] for f in cls._fields])

    def _replace(self, **changes: Any) -> Self:
        """The like of it with some fields changed."""
        return type(self)(**{**dict(zip(self._fields, self, strict=True)), **changes})

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        pairs = zip(self._fields, self, strict=True)
        return f"{type(self).__name__}({', '.join([f'{f}={v!r}' for f, v in pairs])})"
