"""Trees of modules that the script adds itself: what is loaded of one is no module that a node has.

A tree that is here is looked at, as the user. A module that is not in it comes from the node; one that is in it asks
nothing, unless its file may add further trees.
"""

from preflight.submit.infer.directory import joined
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import UNKNOWN, Session
from preflight.submit.infer.words import Word

_LARGEST = 1 << 18
_MANY = 40
_ADDS = ("MODULEPATH", "use", "load", "source", "eval")  # in a modulefile that may add further trees


def add(session: Session, command: Command, words: "list[Word]") -> None:
    """Take `module use DIR…`, or the like with MODULEPATH; a tree that is not known may hold anything."""
    for word in words:
        if word.text != "MODULEPATH":
            for text in word.text.split(":"):
                path = joined(command.cwd, text) if word.known and not command.doubt else None
                session.trees.append(path if path and len(session.trees) < _MANY else UNKNOWN)


def of(session: Session, command: Command, text: str, name: str) -> str:
    """Return the tree of the script's own that holds a module, "" where none does, UNKNOWN where that cannot be told.

    ``text``: as the script writes it; ``name``: with its version, without what is no name.
    """
    if text.startswith(("/", "./", "../")) or "MODULEPATH" in command.exported:
        return UNKNOWN
    found = ""
    for tree in tuple(session.trees):
        answer = UNKNOWN if tree == UNKNOWN else _of(session, tree, name)
        if answer == UNKNOWN:
            return UNKNOWN
        found = answer or found
    return found


def _of(session: Session, tree: str, name: str) -> str:
    files = session.files
    try:
        if "\0" in tree + name or not files.is_dir(tree):
            return UNKNOWN
        first = name.partition("/")[0]
        path = f"{tree.rstrip('/')}/{name}"
        for file in (path, f"{path}.lua"):
            if files.is_file(file):
                if any(mark in (files.read_text(file, _LARGEST) or "") for mark in _ADDS):
                    session.trees.append(UNKNOWN)
                return tree
        there = any(files.is_file(one) or files.is_dir(one) for one in (f"{tree}/{first}", f"{tree}/{first}.lua"))
    except OSError:
        return UNKNOWN
    return UNKNOWN if there else ""  # another version, or a directory of versions
