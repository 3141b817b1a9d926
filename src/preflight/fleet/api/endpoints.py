"""What can be asked, each in one row: its parameters, and the function that answers. Routes and OpenAPI document come
from the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from preflight.digits import is_whole
from preflight.fleet.pages.ask import Ask, AskedError, NotFoundError
from preflight.fleet.pages.views import jobs as job_pages
from preflight.fleet.query import answers, node, search
from preflight.fleet.query.window import Window, parse_window
from preflight.report.clean import clean
from preflight.report.model import VERDICTS

SPAN = r"^([1-9][0-9]{0,4}m|[1-9][0-9]{0,3}h|[1-9][0-9]{0,2}d|[1-9][0-9]?w)$"
NAME = r"^[^\u0000-\u001f\u007f]{1,200}$"
JOB = r"^[0-9]{1,10}(_[0-9]{1,10})?$"
MOST = 1000  # jobs of one answer
MOST_LATEST = 10_000  # drains or actions of one: 10 MB, twice that while it is made


class ForbiddenError(Exception):
    """What a reader who is no admin may not ask: one line."""


class Param(NamedTuple):
    """A parameter: a text that ``pattern`` matches as a whole, one of ``among``, or a whole number up to ``most``."""

    name: str
    help: str
    pattern: str = ""
    among: tuple[str, ...] = ()
    most: int = 0
    default: str = ""
    in_path: bool = False

    def check(self, value: str) -> None:
        """Raise AskedError with one line for a value that is none."""
        shown = f"{self.name}: {clean(value, 40)!r}"
        if self.pattern and not re.match(self.pattern.replace("$", r"\Z"), value):
            raise AskedError(f"{shown}: {self.help}")
        if self.among and value not in self.among:
            raise AskedError(f"{shown} is none of {', '.join(self.among)}")
        if self.most and not (is_whole(value) and len(value) < 12 and 1 <= int(value) <= self.most):
            raise AskedError(f"{shown} is not a number from 1 to {self.most}")


class Answer(NamedTuple):
    """An answer's JSON value; ``looked``: (job, user) of the jobs that it shows, for the audit."""

    value: Any
    looked: tuple[tuple[str, str], ...] = ()


class Endpoint(NamedTuple):
    """``of``: the name of the answer's schema (schemas.py). ``for_users``: also for readers who are no admin."""

    path: str
    summary: str
    function: Callable[[Ask], Answer]
    of: str
    params: tuple[Param, ...] = ()
    for_users: bool = False
    found: bool = False  # what is asked for may not be there: 404

    def read(self, query: list[tuple[str, str]], path: Mapping[str, str]) -> dict[str, str]:
        """Return the parameters' values, defaults filled in; raises AskedError."""
        known = {one.name: one for one in self.params}
        values = {one.name: one.default for one in self.params if one.default}
        given: dict[str, str] = {}
        for name, value in query:
            if name not in known or known[name].in_path:
                raise AskedError(f"{clean(name, 40)}: no such parameter; {', '.join(known) or 'none'} there is")
            if name in given:
                raise AskedError(f"{name}: given twice")
            given[name] = value
        given.update(path)
        for name, value in given.items():
            known[name].check(value)
        return {**values, **given}


def _window(ask: Ask) -> Window:
    return parse_window(ask.values["since"], ask.now_ms)


def _status(ask: Ask) -> Answer:
    silent = parse_window(ask.values["silent_after"], ask.now_ms)
    return Answer(answers.status(ask.store, ask.now_ms, ask.now_ms - silent.begin_ms))


def _since(ask: Ask) -> Answer:
    return Answer(answers.since(ask.store, _window(ask), int(ask.values["limit"])))


def _node(ask: Ask) -> Answer:
    cluster = _cluster(ask, ask.values["name"])
    return Answer(answers.node(ask.store, cluster, ask.values["name"], _window(ask)))


def _cluster(ask: Ask, name: str) -> str:
    """Return the cluster of the node that is meant; raises NotFoundError, AskedError where several have one."""
    found = [cluster for cluster, _ in node.find(ask.store, name, ask.values.get("cluster"))]
    if not found:
        raise NotFoundError(f"no report of node {clean(name, 60)} is in the store")
    if len(found) > 1:
        raise AskedError(
            f"cluster: several have a node {clean(name, 60)}: {', '.join(clean(one, 60) for one in found)}"
        )
    return found[0]


def _jobs(ask: Ask) -> Answer:
    values = ask.values
    user = values.get("user", "") if ask.reader.admin else ask.reader.name
    place = None
    if "node" in values:
        if not ask.reader.admin:
            raise ForbiddenError("node: for admins; your jobs are listed without it")
        place = (_cluster(ask, values["node"]), values["node"])
    partition, verdict, limit = values.get("partition", ""), values.get("verdict", ""), int(values["limit"])
    found = answers.jobs(ask.store, _window(ask), user, partition, verdict, place, limit)
    looked = tuple((str(one["job"]), one["user"]) for one in found)
    return Answer(found, looked)


def _job(ask: Ask) -> Answer:
    if int(ask.values["id"].partition("_")[0]) >= job_pages.LARGEST_JOB:
        raise NotFoundError(f"no report of job {ask.values['id']} is in the store")
    found, view, reports, cut = job_pages.read(ask)
    value = {
        "job": view.label,
        "verdict": view.verdict,
        "tries": len(view.tries),
        "nodes": list(view.nodes),
        "cut": cut,
        "reports": reports,
    }
    return Answer(value, tuple((search.label(one), one.user) for one in found))


def _drains(ask: Ask) -> Answer:
    return Answer(answers.drains(ask.store, _window(ask), int(ask.values["limit"])))


def _would(ask: Ask) -> Answer:
    return Answer(answers.would(ask.store, _window(ask), int(ask.values["limit"])))


def _drift(ask: Ask) -> Answer:
    return Answer(answers.drift(ask.store))


def _span(default: str, name: str = "since") -> Param:
    return Param(name, "a span of time: 30m, 12h, 7d, 4w", SPAN, default=default)


CLUSTER = Param("cluster", "where several clusters have one of that name", NAME)
LATEST = Param("limit", "at most so many, the latest", most=MOST_LATEST, default="1000")
ENDPOINTS = (
    Endpoint("/status", "How the nodes are, and the last 24 hours", _status, "Status", (_span("3h", "silent_after"),)),
    Endpoint("/since", "What a window of time brought", _since, "Since", (_span("7d"), LATEST)),
    Endpoint(
        "/nodes/{name}",
        "A node's history",
        _node,
        "History",
        (Param("name", "a node's name", NAME, in_path=True), _span("30d"), CLUSTER),
        found=True,
    ),
    Endpoint(
        "/jobs",
        "Jobs with reports, the latest first; of a user their own",
        _jobs,
        "Jobs",
        (
            _span("24h"),
            Param("user", "of this user (admins)", NAME),
            Param("partition", "in this partition", NAME),
            Param("verdict", "the worst of their reports", among=VERDICTS),
            Param("node", "that ran here (admins)", NAME),
            CLUSTER,
            Param("limit", "at most so many", most=MOST, default="50"),
        ),
        for_users=True,
        found=True,
    ),
    Endpoint(
        "/jobs/{id}",
        "A job's reports of all its nodes and tries; of a user their own job",
        _job,
        "JobReports",
        (Param("id", "a job's number, or 120_3 for a task of an array", JOB, in_path=True), CLUSTER),
        for_users=True,
        found=True,
    ),
    Endpoint("/drains", "Drains by Preflight that began in a window", _drains, "Drains", (_span("7d"), LATEST)),
    Endpoint(
        "/would",
        "What observe mode, kill switch or breaker kept from being done",
        _would,
        "Would",
        (_span("7d"), LATEST),
    ),
    Endpoint("/drift", "Nodes of one kind that are not alike", _drift, "Drift"),
)
