"""What a shell keeps from command to command: variables, directory, whether it has ended, whether failures count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from preflight.digits import is_whole
from preflight.submit.infer import ends
from preflight.submit.infer.model import Command
from preflight.submit.infer.variables import Variables
from preflight.submit.infer.words import WIDE


class Context(NamedTuple):
    """Where a statement stands.

    ``alone``   in a shell of its own, whose variables end with it.
    ``plain``   it is no part of && and ||, so that `set -e` ends the script where it fails.
    ``depth``   how many statements it stands in.
    ``assumed`` it runs if what stands before && succeeds, as is expected: an exit there is not sure.
    ``writes``  its standard output goes to a file.
    ``waited``  a `wait` surely follows, so that what runs in the background comes to its end.
    """

    doubt: str = ""
    alone: bool = False
    plain: bool = True
    depth: int = 0
    stdin: str = ""
    waited: bool = False
    assumed: bool = False
    writes: bool = False

    def down(self, **changes: str | bool) -> Context:
        """Return the context one level deeper."""
        return self._replace(depth=self.depth + 1, **changes)  # type: ignore[arg-type]


class Shell:
    """The state of one shell; ``nested``: not the script's own, so that its end is not the job's."""

    def __init__(self, variables: Variables, cwd: str | None, strict: bool, nested: bool) -> None:
        self.variables = variables
        self.cwd = cwd
        self.ended = ""  # "exit", or "return" of the function that is read: what follows does not run
        self.after = ""  # why what follows may not run: the script may have ended
        self.lenient = ""  # why a failure is of no account: set +e
        self.strict = strict
        self.defined: dict[str, str] = {}  # functions, and why one may not be what it is called for
        self.met: set[str] = set()  # functions that were defined in any shell
        self.nested = nested
        self.started = nested  # whether a program of the user's may have run already
        self.failed = False  # whether a shell within it may have ended as failed
        self.guards = 0  # exits that may happen before one has

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Read what runs in a shell of its own: what it changes (directory, variables, its end) ends with it."""
        held = self.variables
        before = self.cwd, dict(held.values), held.places, self.ended, self.after, self.lenient, self.strict
        defined, exported, environment = dict(self.defined), set(held.exported), held.environment
        yield
        self.cwd, held.values, held.places, self.ended, self.after, self.lenient, self.strict = before
        self.defined, held.exported, held.environment = defined, exported, environment

    def leave(self, name: str, status: str, command: Command, context: Context) -> None:
        """Follow an exit, a return or an exec: what stands behind it does not run, or may not."""
        self.failed = self.failed or (name in ("exit", "false") and status != "0")
        if not context.doubt and not context.assumed:
            self.ended = "return" if name == "return" else "exit"
        elif not context.doubt:
            self.after = f"the script may end on line {command.words[0].line} ({name})"
        elif name == "exit" and not self.started and not context.alone:
            self.guards += 1  # where it ends so, it has done nothing that needs anything
        elif name != "exit" or not self._is_error(status, context):
            self.after = f"the script may end on line {command.words[0].line} ({name})"

    def _is_error(self, status: str, context: Context) -> bool:
        """Whether an exit that may happen is an error of the job: it ends the job as failed, or a failed part of it."""
        behind = context.doubt in (ends.BEHIND_OR, ends.BEHIND_FAILURE)
        if status == "0" or (not status and not behind):
            return False  # one that ends it well leaves out what follows
        return context.doubt == ends.BEHIND_FAILURE or not (context.alone or self.nested)

    def positional(self, name: str, command: Command, context: Context) -> None:
        """Follow `shift` and `set -- WORD…`."""
        held, texts = self.variables, [word.text for word in command.words[1:]]
        if name == "set" and "--" not in texts:
            return
        if context.doubt or any(WIDE in text for text in texts):
            held.places = None
        elif name == "set":
            held.places = tuple(texts[texts.index("--") + 1 :])
        elif held.places is not None:
            number = texts[0] if texts else "1"
            held.places = held.places[int(number) :] if is_whole(number, 4) else None

    def options(self, command: Command) -> None:
        """Follow `set -e` and `set +e`: between the second and the next first, failures are expected."""
        words = [word.text for word in command.words[1:]]
        for at, text in enumerate(words):
            named = text in ("-o", "+o") and words[at + 1 : at + 2] == ["errexit"]
            if named or (text[:1] in ("-", "+") and "e" in text and not text.startswith("--")):
                if text[0] == "+" and self.strict:
                    self.lenient = "stands behind set +e, so it may fail"
                elif text[0] == "-":
                    self.strict, self.lenient = True, ""
