"""Live pages: who hears of what, when a stream ends, and how often the store is asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fleet import samples
from preflight.fleet.entry import EntryReader
from preflight.fleet.pages import live
from preflight.fleet.store.interface import Store


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LEAST_S", 0.02)
    monkeypatch.setattr(live, "EACH_S", 0.0)


class Asked:
    """Runs what the hub asks at once, and counts it."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self, function: Any, *arguments: Any) -> Any:
        self.times += 1
        return function(*arguments)


async def yes() -> bool:
    return True


async def heard(stream: AsyncIterator[str]) -> str:
    return await asyncio.wait_for(stream.__anext__(), 30)


async def asked_anew(asked: Asked, more: int = 3) -> None:
    """Wait until the hub has asked ``more`` times."""
    wanted = asked.times + more
    while asked.times < wanted:
        await asyncio.sleep(0.01)


def add(store: Store, user: str, job: int) -> None:
    store.add([EntryReader().read(samples.report("n1", time.time(), job, user=user, gpus=1))])


def test_nobody_takes_all_of_the_places(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_EACH", 3)

    async def story() -> None:
        hub = live.Hub(store, Asked())
        open_ = [hub.stream("alice", yes, "token alice") for _ in range(3)]
        for stream in open_:
            await heard(stream)
        with pytest.raises(live.FullError):
            await heard(hub.stream("alice", yes, "token alice"))
        other = hub.stream("bob", yes, "token bob")
        assert "hello" in await heard(other)
        await open_[0].aclose()  # type: ignore[attr-defined]
        again = hub.stream("alice", yes, "token alice")
        assert "hello" in await heard(again)
        for stream in (*open_[1:], other, again):
            await stream.aclose()  # type: ignore[attr-defined]
        assert hub.number == 0

    asyncio.run(story())


def test_a_user_hears_of_their_own_jobs_alone(store: Store) -> None:
    add(store, "alice", 1)

    async def story() -> None:
        asked = Asked()
        hub = live.Hub(store, asked)
        task = asyncio.ensure_future(hub.run())
        admin, alice, bob = (hub.stream(who, yes) for who in (live.ADMIN, "alice", "bob"))
        assert [("hello" in await heard(one)) for one in (admin, alice, bob)] == [True] * 3
        await asked_anew(asked)
        waiting = {name: asyncio.ensure_future(heard(one)) for name, one in (("alice", alice), ("bob", bob))}
        add(store, "bob", 2)
        assert "change" in await heard(admin)
        assert "change" in await waiting["bob"]
        await asked_anew(asked)
        assert not waiting["alice"].done()
        add(store, "alice", 3)
        assert "change" in await waiting["alice"]
        task.cancel()

    asyncio.run(story())


def test_two_hundred_pages_ask_the_store_once(store: Store) -> None:
    add(store, "alice", 1)

    async def story() -> None:
        asked = Asked()
        hub = live.Hub(store, asked)
        streams = [hub.stream(live.ADMIN, yes) for _ in range(200)]
        for one in streams:
            await heard(one)
        task = asyncio.ensure_future(hub.run())
        await asked_anew(asked, 1)
        waiting = [asyncio.ensure_future(heard(one)) for one in streams]
        await asyncio.sleep(0)
        before = asked.times
        add(store, "alice", 2)
        assert all("change" in one for one in await asyncio.gather(*waiting))
        assert asked.times - before < 20
        task.cancel()

    asyncio.run(story())


def test_a_stream_ends_with_its_readers_right_and_with_the_server(store: Store) -> None:
    add(store, "alice", 1)

    async def story() -> None:
        asked, right = Asked(), [True]

        async def allowed() -> bool:
            return right[0]

        hub = live.Hub(store, asked)
        task = asyncio.ensure_future(hub.run())
        ended, goes_on = hub.stream(live.ADMIN, allowed), hub.stream(live.ADMIN, yes)
        await heard(ended)
        await heard(goes_on)
        await asked_anew(asked)
        right[0] = False
        last = asyncio.ensure_future(heard(ended))
        add(store, "alice", 2)
        with pytest.raises((StopAsyncIteration, RuntimeError)):
            await last
        assert "change" in await heard(goes_on)
        hub.stopping = lambda: True
        with pytest.raises(StopAsyncIteration):
            await heard(goes_on)
        assert hub.number == 0
        task.cancel()

    asyncio.run(story())


def test_more_pages_than_can_be_served_come_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST", 1)

    async def story() -> None:
        hub = live.Hub(store, Asked())
        first = hub.stream(live.ADMIN, yes)
        await heard(first)
        with pytest.raises(live.FullError):
            await heard(hub.stream(live.ADMIN, yes))
        await first.aclose()  # type: ignore[attr-defined]
        await heard(hub.stream(live.ADMIN, yes))

    asyncio.run(story())


def test_the_script_stands_in_the_package_as_it_is_served() -> None:
    assert (Path(live.__file__).parent / "static" / "live.js").stat().st_size < 10_000


async def hello(hub: live.Hub) -> int:
    """Return the tick that a page hears when it begins to listen; then it is closed."""
    stream = hub.stream(live.ADMIN, yes)
    text = await heard(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    return int(text.split("data: ")[1])


def test_a_page_that_comes_back_is_told_of_what_came_meanwhile_and_of_what_comes_at_once(store: Store) -> None:
    add(store, "alice", 1)

    async def story() -> None:
        hub = live.Hub(store, Asked())
        assert await hello(hub) < await hello(hub)  # nobody listened in between: what was kept may be old
        stream = hub.stream(live.ADMIN, yes)
        await heard(stream)
        add(store, "alice", 2)  # before the hub asks for the first time
        task = asyncio.ensure_future(hub.run())
        assert "change" in await heard(stream)
        task.cancel()

    asyncio.run(story())
