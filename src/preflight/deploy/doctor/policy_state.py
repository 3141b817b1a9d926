"""The policy: valid, in force, and not switched off without anybody's noticing."""

import os
import time
from collections.abc import Iterator
from shlex import quote

from preflight.checks.names import unknown_checks
from preflight.deploy.doctor.host import NODE, Host
from preflight.deploy.doctor.result import Result, ok, skip, unknown, warn, wrong
from preflight.files import read_json
from preflight.policy.cache import policy_key
from preflight.report.advice import held_back, tripped
from preflight.report.clean import clean


def look(host: Host) -> Iterator[Result]:
    """Yield the results for the policy file, the mode, the kill switch and the hooks' cached policy."""
    if not host.installed and not host.has(NODE):
        return
    yield from _valid(host)
    yield _mode(host)
    if host.has(NODE):
        yield _switch(host)
        yield from _breaker(host)
        yield _cache(host)


def _valid(host: Host) -> Iterator[Result]:
    path = host.target.config
    for line in host.policy_errors:
        where, _, text = line.partition(": ")
        fix = f"correct it, then: preflight config check {path}" if os.path.exists(path) else host.again
        yield wrong("policy", f"{text}; hooks use the last good one, and drain and move nothing", where, fix)
    for line in (*host.policy.doubts(), *unknown_checks(host.policy)):
        where, _, text = line.partition(": ")
        yield warn("policy", text, where, f"correct it, then: preflight config check {path}")
    if not host.policy_errors:
        found = (
            f"{len(host.policy.expect)} expectations for {host.node}" if host.policy.path else "none here: the defaults"
        )
        yield ok("policy", found, path)


def _mode(host: Host) -> Result:
    if host.policy_errors:
        return skip("mode", "the policy is not valid")
    path = host.target.config
    if host.policy.mode != "observe":
        return ok("mode", host.policy.mode, path)
    text = "OBSERVE MODE: everything is judged and reported, nothing is drained or moved"
    return warn("mode", text, path, f'when the reports look right, write mode = "enforce" into {path}')


def _breaker(host: Host) -> Iterator[Result]:
    """Say what held back this node's drain at its latest health check: the breaker's limit, or a slow controller."""
    place = f"{host.policy.report.spool}/reports/node"
    try:
        names = sorted(one for one in os.listdir(place) if one.startswith(f"{host.node}.") and one.endswith(".json"))
    except OSError:
        return
    report = read_json(f"{place}/{names[-1]}") if names else None
    action = report.get("action") if isinstance(report, dict) else None
    detail = str(action.get("detail")) if isinstance(action, dict) and not action.get("enforced") else ""
    held = clean(detail.partition(": ")[2], 200)
    if tripped("drain", detail):
        fix = "preflight config check: many faulty nodes at once mean a wrong check or expectation; docs/night.md"
        yield warn("drain breaker", f"held at the latest health check: {held}", place, fix)
    elif held_back(detail):
        text = f"held back at the latest health check, nobody could count the drained nodes: {held}"
        yield warn("drain", text, place, "sdiag shows what keeps slurmctld busy; the next health check tries again")


def _switch(host: Host) -> Result:
    path, subject = host.policy.drain.kill_switch, "kill switch"
    if not path:
        return ok(subject, "none is set ([drain] kill_switch)", host.target.config)
    try:
        age = time.time() - os.lstat(path).st_mtime
    except PermissionError:
        return unknown(subject, "cannot be looked at as this user", path, "run it as root")
    except OSError:
        return ok(subject, "off", path)
    text = f"THE KILL SWITCH IS ON since {_since(age)}: nothing is drained, moved or resumed on this node"
    return warn(subject, text, path, f"rm {quote(path)}")


def _since(age_s: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if age_s >= 2 * size:
            return f"{age_s / size:.0f} {unit}"
    return "a moment"


def _cache(host: Host) -> Result:
    path, subject = f"{host.target.run_dir}/policy-{host.node}.json", "policy cache"
    if host.policy_errors or not os.path.lexists(path):
        return ok(subject, "not made yet: the next hook makes it", path)
    if not host.root:
        return unknown(subject, "only root reads it", path, "run it as root")
    stored = read_json(path)
    if not isinstance(stored, dict):
        return wrong(subject, "it is no JSON of root's: each hook reads the policy anew", path, f"rm {quote(path)}")
    if stored.get("key") != policy_key(host.target.config, host.node):
        return ok(subject, "older than the policy: the next hook makes it anew", path)
    return ok(subject, "up to date", path)
