"""What a health check or an epilog found, as a text file for node_exporter's textfile collector.

One file for each node and phase, replaced at once. Samples carry no time stamps, for node_exporter refuses those, and a
metric has the same help in every file (https://github.com/prometheus/node_exporter#textfile-collector). A child writes
it, so that a directory that hangs holds no hook.
"""

from __future__ import annotations

import os
import stat
import time

from preflight.checks.finding import STATUSES
from preflight.facts.isolate import Channel, start
from preflight.facts.stuck import StuckGuard
from preflight.files import tolerate
from preflight.hooks import journal
from preflight.hooks.run import Run
from preflight.report.model import VERDICTS, Report

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

BUDGET_S = 0.5
MOST_CHECKS = 200  # that did not pass: a site's own checks can be many
WRITING = "writing the text file"
FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW
HELP = {
    "preflight_node_verdict": "1 for the verdict of the node's latest run of a phase, 0 for the others.",
    "preflight_node_findings": "Findings of the node's latest run of a phase, by status.",
    "preflight_node_check": "Findings of a check that did not pass in the node's latest run of a phase.",
    "preflight_node_run_timestamp_seconds": "When the node's latest run of a phase began.",
    "preflight_node_run_duration_seconds": "How long the node's latest run of a phase took, actions included.",
}


def keep(run: Run, report: Report) -> None:
    """Write the file of this run's phase; what goes wrong is one line in syslog and nothing else."""
    directory = run.policy.metrics.textfile
    until = min(time.monotonic() + BUDGET_S, run.deadline - 0.2)
    guard = StuckGuard(run.run_dir, f"textfile-{run.node}")
    why = guard.stuck()
    if not directory or until <= time.monotonic():
        return
    if why is None:

        def write(channel: Channel) -> None:
            channel.doing(WRITING)
            channel.tell({"why": put(directory, name(run.node, run.phase), content(report, run.started))})

        try:
            child = start("text file", write, until - time.monotonic())
        except OSError as error:
            why = str(error.strerror)
        else:
            outcome = child.collect(until)
            guard.record(outcome)
            why = outcome.messages[0]["why"] if outcome.messages else outcome.why()
    if why:
        journal.say(journal.WARNING, f"phase={run.phase} [metrics] textfile: {why}")


def name(node: str, phase: str) -> str:
    """Return the file's name: several nodes of one host (slurmd -N) have one each."""
    return f"preflight-{node.replace('/', '_')}-{phase}.prom"


def put(directory: str, name: str, text: str) -> str:
    """Replace the file ``name`` in ``directory``; return "" or why it is not written.

    Everything goes through the open directory, which must be the very path that the policy names, root's and nobody
    else's to write: a directory above it may be another account's (Debian's /var/lib/prometheus is), which could put a
    link in its place.
    """
    try:
        at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | FLAGS)
    except OSError as error:
        return f"{directory}: {error.strerror}"
    temporary = f".{name}.{os.getpid()}"
    try:
        why = _refused(directory, at)
        if why:
            return why
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FLAGS, 0o644, dir_fd=at)
        with open(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
            os.fchmod(descriptor, 0o644)
        os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)
    except OSError as error:
        with tolerate(OSError):
            os.unlink(temporary, dir_fd=at)
        return f"{directory}/{name}: {error.strerror}"
    finally:
        os.close(at)
    return ""


def _refused(directory: str, at: int) -> str:
    info = os.fstat(at)
    if os.readlink(f"/proc/self/fd/{at}") != os.path.normpath(directory):
        return f"{directory} leads through a link; name the directory itself"
    if info.st_uid not in (0, os.geteuid()):
        return f"{directory} belongs to uid {info.st_uid}; it must be root's"
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{directory} can be written by others (mode {info.st_mode & 0o7777:04o})"
    return ""


def content(report: Report, started: float) -> str:
    """Return the metrics of a report whose run began at ``started`` (seconds since the epoch), in Prometheus' text."""
    shared = {"cluster": report["cluster"], "host": report["node"], "phase": report["phase"]}
    lines: list[str] = []
    for metric, text in HELP.items():
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} gauge"]
        lines += [
            f"{metric}{{{labels({**shared, **more})}}} {value}" for more, value in _samples(metric, report, started)
        ]
    return "\n".join(lines) + "\n"


def _samples(metric: str, report: Report, started: float) -> Iterator[tuple[dict[str, str], str]]:
    if metric == "preflight_node_verdict":
        yield from (({"verdict": one}, str(int(one == report["verdict"]))) for one in VERDICTS)
    elif metric == "preflight_node_findings":
        yield from (({"status": one}, str(report["counts"].get(one, 0))) for one in STATUSES)
    elif metric == "preflight_node_check":
        counts: dict[tuple[str, str, str], int] = {}
        for one in report["findings"]:
            if one["status"] not in ("pass", "skip"):
                key = (one["check"], one["status"], one["blame"])
                counts[key] = counts.get(key, 0) + 1
        for (check, status, blame), number in sorted(counts.items())[:MOST_CHECKS]:
            yield {"check": check, "status": status, "blame": blame}, str(number)
    elif metric == "preflight_node_run_timestamp_seconds":
        yield {}, f"{started:.3f}"
    else:
        yield {}, f"{report['duration_ms'] / 1000:.6f}"


def labels(values: dict[str, str]) -> str:
    """Return labels as they stand between braces."""
    return ",".join(f'{key}="{_escaped(value)}"' for key, value in values.items())


def _escaped(text: str) -> str:
    printable = "".join(one if one.isprintable() else "?" for one in text[:200])
    return printable.replace("\\", "\\\\").replace('"', '\\"')
