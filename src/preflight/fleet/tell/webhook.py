"""The webhook: one signed POST for each drain, resume and trip of the breaker, from a thread of its own.

The queue is the store's, so what waits survives a restart and never holds up a report. An event is told at least once
and in order; a receiver knows a second delivery by its id, and an old one that somebody plays back by its time.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import urllib3

from preflight import __version__
from preflight.fleet.pages.table import iso
from preflight.fleet.store.interface import Store, StoreError
from preflight.fleet.tell import events
from preflight.fleet.tell.events import Event

FORMAT = "preflight.event/1"
SINK = "webhook"
EVERY_S = 2.0
LEASE_MS, RENEW_MS = 60_000, 30_000
TRIES = 4  # of urllib3, within seconds; then the queue waits
TIMEOUT_S = 10.0
LEAST_S, LONGEST_S = 5.0, 300.0  # between two rounds that failed
AGAIN = (408, 425, 429, 500, 502, 503, 504)
NEVER = (400, 410, 413, 415, 422)  # the receiver will not have this one, whenever it comes


class WebhookError(Exception):
    """Why the receiver did not take an event; it waits."""


class Target(NamedTuple):
    """Where events go: ``secret`` signs them, ``ca_file`` is the authority of the receiver's certificate."""

    url: str
    secret: bytes
    ca_file: str = ""


def signature(secret: bytes, at_s: int, body: bytes) -> str:
    """Return the signature of a delivery: HMAC-SHA256 over its time, a full stop and its body."""
    return "v1=" + hmac.new(secret, b"%d." % at_s + body, hashlib.sha256).hexdigest()


def body(event: Event) -> bytes:
    """Return an event as it is sent."""
    document = {
        "format": FORMAT,
        "id": event.id,
        "event": event.kind,
        "cluster": event.cluster,
        "node": event.node,
        "at": iso(event.at_ms),
        "phase": event.phase,
        "check": event.check,
        "reason": event.detail,
        "job": event.job,
    }
    return msgspec.json.encode(document)


class Webhook:
    """Sends what waits until `stop`. ``counts``: sent, refused (by the receiver), dropped (too old or too many)."""

    def __init__(self, store: Store, target: Target, say: Callable[[str], None] = lambda line: None) -> None:
        self._store = store
        self._target = target
        self._say = say
        retry = urllib3.Retry(
            total=TRIES,
            backoff_factor=0.5,
            backoff_jitter=0.5,
            status_forcelist=AGAIN,
            allowed_methods=("POST",),
            redirect=0,
            raise_on_redirect=False,
            raise_on_status=False,
            respect_retry_after_header=False,  # a receiver does not say how long our thread sleeps
        )
        self._http = urllib3.PoolManager(
            retries=retry, timeout=urllib3.Timeout(total=TIMEOUT_S), ca_certs=target.ca_file or None, maxsize=1
        )
        self._held_ms = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.counts: Counter[str] = Counter(sent=0, refused=0, dropped=0)

    def start(self) -> None:
        """Begin to send."""
        self._thread = threading.Thread(target=self._run, name=SINK, daemon=True)
        self._thread.start()

    def stop(self, wait_s: float = TIMEOUT_S) -> None:
        """End: what waits goes on waiting."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(wait_s)

    def _run(self) -> None:
        pause = LEAST_S
        known = False
        while not self._stop.is_set():
            try:
                if not known:
                    events.begin(self._store, SINK, _now_ms())
                    known = True
                self.round()
            except (StoreError, WebhookError) as error:
                self._say(f"webhook: {error}; what waits is told later")
                self._stop.wait(random.uniform(pause / 2, pause))
                pause = min(2 * pause, LONGEST_S)
            except Exception as error:  # whatever it is, the collector goes on, and so does the next round
                self._say(f"webhook: {type(error).__name__}: {error}")
                self._stop.wait(LONGEST_S)
            else:
                pause = LEAST_S
                self._stop.wait(EVERY_S)

    def round(self) -> int:
        """Send what waits, where the lease is ours, and return how many were sent; raises StoreError, WebhookError."""
        sent = 0
        while not self._stop.is_set() and self._leads():
            its = events.waiting(self._store)
            if not its:
                break
            for event in its:
                if self._stop.is_set() or not self._leads():
                    return sent
                if not events.known(self._store, event):
                    self._send(event)
                    sent += 1
                events.told(self._store, event)
        return sent

    def _leads(self) -> bool:
        now = _now_ms()
        if now + RENEW_MS < self._held_ms:
            return True
        until = now + LEASE_MS
        if not events.lease(self._store, SINK, now, until, self._held_ms):
            self._held_ms = 0
            return False
        self._held_ms = until
        self.bound(now)
        return True

    def bound(self, now_ms: int) -> None:
        """Drop the events that are too old or too many, and say so. Raises StoreError."""
        if dropped := events.bound(self._store, now_ms):
            self.counts["dropped"] += dropped
            self._say(f"webhook: {dropped} events were too many or older than seven days: dropped")

    def _send(self, event: Event) -> None:
        text, at = body(event), round(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": f"preflight/{__version__}",
            "preflight-event": event.kind,
            "preflight-delivery": event.id,
            "preflight-timestamp": str(at),
            "preflight-signature": signature(self._target.secret, at, text),
        }
        try:
            answer = self._http.request("POST", self._target.url, body=text, headers=headers, preload_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise WebhookError(_line(error)) from None
        answer.release_conn()
        answer.close()
        if 200 <= answer.status < 300:
            self.counts["sent"] += 1
        elif answer.status in NEVER:
            self.counts["refused"] += 1
            self._say(f"webhook: the receiver refused {event.kind} of {event.node}: HTTP {answer.status}; not told")
        else:
            raise WebhookError(f"the receiver answers HTTP {answer.status}")


def _line(error: Exception) -> str:
    """Return why nothing came through, without the URL: it may hold a secret of its own."""
    reason = getattr(error, "reason", None) or error
    return f"the receiver cannot be reached: {type(reason).__name__}"


def _now_ms() -> int:
    return round(time.time() * 1000)
