"""The webhook: what is told, that it is signed, that nothing is lost or held up; and OTLP's log records."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fleet import samples
from preflight.fleet import tokens
from preflight.fleet.entry import EntryReader
from preflight.fleet.keys import LASTS_MS
from preflight.fleet.pages import access
from preflight.fleet.pages.app import Options
from preflight.fleet.query import withheld
from preflight.fleet.query.window import Window
from preflight.fleet.store.interface import Store
from preflight.fleet.store.open import open_store
from preflight.fleet.tell import events, webhook
from preflight.fleet.tell.webhook import Target, Webhook, WebhookError
from preflight.fleet.web.app import make_app

SECRET = b"a secret of thirty-two characters"
REASON = "preflight:gpu.ecc.uncorrected:gpu 1: 3 uncorrected errors"
BREAKER = "drain breaker: 2 nodes are drained by preflight already ([drain] max_nodes); not drained: " + REASON


class Receiver:
    """A server that keeps what comes, and answers as ``answer`` says."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[int], int] = lambda number: 204
        self.release = threading.Event()
        self.release.set()
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["content-length"]))
                mine.got.append(({name.lower(): value for name, value in self.headers.items()}, text))
                mine.release.wait(60)
                status = mine.answer(len(mine.got))
                self.send_response(status)
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
                self.send_header("retry-after", "86400")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def told(self) -> list[tuple[str, str]]:
        return [(its["event"], its["node"]) for its in (json.loads(text) for _, text in self.got)]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(webhook, "TRIES", 1)
    made = Receiver()
    yield made
    made.close()


def report(node: str, kind: str, at: float, detail: str = REASON, enforced: bool = True) -> bytes:
    found = [samples.finding("gpu.ecc.uncorrected", "fail", "node", subject="gpu 1")]
    verdict, phase = ("unhealthy", "prolog") if kind == "drain" else ("ready", "health")
    return samples.report(node, at, 7, phase, verdict, (kind, detail, enforced), found, gpus=1, user="alice")


def add(store: Store, *raws: bytes) -> None:
    store.add([EntryReader().read(raw) for raw in raws])


def ready(store: Store, target: Target) -> Webhook:
    events.begin(store, webhook.SINK, round((time.time() - 3600) * 1000))
    return Webhook(store, target)


def test_drains_resumes_and_the_breaker_are_told_once_and_signed(store: Store, receiver: Receiver) -> None:
    its = ready(store, Target(receiver.url, SECRET))
    at = time.time() - 60
    raws = [
        report("n1", "drain", at),
        report("n2", "drain", at + 1, BREAKER, enforced=False),
        report("n3", "drain", at + 2, "observe: " + REASON, enforced=False),
        samples.report("n4", at + 3, 8, verdict="mismatch", action=("requeue", "cuda", True), gpus=1),
        report("n1", "resume", at + 4),
    ]
    add(store, *raws)
    add(store, *raws)  # an answer that was lost: they come again
    assert its.round() == 3
    assert its.round() == 0
    assert receiver.told() == [("drain", "n1"), ("breaker", "n2"), ("resume", "n1")]
    headers, text = receiver.got[0]
    document = json.loads(text)
    assert document["reason"] == REASON
    assert (document["format"], document["job"], document["check"]) == ("preflight.event/1", 7, "gpu.ecc.uncorrected")
    assert "alice" not in str(receiver.got)
    expected = hmac.new(SECRET, headers["preflight-timestamp"].encode() + b"." + text, hashlib.sha256).hexdigest()
    assert headers["preflight-signature"] == f"v1={expected}"
    assert abs(int(headers["preflight-timestamp"]) - time.time()) < 600
    assert len({one["preflight-delivery"] for one, _ in receiver.got}) == 3


def test_the_receiver_in_the_docs_takes_what_is_sent_and_nothing_else(store: Store, receiver: Receiver) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "monitoring.md").read_text()
    block = text.partition("```python\n")[2].partition("```")[0]
    place: dict[str, Any] = {}
    exec(block, place)  # the docs' own code
    take: Callable[..., bool] = place["genuine"]
    its = ready(store, Target(receiver.url, SECRET))
    add(store, report("n1", "drain", time.time() - 60))
    its.round()
    headers, body = receiver.got[0]
    assert take(SECRET, headers, body)
    assert not take(SECRET, headers, body)  # played back
    place["seen"].clear()
    for secret, changed, other in (
        (b"another", headers, body),
        (SECRET, {**headers, "preflight-timestamp": str(int(headers["preflight-timestamp"]) - 1)}, body),
        (SECRET, {**headers, "preflight-signature": "v1="}, body),
        (SECRET, headers, body + b" "),
    ):
        assert not take(secret, changed, other)
    old = str(int(time.time()) - 3600)
    signed = {**headers, "preflight-timestamp": old, "preflight-signature": webhook.signature(SECRET, int(old), body)}
    assert not take(SECRET, signed, body)
    assert take(SECRET, headers, body)


def test_what_does_not_go_through_waits_and_keeps_its_order(store: Store, receiver: Receiver) -> None:
    its = ready(store, Target(receiver.url, SECRET))
    add(store, *(report(f"n{at}", "drain", time.time() - 60 + at) for at in range(1, 5)))
    receiver.answer = lambda number: 204 if number == 1 else 503
    with pytest.raises(WebhookError, match="HTTP 503"):
        its.round()
    assert events.number(store) == 3
    receiver.got.clear()
    receiver.answer = lambda number: 302
    with pytest.raises(WebhookError, match="HTTP 302"):  # nobody is sent elsewhere
        its.round()
    receiver.got.clear()
    receiver.answer = lambda number: 422 if number == 1 else 204
    assert its.round() == 3
    assert receiver.told() == [("drain", "n2"), ("drain", "n3"), ("drain", "n4")]
    assert its.counts == {"sent": 3, "refused": 1, "dropped": 0}
    receiver.close()
    add(store, report("n9", "drain", time.time()))
    with pytest.raises(WebhookError, match="cannot be reached") as error:
        its.round()
    assert receiver.url not in str(error.value)


def test_of_two_collectors_one_tells(store: Store, receiver: Receiver) -> None:
    first, second = ready(store, Target(receiver.url, SECRET)), ready(store, Target(receiver.url, SECRET))
    add(store, report("n1", "drain", time.time() - 60))
    assert (first.round(), second.round()) == (1, 0)
    add(store, report("n2", "drain", time.time() - 50))
    assert (second.round(), first.round()) == (0, 1)
    store.write("UPDATE sinks SET until_ms = ?", [(round(time.time() * 1000) - 1,)])  # the first is gone
    add(store, report("n3", "drain", time.time() - 40))
    assert second.round() == 1
    assert receiver.told() == [("drain", "n1"), ("drain", "n2"), ("drain", "n3")]


def test_what_was_before_it_is_not_told_and_the_queue_is_bounded(store: Store, receiver: Receiver) -> None:
    now = round(time.time() * 1000)
    add(store, report("n1", "drain", time.time() - 60))
    events.begin(store, webhook.SINK, now)
    assert events.number(store) == 0
    events.begin(store, webhook.SINK, now)
    add(store, report("n0", "drain", time.time() - 8 * samples.DAY_S))
    add(store, *(report(f"n{at}", "drain", time.time() - 60 + at) for at in range(1, 9)))
    events.begin(store, webhook.SINK, now + 60_000)  # a restart takes nothing out
    assert events.bound(store, now, most=5) == 4
    assert [one.node for one in events.waiting(store)] == ["n4", "n5", "n6", "n7", "n8"]


SLOW = "drain breaker: Slurm's commands take 2.0 s, and 1.1 s are left to count and undo; not drained: " + REASON
SENT = "drain breaker: an earlier command may still drain this node; not drained: " + REASON


def test_of_the_breakers_trips_one_an_hour_is_told(store: Store, receiver: Receiver) -> None:
    its = ready(store, Target(receiver.url, SECRET))
    hour = time.time() // 3600 * 3600 - 7200  # a full one
    add(store, *(report(f"n{at}", "drain", hour + at, BREAKER, enforced=False) for at in range(1, 200)))
    add(store, report("m1", "drain", hour + 200, BREAKER, enforced=False))
    add(store, report("m2", "drain", hour + 201))
    assert its.round() == 2
    add(store, report("m3", "drain", hour + 300, BREAKER, enforced=False))  # it was told, and is gone from the queue
    add(store, report("m4", "drain", hour + 3600, BREAKER, enforced=False))
    assert its.round() == 1
    assert receiver.told() == [("breaker", "n1"), ("drain", "m2"), ("breaker", "m4")]
    assert events.number(store) == 0


@pytest.mark.parametrize("detail", [SLOW, SENT])
def test_a_slow_controller_is_no_trip(store: Store, detail: str) -> None:
    add(store, report("n1", "drain", time.time() - 60, detail, enforced=False))
    assert events.number(store) == 0
    assert store.rows("SELECT 1 FROM totals WHERE name = 'breaker'") == []
    assert withheld.trips(store, Window(0, LASTS_MS)) == 0
    add(store, report("n1", "drain", time.time() - 50, BREAKER, enforced=False))
    assert store.rows("SELECT runs FROM totals WHERE name = 'breaker'") == [(1,)]
    assert withheld.trips(store, Window(0, LASTS_MS)) == 1


def test_what_was_told_takes_no_other_event_out(store: Store) -> None:
    add(store, report("n1", "drain", time.time() - 60))
    (first,) = events.waiting(store)
    events.told(store, first)
    add(store, report("n2", "drain", time.time() - 50))
    (second,) = events.waiting(store)
    events.told(store, first._replace(number=second.number))  # another collector, and SQLite gave the number again
    assert [one.node for one in events.waiting(store)] == ["n2"]


def test_a_begin_that_was_ended_halfway_tells_nothing_old(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = round(time.time() * 1000)
    add(store, report("n1", "drain", time.time() - 60))
    write, calls = store.write, []

    def ended(sql: str, rows: Any) -> int:
        calls.append(sql)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write(sql, rows)

    monkeypatch.setattr(store, "write", ended)
    with pytest.raises(KeyboardInterrupt):
        events.begin(store, webhook.SINK, now)
    events.begin(store, webhook.SINK, now)
    assert events.number(store) == 0


def test_what_the_collector_drops_is_counted(tmp_path: Path, receiver: Receiver) -> None:
    receiver.release.clear()
    store = open_store(f"sqlite:///{tmp_path}/fleet.db")
    events.begin(store, webhook.SINK, 0)
    events.lease(store, webhook.SINK, 0, LASTS_MS, 0)  # another collector tells
    add(store, report("n1", "drain", time.time() - 8 * samples.DAY_S))
    with TestClient(make_app(store, options=Options(webhook=Target(receiver.url, SECRET)))) as client:
        while events.number(store):
            time.sleep(0.01)
        token = access.make(store, "p", "metrics")
        text = client.get("/metrics", headers={"authorization": f"Bearer {token}"}).text
        assert 'preflight_webhook_events_total{result="dropped"} 1.0' in text
    store.close()


def test_a_receiver_that_hangs_holds_up_no_report(tmp_path: Path, receiver: Receiver) -> None:
    store = open_store(f"sqlite:///{tmp_path}/fleet.db")
    token = tokens.make(store, samples.CLUSTER, "n1")
    receiver.release.clear()
    options = Options(webhook=Target(receiver.url, SECRET))
    with TestClient(make_app(store, options=options)) as client:

        def send(at: float, kind: str) -> None:
            raw = report("n1", kind, at)
            answer = client.post("/api/v1/reports", content=raw, headers={"authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["accepted"]) == (200, 1)

        while not store.rows("SELECT 1 FROM sinks"):
            time.sleep(0.01)
        send(time.time() + 1, "drain")
        while not receiver.got:  # it hangs in the middle of an answer
            time.sleep(0.01)
        for at in range(2, 12):
            send(time.time() + at, "resume")
        assert len(receiver.got) == 1
        receiver.release.set()
        while events.number(store):
            time.sleep(0.01)
        assert client.get("/healthz").json()["new"] == 11
        metrics = client.get("/metrics", headers={"authorization": f"Bearer {access.make(store, 'p', 'metrics')}"}).text
        assert 'preflight_webhook_events_total{result="dropped"} 0.0' in metrics
    assert receiver.told()[0] == ("drain", "n1")
    assert len({its["preflight-delivery"] for its, _ in receiver.got}) == 11
    store.close()


def test_otlp_logs_say_what_is_not_ready(receiver: Receiver) -> None:
    logs = pytest.importorskip("opentelemetry.proto.collector.logs.v1.logs_service_pb2")
    from preflight.fleet.tell.otlp import OtlpLogs

    receiver.answer = lambda number: 200
    its = OtlpLogs(receiver.url)
    read = EntryReader().read
    its.kept([read(report("n1", "drain", time.time())), read(samples.report("n2", time.time(), 9, gpus=1))])
    assert its.flush()
    its.close()
    ((_, body),) = receiver.got
    sent = logs.ExportLogsServiceRequest.FromString(body)
    (record,) = sent.resource_logs[0].scope_logs[0].log_records
    its_attributes = {one.key: one.value for one in record.attributes}
    assert its_attributes["host.name"].string_value == "n1"
    assert its_attributes["slurm.job.id"].int_value == 7
    assert record.severity_text == "unhealthy"
    assert record.body.string_value == "n1 prolog: unhealthy, drain: gpu.ecc.uncorrected fail"
    assert b"alice" not in sent.SerializeToString()
