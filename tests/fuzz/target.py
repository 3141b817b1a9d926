"""What a target is: a module of ``fuzz.targets`` with these names."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import NamedTuple

from fuzz import targets

STEPS, STEPS_A_BYTE = 20_000, 400  # lines of ours run: what a text may cost whatever is in it, and for each byte
PEAK, PEAK_A_BYTE = 4 << 20, 400  # bytes of memory, likewise


class Target(NamedTuple):
    """``check`` reads one input and raises only ``errors``, or AssertionError where an answer is wrong.

    ``seeds`` are valid inputs, ``tokens`` what the format is made of, ``longest`` bytes an input may have. ``steps``
    and ``peak``: what one input may cost (lines of Preflight run, bytes of memory), and what for each of its bytes.
    """

    name: str
    check: Callable[[bytes], None]
    errors: tuple[type[BaseException], ...]
    seeds: list[bytes]
    tokens: tuple[bytes, ...]
    longest: int
    steps: tuple[int, int]
    peak: tuple[int, int]

    def run(self, data: bytes) -> None:
        """Read one input; raises where the target does not stand it."""
        try:
            self.check(data)
        except self.errors as error:
            lines = str(error).splitlines()
            assert lines, "an error without a word"
            assert all(line.isprintable() for line in lines), f"an error that is not printable: {lines}"


def names() -> list[str]:
    """Return the names of all targets."""
    return sorted(one.name for one in pkgutil.iter_modules(targets.__path__))


def load(name: str) -> Target:
    """Return a target by its name."""
    module = importlib.import_module(f"fuzz.targets.{name}")
    return Target(
        name,
        module.check,
        module.ERRORS,
        module.seeds(),
        getattr(module, "TOKENS", ()),
        getattr(module, "LONGEST", 4096),
        getattr(module, "STEPS_LIMIT", (STEPS, STEPS_A_BYTE)),
        getattr(module, "PEAK_LIMIT", (PEAK, PEAK_A_BYTE)),
    )
