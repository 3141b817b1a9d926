"""When a job's --prefer is taken away after a move."""

import pytest

from preflight.slurm import job
from preflight.slurm.prefer import drop_vain_preference

NODES = "n1 fast,ubuntu\nn[2,5] ubuntu\nn3 (null)\n"


class Desk:
    """Stands for Slurm's commands."""

    def __init__(self, prefer: str, excluded: str) -> None:
        self.fields = {"Prefer": prefer, "x": excluded, "P": "main"}
        self.updates: list[dict[str, str]] = []

    def run(self, *command: str) -> str:
        assert command == ("sinfo", "-h", "-p", "main", "-o", "%N %f")
        return NODES


@pytest.mark.parametrize(
    ("prefer", "excluded", "dropped"),
    [
        ("", "n1", False),
        ("fast", "", False),
        ("fast", "n1", True),
        ("ubuntu", "n1", False),
        ("fast&ubuntu", "n1", True),
        ("fast|ubuntu", "n1", False),
        ("fast|ubuntu", "n[1-2]", False),  # n5 is left
        ("fast|ubuntu", "n[1-2,5]", True),
        ("[fast|ubuntu]", "n2", False),
        ("[fast|ubuntu]", "n1", True),  # not sure: rather no preference than a job that waits for ever
        ("fast*2", "n2", False),
    ],
)
def test_a_preference_goes_when_no_node_is_left_for_it(
    monkeypatch: pytest.MonkeyPatch, prefer: str, excluded: str, dropped: bool
) -> None:
    desk = Desk(prefer, excluded)
    monkeypatch.setattr(job, "field", lambda slurm, name, what: desk.fields[what])
    monkeypatch.setattr(job, "letter", lambda slurm, name, what: desk.fields[what])
    monkeypatch.setattr(job, "update", lambda slurm, name, **values: desk.updates.append(values))
    assert drop_vain_preference(desk, "42") is dropped  # type: ignore[arg-type]
    assert desk.updates == ([{"Prefer": ""}] if dropped else [])
