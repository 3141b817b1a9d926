"""The agent's own numbers in Prometheus' text: for whoever asks it, and for node_exporter's textfile collector.

A child writes the file, which is not waited for: a directory that hangs holds no answer."""

from __future__ import annotations

import time

from preflight.facts.isolate import Channel, Child, start
from preflight.facts.stuck import StuckGuard
from preflight.hooks import journal
from preflight.hooks.textfile import WRITING, labels, name, put

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

EVERY_S = 60.0
BUDGET_S = 5.0
PHASE = "agent"  # in the file's name, where a hook's phase stands
FAMILIES = {
    "preflight_agent_up_seconds": ("gauge", "Seconds since the node agent began."),
    "preflight_agent_answers_total": ("counter", "Hooks that asked the node agent, by how that ended."),
    "preflight_agent_reports_waiting": ("gauge", "Reports in the agent's journal that are not on record."),
    "preflight_agent_writer_stuck_seconds": ("gauge", "For how long writing a report has hung, 0 where it does not."),
    "preflight_agent_nvml_stuck_seconds": ("gauge", "For how long NVML has hung in one call, 0 where it does not."),
    "preflight_agent_nvml_released_seconds": ("gauge", "For how long NVML stays closed on purpose."),
    "preflight_agent_upkeep_failures": ("gauge", "Times in a row that a duty beside the answers has failed."),
    "preflight_agent_upkeep_age_seconds": ("gauge", "Seconds since a duty beside the answers was last done or tried."),
    "preflight_agent_upkeep_stuck_seconds": ("gauge", "For how long a duty's child has been past its limit."),
    "preflight_agent_fact_age_seconds": ("gauge", "Age of each fact that is at hand."),
}


def text(status: dict[str, Any], cluster: str) -> str:
    """Return the metrics of what `preflight agent status` says (questions.py)."""
    shared = {"cluster": cluster, "host": status["node"]}
    lines: list[str] = []
    for family, (kind, words) in FAMILIES.items():
        lines += [f"# HELP {family} {words}", f"# TYPE {family} {kind}"]
        lines += [f"{family}{{{labels({**shared, **more})}}} {value}" for more, value in _samples(family, status)]
    return "\n".join(lines) + "\n"


def _samples(family: str, status: dict[str, Any]) -> Iterator[tuple[dict[str, str], Any]]:
    nvml = status["nvml"] or {}
    if family == "preflight_agent_answers_total":
        yield from (({"answer": answer}, count) for answer, count in status["answers"].items())
    elif family == "preflight_agent_fact_age_seconds":
        yield from (({"fact": fact}, age) for fact, age in status["ages_s"].items())
    elif family.startswith("preflight_agent_upkeep_"):
        key = {"failures": "failures", "age_seconds": "last_s", "stuck_seconds": "stuck_s"}
        of = key[family.removeprefix("preflight_agent_upkeep_")]
        yield from (({"duty": duty}, one[of]) for duty, one in status["upkeep"].items() if one[of] is not None)
    else:
        values = {
            "preflight_agent_up_seconds": status["up_s"],
            "preflight_agent_reports_waiting": status["reports_waiting"],
            "preflight_agent_writer_stuck_seconds": status["writer_stuck_s"],
            "preflight_agent_nvml_stuck_seconds": nvml.get("stuck_s") or 0,
            "preflight_agent_nvml_released_seconds": nvml.get("released_s") or 0,
        }
        yield {}, values[family]


class TextFile:
    """The file of one agent, written every EVERY_S where the policy names a directory; ``run_dir`` remembers a child
    that hangs."""

    def __init__(self, run_dir: str, node: str) -> None:
        self._guard, self._name = StuckGuard(run_dir, f"textfile-{node}"), name(node, PHASE)
        self._child: Child | None = None
        self._until = self._next = 0.0

    def tend(self, directory: str, content: Callable[[], str]) -> None:
        """Write the file where it is due, and see how the last child ended; never waits."""
        now = time.monotonic()
        if self._child is not None:
            ended = self._child.wait(now)
            if not ended and now < self._until:
                return
            self._end(self._child, ended)
        if directory and now >= self._next:
            self._next = now + EVERY_S
            if self._guard.stuck() is None:
                self._start(directory, content())

    def _start(self, directory: str, content: str) -> None:
        def write(channel: Channel) -> None:
            channel.doing(WRITING)
            channel.tell({"why": put(directory, self._name, content)})

        try:
            self._child = start("text file", write, BUDGET_S)
        except OSError:
            return  # no process, or no descriptors: the next one is due soon
        self._until = time.monotonic() + BUDGET_S

    def _end(self, child: Child, ended: bool) -> None:
        self._child = None
        if ended:
            child.read()
        outcome = child.conclude(reap_s=0.0)  # one in D state is remembered, and reaped when it ends
        self._guard.record(outcome)
        why = outcome.messages[0]["why"] if outcome.messages else outcome.why()
        if why:
            journal.say(journal.WARNING, f"agent: [metrics] textfile: {why}")
