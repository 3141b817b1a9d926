"""Trees of modules that the script adds itself: what is loaded of one is no module that a node has.

A tree that is here is looked at, as the user. A module that is not in it comes from the node; one that is in it asks
nothing, unless its file may add further trees. Files that the script sources, and the user's MODULEPATH at submit (it
goes to the job with the other variables), may add some too: a module is then told, and does not bind.
"""

import os

from preflight.submit.infer import compat, setup, shellfiles
from preflight.submit.infer.directory import joined
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import UNKNOWN, Session
from preflight.submit.infer.words import Word

_LARGEST = 1 << 18
_MANY = 40
_ADDS = ("MODULEPATH", "use", "load", "source", "eval")  # in a modulefile that may add further trees
# What a login shell reads of the user's: the first of three, which mostly sources the fourth. Source: bash(1).
_LOGIN = (".bash_profile", ".bash_login", ".profile", ".bashrc")


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


def sourced(session: Session, path: "str | None", text: str, usual: bool = False) -> None:
    """Take a file that the script sources, at ``path`` (None: not known) and written ``text``: it may add trees, unless
    it is here and does not, or is one of the ``usual`` ones that only set a tool up. So with forward compatibility."""
    if usual and not setup.is_personal(text):
        return
    found = None if path is None else shellfiles.read(session.files, path)
    if found is None or _may_add(found):
        session.sourced = session.sourced or f"{text} may add trees of modules"
    if found is not None or not usual:  # a file of the user's own that is not here does nothing
        compat.sourced(session, found)


def login(session: Session) -> None:
    """Take the files of the user's that a login shell (`#!/bin/bash -l`) reads."""
    for name in _LOGIN:
        path = f"{session.home.rstrip('/')}/{name}"
        found = shellfiles.read(session.files, path)
        if found is not None and _may_add(found):
            session.sourced = session.sourced or f"~/{name} adds trees of modules"
        if found is not None:
            compat.sourced(session, found)


def _may_add(text: str) -> bool:
    return shellfiles.adds_trees(text) or shellfiles.sources_others(text)


def doubt(session: Session, name: str) -> str:
    """Return why a module may come of a tree of the user's own that is not the script's, "" where nothing says so."""
    if session.sourced:
        return session.sourced
    for tree in session.environment.get("MODULEPATH", "").split(":")[:_MANY]:
        if tree.startswith("/") and _is_own(session, tree) and _of(session, tree, name):
            return f"{tree}, of your own MODULEPATH, may have it"
    return ""


def _is_own(session: Session, tree: str) -> bool:
    """Whether a tree is the user's or a group's: below their home, or not root's and theirs or their group's."""
    if "\0" in tree or f"{tree}/".startswith(f"{session.home.rstrip('/')}/"):
        return "\0" not in tree
    try:
        info = session.files.stat(tree)
    except OSError:
        return False
    caller = getattr(os, "getuid", int)()
    return info is not None and info.st_uid != 0 and (info.st_uid == caller or bool(info.st_mode & 0o020))
