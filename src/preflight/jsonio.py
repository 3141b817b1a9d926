"""JSON for the hook's path: `loads` and `dumps` of the standard library's own C parts, without the package around them.

The package json imports re, which imports enum: 9 ms of a hook that takes 40. Its C accelerator (_json) does the work
either way; a Python without it gets the package.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

try:
    import _json
except ImportError:  # another Python than CPython
    _json = None  # type: ignore[assignment]

BLANKS = " \t\n\r"


class _Settings:
    """What the C scanner asks of a decoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan")}.__getitem__
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner's own


def loads(text: str | bytes) -> Any:
    """Return the JSON value of ``text`` (bytes are UTF-8); raises ValueError, also where it is nested too deep."""
    if _json is None:
        import json

        try:
            return json.loads(text)
        except RecursionError:
            raise ValueError("not JSON: nested too deep") from None
    decoded = text.decode() if isinstance(text, bytes) else text
    start = len(decoded) - len(decoded.lstrip(BLANKS))
    try:
        value, end = _json.make_scanner(_Settings())(decoded, start)  # type: ignore[arg-type]
    except StopIteration as stop:
        raise ValueError(f"not JSON at character {stop.value}") from None
    except (
        SystemError
    ):  # CPython 3.10 and 3.11, where json is not imported: the scanner looks for its error class there
        raise ValueError("not JSON: it is cut off or malformed") from None
    except RecursionError:
        raise ValueError("not JSON: nested too deep") from None
    if decoded[end:].strip(BLANKS):
        raise ValueError(f"not JSON: more text at character {end}")
    return value


def dumps(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """Return ``value`` as one line of ASCII JSON without blanks.

    ``default`` turns what JSON cannot hold into something that it can; without it that raises TypeError. NaN,
    infinity and a value within itself raise ValueError.
    """
    if _json is None:
        import json

        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=default)
    encoder = _json.make_encoder(
        {}, default or _refuse, _json.encode_basestring_ascii, None, ":", ",", False, False, False
    )
    return "".join(encoder(value, 0))


def _refuse(value: object) -> Any:
    raise TypeError(f"JSON cannot hold a {type(value).__name__}")
