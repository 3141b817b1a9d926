"""Each hook once, as slurmd calls it, with nothing to act on: its own policy, spool and runtime directory.

The policy is the site's, in observe mode, without a users' directory, without publishing, and with a directory of
Slurm commands that does not exist: nothing is drained, moved or told to Slurm. The job's number is 0, which Slurm gives
to none; the line in syslog has it. A GPU that hung an earlier hook is not asked again, and one that hangs now is
remembered for the hooks to come.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from preflight.deploy.doctor.host import NODE, Host
from preflight.deploy.doctor.places import others_may_change
from preflight.deploy.doctor.processes import Ended, run
from preflight.deploy.doctor.result import Result, ok, skip, unknown, warn, wrong
from preflight.deploy.doctor.script import Script
from preflight.files import read_json
from preflight.policy.model import Policy
from preflight.policy.write import to_toml
from preflight.slurm.environment import SPANK_REQUIRE
from preflight.slurm.gres import conf_directory, read
from preflight.verdict import MUST_BE_TOLD

JOB, NOBODY = 0, 65534
ORDER = ("prolog", "taskprolog", "epilog", "healthcheck")
CACHES = ("facts-", "gres-", "stuck-")
SPARE_S = 5.0


def look(host: Host) -> Iterator[Result]:
    """Yield how each hook ended, how long it took and what its verdict was."""
    if not host.has(NODE) or not host.scripts:
        if host.has(NODE) and host.installed:
            yield skip("dry run", "no hook of ours to run")
        return
    if not host.root:
        yield unknown("dry run", "hooks are run by root", fix="run it as root")
        return
    if host.policy_errors:
        yield skip("dry run", "the policy is not valid")
        return
    if others_may_change(host):
        yield skip("dry run", "not run by root, since others may change what it runs: see Files")
        return
    run_dir = host.target.run_dir
    # Beside the hooks' own files where that is there.
    where = run_dir if os.path.isdir(run_dir) and os.access(run_dir, os.W_OK) else "/tmp"
    place = tempfile.mkdtemp(prefix=".doctor-", dir=where)
    with _ended_by_signals():
        try:
            _fill(place, run_dir)
            os.mkdir(f"{place}/run/task")  # what is there no child of a hook makes when all this is removed
            yield from _hooks(host, place)
        finally:
            _keep_stuck(place, run_dir)
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Make an ended ssh session or a kill leave nothing behind: they end us as exit does."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {one: signal.signal(one, leave) for one in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _fill(place: str, run_dir: str) -> None:
    """Make what the hooks look for: users may pass the directory, and list nothing that they could not before."""
    os.chmod(place, 0o711)
    os.mkdir(f"{place}/run", 0o755)
    os.chmod(f"{place}/run", 0o755)
    os.mkdir(f"{place}/spool", 0o700)
    for name in os.listdir(run_dir) if os.path.isdir(run_dir) else ():
        if name.startswith(CACHES) and name.endswith(".json"):
            _copy(f"{run_dir}/{name}", f"{place}/run/{name}")


def _copy(source: str, target: str) -> None:
    """Copy a plain file with its mode; what is none, or cannot be read, is left out."""
    with suppress(OSError):
        mode = os.lstat(source).st_mode
        if stat.S_ISREG(mode):
            with (
                open(source, "rb") as old,
                open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new,
            ):
                shutil.copyfileobj(old, new)
            os.chmod(target, stat.S_IMODE(mode))


def _keep_stuck(place: str, run_dir: str) -> None:
    for name in os.listdir(f"{place}/run") if os.path.isdir(f"{place}/run") else ():
        if name.startswith("stuck-") and os.path.isdir(run_dir) and not os.path.lexists(f"{run_dir}/{name}"):
            _copy(f"{place}/run/{name}", f"{run_dir}/{name}")


def harmless(policy: Policy, place: str) -> Policy:
    """Return the policy under which a hook judges as ever and does nothing but write below ``place``."""
    return policy._replace(
        mode="observe",
        checks={name: one._replace(mode="observe") for name, one in policy.checks.items()},
        hook=policy.hook._replace(slurm_bin=f"{place}/no-slurm"),
        report=policy.report._replace(spool=f"{place}/spool", dir="", search=(), admin_group=""),
        publish=policy.publish._replace(enabled=False),
    )


def _hooks(host: Host, place: str) -> Iterator[Result]:
    config = f"{place}/preflight.toml"
    with open(config, "w", encoding="utf-8") as file:
        file.write(to_toml(harmless(host.policy, place)))
    for name in ORDER:
        if name in host.scripts:
            yield _one(host, host.scripts[name], name, place, config)


def _one(host: Host, script: Script, name: str, place: str, config: str) -> Result:
    user = NOBODY if name == "taskprolog" else None
    ended = run(
        script.argv(config, f"{place}/run"), environment(host, name), host.policy.hook.deadline_s + SPARE_S, user
    )
    subject, took = f"dry run {name}", f"{ended.ms:.0f} ms, exit status {ended.status}"
    if not ended.well:
        fix = f"{' '.join(script.argv(script.config, host.target.run_dir)[:4])} --version, or {host.again}"
        return wrong(subject, f"it ended badly: {ended.why()}; jobs run unchecked then", script.path, fix)
    if name == "taskprolog":
        return _of_task(host, subject, took, ended, script)
    report = _report(place, host.node, script.phase)
    if report is None:
        text = f"{took}, but it wrote no report"
        return wrong(subject, text, script.path, "journalctl -t preflight -n 20")
    return _of_verdict(host, subject, took, report, script)


def _of_verdict(host: Host, subject: str, took: str, report: dict[str, Any], script: Script) -> Result:
    """A hook that works may still find that this node is not fit for jobs; what it would then do is said."""
    said, policy = report.get("verdict"), host.policy
    text = f"{took}, verdict {said}"
    findings = [one for one in report.get("findings", ()) if isinstance(one, dict)]
    fix = f"{host.target.program} check --phase {script.phase}"
    if said == "unhealthy":
        broken = [one for one in findings if one.get("status") == "fail" and one.get("blame") == "node"]
        drains = [one for one in broken if policy.mode != "observe" and policy.check(one["check"]).mode != "observe"]
        what = "this node would be drained" if drains else "it is only observed"
        return warn(subject, f"{text}: {what}: {_named(drains or broken)}", script.path, fix)
    if said == "unknown":
        untold = [one for one in findings if one.get("status") == "unknown" and one.get("check") in MUST_BE_TOLD]
        return warn(subject, f"{text}: what a job needs could not be told: {_named(untold)}", script.path, fix)
    if said == "degraded":
        why = [one for one in findings if one.get("status") in ("fail", "warn", "unknown")]
        text += f": {_named(why)}{f' (and {len(why) - 1} more)' if len(why) > 1 else ''}"
    return ok(subject, text, script.path)


def _named(findings: list[dict[str, Any]]) -> str:
    return f"{findings[0].get('check')} {findings[0].get('message')}" if findings else "see its report"


def _of_task(host: Host, subject: str, took: str, ended: Ended, script: Script) -> Result:
    if "export PREFLIGHT_VERDICT=" not in ended.output:
        text = f"{took}, but a user's task gets no PREFLIGHT_VERDICT: users cannot run it, or read what the prolog left"
        return wrong(subject, text, script.path, f"{host.again} --python PATH, one that users can run")
    return ok(subject, f"{took}, as an ordinary user", script.path)


def _report(place: str, node: str, phase: str) -> dict[str, Any] | None:
    """Return the report that the hook wrote into the spool of the dry run."""
    for directory, _, names in sorted(os.walk(f"{place}/spool/reports")):
        for name in sorted(names):
            report = read_json(f"{directory}/{name}")
            if isinstance(report, dict) and (report.get("phase"), report.get("node")) == (phase, node):
                return report
    return None


def environment(host: Host, name: str) -> dict[str, str]:
    """Return all that slurmd gives a hook: no PATH, no HOME; the health check knows its node's name only."""
    node = {"SLURMD_NODENAME": host.node}
    if name == "healthcheck":
        return node
    if name == "taskprolog":
        return {**node, "SLURM_JOB_ID": str(JOB), "SLURM_JOB_UID": str(NOBODY)}
    conf = host.policy.hook.slurm_conf or host.conf.path
    gres = read(conf_directory(conf), host.node)
    gpus = gres.total or sum(line.number for line in gres.lines)
    asked = {"SLURM_JOB_GPUS": ",".join(map(str, range(gpus)))} if gpus else {}
    return {
        **node,
        **asked,
        SPANK_REQUIRE: "cpus>=1",
        "SLURM_CONF": conf,
        "SLURM_CLUSTER_NAME": host.conf.get("ClusterName", "cluster"),
        "SLURM_JOB_ID": str(JOB),
        "SLURM_JOB_UID": str(NOBODY),
        "SLURM_JOB_GID": str(NOBODY),
        "SLURM_JOB_USER": "nobody",
        "SLURM_JOB_PARTITION": "doctor",
        "SLURM_NODELIST": host.node,
        "SLURM_JOB_RESTART_COUNT": "0",
        "SLURM_SCRIPT_CONTEXT": f"{name}_slurmd",
    }
