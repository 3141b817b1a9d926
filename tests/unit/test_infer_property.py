"""The rule of docs/inference.md held by bash itself, on scripts of a grammar (tests/referee).

Each script runs several times with stand-ins for every program; files that are there and what questions answer differ.
``PREFLIGHT_SHELL_EXAMPLES`` sets how many scripts.
"""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from infer_samples import NEEDLESS

from preflight.submit import script
from preflight.submit.infer import Inference, infer
from referee.grammar import Grammar
from referee.run import Referee, Run
from referee.truth import needs, works

EXAMPLES = int(os.environ.get("PREFLIGHT_SHELL_EXAMPLES", "200"))
pytestmark = pytest.mark.skipif(not (shutil.which("bash") and shutil.which("cc")), reason="needs bash and a C compiler")


@pytest.fixture(scope="module")
def referee(tmp_path_factory: pytest.TempPathFactory) -> Referee:
    return Referee(tmp_path_factory.mktemp("referee"))


@st.composite
def scripts(draw: st.DrawFn) -> tuple[str, int]:
    """A script, and which of 16 circumstances it runs in first."""
    return Grammar(lambda number: draw(st.integers(0, number - 1))).script(), draw(st.integers(0, 15))


def read(text: str, root: Path) -> Inference:
    """Infer from a script where no file is."""
    components = script.read([], {}, text).components
    return infer(text, components, environment={}, cwd="/work", home="/home/alice", root=str(root))


def faults(text: str, found: Inference, runs: "list[Run]") -> list[str]:
    """Return what the inference is silent about, and what it invents, by what the runs show."""
    told = {one.clause for one in found.needs} - {NEEDLESS}
    unread = {one.line for one in found.unread}
    wrong = []
    for run in runs:
        asked = [(one.line, needs(one.words), one.words) for one in run.started]
        for line, need, words in asked:
            if (need.clauses - told or need.untold) and not _covers(unread, line, text):
                wrong.append(f"silent: line {line}: {' '.join(words)}")
        failed = any("" in words for _, _, words in asked)  # a launcher that was given an empty name to start
        if run.status == 0 and works(run.started) and not failed:
            every = {clause for _, need, _ in asked for clause in need.clauses}
            wrong += [f"invented: {clause}" for clause in sorted(told - every)]
    return list(dict.fromkeys(wrong))


def _covers(unread: set[int], line: int, text: str) -> bool:
    """Whether a line is unread, or one of the same command: bash names the first or the last of its lines, of a
    here-document that of its command, and of a trap that at which it came."""
    lines = text.split("\n")
    first = last = line = min(line, len(lines))
    while first > 1 and lines[first - 2].endswith("\\"):
        first -= 1
    while last < len(lines) and lines[last - 1].endswith("\\"):
        last += 1
    if "<<EOF" in lines[line - 1]:
        last = next(at for at, one in enumerate(lines, 1) if at > line and one == "EOF")
    traps = {at for at, one in enumerate(lines, 1) if one.startswith("trap ")}
    return not unread.isdisjoint({*range(first, last + 1), *traps})


@settings(
    max_examples=EXAMPLES, derandomize="PREFLIGHT_SHELL_EXAMPLES" not in os.environ, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(case=scripts())
def test_what_runs_is_told_or_unread_and_nothing_is_invented(case: tuple[str, int], referee: Referee) -> None:
    text, seed = case
    assert referee.accepts(text), text
    found = read(text, referee.where / "nothing")
    runs = [referee.run(text, seed), referee.run(text, seed ^ 0b1111), referee.run(text, seed + 16)]
    assert faults(text, found, runs) == [], text
