"""Sends the queue's reports in order, in compressed batches, and forgets each only when the collector has it on disk.

Where the collector cannot be reached the queue stays as it is: the next run goes on. A batch whose answer was lost is
sent again; the collector knows its reports by their ids.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import urllib3

from preflight import __version__
from preflight.report import queue

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BATCH_REPORTS = 500
BATCH_BYTES = 4 << 20
TRIES = 5
BACKOFF_S = 1.0  # then 2, 4, 8; each with up to JITTER_S more, so that a cluster does not come back at once
JITTER_S = 2.0
LONGEST_S = 30.0
PATH = "/api/v1/reports"
MAX_ANSWER = 1 << 20


class ShipError(Exception):
    """What could not be sent, in one line; it waits in the queue."""


class Shipped(NamedTuple):
    """``sent`` reports left the queue, ``refused`` of them for the collector's quarantine; ``reasons``: why."""

    sent: int
    refused: int
    reasons: tuple[str, ...]


class _Reason(msgspec.Struct):
    report: int = -1
    reason: str = ""


class _Answer(msgspec.Struct):
    accepted: int = 0
    refused: int = 0
    reasons: list[_Reason] = []
    foreign: list[int] = []
    error: str = ""


class Shipper:
    """Sends to the collector at ``url`` with the node's ``token``. ``ca_file``: the site's certificate authority."""

    def __init__(self, url: str, token: str, ca_file: str = "", timeout_s: float = 60.0) -> None:
        retry = urllib3.Retry(
            total=TRIES,
            backoff_factor=BACKOFF_S,
            backoff_jitter=JITTER_S,
            backoff_max=LONGEST_S,
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=("POST",),
            raise_on_status=False,
            redirect=False,
        )
        self._url = url.rstrip("/") + PATH
        self._pool = urllib3.PoolManager(
            num_pools=1,
            retries=retry,
            timeout=urllib3.Timeout(connect=10.0, read=timeout_s),
            ca_certs=ca_file or None,
            headers={
                "authorization": f"Bearer {token}",
                "content-encoding": "zstd",
                "content-type": "application/x-ndjson",
                "user-agent": f"preflight/{__version__}",
            },
        )

    def drain(self, spool: str) -> Shipped:
        """Send what the queue holds now; raises ShipError where that ends early. What was sent before stays sent.

        Reports for which the token is another node's or cluster's stay in the queue, and end it once the others are
        sent; a batch of nothing else ends it at once.
        """
        sent, refused, reasons, foreign = 0, 0, [], ""
        for batch in _batches(queue.waiting(spool)):
            answer, ours = _Answer(), [one for one in batch if one.text]
            if ours:
                answer = self._post(b"".join(one.text for one in ours))
            kept = {ours[place].path for place in answer.foreign if 0 <= place < len(ours)}
            for one in batch:
                if one.path not in kept:
                    os.unlink(one.path)
            sent += len(batch) - len(kept)
            refused += answer.refused - len(kept)
            whys = {one.report: one.reason[:200] for one in answer.reasons}
            reasons += [why for place, why in whys.items() if place not in answer.foreign]
            if kept:
                foreign = next((why for place, why in whys.items() if place in answer.foreign), "reports of another")
                if len(kept) == len(ours):
                    break
        if foreign:
            raise ShipError(f"{self._url}: {foreign}: needs a token of this node and of the cluster in its reports")
        return Shipped(sent, refused, tuple(reasons))

    def _post(self, text: bytes) -> _Answer:
        try:
            answer = self._pool.request("POST", self._url, body=zstd.compress(text), preload_content=False)
            body = answer.read(MAX_ANSWER)
            answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise ShipError(f"{self._url}: {_cause(error)}") from error
        try:
            value = msgspec.json.decode(body, type=_Answer)
        except msgspec.DecodeError:
            value = _Answer(error="no answer of a Preflight collector")
        if answer.status != 200 or value.error:
            raise ShipError(f"{self._url}: HTTP {answer.status}: {value.error[:200]}")
        return value


class _Queued(NamedTuple):
    """A report of the queue: its line, b"" where there is nothing to send."""

    path: str
    text: bytes


def _batches(paths: list[str]) -> Iterator[list[_Queued]]:
    """Yield the reports of ``paths`` in order, so many together as a batch may hold.

    A file that is gone or empty (a power cut) counts as sent: there is nothing to send.
    """
    taken: list[_Queued] = []
    size = 0
    for path in paths:
        text = _read(path)
        if taken and (len(taken) >= BATCH_REPORTS or size + len(text) > BATCH_BYTES):
            yield taken
            taken, size = [], 0
        taken.append(_Queued(path, text))
        size += len(text)
    if taken:
        yield taken


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        text = file.read()
    lines = text.rstrip(b"\n")
    return lines.replace(b"\n", b" ") + b"\n" if lines else b""


def _cause(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split())[:300]
