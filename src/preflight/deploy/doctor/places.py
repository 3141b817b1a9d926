"""What root runs and writes: root's own, writable by nobody else, all the way up, and on a local disk."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from glob import escape, glob
from shlex import quote

from preflight.deploy.doctor.host import LOGIN, NODE, Host
from preflight.deploy.doctor.mounts import file_system, is_remote
from preflight.deploy.doctor.result import Result, ok, skip, unknown, warn, wrong
from preflight.facts.isolate import Channel, start
from preflight.facts.mounted import MEMORY
from preflight.hooks.aside import SUFFIX
from preflight.policy.model import Policy

SHARED_S = 5.0


def look(host: Host) -> Iterator[Result]:
    """Yield the results for programs, policy, spool, runtime directory and the users' reports."""
    if not host.installed:
        if host.has(NODE):
            text = "Preflight is not installed here"
            fix = f"{host.again}; or preflight doctor --prefix DIR where it is elsewhere"
            yield wrong("installation", text, host.target.prefix, fix)
        else:
            yield skip("installation", f"nothing is installed below {host.target.prefix} here")
        return
    if not host.has(NODE, LOGIN):
        return
    yield from _programs(host)
    if host.policy.path or host.policy_errors:
        yield _kept(host, "policy file", host.target.config)
    if host.has(NODE):
        yield _spool(host)
        yield _run_dir(host)
        yield from _left_behind(host)
    yield _reports(host)


def _programs(host: Host) -> Iterator[Result]:
    """The interpreter, the package and the scripts: who can write to one of them is root."""
    if host.target.python:
        yield _kept(host, "interpreter", host.target.python)
    libs = sorted({script.lib for script in host.scripts.values()})
    for lib in libs:
        yield _kept(host, "package", lib) if os.path.isdir(lib) else _gone(host, lib)
        yield from _inside(lib)
    for name, script in host.scripts.items():
        yield _kept(host, f"libexec/{name}", script.path)
    if not os.access(host.target.program, os.X_OK):
        fix = host.again
        yield wrong("command", "it is not there: --require is not checked at submit", host.target.program, fix)
    else:
        yield _kept(host, "command", host.target.program)


def others_may_change(host: Host) -> bool:
    """Return whether somebody else than root could have put what the hooks run in its place: root must not run it."""
    scripts = host.scripts.values()
    paths = {host.target.python, *(script.lib for script in scripts), *(script.path for script in scripts)}
    return any(_is_anothers(path) for path in paths if path) or any(
        True for script in scripts for _ in _inside(script.lib)
    )


def _is_anothers(path: str) -> bool:
    try:
        return any(_fault(one) for one in _chain(path))
    except OSError:  # it is not there, which is another finding
        return False


def _gone(host: Host, lib: str) -> Result:
    text = "the hooks' package is not there: no job is checked, and all run"
    return wrong("package", text, lib, host.again)


def _kept(host: Host, subject: str, path: str) -> Result:
    """Return whether ``path`` is there, local, root's, and nobody else can put something else in its place."""
    remote = is_remote(path)
    if remote:  # not touched: it may hang
        text = f"it is on {remote}: a server that does not answer holds every job's start"
        return wrong(subject, text, path, "preflight install with --prefix, --config or --python on a local disk")
    try:
        for one in _chain(path):
            fault = _fault(one)
            if fault:
                return wrong(subject, f"{fault[0]}: who may write there is root on this node", one, fault[1])
    except PermissionError as error:
        return unknown(subject, f"cannot be looked at as this user ({error.strerror})", path, "run it as root")
    except OSError as error:
        return wrong(subject, f"{error.strerror}: {error.filename}", path, host.again)
    real = os.path.realpath(path)
    return ok(subject, f"root's own, on {file_system(real) or 'a local disk'}", path)


def _chain(path: str) -> list[str]:
    """Return ``path``, what its links lead to, and every directory above each, the topmost first."""
    found: list[str] = []
    links = 0
    while True:
        place, parts = "", [part for part in path.split("/") if part]
        for position, part in enumerate(parts):
            place = f"{place}/{part}"
            if place not in found:
                found.append(place)
            if os.path.islink(place):
                links += 1
                if links > 40:
                    raise OSError(40, "too many links", path)
                target = os.path.join(os.path.dirname(place), os.readlink(place))
                path = os.path.normpath("/".join([target, *parts[position + 1 :]]))
                break
        else:
            os.stat(place or "/")
            return ["/", *found]


def _fault(path: str) -> tuple[str, str] | None:
    """Return what lets others than root change what stands at ``path``, and the command against it."""
    info = os.lstat(path)
    if info.st_uid != 0:
        return f"it belongs to uid {info.st_uid}, not to root", f"chown -h root {quote(path)}"
    if stat.S_ISLNK(info.st_mode):
        return None
    sticky = stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_ISVTX
    if info.st_mode & 0o002 and not sticky:
        return "everybody may write to it", f"chmod o-w {quote(path)}"
    if info.st_mode & 0o020 and info.st_gid != 0 and not sticky:
        return f"group {info.st_gid} may write to it", f"chmod g-w {quote(path)}"
    return None


def _inside(lib: str) -> Iterator[Result]:
    """Look at every file below a package's directory; nothing is said where all are root's."""
    bad = []
    for place, directories, names in os.walk(lib):
        for name in (*directories, *names):
            fault = _fault(f"{place}/{name}")
            if fault:
                bad.append((f"{place}/{name}", fault[0]))
    if bad:
        text = f"{len(bad)} files below can be changed by others than root; the first: {bad[0][1]}"
        yield wrong("package files", text, bad[0][0], f"chown -R root:root {quote(lib)} && chmod -R go-w {quote(lib)}")


def _spool(host: Host) -> Result:
    path, subject = host.policy.report.spool, "spool"
    if host.policy_errors:
        return skip(subject, "the policy is not valid")
    make = f"install -d -m 700 -o root -g root {quote(path)}"
    remote = is_remote(path)
    if remote:
        text = f"it is on {remote}: hooks write there and must not hang"
        return wrong(subject, text, path, f"a local directory for [report] spool in {host.target.config}")
    try:
        info = os.lstat(path)
    except PermissionError:
        return unknown(subject, "cannot be looked at as this user", path, "run it as root")
    except FileNotFoundError:
        return wrong(subject, "it is not there: no report is kept", path, make)
    if not stat.S_ISDIR(info.st_mode):
        return wrong(subject, "it is no directory", path, f"rm {quote(path)} && {make}")
    open_ = _open(path, 0o022) or _open(f"{path}/reports", 0o077)
    if open_:
        return wrong(subject, f"{open_}: records of truth are root's alone", path, f"{make} {quote(path)}/reports")
    above = _kept(host, subject, os.path.dirname(path))
    return above if above.is_finding else ok(subject, f"root's, on {file_system(path) or 'a local disk'}", path)


def _open(path: str, forbidden: int) -> str:
    """Return what is wrong with a directory's owner and mode; "" for one that is not there, or cannot be seen."""
    try:
        info = os.lstat(path)
    except OSError:
        return ""
    bad = info.st_uid != 0 or info.st_mode & forbidden
    return f"{path} has owner {info.st_uid}, mode {info.st_mode & 0o7777:04o}" if bad else ""


def _run_dir(host: Host) -> Result:
    path, subject = host.target.run_dir, "runtime directory"
    remote = is_remote(path)
    if remote:
        return wrong(subject, f"it is on {remote}", path, "preflight install --run-dir /run/preflight")
    if not os.path.isdir(path):
        return ok(subject, "not there yet: the first hook makes it", path)
    kept = _kept(host, subject, path)
    if kept.is_finding:
        return kept
    if not os.stat(path).st_mode & 0o001:
        return wrong(subject, "users cannot pass it: the task prolog says nothing", path, f"chmod 755 {quote(path)}")
    foreign = [one for one in _files(path) if os.lstat(one).st_uid != 0]
    if foreign:
        text = "not root's: hooks do not read it"
        return wrong(subject, text, foreign[0], f"rm {quote(foreign[0])}")
    kind = file_system(path)
    if kind not in MEMORY and file_system("/run") in MEMORY:
        text = (
            f"it is on {kind or 'a local disk'}: a disk that hangs costs every hook its caches, and a child to see it"
        )
        return warn(subject, text, path, "preflight install --run-dir /run/preflight")
    more = "" if kind in MEMORY else ", a disk; /run of this host is no better"
    return ok(subject, f"root's, on {kind or 'a local disk'}{more}", path)


def _left_behind(host: Host) -> Iterator[Result]:
    """What hooks set aside since it could not be read, and records that are in memory since the spool took none."""
    if not host.root or host.policy_errors:
        return
    spool, run_dir = host.policy.report.spool, host.target.run_dir
    aside = [
        path for place in (spool, run_dir) for path in sorted(glob(f"{escape(place)}/**/*{SUFFIX}", recursive=True))
    ]
    if aside:
        text = f"{len(aside)} files could not be read (a power cut?) and were set aside; the first:"
        yield warn("unreadable files", text, aside[0], f"look at them, then: rm {quote(aside[0])}")
    unkept = sorted(glob(f"{escape(run_dir)}/unkept/*.json"))
    if unkept:
        text = f"{len(unkept)} records are in memory alone: {spool} took none; the next health check tries again"
        yield warn("records", text, os.path.dirname(unkept[0]), f"df -h {quote(spool)}")


def _files(directory: str) -> list[str]:
    with os.scandir(directory) as entries:
        return [one.path for one in entries if one.name.endswith(".json")]


def _reports(host: Host) -> Result:
    """The users' directory may be remote and hang: a child looks at it."""
    policy, subject = host.policy, "reports for users"
    path = policy.report.dir
    if not path:
        return skip(subject, "[report] dir is not set: only root reads reports")
    child = start("reports", lambda channel: _tell(channel, path), SHARED_S)
    outcome = child.collect(time.monotonic() + SHARED_S)
    if not outcome.finished or not outcome.messages:
        return wrong(subject, f"it does not answer: {outcome.why()}", path, f"ls -ld {quote(path)}; mount")
    return _judged(host, policy, outcome.messages[-1])


def _tell(channel: Channel, path: str) -> None:
    channel.doing(f"stat {path}")
    try:
        info = os.stat(path)
        channel.tell({"mode": info.st_mode, "uid": info.st_uid, "error": ""})
    except OSError as error:
        channel.tell({"mode": 0, "uid": 0, "error": error.strerror or "error"})


def _judged(host: Host, policy: Policy, told: dict[str, object]) -> Result:
    subject, path = "reports for users", policy.report.dir
    make = f"install -d -m 755 -o root -g root {quote(path)}"
    mode, uid = int(str(told["mode"])), int(str(told["uid"]))
    if told["error"]:
        if host.has(NODE):
            return wrong(subject, f"{told['error']}: users get no copy", path, make)
        if host.node in path.split("/"):
            return skip(subject, "[report] dir is each node's own")
        return warn(subject, f"{told['error']}: no report is read on this host", path, f"mount it, or {make}")
    if not stat.S_ISDIR(mode):
        return wrong(subject, "it is no directory", path, f"rm {quote(path)} && {make}")
    if uid != 0 or mode & 0o022:
        text = f"owner {uid}, mode {mode & 0o7777:04o}: others could put reports in the place of ours"
        return wrong(subject, text, path, f"chown root {quote(path)} && chmod 755 {quote(path)}")
    return ok(subject, "root's, users may read theirs", path)
