"""The nodes as a list to search, and one node: what it is, what became of it, and how it stands among the others."""

from __future__ import annotations

from typing import Any

from preflight.digits import is_whole
from preflight.fleet.entry import DAY_MS
from preflight.fleet.pages import charts
from preflight.fleet.pages.ask import SIZES, Ask, AskedError, NotFoundError, Page, pager
from preflight.fleet.pages.table import Column, JobRef, NodeRef, Table
from preflight.fleet.pages.views import common
from preflight.fleet.query import node, search, status
from preflight.fleet.query.drift import kind_of
from preflight.fleet.query.standing import standing
from preflight.fleet.query.status import Latest
from preflight.fleet.query.window import Window, instant, length
from preflight.hostlist import HostlistError, names
from preflight.report.model import VERDICTS

SORTS = ("name", "verdict", "last")
SLURM = ("out", "ours", "others", "in")
JOBS_SHOWN = 20
FACT_COLUMNS = (Column("fact", "Fact", "code"), Column("value", "Value"), Column("size", "As size"))
BYTES = ("memory.total", "gpus.memory", "tmp.size", "shm.size")
JOBS_DAYS = 7
SHOWN_FACTS = (
    *("os.name", "kernel.release", "arch.machine", "driver.version", "driver.cuda", "gpus.count", "gpus.name"),
    *("gpus.memory", "gpus.vbios", "cpu.count", "memory.total"),
)


def listing(ask: Ask) -> Page:
    """Return the page of all nodes."""
    verdict = ask.choice("verdict", VERDICTS)
    slurm = ask.choice("slurm", SLURM)
    sort = ask.choice("sort", SORTS, "name")
    quiet = ask.choice("silent", ("yes",))
    wanted = ask.text("q")
    every = standing(ask.store)
    limit = ask.now_ms - status.SILENT_MS
    picked = _picker(wanted)
    of = VERDICTS.index(verdict) if verdict else None
    found = [
        place
        for place, (cluster, name) in enumerate(every.roster.names)
        if picked(name)
        and (of is None or every.verdicts[place] == of)
        and (not quiet or every.started_ms[place] < limit)
        and (not slurm or _slurm(ask, cluster, name, slurm))
    ]
    if sort == "verdict":
        found.sort(key=every.verdicts.__getitem__)
    elif sort == "last":
        found.sort(key=every.started_ms.__getitem__)
    first, size = ask.paging()
    shown = [every.roster.numbers[place] for place in found[first : first + size]]
    its = {(one.cluster, one.node): one for one in status.latest(ask.store, *shown)} if shown else {}
    now = [its[name] for place in found[first : first + size] if (name := every.roster.names[place]) in its]
    columns = (
        Column("node", "Node", "node"),
        Column("verdict", "Verdict", "verdict"),
        Column("slurm", "Slurm"),
        Column("last", "Last report", "time"),
        Column("phase", "Phase"),
        Column("job", "Job", "job"),
        Column("failing", "Did not pass", "lines"),
        Column("preflight", "Preflight"),
        Column("policy", "Policy", "code"),
    )
    rows = [(*_row(ask, one), one.failing[:4], one.preflight, one.policy[:12]) for one in now]
    table = Table("nodes", "Nodes", columns, rows, "No node is like that.", len(found), SIZES[1])
    values = {
        "filters": {"q": wanted, "verdict": verdict, "slurm": slurm, "sort": sort, "silent": quiet},
        "verdicts": VERDICTS,
        "sorts": SORTS,
        "pager": pager(ask, "/nodes", len(shown), first + size < len(found)),
        "states": ask.states,
    }
    return Page("nodes", "Nodes", {"nodes": len(found)}, (table,), values)


def _picker(wanted: str) -> Any:
    """Return what tells whether a name is meant: part of it, or a host list such as gpu[001-064]."""
    if "[" in wanted or "," in wanted:
        try:
            its = names(wanted)
        except HostlistError as error:
            raise AskedError(f"q: {error}") from None
        return its.__contains__
    folded = wanted.casefold()
    return lambda name: folded in name.casefold()


def _slurm(ask: Ask, cluster: str, name: str, wanted: str) -> bool:
    state = ask.states.of(cluster, name)
    if state is None:
        return False
    return {"out": state.out, "ours": state.out and state.ours, "others": state.out and not state.ours}.get(
        wanted, not state.out
    )


def _row(ask: Ask, one: Latest) -> tuple[Any, ...]:
    state = ask.states.of(one.cluster, one.node)
    return (
        NodeRef(one.cluster, one.node),
        one.verdict,
        state.state if state else None,
        one.started_ms,
        one.phase,
        JobRef(one.cluster, one.job, str(one.job)) if one.job is not None else None,
    )


def page(ask: Ask) -> Page:
    """Return a node's page; raises NotFoundError."""
    cluster, name = _asked(ask)
    window = ask.window("30d")
    try:
        its = node.history(ask.store, cluster, name, window)
    except LookupError:
        raise NotFoundError(f"no report of node {name} is in the store") from None
    now = its.now
    lately = Window(max(window.begin_ms, ask.now_ms - JOBS_DAYS * DAY_MS), ask.now_ms + 1)
    jobs, _, more = search.page(ask.store, search.Wanted(lately, nodes=[(cluster, name)]), JOBS_SHOWN)
    state = ask.states.of(cluster, name)
    runs = {verdict: sum(day.runs[verdict] for day in its.days) for verdict in VERDICTS}
    figures = {
        "cluster": cluster,
        "node": name,
        "verdict": now.verdict,
        "last": now.started_ms,
        "phase": now.phase,
        "slurm": state.state if state else None,
        "runs": runs,
        "drains": len(its.drains),
        "jobs_lost": its.lost,
        "mtbf_ms": its.mtbf_ms,
        "availability": its.availability,
    }
    facts = {**its.facts, "preflight.version": now.preflight, "preflight.policy": now.policy[:12] or "-"}
    fact_rows = [
        (fact, value, _size(fact, value))
        for fact, value in sorted(facts.items(), key=lambda item: (item[0] not in SHOWN_FACTS, item[0]))
    ]
    tables = (
        _failing(now),
        common.drain_table(its.drains, ask.now_ms, caption="Drains by Preflight"),
        _changes(its),
        Table("jobs", "Latest jobs", common.JOB_COLUMNS, common.job_rows(jobs), f"No job in {JOBS_DAYS} days."),
        common.action_table(its.others, "actions", "Other actions", "None."),
        Table("facts", "What it is", FACT_COLUMNS, fact_rows),
    )
    values = {
        "kind": kind_of(its.facts),
        "since": ask.since("30d"),
        "more_jobs": more,
        "state": state,
        "latest": now,
        "drained": next((one for one in reversed(its.drains) if one.end_ms is None), None),
        "broken": now.verdict == "unhealthy" or (state is not None and state.out),
        "message": common.message(state.reason) if state else "",
        "remedy": _remedy(now),
        "resume": common.resume_command([name]),
        "show": common.show_command([name]),
        "timeline": _timeline(its, window),
        "silent": ask.now_ms - now.started_ms > status.SILENT_MS,
        "silent_for": length(ask.now_ms - now.started_ms),
    }
    return Page("node", name, figures, tables, values, common.looked(jobs))


def _asked(ask: Ask) -> tuple[str, str]:
    name = ask.text("name")
    if not name:
        raise AskedError("name: which node?")
    found = node.find(ask.store, name, ask.text("cluster") if "cluster" in ask.values else None)
    if not found:
        raise NotFoundError(f"no report of node {name} is in the store")
    if len(found) > 1:
        raise AskedError(f"cluster: several have a node of that name: {', '.join(one for one, _ in found)}")
    return found[0]


def _failing(now: Latest) -> Table:
    columns = (Column("status", "Result", "status"), Column("check", "Check", "check"), Column("subject", "About"))
    rows = []
    for line in now.failing:
        word, _, rest = line.partition(" ")
        check, _, subject = rest.partition(" ")
        rows.append((word, check, subject))
    return Table("failing", "What did not pass in the latest report", columns, rows, "All passed.")


def _remedy(now: Latest) -> str:
    for line in now.failing:
        if line.startswith("fail "):
            return common.remedy(line.split(" ")[1])
    return ""


def _changes(its: node.History) -> Table:
    columns = (
        Column("when", "Seen from", "time"),
        Column("fact", "Fact", "code"),
        Column("before", "Before"),
        Column("after", "After"),
    )
    rows = [tuple(one) for one in sorted(its.changes, key=lambda one: -one.first_ms)]
    return Table("changes", "What changed", columns, rows, "Nothing changed.")


def _size(fact: str, value: str) -> str:
    """Return a fact in bytes as people read it: memory in binary units, a GPU's in decimal ones, as it is sold."""
    if fact not in BYTES or not is_whole(value):
        return ""
    decimal = fact.startswith("gpus.")
    step, end = (1000, "B") if decimal else (1024, "iB")
    size, unit = float(value[:20]), ""
    for unit in ("", "K", "M", "G", "T"):
        if size < step or unit == "T":
            break
        size /= step
    return f"{size:,.1f} {unit}{end}" if unit else f"{size:,.0f} B"


def _timeline(its: node.History, window: Window) -> Any:
    begin = max(window.begin_ms, min((day.day * DAY_MS for day in its.days), default=window.begin_ms))
    end = window.end_ms
    verdicts = []
    for day in its.days:
        worst = next((verdict for verdict in VERDICTS if day.runs[verdict]), None)
        if worst:
            said = ", ".join(f"{runs} {verdict}" for verdict, runs in day.runs.items() if runs)
            at = day.day * DAY_MS
            verdicts.append(charts.Bar(at, at + DAY_MS * 9 // 10, f"v-{worst}", f"{instant(at)[:10]}: {said}"))
    drains = [
        charts.Bar(one.begin_ms, until, "c-fail", f"drained {charts.spans(one.begin_ms, until)}: {one.check}")
        for one, until in ((one, one.end_ms or end) for one in its.drains)
    ]
    lost = [
        charts.Bar(one.begin_ms, one.begin_ms, "c-warn", f"{instant(one.begin_ms)}: job {one.job} lost")
        for one in its.drains
        if one.job is not None
    ]
    by_time: dict[int, list[str]] = {}
    for change in its.changes:
        by_time.setdefault(change.first_ms, []).append(f"{change.fact} {change.before} → {change.after}")
    changes = [charts.Bar(at, at, "c-first", f"{instant(at)}: {'; '.join(texts)}") for at, texts in by_time.items()]
    moves = [charts.Bar(one.at_ms, one.at_ms, "c-second", f"{instant(one.at_ms)}: {one.kind}") for one in its.others]
    lanes = [
        charts.Lane("Worst verdict", verdicts),
        charts.Lane("Drained", drains),
        charts.Lane("Jobs lost", lost),
        charts.Lane("Jobs moved", moves),
        charts.Lane("Changed", changes),
    ]
    return charts.timeline(f"{its.now.node} from {instant(begin)[:10]} to {instant(end)[:10]}", begin, end, lanes)
