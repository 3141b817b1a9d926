"""Layers of an image, put on top of each other: whiteouts, links, and only the files that are of interest.

Nothing is unpacked to disk. Of each layer the names that matter and the content of small files are kept; of all other
entries only that they exist, because a later layer's file or directory replaces an earlier one of that name.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from preflight.submit.image.model import ImageError
from preflight.submit.image.tar import Member, members
from preflight.submit.image.unpack import Budget, Stream
from preflight.submit.image.virtual import Entry, walk

MAX_CONTENT = 32 << 20  # bytes of one file that are kept
MAX_NAME = 4096
MAX_KEPT = 300_000  # links and files of interest
MAX_DEPTH = 256  # parts of a path of interest
# Looks at a path while layers are put on each other, of all of them: links and whiteouts cost a look at each directory
# above them, in each layer again. Images of today take some 100,000.
MAX_LOOKS = 10_000_000
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"

# Files whose content is read (the readers in contents.py and environment.py), and those whose name alone tells.
CONTENT = re.compile(
    r"/os-release$|^/etc/environment$|^/\.singularity\.d/(env/[^/]+\.sh|labels\.json|Singularity)$"
    r"|/version\.(json|txt)$|/include/cuda\.h$|/torch/version\.py$|/libc\.so\.6$|/libc-2\.\d+\.so$"
    r"|^/var/lib/dpkg/status$"
)
NAMES = re.compile(
    r"/(libcudart|libcuda)\.so[^/]*$|/bin/nvcc$|/ld-(musl|linux)[^/]*\.so[^/]*$"
    r"|/nvidia_cuda_runtime[^/]*\.dist-info(/METADATA)?$|/conda-meta/(cudatoolkit|cuda-cudart|cuda-version)-[^/]+\.json$"
)


class Node(NamedTuple):
    """A file or link that is kept: ``data`` None where only its name tells; ``target`` of a link or hard link.

    ``found``: what a reader of its content made of it, None where none did.
    """

    kind: str
    size: int
    target: str = ""
    data: bytes | None = None
    found: Any = None


# What is kept of an entry, by its path: a reader takes as much of its data from the stream as it wants.
Keep = Callable[[str, Member, Stream, Budget], "Node | None"]


class Layer:
    """What one layer says. Paths begin with "/"; hashes stand for the paths of what is not kept."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.files: set[int] = set()
        self.dirs: set[int] = set()
        self.removed: list[str] = []
        self.emptied: list[str] = []


def scan(stream: Stream, budget: Budget, what: str, keep: Keep | None = None) -> Layer:
    """Read one layer's tar; ImageError where it is damaged, or larger than the budget.

    ``keep``: by default what contents.py and environment.py read.
    """
    layer = Layer()
    for member in members(stream, budget, what):
        path = _path(member.name)
        if path is None:
            continue
        name = path.rpartition("/")[2]
        if name == OPAQUE:
            layer.emptied.append(path.rpartition("/")[0])
        elif name.startswith(WHITEOUT):
            layer.removed.append(_path(f"{path.rpartition('/')[0]}/{name[len(WHITEOUT) :]}") or "")
        elif member.kind == "dir":
            layer.nodes.pop(path, None)
            layer.dirs.add(hash(path))
        else:
            layer.files.add(hash(path))
            layer.nodes.pop(path, None)
            node = (keep or _node)(path, member, stream, budget)
            if node is not None:
                layer.nodes[path] = node
        if len(layer.nodes) + len(layer.removed) + len(layer.emptied) > MAX_KEPT:
            raise ImageError(f"{what} has more links than Preflight reads: it is damaged or hostile")
    return layer


def _path(name: str) -> str | None:
    """Return an entry's absolute path; None for the root itself, one of no interest for its depth, and a name that
    leaves the image ("../")."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or len(name) > MAX_NAME or len(parts) > MAX_DEPTH:
        return None
    return "/" + "/".join(parts)


def _node(path: str, member: Member, stream: Stream, budget: Budget) -> Node | None:
    """Return what is kept of an entry, None where it is of no interest."""
    if member.kind in ("link", "hard"):
        if len(member.target) > MAX_NAME:
            return None
        return Node(member.kind, 0, member.target)
    if member.kind != "file":
        return None
    if CONTENT.search(path):
        if member.size > MAX_CONTENT or not member.plain:
            return Node("file", member.size)
        budget.keep(member.size)
        return Node("file", member.size, data=stream.exactly(member.size))
    return Node("file", member.size) if NAMES.search(path) else None


class Tree:
    """Layers merged; a `virtual.Store` of what was kept."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._children: dict[str, set[str]] | None = None
        self._reals: dict[str, str] = {}  # directories with links resolved, as long as none of _walked changes
        self._walked: set[str] = set()
        self._looks = 0

    def add(self, layer: Layer) -> None:
        """Put a layer on top of those that were added before; ImageError where that takes more than MAX_LOOKS."""
        self._children = None
        self._forget()
        removed = {self._real(path) for path in layer.removed}
        emptied = {self._real(path) for path in layer.emptied}
        hides = {"": bool(emptied & {"", "/"})}  # directory -> whether the layer hides all that was in it
        for path in list(self._nodes):
            gone = hash(path) in layer.dirs or hash(path) in layer.files or path in removed
            if gone or self._hides(path.rpartition("/")[0], layer, removed, emptied, hides):
                del self._nodes[path]
        self._forget()
        for path, node in layer.nodes.items():
            self._put(self._real(path), node)

    def _forget(self) -> None:
        self._reals.clear()
        self._walked.clear()

    def _look(self) -> None:
        self._looks += 1
        if self._looks > MAX_LOOKS:
            raise ImageError("its layers take more looks than Preflight makes: the image is damaged or hostile")

    def _hides(
        self, directory: str, layer: Layer, removed: set[str], emptied: set[str], known: dict[str, bool]
    ) -> bool:
        """Tell whether a layer hides what lay in a directory in the layers below it, at any depth."""
        self._look()
        below = []
        while directory not in known:
            self._look()
            below.append(directory)
            if directory in removed or directory in emptied or hash(directory) in layer.files:
                known[directory] = True
                break
            directory = directory.rpartition("/")[0]
        hidden = known[directory]
        known.update(dict.fromkeys(below, hidden))
        return hidden

    def _real(self, path: str) -> str:
        """Return a path with the links in front of its last part resolved, as a runtime unpacks it."""
        parent, _, name = path.rpartition("/")
        self._look()
        if parent not in self._reals:
            self._reals[parent] = (walk(parent, self._link, lenient=True) or "/").rstrip("/")
        return f"{self._reals[parent]}/{name}" if name else "/"

    def _link(self, path: str) -> Entry | None:
        self._look()
        self._walked.add(path)
        node = self._nodes.get(path)
        return Entry("link", 0, node.target) if node is not None and node.kind == "link" else None

    def _put(self, path: str, node: Node) -> None:
        if path in self._walked:
            self._forget()
        if node.kind != "hard":
            self._nodes[path] = node
            return
        origin = _path(node.target)
        found = self._nodes.get(self._real(origin)) if origin else None
        if found is not None:
            self._nodes[path] = found
        elif CONTENT.search(path) or NAMES.search(path):
            self._nodes[path] = Node("file", 0)

    def nodes(self) -> Iterator[tuple[str, Node]]:
        """Yield what is kept, by its path, sorted."""
        yield from sorted(self._nodes.items(), key=lambda one: one[0])

    def entry(self, path: str) -> Entry | None:
        """Return what ``path`` is, links not followed; a directory is there where something kept lies in it."""
        node = self._nodes.get(path)
        if node is not None:
            return Entry(node.kind, node.size, node.target)
        return Entry("dir") if path == "/" or path in self._directories() else None

    def listing(self, path: str) -> list[str]:
        """Return the kept names in a directory."""
        return list(self._directories().get("" if path == "/" else path, ()))

    def content(self, path: str, limit: int) -> bytes:
        """Return a kept file's bytes; OSError where it was too large to keep, or larger than ``limit``."""
        node = self._nodes.get(path)
        if node is None or node.data is None:
            raise OSError(errno.EFBIG, "its content was not kept", path)
        if len(node.data) > limit:
            raise OSError(errno.EFBIG, f"larger than {limit} bytes", path)
        return node.data

    def _directories(self) -> dict[str, set[str]]:
        if self._children is None:
            self._children = {}
            for path in self._nodes:
                parent, _, name = path.rpartition("/")
                known = False
                while not known:
                    known = parent in self._children
                    self._children.setdefault(parent, set()).add(name)
                    if not parent:
                        break
                    parent, _, name = parent.rpartition("/")
        return self._children
