"""Reading by pyslurm: when it is used, and what is left to the commands; its objects are by hand."""

from __future__ import annotations

import logging
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest

from lab import pyslurm_by_hand as by_hand
from lab.pyslurm_by_hand import NotText
from preflight.slurm import choose
from preflight.slurm.by_commands import ByCommands
from preflight.slurm.by_pyslurm import ByPyslurm, node_of
from preflight.slurm.cluster import Cluster
from preflight.slurm.commands import SlurmError
from preflight.slurm.models import JobInfo, Node
from unit.slurm_desk import UNPROVEN, Desk, group, row


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def install_pyslurm(
    monkeypatch: pytest.MonkeyPatch, place: Path, version: str = "25.11.2", body: str = "", metadata: bool = True
) -> None:
    """Put a module pyslurm, written by hand, and its metadata on the import path."""
    site = place / "site"
    (site / "pyslurm").mkdir(parents=True)
    seen = f"import os\nopen({str(place / 'imported')!r}, 'w').write(os.environ.get('SLURM_CONF', ''))\n"
    (site / "pyslurm" / "__init__.py").write_text(f"{seen}{body}\n")
    if metadata:
        (site / f"pyslurm-{version}.dist-info").mkdir()
        (site / f"pyslurm-{version}.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: pyslurm\nVersion: {version}\n"
        )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "pyslurm", raising=False)


CONFIG = {"scontrol show config": "ClusterName = x\nSLURM_VERSION           = 25.11.4\n"}


def test_pyslurm_reads_where_it_is_of_the_controllers_release(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SLURM_CONF", raising=False)
    install_pyslurm(monkeypatch, tmp_path)
    slurm = desk.set(CONFIG)._replace(conf="/site/slurm.conf")
    assert isinstance(choose.choose(slurm), ByPyslurm)
    assert (tmp_path / "imported").read_text() == "/site/slurm.conf"
    assert "SLURM_CONF" not in choose.os.environ
    monkeypatch.delitem(sys.modules, "pyslurm")


@pytest.mark.parametrize(
    ("version", "body", "answers", "why"),
    [
        ("24.11.0", "", CONFIG, "it is of Slurm 24.11"),
        ("25.11.2", "", {"scontrol show config": "SLURM_VERSION = 26.05.5\n"}, "the cluster runs Slurm 26.05.5"),
        ("25.11.2", "", {"scontrol show config": "nothing\n"}, "said no SLURM_VERSION"),
        ("25.11.2", "", {}, "scontrol: exit status 1"),
        ("25.11.2", "raise ImportError('libslurm.so.44: no such file')", CONFIG, "libslurm.so.44"),
    ],
)
def test_commands_read_where_pyslurm_does_not_fit(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    version: str,
    body: str,
    answers: dict[str, str],
    why: str,
) -> None:
    install_pyslurm(monkeypatch, tmp_path, version, body)
    with caplog.at_level(logging.DEBUG, "preflight.slurm"):
        assert isinstance(choose.choose(desk.set(answers)), ByCommands)
    assert why in caplog.text
    assert (tmp_path / "imported").exists() == bool(body)  # libslurm may end the process that imports it
    assert all(record.levelno == logging.DEBUG for record in caplog.records)


@pytest.fixture
def none_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide a pyslurm that is really installed here."""
    monkeypatch.setattr(sys, "path", [place for place in sys.path if not PathFinder.find_spec("pyslurm", [place])])
    monkeypatch.delitem(sys.modules, "pyslurm", raising=False)


@pytest.mark.usefixtures("none_installed")
def test_without_pyslurm_nothing_is_asked_for_it(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "preflight.slurm"):
        assert isinstance(choose.choose(desk.set({})), ByCommands)
    assert (caplog.text, desk.asked()) == ("", [])


@pytest.mark.usefixtures("none_installed")
def test_a_module_of_that_name_that_is_no_distribution_is_left_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install_pyslurm(monkeypatch, tmp_path, metadata=False)
    assert isinstance(choose.choose(desk.set(CONFIG)), ByCommands)
    assert not (tmp_path / "imported").exists()


def test_what_pyslurm_fails_at_is_read_by_commands(desk: Desk) -> None:
    class Broken:
        """Written by hand: a pyslurm whose calls fail."""

        class Nodes:
            @staticmethod
            def load() -> None:
                raise RuntimeError("zero bytes transmitted")

    told: list[str] = []
    rows = row(*group("n1", "main"))
    commands = ByCommands(desk.set({"sinfo rows": rows, "sinfo -V": "slurm 25.11.4\n", **UNPROVEN}))
    cluster = Cluster(desk.slurm, ByPyslurm(Broken, commands, told.append))
    assert [node.name for node in cluster.nodes()] == ["n1"]
    assert told == ["pyslurm: RuntimeError: zero bytes transmitted; reading by commands"]
    with pytest.raises(SlurmError):  # and then the commands say what is wrong
        cluster.job("12")
    assert "AttributeError" in told[1]


def test_the_library_is_initialised_where_importing_it_does_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its first call would end the process."""
    install_pyslurm(monkeypatch, tmp_path, body=f"def slurm_init(): open({str(tmp_path / 'begun')!r}, 'a').write('x')")
    choose.choose(desk.set(CONFIG))
    assert not (tmp_path / "begun").exists()
    monkeypatch.delitem(sys.modules, "pyslurm")
    monkeypatch.setenv("PYSLURM_DISABLE_AUTO_INIT", "1")
    assert isinstance(choose.choose(desk.set(CONFIG)), ByPyslurm)
    assert (tmp_path / "begun").read_text() == "x"
    monkeypatch.delitem(sys.modules, "pyslurm")


class Commands:
    """Records what is left to the commands; the answers are marked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def nodes(self, names: set[str] | None = None) -> list[Node]:
        self.asked.append(names)
        return [node_of(by_hand.node(name, extra="by commands")) for name in sorted(names or ())]

    def job(self, text: str) -> JobInfo:
        self.asked.append(text)
        raise SlurmError(f"{text} by commands")


def back_end(nodes: list[Any], jobs: list[Any]) -> tuple[ByPyslurm, list[Any], list[str]]:
    """Return one over these objects, what it leaves to the commands, and what it tells of it."""
    commands, told = Commands(), list[str]()
    for one in jobs:
        one.user_id = 0
    made = ByPyslurm(by_hand.module(nodes, jobs), commands, told.append)  # type: ignore[arg-type]
    return made, commands.asked, told


@pytest.mark.parametrize(
    ("state", "attributes", "shown"),
    [
        ("IDLE", {"allocated_tres": {"cpu": 4, "mem": "1G"}}, ("MIXED",)),  # of a suspended job
        ("IDLE+DRAIN", {"allocated_tres": {"cpu": 4}}, ("MIXED", "DRAIN")),
        ("IDLE", {}, ("IDLE",)),
        ("IDLE", {"allocated_tres": None}, ("IDLE",)),
        ("ALLOCATED", {"allocated_tres": {"cpu": 4}, "idle_cpus": 0}, ("ALLOCATED",)),
        ("MIXED", {"allocated_tres": {"cpu": 1}, "idle_cpus": 3}, ("MIXED",)),
        ("DOWN", {"allocated_tres": {"cpu": 4}}, ("DOWN",)),
    ],
)
def test_a_node_that_holds_something_is_mixed_as_sinfo_says(
    state: str, attributes: dict[str, Any], shown: tuple[str, ...]
) -> None:
    assert node_of(by_hand.node("n1", state=state, **attributes)).state == shown


def test_one_node_that_cannot_be_converted_is_asked_of_the_commands_alone() -> None:
    class Odd(type(by_hand.node("x"))):  # type: ignore[misc]
        """A node whose GRES is bandwidth:lustre:no_consume:4G."""

        @property
        def configured_gres(self) -> dict[str, int]:
            return {"bandwidth:lustre": int("no_consume")}

    odd = by_hand.node("n2")
    values = {key: value for key, value in vars(odd).items() if key != "configured_gres"}
    made, asked, told = back_end([by_hand.node("n1"), Odd(**values), by_hand.node("n3")], [])
    assert [(one.name, one.extra) for one in made.nodes()] == [("n1", ""), ("n3", ""), ("n2", "by commands")]
    assert asked == [{"n2"}]
    assert len(told) == 1
    assert told[0].startswith("pyslurm: node n2: ValueError: ")


def test_few_nodes_are_asked_of_the_commands_and_many_are_loaded() -> None:
    made, asked, _ = back_end([by_hand.node("n1"), by_hand.node("n2")], [])
    assert [one.extra for one in made.nodes({"n1"})] == ["by commands"]
    assert [one.name for one in made.nodes({"n2", *(f"x{number}" for number in range(200))})] == ["n2"]
    assert asked == [{"n1"}]


@pytest.mark.parametrize(
    "attributes",
    [
        {"state": "FAILED", "exit_code": 0},  # 128:0
        {"state": "FAILED", "exit_code": 9},  # 137:0
        {"state": "CANCELLED", "exit_code": 15},  # 143:0
        {"state": "COMPLETING", "exit_code": 127},
        {"state": "TIMEOUT", "exit_code": 0, "exit_code_signal": 1},
        {"state": "PENDING", "requeue_count": 1},  # the exit code of its earlier run
        {"state": "PENDING", "dependencies": by_hand.no_dependency()},  # singleton(unfulfilled)
        {"state": "PENDING", "dependencies": by_hand.no_dependency(afterany=[11], afterok=[12])},  # in which order?
    ],
)
@pytest.mark.parametrize("text", ["18", "12_1", "15+1"])
def test_how_a_job_ended_and_what_it_waits_for_is_read_by_commands(attributes: dict[str, Any], text: str) -> None:
    jobs = [
        by_hand.job(18, **attributes), by_hand.job(13, array_id=12, array_task_id=1, **attributes),
        by_hand.job(12, array_id=12, array_tasks_waiting="2-3"),
        by_hand.job(16, heterogeneous_id=15, heterogeneous_offset=1, **attributes),
        by_hand.job(15, heterogeneous_id=15),
    ]  # fmt: skip
    made, asked, told = back_end([], jobs)
    with pytest.raises(SlurmError, match="by commands"):
        made.job(text)
    assert (asked, told) == ([text], [])


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETED"])
def test_what_pyslurm_says_whole_asks_nothing_of_the_commands(state: str) -> None:
    made, asked, told = back_end([], [by_hand.job(18, state=state, exit_code=0)])
    assert (made.job("18").state, made.job("18").exit_code, made.job("18").dependency) == (state, "0:0", "")
    assert (asked, told) == ([], [])


@pytest.mark.parametrize("text", ["12_1", "12_2", "15+1", "15"])
def test_another_users_odd_job_is_nobody_elses_matter(text: str) -> None:
    class Odd(type(by_hand.job(1))):  # type: ignore[misc]
        """A job whose comment is not UTF-8."""

        comment = NotText()

    values = {key: value for key, value in vars(by_hand.job(99)).items() if key != "comment"}
    jobs = [
        Odd(**values), by_hand.job(13, array_id=12, array_task_id=1),
        by_hand.job(12, array_id=12, array_tasks_waiting="2-3"),
        by_hand.job(15, heterogeneous_id=15), by_hand.job(16, heterogeneous_id=15, heterogeneous_offset=1),
    ]  # fmt: skip
    made, asked, told = back_end([], jobs)
    assert made.job(text).is_called(text)
    assert (asked, told) == ([], [])
    with pytest.raises(SlurmError, match="99 by commands"):
        made.job("99")
    assert "UnicodeDecodeError" in told[0]
