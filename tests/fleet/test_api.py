"""The API: its answers are those of `preflight fleet`, its document is true, and a user gets their own jobs alone."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from fleet import samples
from fleet.test_pages_access import MINE, OTHERS, SECRET, SHARED, bearer, client_of, filled
from preflight.cli import fleet_answers, fleet_nodes
from preflight.fleet.api.endpoints import ENDPOINTS
from preflight.fleet.entry import EntryReader
from preflight.fleet.pages import access
from preflight.fleet.store.interface import Store
from preflight.fleet.web.app import make_app

__all__ = ["filled"]
API = "/api/v1"


@pytest.fixture
def client(filled: Store) -> Iterator[TestClient]:
    with client_of(filled) as made:
        yield made


def every_url() -> list[str]:
    return [
        *(f"{API}/{path}" for path in ("status", "since", "drains", "would", "drift", "jobs", "nodes/n1", "nodes/n2")),
        *(f"{API}/jobs/{number}" for number in (MINE, OTHERS, SHARED)),
        *(f"{API}/jobs?{query}" for query in ("user=bob", "since=30d&limit=1000", "partition=gpu", "node=n2")),
        f"{API}/jobs/{OTHERS}?cluster=lab",
    ]


def test_without_a_token_there_is_nothing_but_the_document(client: TestClient, filled: Store) -> None:
    for headers in ({}, bearer(access.PREFIX + "a" * 43), bearer(access.make(filled, "alice", "metrics"))):
        for url in every_url():
            answer = client.get(url, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert list(answer.json()) == ["error"]
    document = client.get(f"{API}/openapi.json").json()
    assert set(document["paths"]) == {one.path for one in ENDPOINTS}


def test_a_user_gets_their_own_jobs_and_no_other(client: TestClient, filled: Store) -> None:
    headers = bearer(access.make(filled, "alice", "user"))
    for url in every_url():
        answer = client.get(url, headers=headers)
        assert SECRET not in answer.text, url
        assert "bob" not in answer.text, url
        assert answer.status_code in (200, 400, 403, 404), url
    listed = client.get(f"{API}/jobs?since=30d", headers=headers).json()
    assert sorted(one["job"] for one in listed) == [MINE, SHARED]
    assert client.get(f"{API}/jobs?since=30d&user=bob", headers=headers).json() == listed
    shared = client.get(f"{API}/jobs/{SHARED}", headers=headers).json()
    assert [one["job"]["user"] for one in shared["reports"]] == ["alice"]
    for path in ("status", "since", "drains", "would", "drift", "nodes/n1", "nodes/none"):
        assert client.get(f"{API}/{path}", headers=headers).status_code == 403
    for number in (OTHERS, 999):
        his = client.get(f"{API}/jobs/{number}", headers=headers)
        assert (his.status_code, his.text.replace(str(number), "N")) == (
            404,
            '{"error":"no report of job N is in the store"}\n',
        )


class Asked:
    """A store that notes what it is asked, and how much it answers."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> Any:
        its = getattr(self._store, name)

        def ask(*arguments: Any, **named: Any) -> Any:
            found = list(its(*arguments, **named) or ())
            self.asked.append((f"{name} {arguments[0] if arguments else ''}", len(found)))
            return found

        return ask


def test_what_is_another_users_is_looked_for_no_longer_than_what_is_not_there(filled: Store) -> None:
    """Same questions, same number of rows: a page's time can say nothing of a job that is not the reader's."""
    headers = bearer(access.make(filled, "alice", "user"))
    watched: Any = Asked(filled)
    for path in ("/job?id={}", "/job?id={}&format=json", "/report?id={}", f"{API}/jobs/{{}}"):
        with client_of(watched) as client:
            client.get("/jobs", headers=headers)  # the token is known from here on
            asked = []
            for number in (OTHERS, 999):
                watched.asked.clear()
                assert client.get(path.format(number), headers=headers).status_code == 404
                # Not what the collector asks by itself: whose token it is, what waits to be told, who is no more.
                asked.append(
                    [
                        one
                        for one in watched.asked
                        if not re.search("FROM (readers|events|latest WHERE|nodes before|drains)", one[0])
                    ]
                )
        assert asked[0] == asked[1]
        assert asked[0]


def test_who_looked_at_whose_job_is_a_line(client: TestClient, filled: Store, caplog: pytest.LogCaptureFixture) -> None:
    headers = bearer(access.make(filled, "carol", "admin"))
    with caplog.at_level(logging.INFO, "preflight.audit"):
        for _ in range(2):
            assert client.get(f"{API}/jobs/{OTHERS}", headers=headers).status_code == 200
    (line,) = (one.getMessage() for one in caplog.records if one.name == "preflight.audit")
    assert f"reader=carol by=token from=testclient looked at jobs={OTHERS} of users=bob" in line


@pytest.mark.parametrize(
    "query",
    [
        *(f"limit={value}" for value in ("0", "-1", "1001", "1e3", "²", "99999999999999999999", "", "1&limit=2")),
        *(f"since={value}" for value in ("", "0d", "-7d", "7", "d", "99w9", "100w", "7d%0a", "7d%20", "%D9%A1d")),
        *("verdict=fine", "user=%00", "user=", "job=7", "format=csv", "cluster=" + "x" * 201),
    ],
)
def test_values_that_cannot_be_are_refused_in_one_line(client: TestClient, filled: Store, query: str) -> None:
    answer = client.get(f"{API}/jobs?{query}", headers=bearer(access.make(filled, "carol", "admin")))
    assert answer.status_code == 400
    assert answer.json()["error"].splitlines() == [answer.json()["error"]]


def test_every_miss_is_json_too(client: TestClient, filled: Store) -> None:
    headers = bearer(access.make(filled, "carol", "admin"))
    for method, url, status in (
        ("GET", f"{API}/nothing", 404),
        ("GET", f"{API}/nodes/none", 404),
        ("GET", f"{API}/jobs/99999999999", 400),
        ("GET", f"{API}/jobs/9999999999", 404),
        ("POST", f"{API}/jobs", 405),
        ("DELETE", f"{API}/jobs/{OTHERS}", 405),
    ):
        answer = client.request(method, url, headers=headers)
        assert (answer.status_code, list(answer.json())) == (status, ["error"]), url


def test_its_answers_are_those_of_the_commands(url: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    raws = list(samples.month(5, 6))
    store.add([EntryReader().read(raw) for raw in raws])
    now = samples.START + 5.5 * samples.DAY_S
    monkeypatch.setattr(time, "time", lambda: now)
    headers = bearer(access.make(store, "carol", "admin"))
    asked = {
        "status?silent_after=3h": ("status",),
        "since?since=4d": ("since", "4d"),
        "nodes/n2?since=30d": ("node", "n2"),
        "jobs?since=3d&limit=500": ("jobs", "--since", "3d", "--limit", "500"),
        "jobs?since=6d&node=n3&user=user3": ("jobs", "--since", "6d", "--node", "n3", "--user", "user3"),
        "jobs?since=6d&verdict=mismatch": ("jobs", "--since", "6d", "--verdict", "mismatch"),
        "drains?since=6d": ("drains", "--since", "6d"),
        "would?since=6d": ("would", "--since", "6d"),
        "drift": ("drift",),
    }
    with client_of(store) as client:
        commands = {**fleet_answers.COMMANDS, **fleet_nodes.COMMANDS}
        for query, (command, *words) in asked.items():
            answer = client.get(f"{API}/{query}", headers=headers)
            said = CliRunner().invoke(commands[command], [*words, "--json", "--store", url])
            assert said.exit_code == 0, said.output
            assert answer.json() == json.loads(said.output), query
            assert answer.json(), query


def test_of_many_drains_and_actions_the_latest_are_answered_and_all_counted(store: Store) -> None:
    its = [("drain", "preflight:a:b", True), ("drain", "observe", False), ("requeue", "observe", False)]
    for at in range(60):
        raw = samples.report(f"n{at}", time.time() - 3600 + at, action=its[at % 3], gpus=1, phase="health")
        store.add([EntryReader().read(raw)])
    headers = bearer(access.make(store, "carol", "admin"))
    with client_of(store) as client:

        def ask(query: str) -> Any:
            return client.get(f"{API}/{query}", headers=headers).json()

        drains, would, since = ask("drains"), ask("would"), ask("since")
        assert (len(drains), len(would)) == (since["drain_count"], since["would_count"]) == (20, 40)
        assert ask("drains?limit=3") == drains[-3:]
        assert ask("would?limit=3") == would[-3:]
        assert ask("since?limit=3") == {**since, "drains": drains[-3:], "would": would[-3:]}
        assert "not a number from 1 to 10000" in ask("would?limit=10001")["error"]


@pytest.mark.skipif(sys.version_info < (3, 10), reason="the document is written on Python 3.10 or later")
def test_the_document_is_what_the_code_says() -> None:
    from preflight.fleet.api import describe

    assert describe.PLACE.read_text(encoding="utf-8") == describe.text(), "python -m preflight.fleet.api.describe"


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("role", ["admin", "user"])
def test_the_document_is_true(filled: Store, role: str) -> None:
    """Schemathesis: every answer is one that the document promises, whatever is asked."""
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings

    filled.add([EntryReader().read(raw) for raw in samples.month(3, 4)])
    # Spelt as it stands in the document: its check of answers without a token takes it out by that name.
    headers = {"Authorization": bearer(access.make(filled, "alice", role))["authorization"]}
    schema = schemathesis.openapi.from_asgi(f"{API}/openapi.json", make_app(filled))
    modes = schemathesis.GenerationMode
    asked = [
        (operation.ok(), mode)
        for operation in schema.get_all_operations()
        for mode in (modes.POSITIVE, modes.NEGATIVE)[: 2 if role == "admin" else 1]
    ]
    for operation, mode in asked:

        @settings(
            max_examples=4,
            derandomize=True,
            deadline=None,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            case.call_and_validate(headers=headers)

        ask()
