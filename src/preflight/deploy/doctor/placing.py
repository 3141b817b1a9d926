"""Placement by the scheduler: extra_constraints, who publishes, and cli_filter.lua at submit."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from preflight.deploy.doctor.host import CONTROLLER, LOGIN, NODE, Host
from preflight.deploy.doctor.result import Result, ok, skip, unknown, warn, wrong
from preflight.deploy.doctor.slurm_conf import scheduler_line
from preflight.deploy.slurm_release import written
from preflight.files import read_plain
from preflight.hostlist import folded
from preflight.requirements.encode import PREFIXES
from preflight.slurm import node_text
from preflight.slurm.cluster import LARGEST
from preflight.slurm.commands import SlurmError
from preflight.slurm.fields import ask, hosts
from preflight.slurm.publish import without_extra

EXTRA = "extra_constraints"
SINCE = (24, 5)  # seen on 24.11.5 and 26.05.5, not on 22.05.8
JOB_EXTRA = re.compile(r'"extra":\s*"((?:[^"\\]|\\.)*)"')
OPERATOR = re.compile(r"[=<>]")
PROGRAM = re.compile(r"\bprogram\s*=\s*(?:preflight\.program\s+or\s+)?[\"']([^\"']+)[\"']")
TO = re.compile(r"\bto\s*=\s*(?:preflight\.to\s+or\s+)?[\"'](\w+)[\"']")
DOFILE = re.compile(r"\bdofile\s*\(?\s*[\"']([^\"']+)[\"']")
MAX_BYTES = 1 << 18
WHERE_FEATURES, WHERE_EXTRA = 'sinfo -N -o "%N %f"', "sinfo -N -O NodeHost,Extra:200"


def look(host: Host) -> Iterator[Result]:
    """Yield the results for placement; a site that does not place has nothing but skips."""
    if not host.conf.known:
        return
    yield from _extra(host)
    yield from _published(host)
    yield from _filter(host)


def uses_extra(host: Host) -> bool:
    """Return whether Slurm compares a job's --extra with the nodes' Extra."""
    return EXTRA in host.conf.words("SchedulerParameters")


def _extra(host: Host) -> Iterator[Result]:
    policy, subject, where = host.policy.publish, f"slurm.conf {EXTRA}", host.conf.source
    on = uses_extra(host)
    if on and host.release and host.release < SINCE:
        text = f"Slurm {written(host.release)} does not know {EXTRA}: publish by Features"
        yield wrong(subject, text, where, f"take {EXTRA} out of SchedulerParameters")
        return
    if policy.via == "extra" and not on:
        text = f'[publish] via = "extra", and SchedulerParameters lacks {EXTRA}: no job is placed by it'
        old = bool(host.release) and host.release < SINCE
        line = host.in_conf(scheduler_line(host, EXTRA))
        yield wrong(subject, text, where, f'write via = "auto" into {host.target.config}' if old else line)
    elif on and not policy.enabled:
        text = f"{EXTRA} is on and [publish] enabled is false: a node without Extra gets no job with a constraint"
        yield warn(subject, text, host.target.config, "write under [publish]: enabled = true")
    elif on:
        yield ok(subject, "on; the nodes' facts are published as Extra", where)
    else:
        yield skip(subject, "not on" + ("; nodes publish as Features" if policy.enabled else "; nothing is published"))
    if on or policy.via == "extra":
        yield from _free_form(host)


def _free_form(host: Host) -> Iterator[Result]:
    """Jobs whose --extra is a text of theirs: Slurm refuses such a submission while extra_constraints is on."""
    subject = "free-form --extra"
    if not host.has(CONTROLLER):
        yield skip(subject, "looked at on the controller")
        return
    try:
        said = host.slurm.run("squeue", "--json")
    except SlurmError as error:
        yield unknown(subject, f"the queue could not be read: {error}")
        return
    texts = [text for text in JOB_EXTRA.findall(said) if text.strip()]
    free = [text for text in texts if not OPERATOR.search(text)]
    if free:
        text = f"{len(free)} jobs in the queue have an --extra that is no constraint ({free[0][:40]!r}): refused now"
        yield warn(subject, text, "squeue --json", f"ask their users for --comment, or take {EXTRA} out")
    else:
        yield ok(subject, "no job in the queue has one")


def _published(host: Host) -> Iterator[Result]:
    """Who has told Slurm its facts, where jobs are placed by them; slurmctld forgets features at a reconfigure."""
    policy, subject = host.policy.publish, "published"
    by_extra = policy.via == "extra" or (uses_extra(host) and policy.via != "features")
    if not (policy.enabled or "lua" in filters(host)) or not host.conf.asked:
        return
    way, other, where = ("Extra", "Features", WHERE_EXTRA) if by_extra else ("Features", "Extra", WHERE_FEATURES)
    try:
        ways = {"Extra": _by_extra(host), "Features": _by_features(host)}
    except SlurmError as error:
        yield unknown(subject, f"what the nodes have published could not be read: {error}", where)
        return
    nodes = ways[way]
    told = {name for name, has in nodes.items() if has}
    count = f"{len(told)} of {len(nodes)} nodes have"
    later = "wait for the next health check" if policy.enabled else "write under [publish]: enabled = true"
    if nodes and not told:
        fix = f"{host.target.program} publish on each node, or {later}"
        yield warn(subject, f"{count} published: no job is placed by --require", where, fix)
    elif host.has(NODE) and host.node in nodes and host.node not in told:
        text = f"this node has not ({count}): no job with --require is placed on it"
        yield warn(subject, text, where, f"{host.target.program} publish, or {later}")
    elif len(told) < len(nodes):
        text = f"{count} published by {way}: no job with --require is placed on the others"
        yield warn(subject, text, where, f"{host.target.program} publish on {_few(set(nodes) - told)}, or {later}")
    else:
        yield ok(subject, f"{count} published by {way}", where)
    old = {name for name, has in ways[other].items() if has}
    if old:
        text = f"{len(old)} nodes still have what they published by {other}; what counts here is {way}"
        fix = f"{host.target.program} publish on {_few(old)} takes it back, or {later}"
        yield warn(f"{subject} before", text, WHERE_FEATURES if by_extra else WHERE_EXTRA, fix)


def _few(names: set[str]) -> str:
    """Return node names as one host list that fits a line."""
    text = folded(names)
    return text if len(text) <= 60 else f"{len(names)} nodes"


def _by_features(host: Host) -> dict[str, bool]:
    # Without -N, with which sinfo compares each node with every other: a row is a group of nodes.
    rows = [row.split(None, 1) for row in host.slurm.run("sinfo", "-h", "-o", "%N %f").splitlines()]
    return {
        name: any(word.startswith(PREFIXES) for word in row[1].strip().split(","))
        for row in rows
        if len(row) == 2
        for name in hosts(row[0])
    }


def _by_extra(host: Host) -> dict[str, bool]:
    # Each node has an Extra of its own, by which sinfo would compare each with every other: scontrol does not.
    slurm = host.slurm._replace(limit=LARGEST)
    try:
        found = {node.name: node.extra for node in node_text.read(slurm) if node.partitions}
    except node_text.NotProven:
        found = dict(ask(slurm, "sinfo", ("-N",), ("NodeHost", "Extra")))
    return {name: without_extra(extra.strip()) is not None for name, extra in found.items()}


def filters(host: Host) -> set[str]:
    """Return the words of CliFilterPlugins: Slurm takes "lua" and "cli_filter/lua" alike."""
    return {one.removeprefix("cli_filter/") for one in host.conf.words("CliFilterPlugins")}


def _filter(host: Host) -> Iterator[Result]:
    subject = "cli_filter.lua"
    if not host.has(NODE, LOGIN):
        yield skip(subject, "commands run it, slurmctld does not")
        return
    path = f"{host.conf.directory}/cli_filter.lua"
    text = _text(path)
    if "lua" not in filters(host):
        if text is not None and "preflight" in text:
            line = host.in_conf("CliFilterPlugins=cli_filter/lua")
            yield wrong(subject, "it is there, but CliFilterPlugins has no cli_filter/lua: it is not run", path, line)
        else:
            yield skip(subject, "not in use: jobs with --require are verified, not placed")
        return
    if text is None:
        if os.path.lexists(path):
            yield unknown(subject, "it cannot be read", path)
            return
        source = host.target.cli_filter
        fix = f"install -m 644 {source} {path}"
        yield wrong(subject, "CliFilterPlugins has cli_filter/lua, and the file is not there: sbatch fails", path, fix)
    elif "preflight" not in text:
        fix = "docs/placement.md, Beside a cli_filter.lua of your own"
        yield unknown(subject, "it is the site's own and does not name preflight: jobs are not placed", path, fix)
    else:
        yield from _settings(host, subject, path, text)


def _settings(host: Host, subject: str, path: str, text: str) -> Iterator[Result]:
    """The settings that count are those before the file is loaded, then its own."""
    whole = text + "".join(_text(one) or "" for one in DOFILE.findall(text))
    lost = [one for one in DOFILE.findall(text) if _text(one) is None]
    if lost:
        yield wrong(
            subject,
            f"it loads {lost[0]}, which is not there",
            path,
            f"install -m 644 {host.target.cli_filter} {lost[0]}",
        )
        return
    programs, to = PROGRAM.findall(whole), (TO.findall(whole) or ["constraint"])[0]
    if programs and not os.access(programs[0], os.X_OK):
        text = f"program {programs[0]} is not there: no job is placed"
        yield wrong(subject, text, path, f'write there: program = "{host.target.program}"')
        return
    right = "extra" if uses_extra(host) and host.policy.publish.via != "features" else "constraint"
    if to != right:
        said = "is on" if uses_extra(host) else "is not on"
        text = f'to = "{to}", but {EXTRA} {said}: it has to be "{right}"'
        yield wrong(subject, text, path, f'write at its top: preflight = {{ to = "{right}" }}')
    else:
        yield ok(subject, f"sets --{to} for --require, by {programs[0] if programs else 'preflight'}", path)


def _text(path: str) -> str | None:
    try:
        return read_plain(path, MAX_BYTES).decode(errors="replace")
    except OSError:
        return None
