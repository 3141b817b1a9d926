"""The sense of time: failures in a row, for how long, resuming after passes, flapping, other hardware."""

import json
from pathlib import Path
from typing import Any

import pytest

from preflight.checks.finding import Finding
from preflight.facts.document import FactsDocument
from preflight.hooks import drained, prolog, streaks
from preflight.hooks.drained import count_well, is_replaced, is_well, waits
from preflight.hooks.streaks import Streaks
from preflight.policy.model import CheckPolicy, DrainPolicy, Policy
from preflight.times import seconds

ECC = "gpu.ecc"


class Clock:
    """Both clocks, set by hand."""

    def __init__(self) -> None:
        self.now, self.up = 1_800_000_000.0, 1000.0

    def time(self) -> float:
        return self.now

    def clock_gettime(self, _: int) -> float:
        return self.up

    CLOCK_BOOTTIME = 7

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.up += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(streaks, "time", clock)
    monkeypatch.setattr(drained, "time", clock)
    return clock


def finding(status: str = "fail", subject: str = "gpu1", check: str = ECC, blame: str = "node") -> Finding:
    return Finding(check, status, blame, subject, None, None, "sick", None, None)


def document(*uuids: str) -> FactsDocument:
    devices = [{"index": index, "uuid": uuid} for index, uuid in enumerate(uuids)]
    return FactsDocument("n1", "2026-11-24T10:00:00Z", {"gpus": {"count": len(uuids), "devices": devices}}, {}, {})


def look(spool: Path, policy: Policy, *findings: Finding, gpus: tuple[str, ...] = ("A", "B")) -> list[str]:
    """One run's look at the node; return the statuses after it."""
    record = Streaks(str(spool), "n1")
    record.take(list(findings), document(*gpus))
    record.save()
    return [one.status for one in record.patient(list(findings), document(*gpus), policy)]


def policy(**more: Any) -> Policy:
    return Policy(checks={ECC: CheckPolicy(**more)})


def test_only_the_third_failure_in_a_row_counts(tmp_path: Path, clock: Clock) -> None:
    third = policy(after=3)
    assert [look(tmp_path, third, finding()) for _ in range(2)] == [["warn"], ["warn"]]
    assert look(tmp_path, third, finding("pass")) == ["pass"]
    assert [look(tmp_path, third, finding()) for _ in range(4)] == [["warn"], ["warn"], ["fail"], ["fail"]]


def test_what_did_not_look_breaks_no_row(tmp_path: Path, clock: Clock) -> None:
    third = policy(after=3)
    for between in (
        [],
        [finding("skip")],
        [finding("unknown")],
        [finding("pass", "gpu0")],
        [finding("pass", check="x")],
    ):
        assert look(tmp_path, third, finding()) in (["warn"], ["fail"])
        look(tmp_path, third, *between)
    assert look(tmp_path, third, finding()) == ["fail"]


def test_a_pass_of_the_whole_node_ends_a_row(tmp_path: Path, clock: Clock) -> None:
    look(tmp_path, policy(after=2), finding())
    look(tmp_path, policy(after=2), finding("pass", "node"))
    assert look(tmp_path, policy(after=2), finding()) == ["warn"]


def test_each_gpu_has_its_own_row_wherever_it_is_counted(tmp_path: Path, clock: Clock) -> None:
    second = policy(after=2)
    assert look(tmp_path, second, finding(subject="gpu1"), finding(subject="gpu0")) == ["warn", "warn"]
    assert look(tmp_path, second, finding(subject="gpu0"), gpus=("B",)) == ["fail"]
    assert look(tmp_path, second, finding(subject="gpu5"), gpus=("B",)) == ["warn"]


def test_for_a_time(tmp_path: Path, clock: Clock) -> None:
    patient = policy(for_="10m")
    assert look(tmp_path, patient, finding()) == ["warn"]
    clock.wait(599)
    assert look(tmp_path, patient, finding()) == ["warn"]
    clock.wait(1)
    assert look(tmp_path, patient, finding()) == ["fail"]
    clock.now -= 86400  # the wall clock was set back: the boot's own goes on
    assert look(tmp_path, patient, finding()) == ["fail"]
    look(tmp_path, patient, finding("pass"))
    assert look(tmp_path, patient, finding()) == ["warn"]


def test_both_have_to_be_fulfilled(tmp_path: Path, clock: Clock) -> None:
    both = policy(after=2, for_="1m")
    assert look(tmp_path, both, finding()) == ["warn"]
    assert look(tmp_path, both, finding()) == ["warn"]
    clock.wait(60)
    assert look(tmp_path, both, finding()) == ["fail"]


def test_the_row_outlives_a_reboot(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    both = policy(after=3, for_="10m")
    look(tmp_path, both, finding())
    look(tmp_path, both, finding())
    clock.wait(700)
    clock.up = 20.0
    monkeypatch.setattr(streaks, "boot_id", lambda: "another boot")
    assert look(tmp_path, both, finding()) == ["fail"]


def test_others_fails_and_other_checks_are_left_alone(tmp_path: Path, clock: Clock) -> None:
    third = policy(after=3)
    assert look(tmp_path, third, finding(blame="job"), finding(check="other")) == ["fail", "fail"]
    assert list(json.loads((tmp_path / "streaks-n1.json").read_text())["rows"]) == ["other|B"]


def test_other_hardware_has_no_past(tmp_path: Path, clock: Clock) -> None:
    second = policy(after=2)
    look(tmp_path, second, finding())
    assert look(tmp_path, second, finding(), gpus=("C", "D")) == ["warn"]
    assert look(tmp_path, second, finding(), gpus=("C", "E")) == ["warn"]  # gpu1 is another one: its own row


def test_a_node_that_was_always_well_has_no_record(tmp_path: Path, clock: Clock) -> None:
    look(tmp_path, policy(), finding("pass"))
    assert list(tmp_path.iterdir()) == []
    look(tmp_path, policy(), finding())
    look(tmp_path, policy(), finding("pass"))
    clock.wait(streaks.DAY_S)
    look(tmp_path, policy(), finding("pass"))
    assert list(tmp_path.iterdir()) == []


def test_the_record_is_bounded(tmp_path: Path, clock: Clock) -> None:
    look(tmp_path, policy(), *(finding(subject=f"link {number}") for number in range(1000)))
    assert len(json.loads((tmp_path / "streaks-n1.json").read_text())["rows"]) == streaks.MAX_ROWS
    for _ in range(100):
        look(tmp_path, policy(), finding())
        look(tmp_path, policy(), finding("pass"))
    rows = json.loads((tmp_path / "streaks-n1.json").read_text())["rows"]
    assert len(rows[f"{ECC}|B"]["turns"]) == streaks.MAX_TURNS


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rows": {"a": 1}, "gpus": []}', '{"rows": {}, "gpus": [1]}'])
def test_a_torn_record_is_set_aside(tmp_path: Path, clock: Clock, text: str) -> None:
    (tmp_path / "streaks-n1.json").write_text(text)
    assert look(tmp_path, policy(after=2), finding()) == ["warn"]
    assert (tmp_path / "streaks-n1.json.unreadable").exists()
    assert look(tmp_path, policy(after=2), finding()) == ["fail"]


def test_a_full_spool_costs_only_the_record(clock: Clock) -> None:
    assert look(Path("/proc/nowhere"), policy(after=2), finding()) == ["warn"]


def test_what_comes_and_goes_is_counted_for_a_day(tmp_path: Path, clock: Clock) -> None:
    for _ in range(6):
        look(tmp_path, policy(), finding())
        look(tmp_path, policy(), finding())
        look(tmp_path, policy(), finding("pass"))
        clock.wait(3600)
    assert Streaks(str(tmp_path), "n1").flaps() == {f"{ECC}|B": 6}
    clock.wait(streaks.DAY_S - 5 * 3600)
    assert Streaks(str(tmp_path), "n1").flaps() == {f"{ECC}|B": 4}


@pytest.mark.parametrize(("text", "value"), [("", 0), ("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_times(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["10", "m", "-1s", "1.5h", "10 minutes", "1w", "\uff11s", "9" * 12 + "s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="needs a time"):
        seconds(text)


# --- resuming


class Run:
    """What the record of a drain needs of a run."""

    def __init__(self, place: Path, **drain: Any) -> None:
        self.node, self.run_dir = "n1", str(place / "run")
        self.policy = Policy(drain=DrainPolicy(**drain))._replace(report=Policy().report._replace(spool=str(place)))


RECORD = {"reason": "preflight:gpu.ecc:gpu1: sick", "user": "root", "time": "2026-11-24T10:00:00"}


def run_with_drain(place: Path, **drain: Any) -> Any:
    (place / "drain-n1.json").write_text(json.dumps(RECORD))
    return Run(place, **drain)


def test_one_pass_resumes_nothing(tmp_path: Path, clock: Clock) -> None:
    run = run_with_drain(tmp_path)
    answers = []
    for well in (True, False, True, True):
        record = drained.ours(run)
        assert record is not None
        count_well(run, record, well)
        answers.append(waits(record, run.policy))
    wait = "well in {} of 2 health checks in a row"
    assert answers == [wait.format(1), wait.format(0), wait.format(1), ""]


def test_a_hold_down_begins_with_the_first_pass_of_the_row(tmp_path: Path, clock: Clock) -> None:
    run = run_with_drain(tmp_path, resume_after=1, hold_down="10m")

    def check(well: bool) -> str:
        record = drained.ours(run)
        assert record is not None
        count_well(run, record, well)
        return waits(record, run.policy)

    assert "hold-down of 10m" in check(True)
    clock.wait(500)
    check(False)
    clock.wait(100)
    assert "hold-down" in check(True)
    clock.wait(600)
    assert check(True) == ""
    clock.now -= 86400  # a clock that was set back
    assert "hold-down" in check(True)


def test_a_check_has_its_own_patience() -> None:
    site = Policy(checks={ECC: CheckPolicy(resume_after=4), "other": CheckPolicy(hold_down="1h")})
    assert waits({**RECORD, "well": 3}, site).endswith("3 of 4 health checks in a row")
    assert waits({**RECORD, "well": 4}, site) == ""
    assert waits({**RECORD, "reason": "preflight:third:x: y", "well": 2}, site) == ""
    assert waits({**RECORD, "well": "many"}, site).startswith("well in 0 of 4")


def test_where_it_cannot_be_written_nothing_is_counted(tmp_path: Path, clock: Clock) -> None:
    record = dict(RECORD)
    run: Any = Run(tmp_path / "nowhere")
    count_well(run, record, True)
    assert record == RECORD


@pytest.mark.parametrize(
    ("gpus", "boot", "now", "replaced"),
    [
        (["A", "B"], "before", ("C", "D"), True),
        (["A", "B"], "before", ("C", "B"), False),
        (["A", "B"], "before", (), False),
        ([], "before", ("C",), False),
        (["A"], "", ("C",), False),
        (["A"], "now", ("C",), False),
    ],
)
def test_other_hardware_behind_the_same_name(
    gpus: list[str], boot: str, now: tuple[str, ...], replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drained, "boot_id", lambda: "now")
    record = {**RECORD, "gpus": gpus, "boot": boot, "gpu": "B"}
    assert is_replaced(record, document(*now)) is replaced
    sound = [finding("pass", "gpu0"), finding("pass", "gpu0", "other")]
    if replaced:
        assert is_well(record, sound, document(*now))
        assert is_well(record, [finding("pass", "gpu0", "other")], document(*now))  # it has nothing of the kind
        assert not is_well(record, [*sound, finding("fail", "gpu1", "third")], document(*now))
        assert not is_well(record, [finding("unknown", "gpu0")], document(*now))


def test_nothing_is_read_where_nothing_ever_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: Any = type("Found", (), {"findings": [finding("pass"), finding("fail", blame="job")]})()
    run: Any = Run(tmp_path)
    assert prolog.over_time(run, found) is found
    assert prolog.flaps(run) == {}
