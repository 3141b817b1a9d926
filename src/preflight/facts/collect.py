"""Collecting the facts that are asked for.

What can hang is read in probe children, started first; the rest is read here meanwhile. `begin` and `Collection.finish`
are apart so that a hook can do other work between them.
"""

from __future__ import annotations

import time

from preflight.facts.answer import NOT_LIVE, Answer, explain, unknown
from preflight.facts.document import FactsDocument
from preflight.facts.isolate import Channel, Outcome, wait
from preflight.facts.probe import Probe
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

LOCAL = ("os", "kernel", "arch", "libc", "cpu", "memory", "tmp", "shm", "mounts", "pci")
FILES = ("ib", "container", "toolkits", "install", "modules", "remote")
SUBJECTS = (*LOCAL, "driver", "gpus", *FILES)
PREFIXES = ("/usr/local/cuda*",)
TMP, SHM = "/tmp", "/dev/shm"


def collect(
    subjects: Iterable[str] = SUBJECTS,
    *,
    root: str = "/",
    live: bool = True,
    cuda_prefixes: Iterable[str] = PREFIXES,
    nvml_library: str = "",
    module_paths: Iterable[str] = (),
    cache_dir: str | None = None,
    run_dir: str | None = None,
    deadline_s: float = 8.0,
    node: str = "",
) -> FactsDocument:
    """Return the facts of ``subjects`` ("gpus", or a path such as "driver.module"), within ``deadline_s`` seconds.

    Without a ``run_dir`` NVML gets as long again, where it has not answered: one run has to show whether it hangs.

    ``root``, ``live``: where files are read, and whether this machine's live sources count (NVML, uname, statvfs,
    /proc where the root has none). ``cuda_prefixes``: globs of toolkit directories. ``nvml_library``: path of
    libnvidia-ml.so.1. ``module_paths``: directories of modulefiles. ``cache_dir``: root-only directory for static
    facts, ``run_dir``: the same for the record of a probe that hangs for good; None does without. Never raises for
    what a node's files hold: that is unknown, with its reason. An unknown subject raises ValueError.
    """
    deadline = time.monotonic() + deadline_s
    started = begin(
        subjects,
        root=root,
        live=live,
        cuda_prefixes=cuda_prefixes,
        nvml_library=nvml_library,
        module_paths=module_paths,
        cache_dir=cache_dir,
        run_dir=run_dir,
        deadline_s=deadline_s if run_dir else 2 * deadline_s,
        node=node,
    )
    return started.finish(deadline, deadline_s if run_dir is None else 0.0)


class Collection:
    """Facts being collected: the probe children run, the local facts are read."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.collected = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.answers: dict[str, Answer] = {}
        self.timings: dict[str, float] = {}
        self.nvml: Probe | None = None
        self.files: Probe | None = None
        self.plan: Any = None
        self.wants: tuple[str, ...] = ()
        self.module = Answer({})

    def finish(self, deadline: float, longer_s: float = 0.0) -> FactsDocument:
        """Return the document, with what the children told by ``deadline`` (time.monotonic seconds).

        ``longer_s``: seconds more for NVML, where it has not answered by then and nothing shows that it hangs. Without
        a runtime directory they are a second look: what is in the same call after them hangs.
        """
        probes = [probe for probe in (self.files, self.nvml) if probe is not None]
        for probe in probes:
            probe.settle_earlier(deadline)
        wait([probe.child for probe in probes if probe.child], deadline)
        if longer_s and self.nvml is not None:
            self.nvml.wait_longer(deadline + longer_s)
        for probe in probes:
            probe.conclude()
        if self.files is not None:
            from preflight.facts.files_probe import merge

            answers, timings = merge(self.files.outcome, self.plan)
            self.answers.update(answers)
            self.timings.update(timings)
        if self.nvml is not None:
            self._merge_gpus(self.nvml.outcome)
        facts: dict[str, dict[str, Any]] = {}
        reasons: dict[str, str] = {}
        for subject in self.wants:
            answer = self.answers[subject]
            if answer.values or not answer.unknown:
                facts[subject] = answer.values
            for key, reason in answer.unknown.items():
                reasons[f"{subject}.{key}" if key else subject] = reason
        return FactsDocument(self.node, self.collected, facts, reasons, self.timings)

    def _merge_gpus(self, outcome: Outcome) -> None:
        from preflight.facts.gpu_merge import Told, driver, gpus

        told = Told(outcome)
        self.timings.update(told.timings)
        if "driver" in self.wants:
            self.answers["driver"] = driver(told, self.module)
        if "gpus" in self.wants:
            self.answers["gpus"] = gpus(told)


def begin(
    subjects: Iterable[str] = SUBJECTS,
    *,
    root: str = "/",
    live: bool = True,
    cuda_prefixes: Iterable[str] = PREFIXES,
    nvml_library: str = "",
    module_paths: Iterable[str] = (),
    cache_dir: str | None = None,
    run_dir: str | None = None,
    deadline_s: float = 8.0,
    node: str = "",
    nvml: Probe | None = None,
) -> Collection:
    """Start the probe children, read the local facts and return; parameters as `collect`.

    ``deadline_s`` only bounds how long a child outlives a parent that never calls `Collection.finish`. ``nvml``: a
    probe that `begin_nvml` started before, to be used instead of starting one.
    """
    asked = tuple(subjects)
    wants = tuple(subject for subject in SUBJECTS if any(path.split(".")[0] == subject for path in asked))
    strange = next((path for path in asked if path.split(".")[0] not in SUBJECTS), None)
    if strange is not None:
        raise ValueError(f"no subject of facts is named {strange!r}: one of {', '.join(SUBJECTS)}")
    collection = Collection(node)
    collection.wants = wants
    here = Root(root, live or root == "/")
    if "gpus" in wants or any(path == "driver" or path.startswith("driver.") for path in asked):

        def start_nvml(devices: bool) -> Probe:
            return begin_nvml(here, nvml_library, run_dir, deadline_s, devices)

        _begin_gpus(collection, here, asked, nvml or start_nvml)
    files = tuple(subject for subject in FILES if subject in wants)
    if files:
        from preflight.facts import files_probe

        plan = files_probe.Plan(files, here.path, here.live, tuple(cuda_prefixes), tuple(module_paths), cache_dir)
        collection.plan = plan
        collection.files = Probe("files", lambda channel: files_probe.probe(channel, plan), run_dir, deadline_s)
    for subject in LOCAL:
        if subject in wants:
            _time(collection, subject, lambda subject=subject: _local(subject, here, cache_dir))  # type: ignore[misc]
    return collection


def begin_nvml(root: Root, library: str, run_dir: str | None, deadline_s: float, devices: bool = True) -> Probe:
    """Start the NVML child ahead of everything else: importing pynvml there takes as long as the parent's imports."""

    def child(channel: Channel) -> None:
        from preflight.facts.gpu import probe

        probe(channel, library, devices, root)

    return Probe("nvml", child, run_dir, deadline_s, lasting=run_dir is not None)


def _begin_gpus(
    collection: Collection, root: Root, asked: tuple[str, ...], started: Probe | Callable[[bool], Probe]
) -> None:
    """Have the NVML child run where NVML is asked for and live; read the kernel module's version meanwhile."""
    devices = "gpus" in collection.wants
    nvml = devices or any(path in ("driver", "driver.version", "driver.cuda", "driver.nvml") for path in asked)
    if nvml and root.live:
        collection.nvml = started if isinstance(started, Probe) else started(devices)
    from preflight.facts.driver import read

    collection.module = read(root)
    if nvml and root.live:
        return
    reason = "was not asked for" if root.live else NOT_LIVE
    why = dict.fromkeys(("version", "cuda", "nvml"), reason)
    collection.answers["driver"] = Answer(collection.module.values, {**why, **collection.module.unknown})
    collection.answers["gpus"] = unknown(NOT_LIVE)


def _time(collection: Collection, subject: str, read: Callable[[], Answer]) -> None:
    began = time.monotonic()
    try:
        collection.answers[subject] = read()
    except OSError as error:
        collection.answers[subject] = unknown(explain(error))
    collection.timings[subject] = round((time.monotonic() - began) * 1000, 1)


def _local(subject: str, root: Root, cache_dir: str | None) -> Answer:
    """Read one local subject; each imports its module only when it is asked for."""
    if subject == "os":
        from preflight.facts.cache import cached

        return cached(cache_dir, "os", root, [], _read_os)
    if subject == "libc":
        from preflight.facts import libc
        from preflight.facts.cache import cached

        return libc.read(root) if root.own else cached(cache_dir, "libc", root, [], libc.read)
    if subject in ("kernel", "arch"):
        from preflight.facts import kernel
        from preflight.facts.cache import cached

        if subject == "kernel":
            return kernel.read(root)
        return kernel.read_arch(root) if root.own else cached(cache_dir, "arch", root, [], kernel.read_arch)
    if subject == "cpu":
        from preflight.facts import cpu

        return cpu.read(root)
    if subject == "pci":
        from preflight.facts import pci

        return pci.read(root)
    if subject == "mounts":
        from preflight.facts import mounts

        return mounts.read(root)
    from preflight.facts import memory

    return memory.read(root) if subject == "memory" else memory.read_space(root, TMP if subject == "tmp" else SHM)


def _read_os(root: Root) -> Answer:
    from preflight.facts.os import read

    return read(root)
