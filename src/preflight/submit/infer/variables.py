"""The shell's variables, as far as their values are certain where a command is read."""

from collections.abc import Iterable

from preflight.digits import is_whole
from preflight.submit.infer.model import Active
from preflight.submit.infer.words import HOLE, WIDE

MAX_VALUE = 1 << 16  # characters of a variable: one made of others, over and over, would fill the memory
MAX_ELEMENTS = 4096


class Variables:
    """What the shell's variables are at the command that is read.

    ``names``   those that the script sets anywhere; until it does, and where that is not certain, they are unknown.
    ``given``   variables that the script does not set and that are the same at submit and in the job.
    ``values``  text, or an array's elements; what is not known in them is a hole.
    ``splits``  whether an unquoted value is split at blanks: not in zsh, nor where the script sets IFS.
    ``lost``    names that may change at any time, by a trap; "*" is all.
    ``environment``  the Python environment that is active, None where that is not known.
    ``places``  the positional parameters of the function that is read, None where they are not known.
    """

    def __init__(self, names: Iterable[str], given: dict[str, str], splits: bool = True) -> None:
        self.names = frozenset(names)
        self.given = given
        self.values: dict[str, str | tuple[str, ...]] = {}
        self.exported: set[str] = set()
        self.lost: frozenset[str] = frozenset()
        self.splits = splits and "IFS" not in self.names
        self.places: tuple[str, ...] | None = None
        self.environment: Active | None = None

    def get(self, name: str) -> "str | None":
        """Return a variable's value, of an array that of its first element; None where nothing of it is known."""
        if is_whole(name):
            at = int(name[:6]) - 1
            return None if self.places is None or at < 0 else self.places[at] if at < len(self.places) else ""
        value = self.values.get(name) if name in self.names else self.given.get(name)
        return (value[0] if value else "") if isinstance(value, tuple) else value

    def exact(self, name: str) -> "str | None":
        """Return a value that is known as a whole, else None."""
        value = self.get(name)
        return None if value is None or HOLE in value or WIDE in value else value

    def elements(self, name: str) -> "tuple[str, ...] | None":
        """Return an array's elements (of a plain variable the one), None where they are not known; "@" and "*" are
        the positional parameters."""
        if name in ("@", "*"):
            return self.places
        value = self.values.get(name)
        return (value,) if isinstance(value, str) else value

    def set(self, name: str, value: "str | tuple[str, ...] | None") -> None:
        """Take an assignment that surely happens; None: to something that is not known."""
        many = isinstance(value, tuple) and len(value) > MAX_ELEMENTS
        if name in self.lost or "*" in self.lost:
            value = None
        if value is None or many or sum(map(len, value)) > MAX_VALUE:
            self.values.pop(name, None)
        else:
            self.values[name] = value.replace(WIDE, HOLE) if isinstance(value, str) else value
        if name == "PATH":
            self.environment = self.behind(value)

    def behind(self, value: "str | tuple[str, ...] | None") -> "Active | None":
        """Return what is active where PATH is ``value``."""
        return Active(None, True, value, self.environment) if isinstance(value, str) else None

    def add(self, name: str, value: "str | tuple[str, ...] | None") -> None:
        """Take NAME+=value: text behind text, elements behind elements; another mixture is not known."""
        now = self.values.get(name)
        if isinstance(now, str) and isinstance(value, str):
            self.set(name, now + value)
        elif isinstance(now, (str, tuple)) and isinstance(value, tuple):
            self.set(name, (*((now,) if isinstance(now, str) else now), *value))
        else:
            self.set(name, None)

    def forget(self, names: Iterable[str]) -> None:
        """Take changes that are not known; "*" is a change of any variable."""
        for name in names:
            if name == "*":
                self.values.clear()
            if name in ("*", "PATH"):
                self.environment = None
            self.values.pop(name, None)
