"""NamedTuple for the hook's path: what typing.NamedTuple gives, without importing typing.

typing brings re, enum, collections and contextlib, and makes each class by compiling source text: together a third
of the hook's time (docs/decisions/hot-path-imports.md). A type checker sees the real one.
"""

from __future__ import annotations

from _operator import itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    class _Made(tuple):
        """What every class made below is: a tuple whose fields have names."""

        __slots__ = ()
        _fields = ()
        _field_defaults = {}  # noqa: RUF012

        def __new__(cls, *values, **named):
            fields = cls._fields
            if len(values) == len(fields) and not named:  # most are made so
                return tuple.__new__(cls, values)
            defaults = cls._field_defaults
            if len(values) < len(fields):
                for field in fields[len(values) :]:
                    if field in named:
                        values = (*values, named.pop(field))
                    elif field in defaults:
                        values = (*values, defaults[field])
                    else:
                        raise TypeError(f"{cls.__name__}() misses the argument {field!r}")
            if named or len(values) > len(fields):
                more = ", ".join(map(repr, named)) or f"{len(values) - len(fields)} more than it has fields"
                raise TypeError(f"{cls.__name__}() got unexpected arguments: {more}")
            return tuple.__new__(cls, values)

        @classmethod
        def _make(cls, values):
            return cls(*values)

        def _replace(self, **named):
            made = self._make([named.pop(field, value) for field, value in zip(self._fields, self)])
            if named:
                raise ValueError(f"{type(self).__name__} has no fields {', '.join(named)}")
            return made

        def _asdict(self):
            return dict(zip(self._fields, self))

        def __repr__(self):
            shown = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({shown})"

        def __getnewargs__(self):
            return tuple(self)

    def _annotated(namespace):
        """Return the annotations of a class body; from 3.14 on a function gives them, unless they are text."""
        found = namespace.get("__annotations__")
        if found is None:
            annotate = namespace.get("__annotate_func__") or namespace.get("__annotate__")
            found = annotate(1) if annotate else {}  # 1: their values, as before 3.14
        return found

    class _Maker(type):
        """Turns ``class X(NamedTuple)`` into a subclass of _Made, as typing's own does."""

        def __new__(meta, name, bases, namespace):
            if not bases:
                return type.__new__(meta, name, bases, namespace)
            fields = tuple(_annotated(namespace))
            defaults = {field: namespace[field] for field in fields if field in namespace}
            for position, field in enumerate(fields):
                namespace[field] = property(itemgetter(position))
            namespace.update(__slots__=(), _fields=fields, _field_defaults=defaults, __match_args__=fields)
            return type(name, (_Made,), namespace)

    class NamedTuple(metaclass=_Maker):
        """Base of the models: annotate fields, give defaults, add methods."""
