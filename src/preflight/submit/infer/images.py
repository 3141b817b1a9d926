"""What an image needs of a node: read where it is here, told by its reference where that states its CUDA."""

from __future__ import annotations

import posixpath
import re

from preflight.catalog.tables import SHIPPED, Tables
from preflight.requirements.grammar import parse
from preflight.submit.image.model import ImageError
from preflight.submit.infer.directory import joined
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import Session
from preflight.submit.infer.words import Word

_SUBJECTS = ("cuda", "driver", "arch")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(//)?(.*)", re.DOTALL)
_LOCAL = ("oci", "oci-archive", "docker-archive", "oci-layout", "dir", "file", "localimage")
_REMOTE = ("docker", "library", "oras", "shub", "http", "https", "dockerd", "docker-daemon", "podman")
_INSTANCE = "instance"
_NGC = re.compile(r"nvcr\.io/nvidia/([a-z0-9._-]+):(\d\d\.\d\d)-((?:tf[12]-)?(?:vllm-python-)?py3)")
_CUDA_TAG = re.compile(r"(?<![A-Za-z0-9])cuda[-_]?(\d{1,2}\.\d{1,2})(?!\d)", re.IGNORECASE)
_CU_TAG = re.compile(r"(?<![A-Za-z0-9])cu(?:da)?(1[0-9])(\d)(?![\d.])", re.IGNORECASE)
_OWN_TAG = re.compile(r"(\d{1,2}\.\d{1,2})(?:\.\d+)?(?:-|$)")


def look(session: Session, command: Command, image: Word, gpus: bool, perhaps: str = "", checked_by: str = "") -> None:
    """Add what ``image`` needs; ``gpus``: whether the container gets the GPUs, else its CUDA is of no account, unless
    it ``perhaps`` does: then it is unread, with this reason. ``checked_by``: as `needs` takes it."""
    found = _SCHEME.fullmatch(image.text)
    scheme = found[1] if found and (found[2] or found[1] in (*_LOCAL, *_REMOTE)) else ""
    if scheme == _INSTANCE:
        return
    local = found[3] if found and scheme in _LOCAL else image.text
    wanted = (gpus, perhaps)
    if scheme not in _REMOTE and _here(session, command, Word(local, image.line), wanted, checked_by):
        return
    path = joined(command.cwd, local)
    reference = session.made.get(posixpath.normpath(path)) if path else None
    _reference(session, command, reference or image.text, image.line, wanted)


def made(session: Session, command: Command, written: str, reference: str) -> None:
    """Remember that the script writes the image of a reference to a file."""
    path = joined(command.cwd, written)
    if path:
        session.made[posixpath.normpath(path)] = reference


def squash(reference: str) -> str:
    """Return the file that `enroot import` writes without --output: nvidia+pytorch+24.05-py3.sqsh."""
    name = _plain(reference)
    host, slash, rest = name.partition("/")
    return (rest if slash and ("." in host or ":" in host) else name).replace("/", "+").replace(":", "+") + ".sqsh"


def _here(session: Session, command: Command, image: Word, gpus: tuple[bool, str], checked_by: str) -> bool:
    """Read an image that is a local file or directory; False where there is none of that name."""
    text, line = image.text, image.line
    path = joined(command.cwd, text)
    if path is None or "\0" in path:
        return False
    try:
        real = session.files.resolve(path)
        if real is None or not (session.files.is_file(real) or session.files.is_dir(real)):
            return False
        from preflight.submit.image.needs import needs, requirement  # most scripts name no image
        from preflight.submit.image.open import read

        outside = real if session.files.own else session.files.path + real
        found = read(outside)
        every = [need for need in needs(found, checked_by) if need.subject in _SUBJECTS]
    except ImageError as error:
        session.collector.unread(line, f"the image was not read: {str(error).replace(session.files.path + '/', '/')}")
        return True
    except OSError as error:
        session.collector.unread(line, f"the image {text} was not read: {error.strerror}")
        return True
    for note in found.notes if any(gpus) and session.seeks_gpus(command, line) else ():
        if "not read" in note:
            session.collector.unread(line, f"the image {text}: {note}")
    wanted = [need for need in every if any(gpus) or need.subject == "arch"]
    plain = [need.requirement for need in wanted if need.subject == "arch"]
    asked = requirement(wanted)
    for clause in parse(asked).clauses if asked else ():
        evidence = next(
            (f"{need.text} ({need.evidence})" for need in wanted if _states(need.requirement, clause.text)), ""
        )
        own = command if gpus[0] or any(_states(one, clause.text) for one in plain) else _doubted(command, gpus[1])
        why = f"the image {text}: {evidence or 'its own conditions'}"
        session.need(own, clause.text, line, why, binds=not session.remade)
    return True


def _states(requirement_text: str | None, clause: str) -> bool:
    return requirement_text is not None and any(one.text == clause for one in parse(requirement_text).clauses)


def _reference(session: Session, command: Command, reference: str, line: int, gpus: tuple[bool, str]) -> None:
    """Add the CUDA that a reference states, or say that its contents are not here."""
    version, why = cuda_of(reference)
    if version is None:
        session.collector.unread(line, f"{reference}: {why}")
    elif not any(gpus):
        return
    elif _NGC.fullmatch(_plain(reference).partition("@")[0]):
        rest = "brings cuda-compat: an older driver of a data center GPU can run it, so no CUDA is asked for"
        if session.seeks_gpus(command, line):
            session.collector.note(line, f"{why} and {rest}; the image itself is not here to be read")
    else:
        # Which drivers it takes is known from the image alone: nvidia/cuda's bring cuda-compat, and so may others.
        session.need(command if gpus[0] else _doubted(command, gpus[1]), f"cuda>={version}", line, why, binds=False)


def _doubted(command: Command, why: str) -> Command:
    return command._replace(doubt=command.doubt or why)


def cuda_of(reference: str, tables: Tables = SHIPPED) -> tuple[str | None, str]:
    """Return the CUDA ("12.4") that an image's reference states and by what, or None and why it is not known."""
    name = _plain(reference)
    repository, _, tag = name.partition("@")[0].rpartition("/")[2].partition(":")
    if repository == "cuda" and (own := _OWN_TAG.match(tag)):
        return own[1], f"the tag of {name} states CUDA {own[1]}"
    stated = _CUDA_TAG.search(tag)
    if stated:
        return stated[1], f"the tag of {name} states CUDA {stated[1]}"
    short = _CU_TAG.search(tag)
    if short:
        return f"{short[1]}.{short[2]}", f"the tag of {name} states CUDA {short[1]}.{short[2]}"
    ngc = _NGC.fullmatch(name.partition("@")[0])
    if ngc:
        row = tables.find("ngc_releases", "release", ngc[2])
        if row and ngc[1] in row["images"]:
            minor = ".".join(str(row["cuda"]).split(".")[:2])
            return minor, f"NVIDIA's {ngc[1]} container {ngc[2]} is built on CUDA {row['cuda']}"
    if name.startswith("nvcr.io/"):
        return None, "which CUDA this NGC image has is not in the catalog, and it is not here to be read"
    return None, "the image is not here, so its contents are not known"


def _plain(reference: str) -> str:
    """Return a reference as HOST/PATH:TAG: without scheme, user and enroot's "#"."""
    text = re.sub(r"^[a-z][a-z0-9+.-]*://", "", reference)
    host, mark, rest = text.partition("#")
    if mark:
        text = f"{host.rpartition('@')[2]}/{rest}"
    return text.removeprefix("docker:")
