"""One run of inference: what its rules share, and the loop that hands a command from rule to rule."""

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Optional

from preflight.facts.rootfs import Root
from preflight.submit.infer import compat, programs, scan
from preflight.submit.infer.model import Active, Collector, Command
from preflight.submit.infer.reader import MAX_DEPTH_INSIDE, Reader
from preflight.submit.infer.uses import Uses
from preflight.submit.infer.variables import Variables
from preflight.submit.infer.words import Word

if TYPE_CHECKING:
    from tree_sitter import Parser

MAX_SECONDS = 1.5  # of the processor, to parse a script, and to read it
ANY = frozenset((scan.ANY,))
MAX_LAYERS = 24  # launchers in front of one command
UNKNOWN = "?"  # a tree of modules that may hold anything
MAX_SHELLS = 4  # bash -c in bash -c

# Builtins, functions and names that say little: a program of the user's own that is called so (./eval) is another.
_OWN = re.compile(r"(?!/(?:usr/)?s?bin/).*/(?:source|eval|exec|command|builtin|trap|module|ml|script|map|just|forge)")

Rule = Callable[["Session", Command], Optional[Command]]


class Session:
    """``files``: the file system of this machine, or what stands for it. ``environment``: the user's variables.

    ``made``: images that the script itself fetches, absolute path -> the reference they come from. ``containers``:
    names of containers that it creates. ``condas``: installations of conda that it names. ``trees``: of modules, that
    the script adds. ``shifter``: the job's options for Shifter, by name. ``aliases``: names that it defines as such.
    ``text``: the whole script. ``uses``: of Python environments; ``submitted``: the one that is active at submit.
    ``sourced``: what else may add such trees, as a sentence, "" for nothing.
    ``remade``: the command that may have made, moved or installed files, so that what this machine has now is perhaps
    not what runs; "" while none has. ``cast``: what sbcast puts on the nodes, its path there -> the file here, "" where
    that is not known. ``directory``: of the submission. ``compat``: whether the job may bring NVIDIA's forward
    compatibility, None before that was looked at.
    Needs of programs and environments behind it do not bind.
    """

    def __init__(
        self,
        collector: Collector,
        files: Root,
        environment: Mapping[str, str],
        home: str,
        rules: Mapping[str, Rule],
        outside: frozenset[str],
        fallback: Rule,
    ) -> None:
        self.collector = collector
        self._parser: Parser | None = None
        self.files = files
        self.environment = environment
        self.home = home
        self.made: dict[str, str] = {}
        self.containers: set[str] = set()
        self.condas: list[str] = []
        self.trees: list[str] = []
        self.shifter: dict[str, str] = {}
        self.aliases: set[str] = set()
        self.sourced = ""
        self.remade = ""
        self.cast: dict[str, str] = {}
        self.directory = ""
        self.compat: Optional[bool] = None
        self.kept = False  # whether the command that is read starts a program that was looked into: no tool
        self.text = ""
        self.uses = Uses()
        self.submitted: Optional[Active] = None
        self._rules, self._outside, self._fallback = rules, outside, fallback
        self._given: dict[str, str] = {}
        self._shells = 0
        self._reader: Reader | None = None  # that of the command
        self.deadline = float("inf")
        self.code_until: Optional[float] = None  # of time.monotonic: libraries are looked into until then

    def parses(self) -> bool:
        """Whether shell text can be read here at all: its parser is a compiled library of its own."""
        try:
            import tree_sitter_bash
            from tree_sitter import Language, Parser

            self._parser = Parser(Language(tree_sitter_bash.language()))
        except (ImportError, ValueError, TypeError):  # missing, or of versions that do not go together
            return False
        return True

    def read(self, text: str, given: dict[str, str], cwd: str, inside: bool) -> None:
        """Read a whole script, if `parses`."""
        if self._parser is None:
            return
        self.text = text
        self._given = {name: value for name, value in given.items() if name != "PWD"}
        self.deadline = time.process_time() + MAX_SECONDS
        try:
            reader = Reader(self._parser, text, given, self._take, cwd=cwd, inside=inside, deadline=self.deadline)
            self.deadline = reader.deadline = time.process_time() + MAX_SECONDS
            reader.variables.environment = self.submitted
            reader.read()
        except TimeoutError:
            self.collector.unread(1, "the script was not read: its syntax takes too long to be understood")
        else:
            self._notes(reader)

    def script(self, command: Command, word: Word) -> frozenset[str]:
        """Read the text of a `bash -c` as commands of the line that it stands on; return what variables it sets."""
        if self._parser is None or self._shells >= MAX_SHELLS:
            self.collector.unread(word.line, "bash -c in bash -c, too deep to be read")
            return ANY
        outer = self._reader
        given = {**self._given, **command.exported}
        if command.cwd is not None and "PWD" in command.exported:
            given["PWD"] = command.cwd
        text = word.text if word.script is None else word.script
        self._shells += 1
        try:
            reader = Reader(
                self._parser, text, given, self._take, cwd=command.cwd, base=word.line - 1, flat=word.flat,
                inside=command.inside, nested=True, limit=MAX_DEPTH_INSIDE, deadline=self.deadline,
            )  # fmt: skip
            reader.variables.environment = command.environment
            reader.read(command.doubt)
        except TimeoutError:
            self.collector.unread(word.line, "not read: its syntax takes too long to be understood")
            return ANY
        else:
            self._notes(reader)
        finally:
            self._shells -= 1
            self._reader = outer
        return reader.scanned.within(reader.root)

    @property
    def variables(self) -> Optional[Variables]:
        """Those of the shell whose command is read."""
        return None if self._reader is None else self._reader.variables

    def changed(self, names: frozenset[str], whenever: bool = False) -> None:
        """Take a change of variables of the shell whose command is read, "*" any; ``whenever``: from now on."""
        if self._reader is not None:
            self._reader.variables.forget(names)
            if whenever:
                self._reader.variables.lost |= names

    def run(self, command: Command) -> None:
        """Hand a command to the rule of its name, then what that leaves of it to the next."""
        left: Command | None = command
        for _ in range(MAX_LAYERS):
            if left is None:
                return
            word = left.words[0]
            name = "" if _OWN.fullmatch(word.text) else word.name
            self.kept = False
            following = None
            if not left.inside or name not in self._outside:
                following = self._apply(self._rules.get(name, self._fallback), left)
            if following is None and not self.kept and programs.remakes(left.words, left.writes):
                self.changes(name or "a command that is not known", left.words[0].line)
            left = following

    def _apply(self, rule: Rule, command: Command) -> Optional[Command]:
        """Return what a rule leaves of a command; unread where a file of this machine keeps it from saying more."""
        try:
            return rule(self, command)
        except TimeoutError:
            raise
        except OSError as error:
            place = error.filename or "a file that it names"
            self.collector.unread(command.words[0].line, f"{place} cannot be looked at: {error.strerror}")
            return None

    def changes(self, what: str, line: int) -> None:
        """Take that a command may have changed files: programs and environments behind it may be others."""
        self.remade = self.remade or f"{what} on line {line}"

    def need(self, command: Command, clause: str, line: int, why: str, binds: bool = True, package: str = "") -> None:
        """Add a need that a command states; unread where the command may not run."""
        if binds and clause.startswith("cuda>="):
            binds = not compat.may_be_brought(self)
        self.collector.need(clause, line, why, command.doubt, groups=command.groups, binds=binds, package=package)

    def seeks_gpus(self, command: Command, line: int) -> bool:
        """Whether what a GPU must be is of account where a command runs."""
        return self.collector.seeks_gpus(line, command.groups)

    def unresolved(self, command: Command, line: int) -> None:
        """Say that a command has a word which cannot be told from the text."""
        name = command.words[0].name or "a command"
        self.collector.unread(line, f"a word of {name} is computed when the job runs")

    def _take(self, reader: Reader, command: Command) -> None:
        self._reader = reader
        if "MODULEPATH" in reader.scanned.names and not self.trees:
            self.trees.append(UNKNOWN)
        if command.words[0].text == "alias":
            self.aliases |= {word.text.partition("=")[0] for word in command.words[1:]}
        self.run(command)

    def _notes(self, reader: Reader) -> None:
        if reader.deep is not None:
            self.collector.unread(reader.deep, "statements within statements, too deep to be read")
        if reader.late is not None:
            self.collector.unread(reader.late, "the script takes too long to be read: what follows is not read")
        for node in reader.scanned.wrong:
            self.collector.unread(reader.expander.line(node), "the shell's syntax was not understood here")
