"""The probe child for files that may lie on a dead network file system: toolkits, containers, modules, ib, mounts."""

from __future__ import annotations

import time

from preflight.facts.answer import NOT_LIVE, Answer, explain, unknown
from preflight.facts.isolate import Channel, Outcome
from preflight.facts.rootfs import Root
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

# In this order: what is least likely to hang first, so that a dead file system costs only what lies behind it.
SUBJECTS = ("ib", "container", "toolkits", "install", "modules", "remote")


class Plan(NamedTuple):
    """What to read and how; see `preflight.facts.collect.collect`."""

    subjects: tuple[str, ...]
    root: str
    live: bool
    cuda_prefixes: tuple[str, ...]
    module_paths: tuple[str, ...]
    cache_dir: str | None


class _Announcing(Root):
    """A root that announces each path before it is touched, once."""

    def __init__(self, path: str, live: bool, channel: Channel, subject: str) -> None:
        super().__init__(path, live)
        self._channel, self._subject, self._last = channel, subject, ""

    def touch(self, path: str) -> None:
        if path != self._last:
            self._last = path
            self._channel.doing(f"{self._subject}: {path}")


def probe(channel: Channel, plan: Plan) -> None:
    """Read the planned subjects one after the other and tell each as it is known."""
    for subject in plan.subjects:
        began = time.monotonic()
        channel.doing(subject)
        root = _Announcing(plan.root, plan.live, channel, subject)
        if subject == "remote":
            _remote(channel, root)
        else:
            try:
                answer = _read(subject, root, plan)
            except OSError as error:
                answer = unknown(explain(error))
            channel.tell({"subject": subject, "values": answer.values, "unknown": answer.unknown})
        channel.tell({"timing": subject, "ms": round((time.monotonic() - began) * 1000, 1)})


def merge(outcome: Outcome, plan: Plan) -> tuple[dict[str, Answer], dict[str, float]]:
    """Return (subject -> answer, timings in ms) of what the child told; what it did not tell is unknown."""
    answers: dict[str, Answer] = {}
    mounts: list[dict[str, Any]] = []
    timings: dict[str, float] = {}
    for message in outcome.messages:
        if "subject" in message:
            answers[message["subject"]] = Answer(message["values"], message["unknown"])
        elif "mount" in message:
            mounts.append(message["mount"])
        elif "timing" in message:
            timings[message["timing"]] = message["ms"]
    if mounts and "remote" not in answers:
        answers["remote"] = _hung_mounts(mounts, outcome)
    for subject in plan.subjects:
        answers.setdefault(subject, unknown(outcome.why()))
    return answers, timings


def _read(subject: str, root: Root, plan: Plan) -> Answer:
    from preflight.facts.cache import cached

    parameters: list[Any] = []
    if subject == "ib":
        from preflight.facts.ib import read as read_ib

        return read_ib(root)
    if subject == "install":
        from preflight.facts import kernel
        from preflight.facts.install import read as read_install

        release = kernel.read(root).values.get("release")
        return read_install(root, release)
    if subject == "container":
        from preflight.facts.container import read
    elif subject == "toolkits":
        parameters = list(plan.cuda_prefixes)

        def read(root: Root) -> Answer:
            from preflight.facts.toolkits import read as read_toolkits

            return read_toolkits(root, plan.cuda_prefixes)

    else:
        parameters = list(plan.module_paths)

        def read(root: Root) -> Answer:
            from preflight.facts.modules import read as read_modules

            return read_modules(root, plan.module_paths)

    return cached(plan.cache_dir, subject, root, parameters, read)


def _remote(channel: Channel, root: Root) -> None:
    from preflight.facts.mounts import read_remote, remote_paths

    if not root.live:
        channel.tell({"subject": "remote", "values": {}, "unknown": {"": NOT_LIVE}})
        return
    found: list[dict[str, Any]] = []

    def tell(mount: dict[str, Any]) -> None:
        found.append(mount)
        channel.tell({"mount": mount})

    try:
        for path, kind in remote_paths(root):  # first of all, so that those behind a dead one are named too
            channel.tell({"mount": {"path": path, "type": kind, "error": "NotRead"}})
        read_remote(root, lambda what: channel.doing(f"remote: {what}"), tell)
    except OSError as error:
        channel.tell({"subject": "remote", "values": {}, "unknown": {"": explain(error)}})
        return
    channel.tell({"subject": "remote", "values": {"mounts": found}, "unknown": {}})


def _hung_mounts(told: list[dict[str, Any]], outcome: Outcome) -> Answer:
    """Return the mounts when one hung: those that were asked and did not answer have error "Timeout"."""
    latest = {mount["path"]: mount for mount in told}
    for mount in latest.values():
        if outcome.stuck_at == "remote: statvfs of each" and mount.get("error") == "NotRead":
            mount["error"] = "Timeout"
    return Answer({"mounts": list(latest.values())})
