"""Lines and targets are read as NHC itself reads them; its answers are data (tests/nhc_referee.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preflight.deploy.nhc.lines import read
from preflight.deploy.nhc.targets import NoMatch, nodes
from preflight.policy.selector import selects

SAID = json.loads((Path(__file__).parent / "data/nhc_referee.json").read_text(encoding="utf-8"))
NEVER = ("/^sgpu0[1-5][01-02]/", "{n00[10-21,23]}", "{login}", "{login,n1}")  # NHC cannot read them, nor can we
MEANT = ("gpu* && !gpu9", "gpu*&&*1")  # NHC takes && as part of one glob; a policy holds what was meant, and says so


@pytest.mark.parametrize("target", SAID["targets"])
def test_a_target_selects_the_nodes_that_nhc_matches(target: str) -> None:
    if target in NEVER:
        with pytest.raises(NoMatch):
            nodes(target)
        assert SAID["targets"][target] == []
        return
    made = nodes(target)
    found = [name for name in SAID["names"] if selects(made.text, name)]
    if target in MEANT:
        assert found
        assert "never ran this line" in made.notes[0]
    else:
        assert found == SAID["targets"][target]


def test_the_lines_are_those_that_nhc_would_run() -> None:
    lines = [one for one in read(SAID["conf"]) if one.ended and one.target and one.check and not one.bare]
    mine = [one.check for one in lines if selects(nodes(one.target).text, "gpu1")]
    assert mine == SAID["checks"]
