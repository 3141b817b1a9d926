"""NHC's checks of files: scripts/lbnl_file.nhc of NHC 1.4.3."""

from __future__ import annotations

import re

from preflight.deploy.nhc.call import Call, Unturned, duration, mstr, turns, whole

TESTS = {
    "a": "exists",
    "b": "block",
    "c": "character",
    "d": "directory",
    "e": "exists",
    "f": "file",
    "g": "setgid",
    "h": "link",
    "k": "sticky",
    "L": "link",
    "p": "fifo",
    "r": "readable-by-root",
    "s": "nonempty",
    "S": "socket",
    "u": "setuid",
    "w": "writable-by-root",
    "x": "executable",
}
OWN = {"O": "owner", "G": "group"}  # of the one who asks: root


@turns("check_file_test")
def test(call: Call) -> None:
    """[-!] -FLAG… FILE…: test(1) of each flag on each file; with -! one of them fails."""
    flags = [one[1] for one in call.args if re.fullmatch(r"-[abcdefghkprstuwxOGLSN]", one)]
    wrong = [one for one in call.args if one.startswith("-") and not re.fullmatch(r"-[!abcdefghkprstuwxOGLSN]", one)]
    paths = [one for one in call.args if not one.startswith("-") and one]
    literal(paths)
    if wrong:
        raise Unturned(f"NHC itself refuses it: operator {wrong[0]}")
    if not flags or not paths:
        raise Unturned("it names no test or no file")
    if "-!" in call.args or set(flags) - {*TESTS, *OWN}:
        _by_test(call, flags, paths)
        return
    _absolute(paths)
    keys = {OWN[one]: "root" for one in flags if one in OWN}
    tests = list(dict.fromkeys(TESTS[one] for one in flags if one in TESTS)) or None
    call.row("file", path=paths, tests=tests, **keys)


def _by_test(call: Call, flags: list[str], paths: list[str]) -> None:
    """Add what a row cannot say as a command: test(1) itself."""
    if flags[0] in "ae" and len(flags) == len(paths) == 1:
        _absolute(paths)
        call.row("file", path=paths, tests=["absent"])
        return
    if "t" in flags:
        raise Unturned("-t asks for a terminal, which no check of a node has")
    words: list[str] = []
    for flag in flags:
        for path in paths:
            words += [*(["-a"] if words else []), f"-{flag}", path]
    call.command(["/usr/bin/test", *words], status=1 if "-!" in call.args else None)


def _absolute(paths: list[str]) -> None:
    wrong = [one for one in paths if not one.startswith("/")]
    if wrong:
        raise Unturned(f"{wrong[0]!r} is no absolute path")
    literal(paths)


def literal(paths: list[str]) -> None:
    """Raise Unturned for a path that a row would expand: NHC expands no globs (set -f)."""
    wrong = [one for one in paths if set(one) & set("*?[")]
    if wrong:
        raise Unturned(f"NHC takes {wrong[0]!r} as it stands, and expands no glob")


@turns("check_file_stat")
def stat(call: Call) -> None:
    """[-m MODE] [-u UID | -U USER] [-g GID | -G GROUP] [-n|-o SECONDS] [-t MAJOR] [-T MINOR] … FILE…"""
    keys: dict[str, object] = {}
    device: dict[str, str] = {}
    for letter, value in call.options("D:G:M:N:O:T:U:d:g:m:n:o:t:u:"):
        if letter == "m":
            if not re.fullmatch(r"0[0-7]{3,4}", value):
                raise Unturned(f"{value!r} are no permissions to NHC, which compares numbers as bash reads them: 0644")
            keys["mode"] = value[-4:]
        elif letter in "uUgG":
            if (letter in "ug") is not bool(re.fullmatch("[0-9]+", value)):
                raise Unturned(f"-{letter} {value}: NHC compares a number after -u and -g, a name after -U and -G")
            keys["owner" if letter in "uU" else "group"] = value
        elif letter in "no":
            keys["age_max" if letter == "n" else "age_min"] = duration(value, f"-{letter}")
        elif letter in "tT":
            device[letter] = value
        else:
            call.left_out(f"-{letter} {value}", "a row has no key for it")
    _absolute(call.args)
    if not call.args or not (keys or device):
        raise Unturned("it names no file, or nothing else to compare")
    if keys:
        call.row("file", path=list(call.args), **keys)
    for path in call.args if device else ():
        numbers = [f"{_number(device[one]):x}" if one in device else "*" for one in "tT"]
        call.command(["/usr/bin/stat", "-c", "%t:%T", path], output=[":".join(numbers)])


def _number(text: str) -> int:
    return int(text, 16) if re.fullmatch(r"0x[0-9A-Fa-f]{1,8}", text) else whole(text, "the device's number")


@turns("check_file_contents")
def contents(call: Call) -> None:
    """FILE MATCH…: each matches a line of the file; one with "!" matches none."""
    path, *matches = [*call.args] or [""]
    if not path or not matches:
        raise Unturned("it names no file or no text")
    _absolute([path])
    if all(one.startswith("!") for one in matches):
        call.harmless = True
        call.notes.append("NHC passes where the file is not there, the row does not, and so only warns")
    call.row("file", path=[path], contents=[mstr(one) for one in matches])
