"""How a check is declared. A module of this package that declares checks needs no other line anywhere."""

from __future__ import annotations

import os

from preflight.checks.finding import Finding, passed, skipped, untold
from preflight.facts.view import Facts, Unknown, View, attribute
from preflight.policy.model import Policy
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from preflight.requirements.grammar import Requirement


PHASES = ("prolog", "epilog", "health")
ENVIRONMENT = "environment"  # the source of what a job's environment was found to need, and which one
FRAMEWORK = ("__init__.py", "finding.py", "names.py", "registry.py", "row.py", "run.py")


class SourcedRequirement(NamedTuple):
    """A requirement and where it comes from: "--require", "comment" (the job's) or "policy" (the site's).

    "environment ID": the summary of the job's environment, which asks nothing by itself.
    """

    requirement: Requirement
    source: str

    @property
    def blame(self) -> str:
        """Return who is at fault where it does not hold."""
        return "node" if self.source == "policy" else "job"

    @property
    def stated(self) -> bool:
        """Return whether somebody asked for it, the job or the site."""
        return not self.source.startswith(ENVIRONMENT)


class JobGpus(NamedTuple):
    """The GPUs Slurm gave the job: positions in the devices list, what of them is missing, or why neither is known.

    ``slices``: its MIG devices, each (position in the devices list, position in that GPU's ``mig_devices``).
    ``other``: the device file of a GPU that is another vendor's; none of the job's is NVIDIA's then.
    ``job``: the job's number, 0 where there is none. ``shared``: other jobs may have the same GPUs (shards, MPS).
    """

    positions: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()
    problem: str = ""
    slices: tuple[tuple[int, int], ...] = ()
    other: str = ""
    job: int = 0
    shared: bool = False

    @property
    def some(self) -> bool:
        """Return whether the job has an NVIDIA GPU at all."""
        return bool(self.positions or self.slices or self.missing or self.problem)

    def has(self, position: int) -> bool:
        """Return whether the GPU at ``position`` is the job's, whole or a MIG device of it."""
        return position in self.positions or any(at == position for at, _ in self.slices)

    def label(self, position: int, device: dict[str, Any]) -> str:
        """Return "GPU 3 MIG 3g.40gb, 1g.10gb": the job's MIG devices on ``device``, the GPU at ``position``."""
        listed = device.get("mig_devices") or []
        places = [place for at, place in self.slices if at == position]
        profiles = [str((listed[place].get("profile") if place < len(listed) else None) or "?") for place in places]
        return f"GPU {device.get('index', '?')} MIG {', '.join(profiles)}"


class Expected(NamedTuple):
    """The GPUs that Slurm's configuration gives the node.

    ``total``: how many of NVIDIA's. ``missing``: device files of those that NVML does not list. ``short``: how many
    more are missing, of which no file is known (AutoDetect). ``problem``: why that cannot be told. ``other``: a
    device file where they are another vendor's.
    """

    total: int = 0
    missing: tuple[str, ...] = ()
    short: int = 0
    problem: str = ""
    other: str = ""


class Configured(NamedTuple):
    """What slurm.conf gives the node, 0 for what it leaves out; ``problem``: why that is not known.

    ``sockets`` of the node, ``cores`` of a socket, ``threads`` of a core; ``cpus``: what Slurm counts as its CPUs.
    """

    memory_mib: int = 0
    sockets: int = 0
    cores: int = 0
    threads: int = 0
    cpus: int = 0
    problem: str = ""


class JobEnd(NamedTuple):
    """How a job ended here, ``ago_s`` seconds ago: whose it was, and whether it failed."""

    ago_s: float
    job: int
    uid: int
    failed: bool


class Earlier(NamedTuple):
    """The GPUs as the last epilog or health check of this boot found them, ``ago_s`` seconds ago: {UUID: counters}."""

    ago_s: float = 0.0
    gpus: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - a NamedTuple default, never written


class Context(NamedTuple):
    """All that a check may read. ``gpus`` None: no job, the whole node is judged.

    ``expected``: the GPUs that Slurm's configuration gives the node, where the whole node is judged. ``broken``: (text,
    source, why) of requirements that cannot be read. ``before``: the facts of the job's prolog, in its epilog.
    ``today``: the day ("2026-11-24") on which something is supported or not. ``clock_jump_s``: seconds by which the
    wall clock jumped, as the health check saw it. ``flaps``: "check|subject" -> how often it began to fail in a day.
    ``ran_s``: seconds since the job's prolog, in its epilog. ``earlier``: the GPUs' counters when they were last looked
    at. ``samples``: the host's counters over time, "KIND NAME" -> (seconds ago, value), oldest first.
    ``configured``: what slurm.conf gives the node, None where it was not asked. ``ends``: how the last jobs ended here.
    ``last_boot``: the GPUs as the last boot left them, each its uuid, serial, bus_id …, None where not known.
    ``held``: (what they read, how many, when they were judged) of expectations that held and that nothing has changed.
    """

    phase: str
    node: View
    job: View
    policy: Policy
    asked: tuple[SourcedRequirement, ...] = ()
    gpus: JobGpus | None = None
    expected: Expected = Expected()
    broken: tuple[tuple[str, str, str], ...] = ()
    before: Facts | None = None
    today: str = ""
    clock_jump_s: float = 0.0
    flaps: dict[str, int] = {}  # noqa: RUF012 - a NamedTuple default, never written
    ran_s: float | None = None
    earlier: Earlier = Earlier()
    samples: dict[str, list[tuple[float, int]]] = {}  # noqa: RUF012 - a NamedTuple default, never written
    configured: Configured | None = None
    ends: tuple[JobEnd, ...] = ()
    last_boot: list[dict[str, Any]] | None = None
    held: tuple[tuple[tuple[str, ...], int, str], ...] = ()

    def is_jobs(self, position: int) -> bool:
        """Return whether the GPU at ``position``, or a MIG device of it, is judged as the job's own."""
        return self.gpus is None or self.gpus.has(position)


class Check(NamedTuple):
    """A declared check. ``reads`` are fact subjects; ``unit`` is the limit's; ``device``: about GPUs.

    ``subject``, ``blame``, ``remedy`` and ``source`` are those of its findings that name no other. ``rows``: the
    kind of the policy's [[host]] rows that it judges, each by its own action; "" for a check that needs none.
    """

    name: str
    help: str
    phases: tuple[str, ...]
    reads: tuple[str, ...]
    action: str
    limit: float | None
    unit: str
    remedy: str
    device: bool
    subject: str
    blame: str
    source: str | None
    run: Callable[[Context, float | None], Iterable[Finding]]
    rows: str = ""


REGISTRY: dict[str, Check] = {}


def check(
    name: str,
    *,
    reads: tuple[str, ...],
    remedy: str,
    phases: tuple[str, ...] = PHASES,
    action: str = "drain",
    limit: float | None = None,
    unit: str = "",
    device: bool = False,
    subject: str = "node",
    blame: str = "node",
    source: str | None = None,
    rows: str = "",
) -> Callable[[Callable[..., Iterable[Finding]]], Callable[..., Iterable[Finding]]]:
    """Register ``function(context, limit) -> findings`` as the check ``name``; its docstring is the help.

    ``phases``, ``action`` and ``limit`` (in ``unit``) are the defaults, which the policy may change but for the phases.
    ``device``: it is about GPUs, and asks nothing of a job without any.
    """

    def register(function: Callable[..., Iterable[Finding]]) -> Callable[..., Iterable[Finding]]:
        text = (function.__doc__ or "").strip().split("\n")[0]
        REGISTRY[name] = Check(
            name, text, phases, reads, action, limit, unit, remedy, device, subject, blame, source, function, rows
        )
        return function

    return register


if TYPE_CHECKING:
    Judge = Callable[..., Finding | None]


def gpu_check(
    name: str,
    facts: str | tuple[str, ...],
    *,
    remedy: str,
    phases: tuple[str, ...] = PHASES,
    action: str = "drain",
    limit: float | None = None,
    unit: str = "",
    blame: str = "node",
    each: bool = False,
) -> Callable[[Judge], Callable[..., Iterable[Finding]]]:
    """Register ``function(value…, limit) -> Finding | None`` for attributes of each GPU; None passes.

    A GPU that lacks one of them (NotSupported) is skipped, as is one whose facts were recorded without it; one that
    does not report it is unknown; a GPU that does not answer at all is left to gpu.responds. A name with "?" behind it
    may be lacking: its value is None then. What is the same well for all GPUs of the node, or applies to none of them,
    is one finding about the node, unless ``each`` is asked for.
    """
    names = (facts,) if isinstance(facts, str) else facts

    def wrap(judge: Judge) -> Callable[..., Iterable[Finding]]:
        def run(context: Context, bound: float | None) -> Iterable[Finding]:
            devices = context.node.devices()
            if isinstance(devices, Unknown):
                return []
            found = [_of_attributes(device, names, judge, bound) for device in devices if "error" not in device]
            return found if each or len(found) < len(devices) else together(found)

        run.__doc__ = judge.__doc__
        check(
            name,
            reads=("gpus",),
            remedy=remedy,
            phases=phases,
            action=action,
            limit=limit,
            unit=unit,
            device=True,
            blame=blame,
            source="nvml",
        )(run)
        return run

    return wrap


def _of_attributes(device: dict[str, Any], names: tuple[str, ...], judge: Judge, limit: float | None) -> Finding:
    values: list[Any] = []
    for wanted in names:
        name = wanted.removesuffix("?")
        value = attribute(device, name)
        if name != wanted and (value is None or isinstance(value, Unknown)):
            values.append(None)
            continue
        if value is None or not (name in device or name in device.get("errors", {})):
            return of_gpu(device, skipped(f"{subject_of(device)} does not have this"))
        if isinstance(value, Unknown):
            return of_gpu(device, untold(f"{subject_of(device)} does not report this: {value.reason}"))
        values.append(value)
    found = judge(*values, limit)
    return of_gpu(device, found or passed(f"{subject_of(device)} is well", observed=values[0]))


def together(findings: list[Finding]) -> list[Finding]:
    """Return one finding about the node where several GPUs are all well, all without what is asked for, or silent.

    Silent: none reports it, and for one reason.
    """
    kinds = {finding.status for finding in findings}
    if len(findings) < 2 or len(kinds) > 1 or not kinds <= {"pass", "skip", "unknown"}:
        return findings
    if kinds == {"unknown"}:
        whys = {finding.message.removeprefix(f"{finding.subject} does not report this: ") for finding in findings}
        if len(whys) > 1 or findings[0].message in whys:
            return findings
        return [untold(f"none of the {len(findings)} GPUs reports this: {whys.pop()}", subject="node")]
    if kinds == {"skip"}:
        return [skipped(f"none of the {len(findings)} GPUs has this", subject="node")]
    return [passed(f"{len(findings)} GPUs are well", subject="node")]


GONE = ("GpuIsLost", "ResetRequired", "Timeout")


def untold_minor(device: dict[str, Any]) -> bool:
    """Return whether a GPU may be any of those that are looked for: it told no minor number, and is not gone itself."""
    return not isinstance(device.get("minor"), int) and device.get("error") not in GONE


def subject_of(device: dict[str, Any]) -> str:
    """Return a GPU's subject: "gpu3", by NVML's index."""
    return f"gpu{device.get('index', '?')}"


def of_gpu(device: dict[str, Any], finding: Finding) -> Finding:
    """Return the finding as one of this GPU; its message carries the bus id, which finds the board."""
    message = finding.message
    if finding.status in ("fail", "warn") and device.get("bus_id"):
        message = f"{message} ({device['bus_id']})"
    return finding._replace(subject=subject_of(device), message=message)


def every_check(prolog: bool = False, kinds: Iterable[str] | None = None) -> dict[str, Check]:
    """Return all checks by name, importing the modules that declare them: those beside this one, in health/, in host/.

    ``prolog``: only what stands beside this one, which is all that a prolog runs. ``kinds``: of those in host/ only
    these, which the policy has rows of; None: all.
    """
    here = os.path.dirname(__file__)
    for directory, package in ((here, __package__), (f"{here}/health", f"{__package__}.health")):
        if prolog and directory != here:
            break
        for file in sorted(os.listdir(directory)):
            if file.endswith(".py") and file not in FRAMEWORK:
                __import__(f"{package}.{file[:-3]}")
    if kinds is None:
        kinds = [file[:-3] for file in os.listdir(f"{here}/host") if file.endswith(".py") and file not in FRAMEWORK]
    for kind in sorted(kinds):
        __import__(f"{__package__}.host.{kind}")
    return REGISTRY
