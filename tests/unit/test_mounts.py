"""Mounts that do not answer, an automounter's, and links into one: facts, clauses and the health check."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from preflight.checks.registry import Context
from preflight.checks.run import run_checks
from preflight.facts import mounts
from preflight.facts.collect import collect
from preflight.facts.document import FactsDocument
from preflight.facts.source import Source
from preflight.facts.view import View
from preflight.policy.model import Policy
from preflight.requirements.evaluate import evaluate, facts_needed
from preflight.requirements.grammar import parse

TABLE = """/dev/sda / ext4 rw 0 0
nfs:/x /mnt/x nfs4 rw 0 0
gcsfuse /buckets fuse.gcsfuse rw,user_id=0,group_id=0 0 0
sshfs /home/eve/m fuse.sshfs rw,user_id=1000,group_id=1000 0 0
/etc/auto.home /home autofs rw,indirect 0 0
/etc/auto.direct /data autofs rw,direct 0 0
/etc/auto.direct /proj autofs rw,direct 0 0
nfs:/proj /proj nfs4 rw 0 0
/dev/sdb /local xfs rw 0 0
"""


def node(place: Path) -> dict[str, Any]:
    (place / "proc").mkdir(exist_ok=True)
    (place / "proc/mounts").write_text(TABLE)
    (place / "work").mkdir()
    for name, target in (
        ("scratch", "/mnt/x/scratch"),
        ("twice", "scratch"),
        ("below", "/home/u"),
        ("plain", "/srv"),
        ("lost", "/nowhere"),
        ("work/scratch", "../mnt/x/scratch"),
        ("work/sets", "/data/sets"),
        ("work/plain", "/srv"),
    ):
        (place / name).symlink_to(target)
    (place / "srv").mkdir()
    document = collect(["mounts"], Source(str(place), live=False))
    return dict(document.facts)


def asked(facts: dict[str, Any], text: str, unknown: dict[str, str] | None = None) -> str:
    (found,) = evaluate(parse(text), View(facts, unknown or {}))
    return found.status


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("mount=/mnt/x", "pass"),
        ("mount=/scratch", "pass"),
        ("mount=/twice", "pass"),
        ("mount=/proj", "pass"),  # an automounter's, and mounted now
        ("mount=/local", "pass"),
        ("mount=/home/u", "unknown"),
        ("mount=/home", "unknown"),
        ("mount=/below", "unknown"),
        ("mount=/data", "unknown"),
        ("!mount=/data", "unknown"),
        ("mount=/home/eve/m", "unknown"),
        ("mount=/work/scratch", "pass"),
        ("mount=/work/sets", "unknown"),
        ("mount=/work/plain", "fail"),
        ("mount=/plain", "fail"),
        ("mount=/lost", "fail"),
        ("mount=/mnt", "fail"),
        ("mount=/srv", "fail"),
        ("mount=/mnt/xy", "fail"),
        ("!mount=/srv", "pass"),
    ],
)
def test_a_clause_on_a_mount(tmp_path: Path, text: str, status: str) -> None:
    assert asked(node(tmp_path), text) == status


def test_a_mount_that_does_not_answer_is_unknown_to_the_job_and_named_by_the_health_check(tmp_path: Path) -> None:
    facts = node(tmp_path)
    dead = {"path": "/mnt/x", "type": "nfs4", "error": "Timeout"}
    facts["remote"] = {"mounts": [dead, {"path": "/buckets", "type": "fuse.gcsfuse"}]}
    assert asked(facts, "mount=/mnt/x") == asked(facts, "mount=/scratch") == "unknown"
    assert asked(facts, "mount=/buckets") == asked(facts, "mount=/local") == "pass"
    view = View(facts, {})
    found = [one for one in run_checks(Context("health", view, view, Policy())) if one.check == "mount.responds"]
    assert [(one.subject, one.status, one.blame) for one in found] == [
        ("/mnt/x", "warn", "node"),
        ("/buckets", "pass", "node"),
    ]
    assert found[0].remedy
    facts.pop("remote")
    assert asked(facts, "mount=/mnt/x", {"remote": "no answer before the deadline"}) == "unknown"
    assert asked(facts, "mount=/local", {"remote": "no answer before the deadline"}) == "pass"


def test_a_clause_has_the_mounts_asked() -> None:
    assert facts_needed(parse("mount=/scratch")) == {"mounts", "remote"}


@pytest.mark.parametrize("kind", ["nfs", "wekafs", "dvs", "virtiofs", "fuse", "fuse.dfuse", "lustre", "fsofnextyear"])
def test_what_needs_a_server_is_remote(kind: str) -> None:
    assert mounts.is_remote(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "zfs", "overlay", "tmpfs", "cgroup2", "fuseblk", "autofs"])
def test_what_needs_none_is_local(kind: str) -> None:
    assert not mounts.is_remote(kind)


@pytest.fixture
def fuse(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A FUSE mount whose daemon never answers; closing the descriptor is its death."""
    place = tmp_path / "bucket"
    place.mkdir()
    try:
        daemon = os.open("/dev/fuse", os.O_RDWR)
    except OSError:
        pytest.skip("no /dev/fuse")
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={daemon},rootmode=40000,user_id=0,group_id=0,subtype=gcsfuse".encode()
    if libc.mount(b"gcsfuse", os.fsencode(place), b"fuse", 0, options):
        os.close(daemon)
        pytest.skip(f"no FUSE mount here: {os.strerror(ctypes.get_errno())}")
    try:
        yield place, daemon
    finally:
        libc.umount2(os.fsencode(place), 2)
        with contextlib.suppress(OSError):
            os.close(daemon)


def state(document: FactsDocument, place: Path) -> dict[str, Any]:
    return next(one for one in document.facts["remote"]["mounts"] if one["path"] == str(place))


def test_a_real_fuse_mount_that_hangs_and_one_that_is_dead(fuse: tuple[Path, int]) -> None:
    place, daemon = fuse
    began = time.monotonic()
    hung = collect(["mounts", "remote"], deadline_s=1.0)
    assert time.monotonic() - began < 5
    assert state(hung, place) == {"path": str(place), "type": "fuse.gcsfuse", "error": "Timeout"}
    assert asked(hung.facts, f"mount={place}") == "unknown"
    os.close(daemon)
    dead = collect(["mounts", "remote"], deadline_s=20.0)
    assert "not connected" in state(dead, place)["error"]
    assert asked(dead.facts, f"mount={place}") == "unknown"
