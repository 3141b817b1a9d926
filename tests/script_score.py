"""Holds the inference against batch scripts whose needs are written down: `python tests/script_score.py DIRECTORY`.

With --lines the lines of one continued command are held apart.

A directory holds one directory a script: job.sh; expect.toml with ``needs`` [[clause, line] …],
a third value being the component where it matters, and ``unread`` [line …],
line 0 for what stands outside the script, ``unbound`` [clause …] that do not bind, and if wanted ``command``
(sbatch's options), ``environment``, ``home`` and ``cwd``; files/, the file system that it is read on.
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

from preflight import toml
from preflight.submit import script
from preflight.submit.infer import Inference, infer


class Result(NamedTuple):
    """One script: what was expected and not inferred, and the other way round, each as one line of text."""

    name: str
    missed: tuple[str, ...]
    invented: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Whether needs and unread lines are exactly those expected."""
        return not self.missed and not self.invented


def read(case: Path) -> Inference:
    """Infer what the script of one directory needs."""
    expect = toml.loads((case / "expect.toml").read_text())
    text = (case / "job.sh").read_bytes().decode("utf-8", "surrogateescape")
    environment = {"USER": "alice", **expect.get("environment", {})}
    submission = script.read(expect.get("command", []), environment, text)
    return infer(
        submission.text,
        submission.components,
        environment=environment,
        cwd=expect.get("cwd", "/home/alice/project"),
        home=expect.get("home", "/home/alice"),
        root=str(case / "files"),
    )


def score(directory: Path, by_command: bool = False) -> list[Result]:
    """Return a result for each script of a directory. ``by_command``: lines of one command that goes on over several
    count as its first."""
    found = []
    for case in sorted(path.parent for path in directory.glob("*/expect.toml")):
        expect = toml.loads((case / "expect.toml").read_text())
        lines = (case / "job.sh").read_text(errors="surrogateescape").split("\n") if by_command else []
        wanted = {_text(need[0], _first(lines, need[1]), *need[2:]) for need in expect["needs"]}
        wanted |= {f"line {_first(lines, line)}: unread" for line in expect["unread"]}
        inference = read(case)
        got = set()
        for one in inference.needs:
            placed = _text(one.clause, _first(lines, one.line), one.component)
            got.add(placed if placed in wanted else _text(one.clause, _first(lines, one.line)))
        got |= {f"line {_first(lines, one.line)}: unread" for one in inference.unread}
        found.append(Result(case.name, tuple(sorted(wanted - got)), tuple(sorted(got - wanted))))
    return found


def _first(lines: list[str], line: int) -> int:
    """Return the first line of the command that goes on over ``line``, by the backslashes at the lines' ends."""
    while line > 1 and lines and re.search(r"(?<!\\)(?:\\\\)*\\$", lines[line - 2]):
        line -= 1
    return line


def _text(clause: str, line: int, component: "int | None" = None) -> str:
    return f"line {line}: {clause}" + ("" if component is None else f" of component {component}")


def main() -> None:
    """Print the score of each directory named, with what was missed and invented."""
    apart = "--lines" in sys.argv
    for directory in [word for word in sys.argv[1:] if word != "--lines"]:
        results = score(Path(directory), by_command=not apart)
        for result in results:
            print(f"{'ok  ' if result.right else 'FAIL'} {result.name}")
            for sign, lines in (("-", result.missed), ("+", result.invented)):
                print("".join(f"       {sign} {line}\n" for line in lines), end="")
        print(f"{directory}: {sum(result.right for result in results)} of {len(results)} scripts exact")


if __name__ == "__main__":
    main()
