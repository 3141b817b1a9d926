"""The numbers behind /metrics, in five questions to the store; a small one before says whether they may have changed.

Labels come from reports, so they are cleaned and bounded: one node that invents names must not cost those who watch all
the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from preflight.fleet.keys import BUCKETS_MS, DAY_MS, LASTS_MS, STATUSES
from preflight.fleet.query import withheld
from preflight.fleet.query.status import HEALTH_FAILING, SILENT_MS, VERDICT, lines_of
from preflight.fleet.query.window import Window
from preflight.fleet.store.interface import Reader, StoreError
from preflight.report.clean import clean
from preflight.report.model import PHASES, VERDICTS

GONE_MS = 14 * DAY_MS  # nodes that have sent nothing for so long are gone, or have another name: they count no more
BACK_MS = 90 * DAY_MS  # how old a drain may be that still lasts, as `preflight fleet status` has it
MOST = 200  # values of a label that reports name (check, partition), within a family: what is rarer is OTHER
MOST_CLUSTERS = 50
OTHER = "(other)"
ENFORCED = ("no", "yes")
NAME = 120  # letters of a label

Labels = tuple[str, ...]


class Numbers(NamedTuple):
    """Counts since the store began and, below them, how the nodes are now; labels in the order that each names.

    ``durations``: (cluster, phase) -> hooks in each bucket of BUCKETS_MS and, last, in none of them.
    """

    runs: dict[Labels, int]  # cluster, phase, verdict
    prologs: dict[Labels, int]  # cluster, partition, verdict
    findings: dict[Labels, int]  # cluster, check, status, blame
    actions: dict[Labels, int]  # cluster, kind, check, enforced ("yes", "no")
    breaker: dict[Labels, int]  # cluster
    durations: dict[Labels, list[int]]
    nodes: dict[Labels, int]  # cluster, verdict
    silent: dict[Labels, int]  # cluster
    newest_ms: dict[Labels, int]  # cluster
    failing: dict[Labels, int]  # cluster, check, status
    drained: dict[Labels, int]  # cluster, check
    withheld: dict[Labels, int]  # cluster, kind


def changed(store: Reader) -> int:
    """Return a number that is another one as soon as a report has come. Raises StoreError."""
    ((runs,),) = store.rows("SELECT coalesce(sum(runs), 0) FROM totals WHERE name = ?", ("runs",))
    return int(runs)


def gather(store: Reader, now_ms: int) -> Numbers:
    """Return the numbers at ``now_ms``. Raises StoreError."""
    totals: dict[str, list[tuple[str, str, str, str, int]]] = {}
    for name, *rest in store.rows("SELECT name, cluster, a, b, c, runs FROM totals"):
        totals.setdefault(name, []).append((rest[0], rest[1], rest[2], rest[3], rest[4]))
    try:
        return _numbers(store, now_ms, totals)
    except (IndexError, ValueError) as error:
        raise StoreError(f"the store counts what this Preflight does not know: {error}") from None


def _numbers(store: Reader, now_ms: int, totals: dict[str, list[tuple[str, str, str, str, int]]]) -> Numbers:
    nodes: list[tuple[Labels, int]] = []
    silent: list[tuple[Labels, int]] = []
    newest: dict[Labels, int] = {}
    sql = (
        f"SELECT n.cluster, {VERDICT}, count(*), sum(CASE WHEN l.started_ms < ? THEN 1 ELSE 0 END),"
        " sum(CASE WHEN l.started_ms < ? THEN 1 ELSE 0 END), max(CASE WHEN l.started_ms <= ? THEN l.started_ms END)"
        " FROM latest l JOIN nodes n ON n.node = l.node GROUP BY 1, 2"
    )
    sizes: Counter[str] = Counter()  # with the nodes that are gone: a cluster's counters keep its name
    for its, verdict, number, quiet, gone, at in store.rows(sql, (now_ms - SILENT_MS, now_ms - GONE_MS, now_ms)):
        sizes[its] += int(number)
        if number == gone:
            continue
        nodes.append(((its, VERDICTS[verdict]), int(number - gone)))
        silent.append(((its,), int(quiet - gone)))
        newest[(its,)] = max(at or 0, newest.get((its,), 0))
    bound = _Bound(sizes)
    nodes += [((its, verdict), 0) for its in {its for (its, _), _ in nodes} for verdict in VERDICTS]
    durations: dict[Labels, list[int]] = {}
    for its, a, b, _, n in totals.get("durations", ()):
        key = (bound.cluster(its), PHASES[int(a)])
        durations.setdefault(key, [0] * (len(BUCKETS_MS) + 1))[int(b)] += n
    clusters: dict[Labels, int] = {}
    for (its,), at in newest.items():
        label = (bound.cluster(its),)
        clusters[label] = max(at or now_ms, clusters.get(label, 0))  # all its clocks are ahead of ours
    breaker = [((its,), n) for its, _, _, _, n in totals.get("breaker", ())]
    undone = withheld.by_cluster(store, Window(now_ms - DAY_MS, now_ms + 1))
    return Numbers(
        runs=bound.counts(((c, PHASES[int(a)], VERDICTS[int(b)]), n) for c, a, b, _, n in totals.get("runs", ())),
        prologs=bound.counts((((c, a, VERDICTS[int(b)]), n) for c, a, b, _, n in totals.get("prologs", ())), 1),
        findings=bound.counts((((c, a, STATUSES[int(b)], e), n) for c, a, b, e, n in totals.get("findings", ())), 1),
        actions=bound.counts((((c, a, b, ENFORCED[int(e)]), n) for c, a, b, e, n in totals.get("actions", ())), 2),
        breaker=bound.counts([*breaker, *(((its,), 0) for its in sizes)]),
        durations=durations,
        nodes=bound.counts(nodes),
        silent=bound.counts(silent),
        newest_ms=clusters,
        failing=bound.counts(_failing(store, now_ms).items(), 1),
        drained=bound.counts(_drained(store, now_ms).items(), 1),
        withheld=bound.counts([*undone.items(), *(((its, "drain"), 0) for its in sizes)], 1),
    )


def _failing(store: Reader, now_ms: int) -> dict[Labels, int]:
    """Count the nodes whose latest report, or latest health check, says that a check did not pass."""
    found: Counter[Labels] = Counter()
    sql = (
        f"SELECT n.cluster, l.failing, {HEALTH_FAILING}, count(*) FROM latest l JOIN nodes n ON n.node = l.node"
        " WHERE (l.failing <> '' OR l.health_failing <> '') AND l.started_ms >= ? GROUP BY 1, 2, 3"
    )
    for its, failing, health, number in store.rows(sql, (now_ms - GONE_MS,)):
        for status, check in {tuple(line.split(" ", 2)[:2]) for line in lines_of(failing, health) if " " in line}:
            if status in STATUSES and check:
                found[its, check, status] += int(number)
    return found


def _drained(store: Reader, now_ms: int) -> dict[Labels, int]:
    sql = (
        "SELECT n.cluster, d.check_name, count(*) FROM drains d JOIN nodes n ON n.node = d.node"
        " JOIN latest l ON l.node = d.node"
        " WHERE d.end_ms = ? AND d.begin_ms >= ? AND l.started_ms >= ? GROUP BY n.cluster, d.check_name"
    )
    found: dict[Labels, int] = {}
    for its, check, number in store.rows(sql, (LASTS_MS, now_ms - BACK_MS, now_ms - GONE_MS)):
        found[its, check] = int(number)
    return found


class _Bound:
    """Keeps labels few and clean; two that look alike once they are clean are one."""

    def __init__(self, clusters: Counter[str]) -> None:
        """``clusters``: their nodes; those with the most are kept."""
        self._clusters = {name for name, _ in clusters.most_common(MOST_CLUSTERS)}

    def cluster(self, name: str) -> str:
        """Return a cluster's label."""
        return clean(name, NAME) if name in self._clusters else OTHER

    def counts(self, counted: Iterable[tuple[Labels, int]], at: int = 0) -> dict[Labels, int]:
        """Return the counts by label, at most MOST values of the label ``at`` (0: none is bounded but the cluster)."""
        its = [((self.cluster(labels[0]), *(clean(one, NAME) for one in labels[1:])), n) for labels, n in counted]
        sizes: Counter[str] = Counter()
        for labels, number in its:
            sizes[labels[at]] += number
        kept = {name for name, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:MOST]}
        found: Counter[Labels] = Counter()
        for labels, number in its:
            found[labels if labels[at] in kept else (*labels[:at], OTHER, *labels[at + 1 :])] += number
        return found
