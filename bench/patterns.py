"""What the regular expressions of the inference cost more on words of twice the length: a script may hold any word.

``python -m bench.patterns``: each expression, as its module uses it, on every unit repeated; what grows faster than
MOST is named, and the exit status is 1.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from preflight.submit import infer

BYTES = 48_000
LEAST_S = 0.02  # below that nothing is compared
MOST = 2.8
# Those that get no longer text: a module's name and a path have their bounds.
SHORT = {"modules._CUDA": 1024, "setup._SOURCED": 4096}
_WORDS = (
    "ml ",
    "module ",
    "docker-",
    "-docker",
    "LD_LIBRARY_PATH=",
    "$(",
    "${A:-",
    "source ",
    ". ",
    "use ",
    "a=",
    "<<",
)
_SIGNS = "-_./;:=$ \t\n\"'{}()<>|&#`,0aA+@[]*~\\"


def expressions() -> Iterator[tuple[str, re.Pattern[str], set[str]]]:
    """Yield each expression with its name and the methods that its module calls."""
    for one in pkgutil.iter_modules(infer.__path__):
        module = importlib.import_module(f"{infer.__name__}.{one.name}")
        text = Path(module.__file__ or "").read_text(encoding="utf-8")
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                yield f"{one.name}.{name}", value, set(re.findall(rf"\b{name}\.(\w+)\(", text))


def seconds(pattern: re.Pattern[str], methods: set[str], text: str) -> float:
    """Return how long an expression takes for a text, of the processor."""
    start = time.process_time()
    for method in methods & {"match", "fullmatch", "search"}:
        getattr(pattern, method)(text)
    if methods & {"finditer", "findall", "sub", "split"}:
        for _ in pattern.finditer(text):
            pass
    return time.process_time() - start


def main() -> int:
    """Print what grows too fast."""
    slow = 0
    for name, pattern, methods in expressions():
        own = set(re.findall(r"[A-Za-z_]{2,}", pattern.pattern))
        for unit in sorted({*own, *(f"{one}/" for one in own), *(f"{one} " for one in own), *_WORDS, *_SIGNS}):
            for end in ("", "!", "\n!"):
                times = SHORT.get(name, BYTES) // len(unit) // 2
                once = seconds(pattern, methods, unit * times + end)
                if once > LEAST_S and seconds(pattern, methods, unit * times * 2 + end) > MOST * once:
                    print(f"{name} grows faster than the text: {unit!r} repeated, then {end!r}")
                    slow += 1
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
