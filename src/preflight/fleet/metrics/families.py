"""The numbers as families of metrics, each with its help; names, units and labels are those of docs/monitoring.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from preflight import __version__
from preflight.fleet.keys import BUCKETS_MS
from preflight.fleet.metrics.gather import Labels, Numbers

_Family = tuple[str, str, tuple[str, ...], str]  # name, help, labels, the field of Numbers
COUNTERS: tuple[_Family, ...] = (
    ("preflight_runs", "Hooks that reported, by phase and verdict.", ("cluster", "phase", "verdict"), "runs"),
    (
        "preflight_prologs",
        "Prologs of jobs, by partition and verdict.",
        ("cluster", "partition", "verdict"),
        "prologs",
    ),
    (
        "preflight_findings",
        "Findings that did not pass, by check, status and blame.",
        ("cluster", "check", "status", "blame"),
        "findings",
    ),
    (
        "preflight_actions",
        "Actions, by kind and the check that they are for; enforced=no where they were only noted.",
        ("cluster", "kind", "check", "enforced"),
        "actions",
    ),
    ("preflight_breaker_trips", "Drains that the drain breaker held back.", ("cluster",), "breaker"),
)
GAUGES: tuple[_Family, ...] = (
    ("preflight_nodes", "Nodes, by the verdict of their latest report.", ("cluster", "verdict"), "nodes"),
    ("preflight_nodes_silent", "Nodes that have sent no report for three hours.", ("cluster",), "silent"),
    (
        "preflight_nodes_failing",
        "Nodes whose latest report says that a check did not pass.",
        ("cluster", "check", "status"),
        "failing",
    ),
    (
        "preflight_nodes_drained",
        "Nodes that Preflight has drained and that are still drained, by check.",
        ("cluster", "check"),
        "drained",
    ),
    (
        "preflight_actions_not_enforced",
        "Actions of the last 24 hours that were only noted: observe mode, the kill switch, the breaker.",
        ("cluster", "kind"),
        "withheld",
    ),
)
DURATION = "preflight_hook_duration_seconds"
NEWEST = "preflight_newest_report_timestamp_seconds"


def families(
    numbers: Numbers, collector: Mapping[str, int], webhook: Mapping[str, int] | None = None
) -> Iterator[Metric]:
    """Yield the families; ``collector``: what this process has taken since its start, by result.

    ``webhook``: what became of events, None where nobody is told of them.
    """
    for name, text, labels, field in COUNTERS:
        yield _filled(CounterMetricFamily(name, text, labels=labels), getattr(numbers, field))
    for name, text, labels, field in GAUGES:
        yield _filled(GaugeMetricFamily(name, text, labels=labels), getattr(numbers, field))
    newest = GaugeMetricFamily(NEWEST, "When the newest report began, by the node's clock.", labels=("cluster",))
    for key, at in sorted(numbers.newest_ms.items()):
        newest.add_metric(key, at / 1000)
    yield newest
    yield _histogram(numbers)
    taken = CounterMetricFamily(
        "preflight_collector_reports", "Reports that this collector took since its start.", labels=("result",)
    )
    yield _filled(taken, {(result,): number for result, number in collector.items()})
    if webhook is not None:
        told = CounterMetricFamily(
            "preflight_webhook_events", "Events of the webhook by this process since its start.", labels=("result",)
        )
        yield _filled(told, {(result,): number for result, number in webhook.items()})
    info = GaugeMetricFamily("preflight_build_info", "The collector's version.", labels=("version",))
    info.add_metric((__version__,), 1)
    yield info


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily, counts: Mapping[Labels, int]
) -> CounterMetricFamily | GaugeMetricFamily:
    for key, number in sorted(counts.items()):
        family.add_metric(key, number)
    return family


def _histogram(numbers: Numbers) -> Metric:
    """Return the hooks' durations; without a sum, for the store keeps them by bucket."""
    bounds = [*(f"{limit / 1000:g}" for limit in BUCKETS_MS), "+Inf"]
    made = HistogramMetricFamily(DURATION, "How long hooks took, actions included.", labels=("cluster", "phase"))
    for key, runs in sorted(numbers.durations.items()):
        made.add_metric(key, list(zip(bounds, accumulate(runs))), None)
    return made


class Registry:
    """What prometheus_client's encoders ask for: families."""

    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = list(found)

    def collect(self) -> list[Metric]:
        """Return the families."""
        return self._found
