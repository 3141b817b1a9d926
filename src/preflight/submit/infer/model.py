"""What inference answers with, and the collector that keeps the rules about doubt, GPUs and repeats in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from preflight.report.clean import clean
from preflight.requirements.grammar import RequirementError, parse
from preflight.submit.infer.words import Word

MAX_TEXT = 200
MAX_ITEMS = 2000
_UNSOUGHT = (
    "the job asks Slurm for no GPU, so what it needs of CUDA was not looked for: where it uses a GPU, ask for it "
    "(--gpus-per-node, --gres=gpu)"
)
GPU_NAMES = ("cuda", "driver", "gpu", "nvlink", "ecc", "mig")


class Inferred(NamedTuple):
    """A need: ``clause`` of the requirement language, the ``line`` it comes from (1-based; 0: not in the script, but on
    the command line or in the environment), that line's ``text``, and ``why``: the evidence, in a sentence.
    ``component``: of a heterogeneous job, which one it is a need of; the script itself runs in the first, 0.
    ``package``: whose code asks it.
    ``binds``: with --infer=require. A number of GPUs does not (Slurm itself gives them), nor what only the name of an
    image says."""

    clause: str
    line: int
    text: str
    why: str
    component: int = 0
    binds: bool = True
    package: str = ""


class Unread(NamedTuple):
    """A line from which a need may come that could not be told, and ``why``.

    ``setup``: it is one of the usual ones that only set a tool up (conda's hook, Lmod's files): seldom is a need there.
    """

    line: int
    text: str
    why: str
    setup: bool = False


class Noted(NamedTuple):
    """Something worth knowing that asks nothing of a node."""

    line: int
    text: str
    why: str


class Inference(NamedTuple):
    """All that was read from one script, each part in the order of its lines. Texts are cleaned for a terminal."""

    needs: tuple[Inferred, ...]
    unread: tuple[Unread, ...]
    notes: tuple[Noted, ...]


class Collector:
    """Takes evidence as it is met. Each clause is kept once, from its first line; each line is unread once."""

    def __init__(self, lines: list[str], gpus: Sequence[bool]) -> None:
        self._lines = lines
        self._gpus = tuple(gpus) or (False,)  # which of the job's components ask for GPUs
        self._unsought: int | None = None  # the first line of which a GPU's needs were left out
        self._needs: dict[tuple[str, int], Inferred] = {}
        self._binding: set[tuple[str, int]] = set()
        self.installs = False  # whether the script installs packages, before or behind what uses them
        self._doubtful: list[tuple[str, int, int, str]] = []  # clause, component, line, why it does not bind
        self._unread: dict[int, Unread] = {}
        self._notes: dict[tuple[int, str], Noted] = {}

    def seeks_gpus(self, line: int, groups: tuple[int, ...] = ()) -> bool:
        """Whether what a GPU must be is of account on a line: the job, or its components ``groups``, ask for any."""
        found = self.has_gpus(groups)
        if not any(self._gpus) and (self._unsought is None or line < self._unsought):
            self._unsought = line
        return found

    def has_gpus(self, groups: tuple[int, ...] = ()) -> bool:
        """Whether the job, or its components ``groups``, ask for GPUs."""
        return any(on for at, on in enumerate(self._gpus) if not groups or at in groups)

    def need(
        self,
        clause: str,
        line: int,
        why: str,
        doubt: str = "",
        text: str | None = None,
        groups: tuple[int, ...] = (),
        binds: bool = True,
        package: str = "",
    ) -> None:
        """Add a need; with a ``doubt`` (why the line may not run) the line is unread, unless it runs elsewhere.

        ``groups``: the components that it is a need of; without any the first, or for a GPU the one that asks for GPUs.
        GPU needs of a job without GPUs are dropped, and clauses that no requirement can hold are unread.
        """
        places, problem = self._places(clause, line, groups)
        if problem:
            self.unread(line, f"{clause}: {problem}")
        for place in places:
            self._need(clause, line, why, doubt, text, place, package)
            if binds and not doubt:
                self._binding.add((clause, place))

    def _places(self, clause: str, line: int, groups: tuple[int, ...]) -> tuple[Sequence[int], str]:
        """Return the components of a need, and what is unknown of them."""
        several = len(self._gpus) > 1
        if any(group >= len(self._gpus) for group in groups) and several:
            return (), "the job has no such component"
        places = groups if several and groups else (0,)
        if not _asks_gpu(clause):
            return places, ""
        if not self.seeks_gpus(line):
            return (), ""
        asking = [at for at, on in enumerate(self._gpus) if on]
        if groups and several:
            return [at for at in places if at in asking], ""
        if 0 in asking:
            return (0,), ""
        return (asking, "") if len(asking) == 1 else ((), "which of the components it is a need of is not known")

    def _need(self, clause: str, line: int, why: str, doubt: str, text: str | None, place: int, package: str) -> None:
        known = self._needs.get((clause, place))
        if known is not None and known.line <= line and not doubt:
            return
        try:
            parse(clause)
        except RequirementError as error:
            self.unread(line, f"{clause}: {error.message}")
            return
        if doubt:
            if len(self._doubtful) < MAX_ITEMS:
                self._doubtful.append((clause, place, line, f"{clause}, but it {doubt}"))
            return
        if known is not None or len(self._needs) < MAX_ITEMS:
            shown = self.line(line) if text is None else clean(text, MAX_TEXT)
            self._needs[clause, place] = Inferred(
                clean(clause, 4096), line, shown, clean(why), place, package=clean(package, 100)
            )

    def unread(self, line: int, why: str, setup: bool = False) -> None:
        """Add a line that could not be read; the first reason counts, but that it is more than ``setup`` stays."""
        known = self._unread.get(line)
        if known is not None and known.setup and not setup:
            self._unread[line] = known._replace(why=clean(why), setup=False)
        elif known is None and len(self._unread) < MAX_ITEMS:
            self._unread[line] = Unread(line, self.line(line), clean(why), setup)

    def loosen(self, start: str) -> None:
        """Let no clause that begins so bind."""
        self._binding = {one for one in self._binding if not one[0].startswith(start)}

    def note(self, line: int, why: str) -> None:
        """Add a note, each once."""
        if len(self._notes) < MAX_ITEMS:
            self._notes.setdefault((line, why), Noted(line, self.line(line), clean(why)))

    def unsettled(self) -> list[tuple[int, str]]:
        """Return the lines that could not be read, with why, without those that only set a tool up."""
        return [(one.line, one.why) for one in self._unread.values() if not one.setup]

    def result(self) -> Inference:
        """Return everything, sorted by line."""
        for clause, place, line, why in self._doubtful:
            known = self._needs.get((clause, place))
            if known is None or known.line != line:
                self.unread(line, why)
        if self._unsought is not None:
            self.note(self._unsought, _UNSOUGHT)
        return Inference(
            tuple(
                one._replace(binds=key in self._binding)
                for key, one in sorted(self._needs.items(), key=lambda each: each[1].line)
            ),
            tuple(sorted(self._unread.values())),
            tuple(sorted(self._notes.values())),
        )

    def line(self, line: int) -> str:
        """Return a line of the script, cleaned for a terminal; "" where there is none."""
        return clean(self._lines[line - 1].strip(), MAX_TEXT) if 0 < line <= len(self._lines) else ""


def _asks_gpu(clause: str) -> bool:
    """Whether a clause asks something of GPUs or their driver; one of several alternatives is enough."""
    names = (part.strip().lstrip("!") for part in clause.split("|"))
    return any(name.startswith(GPU_NAMES) for name in names)


class Active(NamedTuple):
    """A Python environment whose programs come first: of ``prefix``; ``sure``: it is that one, as it is at submit.

    With a ``path`` what PATH was set to instead, behind the environment ``before``.
    """

    prefix: str | None
    sure: bool = True
    path: str | None = None
    before: Active | None = None


class Command(NamedTuple):
    """A simple command, expanded as far as the text tells.

    ``words``   the command's name first. ``doubt``: "" where it runs for certain, else why it may not, as the end of a
                sentence ("stands in an if"). ``inside``: whether it runs in a container.
    ``cwd``     the directory that it runs in, None where that is not known.
    ``exported``  variables that reach it, those that are resolved. ``stdin``: what it reads
                from ("a here-document", "a pipe"), "" where that is the script's own.
    ``writes``  whether its standard output goes to a file.
    ``groups``  the components of a heterogeneous job that srun starts it in, () for the script's own.
    ``environment``  the Python environment that is active there, None where that is not known.
    """

    words: tuple[Word, ...]
    doubt: str
    inside: bool
    cwd: str | None
    exported: dict[str, str]
    stdin: str = ""
    groups: tuple[int, ...] = ()
    writes: bool = False
    environment: Active | None = None

    def rest(self, words: tuple[Word, ...] | list[Word], inside: bool = False) -> Command | None:
        """Return what follows a launcher as a command of its own, None where nothing does."""
        return self._replace(words=tuple(words), inside=self.inside or inside) if words else None
