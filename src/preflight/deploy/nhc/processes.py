"""NHC's checks of processes: scripts/lbnl_ps.nhc of NHC 1.4.3."""

from __future__ import annotations

import re

from preflight.deploy.nhc.braces import Unread
from preflight.deploy.nhc.call import Call, Unturned, mstr, size, turns, whole
from preflight.deploy.nhc.targets import NoMatch, first_word

SERVICE_ACTS = {
    "S": "starts the service",
    "r": "restarts the service",
    "c": "stops and starts the service",
    "s": "stops the service",
    "k": "kills the process",
}
USE_ACTS = {"k": "kills the process", "K": "kills its parent"}


@turns("check_ps_service")
def service(call: Call) -> None:
    """[-0] [-f] [-S|-r|-c|-s|-k] [-u USER] [-d DAEMON | -m MATCH] [-e CMD | -E CMD] SERVICE."""
    user = daemon = match = ""
    full = absent = verified = False
    for letter, value in call.options("0E:SVcd:e:fkm:rsu:v"):
        if letter == "0":
            call.harmless = True
        elif letter == "u":
            user = value
        elif letter == "d":
            daemon = value
        elif letter == "m":
            match = value
        elif letter == "f":
            full = True
        elif letter in SERVICE_ACTS:
            call.acts(letter, SERVICE_ACTS[letter])
        elif letter in "eE":
            call.acts(letter, f"runs {value!r}")
        absent = absent or letter in "skE"  # what NHC ends must not run
        verified = verified or letter in "vV"
    if verified and call.named:
        call.harmless = True
        call.notes.append("with -v or -V NHC passes once its act has succeeded; the row does not act, and only warns")
    name = " ".join(call.args)
    if not name:
        raise Unturned("it names no service")
    _process(call, _match(match or f"*{daemon or name}", full), user, absent)


@turns("check_ps_daemon", "check_ps_blacklist")
def daemon(call: Call) -> None:
    """NAME [USER [ARGUMENTS]]: the text stands anywhere in the command line of a process."""
    name, user, arguments = [*call.args, "", "", ""][:3]
    if not name:
        raise Unturned("it names no process")
    text = f"{name} {arguments}" if arguments else name
    found = {"match": mstr(f"*{text}*")}
    _process(call, found, user, call.name == "check_ps_blacklist")


def _match(match: str, full: bool) -> dict[str, str]:
    """Return the row's keys for a match string: of the first word of a command line, or with -f of all of it."""
    if full:
        return {"match": mstr(match)}
    try:
        return {"match": first_word(match)}
    except NoMatch as error:
        raise Unturned(str(error)) from None


def _process(call: Call, match: dict[str, str], user: str, absent: bool) -> None:
    bound = {"count_max": 0} if absent else {"count_min": 1}
    _one(user)
    call.row("process", **match, user=user or None, **bound)


def _one(user: str) -> None:
    if user and not re.fullmatch(r"[\w.@-]+\$?", user):
        raise Unturned(f"-u {user}: a row looks at one user's processes, or at all")


@turns("check_ps_cpu", "check_ps_mem", "check_ps_physmem", "check_ps_time")
def use(call: Call) -> None:
    """[-0] [-f] [-a] [-l] [-s] [-A] [-k] [-K] [-r NICE] [-u USER] [-m MATCH] [-e CMD] THRESHOLD."""
    match, user, full, everybody = "*", "", False, False
    for letter, value in call.options("0AKae:fklm:r:su:"):
        if letter == "0":
            call.harmless = True
        elif letter == "m":
            match = value
        elif letter == "u":
            user = value
        elif letter in "fA":
            full, everybody = full or letter == "f", everybody or letter == "A"
        elif letter in USE_ACTS:
            call.acts(letter, USE_ACTS[letter])
        elif letter == "r":
            call.acts(letter, f"gives it the nice value {value}")
        elif letter == "e":
            call.acts(letter, f"runs {value!r}")
    if not any(call.args):
        raise Unturned("it names no limit")
    limit = call.args[0]
    keys: dict[str, object] = {}
    if call.name == "check_ps_cpu":
        keys["cpu_max"] = f"{whole(limit.removesuffix('%'), 'the limit')}%"
    elif call.name == "check_ps_time":
        keys["cputime_max"] = _cputime(limit)
    elif call.name == "check_ps_mem":
        keys["vsz_max"] = size(limit)
    elif limit.endswith("%"):
        keys["memory_max"] = limit
    else:
        keys["rss_max"] = size(limit)
    _one(user)
    if not everybody and user in ("root", "0"):
        raise Unturned("without -A, NHC passes over root's processes: it never fails")
    if not everybody:
        call.harmless = True
        call.notes.append("NHC passes over users whose uid is at most MAX_SYS_UID, the row does not, and so only warns")
    found = {"match": "*"} if match == "*" else _match(match, full)
    call.row("process", **found, user=user or None, **keys)


def _cputime(text: str) -> str:
    found = re.fullmatch(r"(?:(0|[1-9][0-9]{0,6})[mM])?(?:(0|[1-9][0-9]{0,8})s?)?", text)
    if not text or not found:
        raise Unturned(f"{text!r} is no CPU time")
    return f"{int(found[1] or 0) * 60 + int(found[2] or 0)}s"


@turns("check_ps_unauth_users", "check_ps_userproc_lineage")
def users(call: Call) -> None:
    """[-c CMD] [-u UID] [-n USER] [-p PID] [ignore|log|syslog|die|kill]…"""
    allow: list[str] = []
    for letter, value in call.options("c:u:n:p:"):
        if letter == "n":
            allow += value.split()
        else:
            call.left_out(f"-{letter} {value}", "a row allows users, and nothing else")
    actions = " ".join(call.args).split() or ["die"]
    if "kill" in actions:
        call.named.append(
            "kill ends processes: it acts on the node, which no check of Preflight does; the check is kept"
        )
    call.harmless = "die" not in actions[: actions.index("ignore") if "ignore" in actions else None]
    try:
        allow += call.setting("NHC_AUTH_USERS").split()
    except Unread:
        allow += ["root", "nobody"]
    try:
        least = whole(call.setting("MAX_SYS_UID"), "MAX_SYS_UID") + 1
    except Unread:
        least = None
    strict = True if call.name == "check_ps_userproc_lineage" else None
    call.row("users", allow=list(dict.fromkeys(allow)), uid_min=least, strict=strict)


@turns("check_ps_kswapd")
def kswapd(call: Call) -> None:
    """SECONDS DISCREPANCY [ignore|log|syslog|die]…"""
    if not any(call.args):
        raise Unturned("it names no limit")
    call.harmless = bool(call.args[2:]) and "die" not in call.args[2:]
    call.left_out(" ".join(call.args[1:2]) or "the discrepancy", "rows do not compare processes with one another")
    call.row("process", name="kswapd*", cputime_max=f"{whole(call.args[0], 'the limit')}s")


@turns("check_ps_loadavg")
def loadavg(call: Call) -> None:
    """ONE [FIVE [FIFTEEN]]: NHC cuts what follows the point, and fails what has reached the number."""
    keys = dict(zip(("one_max", "five_max", "fifteen_max"), call.args))
    if not any(keys.values()):
        raise Unturned("it names no load")
    call.row("load", **{key: whole(text, "the load") for key, text in keys.items() if text})
