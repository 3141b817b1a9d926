"""A job in a portal's frame, and one that is too large; states of Slurm by cluster; reasons that other tools read."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fleet import samples
from fleet.test_pages_access import MINE, OTHERS, SECRET, SHARED, bearer, client_of, filled
from preflight.checks.finding import Finding
from preflight.checks.registry import every_check
from preflight.fleet.entry import EntryReader
from preflight.fleet.pages import access, app, make, states
from preflight.fleet.pages.app import Options
from preflight.fleet.pages.ask import NotFoundError
from preflight.fleet.pages.states import State, States
from preflight.fleet.pages.views import jobs
from preflight.fleet.query import search
from preflight.fleet.store.interface import Store
from preflight.slurm.commands import Slurm
from preflight.verdict import drain_reason

__all__ = ["filled"]
PORTAL = "https://ondemand.example.org"


@pytest.fixture
def client(filled: Store) -> Iterator[TestClient]:
    with client_of(filled, Options(frames=(PORTAL, "https://*.example.net"))) as made:
        yield made


def ancestors(policy: str) -> str:
    (found,) = (part for part in policy.split("; ") if part.startswith("frame-ancestors"))
    return found


def test_a_job_stands_in_the_frames_that_the_site_allows_and_nothing_else_does(
    client: TestClient, filled: Store
) -> None:
    headers = bearer(access.make(filled, "alice", "user"))
    shown = client.get(f"/embed/job?id={MINE}", headers=headers)
    assert shown.status_code == 200
    assert ancestors(shown.headers["content-security-policy"]) == f"frame-ancestors {PORTAL} https://*.example.net"
    assert "form-action 'none'" in shown.headers["content-security-policy"]
    assert "x-frame-options" not in shown.headers
    assert '<base target="_blank">' in shown.text  # a frame of ours shows no other page of ours
    for tag in ("<form", "<nav", "<iframe", "action=", '<a href="/"'):
        assert tag not in shown.text
    assert f'href="/job?id={MINE}" target="_blank" rel="noopener"' in shown.text
    for url in ("/jobs", f"/job?id={MINE}", "/login", f"/report?id={MINE}"):
        assert (
            ancestors(client.get(url, headers=headers).headers["content-security-policy"]) == "frame-ancestors 'none'"
        )


def test_without_an_origin_there_is_no_such_page(filled: Store) -> None:
    with client_of(filled) as client:
        answer = client.get(f"/embed/job?id={MINE}", headers=bearer(access.make(filled, "carol", "admin")))
    assert answer.status_code == 404


def test_in_a_frame_too_a_job_is_its_users(client: TestClient, filled: Store) -> None:
    headers = bearer(access.make(filled, "alice", "user"))
    his, none = (client.get(f"/embed/job?id={number}", headers=headers) for number in (OTHERS, 999))
    assert his.status_code == none.status_code == 404
    assert his.text.replace(str(OTHERS), "999") == none.text
    assert SECRET not in client.get(f"/embed/job?id={SHARED}", headers=headers).text
    assert client.get("/embed/job?id=x", headers=headers).status_code == 400
    stranger = client.get(f"/embed/job?id={MINE}&cluster=lab")
    assert stranger.status_code == 401
    assert f'href="/job?id={MINE}&amp;cluster=lab" target="_blank"' in stranger.text
    assert ancestors(stranger.headers["content-security-policy"]).endswith("https://*.example.net")


def rule() -> str:
    """Return the rule that the docs give to other tools."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "monitoring.md").read_text()
    return next(line.strip() for line in text.splitlines() if line.strip().startswith("^preflight:"))


@pytest.mark.parametrize("subject", ["gpu 1", "node", "", "mount=/a:b", "cuda>=12 : x", "ü" * 200])
@pytest.mark.parametrize("message", ["3 errors", "a: b: c", "x : y", "z" * 300])
def test_the_rule_in_the_docs_reads_every_reason(subject: str, message: str) -> None:
    for check in (*every_check(), "command.my-own_check.2"):
        finding = Finding(check, "fail", "node", subject, None, None, message, None, "policy", 0.0)
        for end in ("", " : Not responding"):
            reason = drain_reason(finding)
            found = re.match(rule(), reason + end)
            assert found is not None, reason
            assert found["check"] == check
            assert ":" not in found["subject"]
            assert reason == f"preflight:{check}:{found['subject']}" + (
                f": {found['message']}" if found["message"] else ""
            )
    for other in ("NHC: check_fs", "Not responding", "preflight", "my preflight:x:y: z"):
        assert re.match(rule(), other) is None


class Recorded:
    """Slurm's commands, as they answered once."""

    def __init__(self, place: Path) -> None:
        for name, said in (("sinfo", "gpu[1-2]|drained|root|1700000000|bad"), ("scontrol", "ClusterName = lab")):
            script = place / name
            script.write_text(f"#!/bin/sh\necho '{said}'\n")
            script.chmod(0o755)
        self.slurm = Slurm(str(place), "", time.monotonic() + 60)


def test_states_are_those_of_the_cluster_that_was_asked(tmp_path: Path) -> None:
    slurm = Recorded(tmp_path).slurm
    assert states.read(slurm).cluster == "lab"
    found = states.read(slurm, "other")
    assert found.cluster == "other"
    assert found.of("other", "gpu1") is not None
    assert found.of("", "gpu1") is not None  # a report that names none
    assert found.of("lab", "gpu1") is None


def test_two_clusters_with_one_name_are_two_nodes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    at = time.time() - 60
    for cluster in ("lab", "other"):
        store.add([EntryReader().read(samples.report("gpu1", at, 7, cluster=cluster, gpus=1))])
    reason = "preflight:gpu.ecc.uncorrected:gpu 1: 3 errors"
    known = States({"gpu1": State("drained", reason, "root", 1)}, 1, "", "lab")
    monkeypatch.setattr(states.Watch, "states", lambda self: known)
    with client_of(store) as client:
        headers = bearer(access.make(store, "carol", "admin"))
        listed = client.get("/nodes?format=json", headers=headers).json()["tables"]["nodes"]
        fleet = client.get("/fleet", headers=headers).text
        table = client.get("/fleet?format=json", headers=headers).json()["tables"]["broken"]
    assert {one["cluster"]: one.get("slurm") or one.get("state") for one in listed} == {"lab": "drained", "other": None}
    assert fleet.count(", drained") == 1
    assert [one["nodes"] for one in table] == [["gpu1"]]


def test_of_a_job_of_too_many_reports_the_first_are_shown_and_it_is_said(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = time.time() - 60
    raws = [samples.report(f"n{number}", at + number, 7, gpus=1) for number in range(6)]
    store.add([EntryReader().read(raw) for raw in raws])
    monkeypatch.setattr(jobs, "LARGE_BYTES", 0)
    monkeypatch.setattr(make, "FRESH_S", 0.0)  # the limits change, the store does not
    headers = bearer(access.make(store, "carol", "admin"))
    with client_of(store) as client:
        for limit, shown in ((sum(map(len, raws)), 6), (sum(map(len, raws)) - 1, 5)):
            monkeypatch.setattr(jobs, "MOST_BYTES", limit)
            figures = client.get("/job?id=7&format=json", headers=headers).json()["figures"]
            assert (figures["reports"], figures["cut"]) == (shown, shown < 6)
            assert ("more reports than are merged" in client.get("/job?id=7", headers=headers).text) == (shown < 6)
            answer = client.get("/api/v1/jobs/7", headers=headers).json()
            assert (len(answer["reports"]), answer["cut"]) == (shown, shown < 6)


def test_a_large_jobs_reports_are_unpacked_few_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    at = time.time() - 60
    raws = [samples.report(f"n{number}", at + number, 7, gpus=1) for number in range(search.AT_ONCE * 2 + 3)]
    store.add([EntryReader().read(raw) for raw in raws])
    (job,) = search.by_number(store, 7)
    assert list(search.reports_of(store, job, 1000)) == [
        raw for day in store.days() for raw in store.frames(day) if raw in raws
    ]
    assert sorted(search.reports_of(store, job, 1000)) == sorted(raws)
    assert len(set(search.reports_of(store, job, search.AT_ONCE + 1))) == search.AT_ONCE + 1
    sizes = []

    def frames(*given: Any) -> Any:
        its = list(original(*given))
        sizes.append(len(its))
        return its

    original = store.frames
    monkeypatch.setattr(store, "frames", frames)
    monkeypatch.setattr(jobs, "LARGE_BYTES", len(raws[0]) * 2)
    headers = bearer(access.make(store, "carol", "admin"))
    with client_of(store) as client, jobs._merging:  # refused before all of it is read
        assert client.get("/job?id=7", headers=headers).status_code == 503
    assert sizes == [search.AT_ONCE]


def test_a_large_job_is_not_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "FRESH_S", 0.0)
    store.add([EntryReader().read(samples.report("n1", time.time() - 60, 7, gpus=1))])
    headers = bearer(access.make(store, "carol", "admin"))
    urls = ("/job?id=7", "/job?id=7&format=json", "/report?id=7", "/embed/job?id=7", "/api/v1/jobs/7")
    options = Options(frames=(PORTAL,))
    with client_of(store, options) as client, jobs._merging:
        for url in urls:
            assert client.get(url, headers=headers).status_code == 200
        monkeypatch.setattr(jobs, "LARGE_BYTES", 0)
        for url in urls:
            answer = client.get(url, headers=headers)
            assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5"), url
            assert "being read" in answer.text
    with client_of(store, options) as client:
        for url in urls:
            assert client.get(url, headers=headers).status_code == 200


def beside(function: Callable[..., Any], *arguments: Any, **named: Any) -> Future[Any]:
    """Ask in a thread of its own."""
    made: Future[Any] = Future()
    threading.Thread(target=lambda: made.set_result(function(*arguments, **named)), daemon=True).start()
    return made


def test_pages_that_take_long_keep_nobody_from_the_door(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    token, started, go = access.make(store, "carol", "admin"), threading.Semaphore(0), threading.Event()

    def slow(ask: Any) -> Any:
        started.release()
        go.wait(60)
        raise NotFoundError("nothing")

    monkeypatch.setitem(app.VIEWS, "/drift", ("drift", slow))
    with client_of(store) as client, ThreadPoolExecutor(2 * app.THREADS) as pool:
        try:
            waiting = [
                pool.submit(client.get, f"/drift?at={at}", headers=bearer(token)) for at in range(2 * app.THREADS)
            ]
            for _ in range(app.THREADS):
                assert started.acquire(timeout=60)
            front = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}
            asked = [
                beside(client.get, "/metrics", headers=bearer(token)),
                beside(client.get, "/api/v1/status", headers=bearer("wrong")),
                beside(client.post, "/login", data={"token": token}, headers=front),
            ]
            assert [one.result(timeout=30).status_code for one in asked] == [200, 401, 303]
        finally:
            go.set()
        assert {one.result(timeout=60).status_code for one in waiting} == {404}
