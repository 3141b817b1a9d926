"""Questions with known answers, each with its source: tests/unit/data/questions.toml."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from preflight import toml
from preflight.cli.check import EXIT, check
from preflight.cli.require import require
from preflight.cli.support import support

FILE = Path(__file__).parent / "data" / "questions.toml"
ASKED: dict[str, Any] = toml.loads(FILE.read_text(encoding="utf-8"))
MIB, GIB = 1 << 20, 1 << 30


def document(name: str) -> dict[str, Any]:
    """Return the facts document of a node of the file."""
    node = ASKED["nodes"][name]
    driver = node.get("driver")
    device = {
        "name": node.get("gpu"),
        "memory": node.get("gpu_memory", 0) * MIB,
        "compute_capability": node.get("cc"),
        "nvlink": node.get("nvlink"),
        "ecc": True,
        "mig": False,
    }
    devices = [{"index": index, "minor": index, **device} for index in range(node.get("count", 0))]
    facts = {
        "os": {"id": node["os"], "version": node["version"], "like": node["like"], "variant": node.get("variant")},
        "kernel": {"release": node["kernel"]},
        "arch": {"machine": node.get("machine", "x86_64")},
        "libc": {"glibc": node.get("glibc")},
        "cpu": {"count": node["cpus"]},
        "memory": {"total": node["memory"] * GIB, "available": node["memory"] * GIB},
        "mounts": {"paths": node.get("mounts", ["/"]), "automounts": [], "remote": [], "users": [], "links": []},
        "python": {"versions": node.get("pythons", [])},
        "libraries": {"cudnn": node.get("cudnn", []), "nccl": node.get("nccl", [])},
        "modules": {"names": node.get("modules", []), "aliases": [], "unread": False, "system": "lmod"},
        "toolkits": {"versions": node.get("toolkits", []), "items": [], "compat": []},
        "driver": {"version": driver, "cuda": node.get("cuda"), "module": driver, "nvml": "ok" if driver else None},
        "gpus": {"count": len(devices), "devices": devices, "stuck_at": None},
        "container": {"runtimes": node.get("runtimes", [])},
        "ib": {"ports": [], "rate": node.get("ib"), "roce": []},
    }
    if not driver:
        facts["driver"]["nvml"] = "LibraryNotFound"
    return {
        "format": "preflight.facts/1",
        "node": name,
        "collected": "2026-11-24T14:00:00Z",
        "facts": facts,
        "unknown": {},
        "timings_ms": {},
    }


def questions(command: str) -> list[Any]:
    rows = ASKED[command]["questions"]
    return [pytest.param(row, id=" ".join(filter(None, (row.get("node"), row["ask"])))) for row in rows]


@pytest.fixture
def policy(tmp_path: Path) -> str:
    file = tmp_path / "preflight.toml"
    file.write_text('version = 1\nmode = "enforce"\n')
    return str(file)


def flat(text: str) -> str:
    """Return the text without line breaks: pages are wrapped."""
    return " ".join(text.split())


def test_there_are_enough_and_each_has_its_source() -> None:
    rows = [row for command in ("support", "check", "require") for row in ASKED[command]["questions"]]
    assert len(rows) >= 300
    assert {row["source"] for row in rows} == set(ASKED["sources"])
    assert len({(row.get("node"), row["ask"]) for row in rows}) == len(rows)


@pytest.mark.parametrize("row", questions("support"))
def test_support(row: dict[str, Any], policy: str) -> None:
    day = [] if "--date" in row["ask"] else ["--date", ASKED["today"]]
    done = CliRunner().invoke(support, [*shlex.split(row["ask"]), *day, "--config", policy])
    assert (done.exit_code, row["says"] in flat(done.output)) == (row["code"], True), done.output


@pytest.mark.parametrize("row", questions("check"))
def test_check(row: dict[str, Any], policy: str, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(document(row["node"])))
    arguments = ["--require", row["ask"], "--facts", str(facts), "--json", "--config", policy]
    done = CliRunner().invoke(check, arguments, standalone_mode=False)
    assert done.exception is None, done.output
    report = json.loads(done.stdout)
    statuses = [one["status"] for one in report["requirement"]["clauses"]]
    assert (EXIT[report["verdict"]], done.return_value, statuses) == (row["code"], row["code"], [row["says"]])


@pytest.mark.parametrize("row", questions("require"))
def test_require(row: dict[str, Any]) -> None:
    done = CliRunner().invoke(require, shlex.split(row["ask"]))
    assert (done.exit_code, row["says"] in flat(done.output)) == (row["code"], True), done.output
