"""What was made for one admin serves the next, until something changes; a user never gets what was kept."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from fleet import samples
from fleet.test_pages_live import hello
from preflight.fleet import forget
from preflight.fleet.entry import EntryReader
from preflight.fleet.numbers import number
from preflight.fleet.pages import access, app, make, states
from preflight.fleet.pages.ask import Ask
from preflight.fleet.pages.views import fleet
from preflight.fleet.store.interface import Store
from preflight.fleet.store.open import open_store
from preflight.fleet.web.app import make_app

ECC = samples.finding("gpu.ecc.uncorrected", "fail", "node", subject="gpu 1")
DRAIN = ("drain", "preflight:gpu.ecc.uncorrected:gpu 1: 3 errors", True)


class Told(states.Watch):
    """Slurm's states as a test sets them."""

    def __init__(self) -> None:
        super().__init__(None)

    def become(self, state: str) -> None:
        self._states = states.States({"n1": states.State(state, "", "", None)}, 1, "")


def add(store: Store, node: str, job: int | None = None, **its: Any) -> None:
    at = its.pop("at", time.time() - 60)
    store.add([EntryReader().read(samples.report(node, at, job, gpus=1, **its))])


@pytest.fixture
def watch() -> Told:
    return Told()


@pytest.fixture
def client(store: Store, watch: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(make, "FRESH_S", 3600.0)  # this machine may be slow
    for node in ("n1", "n2"):
        add(store, node, 7, user="bob")
    with TestClient(make_app(store, options=app.Options(watch=watch)), follow_redirects=False) as made:
        made.headers["authorization"] = f"Bearer {access.make(store, 'carol', 'admin')}"
        made.get("/fleet")  # the token is known from here on
        yield made


def drained(store: Store) -> None:
    add(store, "n1", verdict="unhealthy", phase="health", found=[ECC], action=DRAIN)


CHANGES: dict[str, tuple[str, Callable[[Store], None]]] = {
    "a node": ("/fleet", lambda store: add(store, "n3")),
    "a drain": ("/fleet", drained),
    "a drain, a node's page": ("/node?name=n1", drained),
    "a resume": (
        "/fleet",
        lambda store: add(store, "n9", phase="health", action=("resume", "gpu.ecc.uncorrected", True)),
    ),
    "seen to run again": ("/fleet", lambda store: store.resumed([(number("lab", "n9"), DRAINED_MS, DRAINED_MS + 1)])),
    "a node is forgotten": ("/nodes", lambda store: forget.forget_nodes(store, [("lab", "n1")])),
    "another policy": ("/nodes", lambda store: add(store, "n1", policy="f" * 64)),
    "a job": ("/jobs", lambda store: add(store, "n1", 8, user="alice")),
    "more of a job": ("/job?id=7", lambda store: add(store, "n3", 7, user="bob")),
}
DRAINED_MS = round(time.time() * 1000) - 600_000


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "another process"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_is_shown_at_once(
    client: TestClient, store: Store, url: str, change: str, elsewhere: bool
) -> None:
    path, act = CHANGES[change]
    add(store, "n9", at=DRAINED_MS / 1000, phase="health", verdict="unhealthy", action=DRAIN, found=[ECC])
    before = client.get(path)
    assert client.get(path).content == before.content
    other = open_store(url) if elsewhere else store
    act(other)
    after = client.get(path)
    assert (before.status_code, after.status_code) == (200, 200)
    assert figures(after.text) != figures(before.text)
    assert client.get(f"{path}{'&' if '?' in path else '?'}format=json").json()["tables"]
    if elsewhere:
        other.close()


def figures(text: str) -> str:
    """Return a page without what the clock alone changes."""
    return re.sub(r"\d+ (?:min|h|d)\b", "", text)


def test_slurms_states_are_shown_at_once(client: TestClient, watch: Told) -> None:
    watch.become("idle")
    assert "ready, idle" in client.get("/fleet").text
    watch.become("drained")
    assert "ready, drained" in client.get("/fleet").text


class Counted:
    """A store that counts the questions."""

    def __init__(self, store: Store) -> None:
        self._store, self.asked = store, [""]

    def rows(self, sql: str, args: Any = ()) -> Any:
        self.asked.append(sql)
        return self._store.rows(sql, args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_unchanged_it_is_made_once_for_admins_and_each_time_for_users(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: Any = Counted(store)
    monkeypatch.setattr(access, "FRESH_S", 3600.0)
    alice = {"authorization": f"Bearer {access.make(store, 'alice', 'user')}"}
    dave = {"authorization": f"Bearer {access.make(store, 'dave', 'admin')}"}
    add(store, "n1", 9, user="alice")

    def asks(headers: dict[str, str], path: str) -> int:
        counted.asked.clear()
        assert anew.get(path, headers=headers).status_code == 200
        return sum("FROM jobs" in one or "FROM latest l" in one for one in counted.asked)

    with TestClient(make_app(counted, options=app.Options(watch=states.Watch(None)))) as anew:
        for headers in (alice, dave):
            anew.get("/jobs", headers=headers)
        for path in ("/jobs", "/job?id=9", "/jobs?format=csv"):
            dave_first = asks(dave, path)
            assert path == "/jobs" or dave_first > 0
            assert asks(dave, path) == 0, path
            mine = asks(alice, path)
            assert mine > 0
            assert asks(alice, path) == mine, path


def test_a_tab_that_comes_back_shows_what_came_while_nobody_listened(client: TestClient, store: Store) -> None:
    hub = client.app.state.pages.hub  # type: ignore[attr-defined]

    def live_page() -> str:
        assert client.portal is not None
        return client.get("/fleet", headers={"preflight-live": str(client.portal.call(hello, hub))}).text

    before = live_page()
    drained(store)
    assert figures(live_page()) != figures(before)


def test_a_users_page_is_theirs_after_an_admins(client: TestClient, store: Store) -> None:
    add(store, "n1", 9, user="alice")
    alice = {"authorization": f"Bearer {access.make(store, 'alice', 'user')}"}
    paths = ("/jobs", "/jobs?user=bob", "/jobs?format=json", "/jobs?format=csv", "/job?id=7", "/job?id=9")
    for _ in range(2):
        for path in paths:
            for live in ({}, {"preflight-live": "0"}):
                assert client.get(path, headers=live).status_code == 200
                its = client.get(path, headers={**alice, **live})
                assert its.status_code == (404 if path == "/job?id=7" else 200)
                assert "bob" not in its.text.replace("?user=bob", "")
    assert client.get("/fleet", headers=alice).status_code == 403


def test_who_comes_by_a_proxy_gets_no_page_with_a_log_out(store: Store) -> None:
    add(store, "n1")
    options = app.Options(proxy=access.proxy("x-user", ["127.0.0.9"], ["carol"]))
    token = {"authorization": f"Bearer {access.make(store, 'dave', 'admin')}"}
    with TestClient(make_app(store, options=options), client=("127.0.0.9", 1)) as both:
        for _ in range(2):
            assert "Log out" in both.get("/fleet", headers=token).text
            assert "Log out" not in both.get("/fleet", headers={"x-user": "carol"}).text


def test_a_revision_changes_with_what_others_commit_and_else_stays(store: Store, url: str) -> None:
    first = store.revision()
    assert store.revision() == first
    store.rows("SELECT count(*) FROM latest")
    if url.startswith("sqlite"):  # a PostgreSQL server has other databases, whose work counts too
        assert store.revision() == first
    seen = [first]
    other = open_store(url)
    for writer in (store, other, store):
        add(writer, "n1", at=time.time() - len(seen))
        assert store.revision() not in seen
        seen.append(store.revision())
    other.close()


def test_who_asks_before_a_page_is_begun_shares_it_and_who_asks_later_does_not(store: Store) -> None:
    add(store, "n1")
    begun: list[Any] = []
    gates: list[asyncio.Future[None]] = []

    async def aside(function: Any, *arguments: Any) -> Any:
        gate = asyncio.get_running_loop().create_future()
        gates.append(gate)
        await gate  # the threads are all busy
        begun.append(arguments)
        return function(*arguments)

    scope = {"type": "http", "method": "GET", "path": "/fleet", "query_string": b"", "headers": []}
    admin = access.Reader("carol", True)
    made = make.Maker(lambda request, reader: Ask(store, reader, {}, 1, states.NONE), aside)

    async def story() -> None:
        def asked(reader: access.Reader) -> asyncio.Task[make.Made]:
            return asyncio.ensure_future(made.made(Request(scope), reader, fleet.page, "html", 0))

        early = [asked(admin) for _ in range(20)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        early[0].cancel()  # the first to ask goes away
        other = asked(access.Reader("carol", True, "proxy"))
        user = [asked(access.Reader("alice", False)) for _ in range(2)]
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(gates) == 4
        for gate in gates:
            gate.set_result(None)
        its = await asyncio.gather(*early[1:], other, *user)
        assert len({id(one) for one in its[:19]}) == 1
        late = asked(admin)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gates[-1].set_result(None)
        await late
        assert len(begun) == 5

    asyncio.run(story())
