"""Reading the cluster: fields that hostile text cannot break, groups of nodes."""

import json
from pathlib import Path

import pytest

from preflight.policy.model import Policy
from preflight.slurm import fields, job_fields, job_json, node_json
from preflight.slurm.by_commands import NODE_FIELDS, ByCommands, merged, release
from preflight.slurm.cluster import cluster_for
from preflight.slurm.commands import SlurmError
from unit.slurm_desk import UNPROVEN, Desk, group, row


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("text", ["a|b", "two\nlines\n", "\n", "MARK"[:3], "x:0|0123456789abcdef|", " ", "JobId=7 "])
def test_text_of_others_stays_in_its_field(desk: Desk, text: str) -> None:
    slurm = desk.set({"squeue rows": row("1", text, "x") + row("2", "", text)})
    assert fields.ask(slurm, "squeue", ("-a",), ("A", "B", "C")) == [["1", text, "x"], ["2", "", text]]


def test_the_mark_is_new_each_time(desk: Desk) -> None:
    slurm = desk.set({"squeue rows": row("1")})
    for _ in range(2):
        fields.ask(slurm, "squeue", (), ("A",))
    marks = {json.loads(line)[-1] for line in (desk.place / "log").read_text().splitlines()}
    assert len(marks) == 2


def test_no_rows_are_no_rows(desk: Desk) -> None:
    assert fields.ask(desk.set({"squeue rows": ""}), "squeue", (), ("A", "B")) == []


@pytest.mark.parametrize("out", ["1MARK", "1MARK2MARK\n3MARK", "1MARK2MARK\n3MARK4MA", "1MARK2MARK\nmore"])
def test_rows_that_are_cut_are_refused(desk: Desk, out: str) -> None:
    with pytest.raises(SlurmError, match="not whole"):
        fields.ask(desk.set({"squeue rows": out}), "squeue", (), ("A", "B"))


def test_a_field_that_this_release_does_not_know_is_said(desk: Desk) -> None:
    said = "squeue: error: Invalid job format specification: B\n"
    slurm = desk.set({"squeue rows": row("1"), "squeue rows stderr": said})
    with pytest.raises(SlurmError, match="format specification: B"):
        fields.ask(slurm, "squeue", (), ("A", "B"))


def test_groups_of_equal_nodes_become_nodes() -> None:
    rows = [
        group("n[1-3]", "main", Features="a,b", features_act="a"),
        group("n[2-3]", "gpu", Features="a,b", features_act="a"),
        group("n7", "main", StateComplete="down*+drain", Reason="x | y"),
        group("", "empty"),
    ]
    found = {node.name: node for node in merged(rows)}
    assert sorted(found) == ["n1", "n2", "n3", "n7"]
    assert (found["n1"].partitions, found["n3"].partitions) == (("main",), ("main", "gpu"))
    assert (found["n2"].features, found["n2"].active, found["n2"].extra) == (("a", "b"), ("a",), "")
    assert (found["n7"].state, found["n7"].reason) == (("DOWN", "DRAIN"), "x | y")


def test_ten_thousand_nodes_are_as_many() -> None:
    rows = [group("n[00001-10000]", one) for one in ("main", "urgent")]
    found = list(merged(rows))
    assert len({node.name for node in found}) == 10000
    assert {node.partitions for node in found} == {("main", "urgent")}
    assert found[0].name == "n00001"


def test_nodes_that_are_no_host_list_are_said() -> None:
    with pytest.raises(SlurmError, match="for nodes: not a host list"):
        list(merged([group("n[1-", "main")]))


@pytest.mark.parametrize("column", ["CPUs", "Memory"])
def test_a_number_that_is_none_is_refused(column: str) -> None:
    with pytest.raises(SlurmError, match="where a number should be"):
        list(merged([group("n1", "main", **{column: "64+"})]))


@pytest.mark.parametrize(
    ("said", "numbers"),
    [("slurm-wlm 22.05.8\n", (22, 5, 8)), ("slurm 25.11.2-1\n", (25, 11, 2)), ("slurm 24.11.0-0rc1\n", (24, 11, 0))],
)
def test_the_release_is_what_sinfo_says(desk: Desk, said: str, numbers: tuple[int, ...]) -> None:
    assert release(desk.set({"sinfo -V": said})) == numbers


@pytest.mark.parametrize("said", ["", "slurm\n", "slurm x.y\n"])
def test_no_release_is_said(desk: Desk, said: str) -> None:
    with pytest.raises(SlurmError, match="no release of Slurm"):
        release(desk.set({"sinfo -V": said}))


NODE = {
    "name": "n1", "state": ["IDLE", "DRAIN"], "reason": "x", "partitions": ["main"], "features": ["a"],
    "active_features": [], "extra": "", "gres": "gpu:2", "cpus": 4, "real_memory": 4096,
}  # fmt: skip


def test_json_takes_the_place_of_a_sinfo_that_compares_for_minutes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preflight.slurm.by_commands.GROUPED_S", 0.3)
    as_json = json.dumps({"nodes": [NODE, NODE | {"name": "n2"}], "errors": []})
    answers = {"hang": "", "sinfo rows": "", "scontrol show node --json": as_json, **UNPROVEN}
    back_end = ByCommands(desk.set(answers | {"sinfo -V": "slurm 26.05.5\n"}))
    assert [node.name for node in back_end.nodes()] == ["n1", "n2"]
    old = ByCommands(desk.set(answers | {"sinfo -V": "slurm 22.05.8\n"})._replace(each_s=0.3))
    with pytest.raises(SlurmError, match="did not end in time"):
        old.nodes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("{}", "cannot be read"),
        ("[1]", "cannot be read"),
        ('{"jobs": [{}]}', "cannot be read"),
        ('{"jobs": [], "errors": [{"description": "no access", "error": "x"}]}', "no access"),
        ("[" * 100000, "cannot be read"),
    ],
)
def test_json_that_is_no_list_of_jobs_is_said(text: str, said: str) -> None:
    with pytest.raises(SlurmError, match=said):
        job_json.parsed(text)


def test_a_state_of_several_words_is_shown_as_squeue_does() -> None:
    assert job_json.shown_state(["RUNNING"]) == "RUNNING"
    assert job_json.shown_state(["PENDING", "REQUEUED"]) == "REQUEUED"
    assert job_json.shown_state(["CANCELLED", "COMPLETING"]) == "COMPLETING"


def test_nodes_of_json() -> None:
    (node,) = node_json.parsed(json.dumps({"nodes": [NODE]}))
    assert (node.name, node.state, node.memory, node.features) == ("n1", ("IDLE", "DRAIN"), 4096, ("a",))


@pytest.mark.parametrize(("said", "shown"), [("0", "0:0"), ("1792", "7:0"), ("9", "0:9"), ("2:15", "2:15")])
def test_the_exit_code_of_every_release_is_code_and_signal(said: str, shown: str) -> None:
    assert job_fields._exit_code(said) == shown


def test_the_users_cluster_is_the_one_that_slurms_commands_use(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy()._replace(hook=Policy().hook._replace(slurm_conf="/policy/slurm.conf", slurm_bin="/opt/bin"))
    monkeypatch.setenv("SLURM_CONF", "/mine/slurm.conf")
    assert cluster_for(policy, 1.0).slurm[:2] == ("/opt/bin", "/mine/slurm.conf")
    monkeypatch.delenv("SLURM_CONF")
    assert cluster_for(policy, 1.0).slurm[:2] == ("/opt/bin", "/policy/slurm.conf")


def test_every_field_is_read_once() -> None:
    assert len(set(NODE_FIELDS)) == len(NODE_FIELDS)
    assert len(set(job_fields.FIELDS)) == len(job_fields.FIELDS)
