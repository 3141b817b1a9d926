"""The syntax of Slurm's configuration files, as src/common/parse_config.c reads it.

A file's lines without comments and continuations, with its includes in place; the key=value pairs of a line. What is
no regular file, too large, or includes without end is refused, not waited for.
"""

from __future__ import annotations

import os

from preflight.files import read_plain

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FILES, MAX_DEPTH, MAX_BYTES = 64, 8, 16 << 20
KEY = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."


class ConfError(Exception):
    """Why a configuration cannot be read, in one line."""


class Files:
    """The files that were read, in order: an answer holds as long as each of them stays the same."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.cluster = ""

    def lines(self, directory: str, name: str, depth: int = 0) -> Iterator[str]:
        """Yield the logical lines of ``name`` and of what it includes; names are relative to ``directory``.

        Raises ConfError for a file that is missing, not plain, too large, or one too many.
        """
        path = os.path.join(directory, name)
        if len(self.paths) >= MAX_FILES or depth > MAX_DEPTH:
            raise ConfError(f"{path}: included too deep, or one of too many files")
        self.paths.append(path)
        for line in logical_lines(_text(path)):
            included = _included(line)
            if included is None:
                if line[:11].lower() == "clustername":
                    self.cluster = pairs(line).get("clustername", "").lower()
                yield line
            elif "*" in included:
                continue  # Slurm knows no patterns here: it passes such a line over, with an error
            else:
                yield from self.lines(directory, included.replace("%c", self.cluster), depth + 1)


def _text(path: str) -> str:
    try:
        data = read_plain(path, MAX_BYTES + 1)
    except OSError as error:
        raise ConfError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ConfError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
    if b"\0" in data:
        raise ConfError(f"{path}: a NUL byte in it: the file is damaged")
    return data.decode("utf-8", "replace")


def logical_lines(text: str) -> Iterator[str]:
    """Yield the lines that say something: comments out, continued ones joined, escapes resolved."""
    joined = ""
    for raw in text.split("\n"):
        line = _without_comment(raw)
        bare = line.rstrip()
        if (len(bare) - len(bare.rstrip("\\"))) % 2:
            joined += bare[:-1]
            continue
        line = _without_escapes(joined + line).strip()
        joined = ""
        if line:
            yield line
    if joined.strip():
        yield _without_escapes(joined).strip()


def _without_comment(line: str) -> str:
    at = line.find("#")
    while at >= 0:
        before = line[:at]
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
            return before
        at = line.find("#", at + 1)
    return line


def _without_escapes(line: str) -> str:
    if "\\" not in line:
        return line
    kept, at = [], 0
    while at < len(line):
        at += line[at] == "\\"
        kept.append(line[at : at + 1])
        at += 1
    return "".join(kept)


def _included(line: str) -> str | None:
    words = line.split(None, 2)
    if len(words) > 1 and words[0].lower() == "include" and not words[1].startswith("="):
        return words[1]
    return None


def pairs(line: str) -> dict[str, str]:
    """Return {key in lower case: value} of a line, in order, the last value of a key given twice; see `parsed`."""
    return parsed(line)[0]


def parsed(line: str) -> tuple[dict[str, str], str]:
    """Return the key=value pairs of a line, and what is left where Slurm would read no further.

    Blanks may stand around "=", a value may be in quotes ("+=" and its like are taken for "=").
    """
    found: dict[str, str] = {}
    at, end = 0, len(line)
    while at < end:
        begin = at
        start = _past_blanks(line, at)
        at = start
        while at < end and line[at] in KEY:
            at += 1
        key = line[start:at].lower()
        at = _past_blanks(line, at)
        at += at < end and line[at] in "-*+/"
        if not key or line[at : at + 1] != "=":
            return found, line[begin:].strip()
        start = _past_blanks(line, at + 1)
        quoted = line.find('"', start + 1) if line[start : start + 1] == '"' else -1
        if quoted >= 0 and (quoted + 1 == end or line[quoted + 1].isspace()):
            at = quoted + 1
            found[key] = line[start + 1 : quoted]
            continue
        at = start
        while at < end and not line[at].isspace():
            at += 1
        if start == at:
            return found, line[begin:].strip()
        found[key] = line[start:at]
    return found, ""


def _past_blanks(line: str, at: int) -> int:
    while at < len(line) and line[at].isspace():
        at += 1
    return at
