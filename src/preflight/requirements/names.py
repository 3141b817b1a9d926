"""The names a requirement may use: one row each, from which help, evaluation, publishing and the docs come."""

from __future__ import annotations

from preflight.catalog import families
from preflight.facts.container import PROGRAMS, RUNTIMES
from preflight.requirements import cuda, judges, mig, modules
from preflight.requirements.kinds import Capability, Count, Flag, Size, Version
from preflight.requirements.kinds_of_names import AliasedName, Name, OneOf, PathName, TokenName
from preflight.requirements.modules import ModuleName
from preflight.requirements.row import Row
from preflight.requirements.systems import SYSTEM_ROWS, distribution_row

_MACHINES = {"amd64": "x86_64", "x86-64": "x86_64", "arm64": "aarch64"}

_VERSION = Version()
_COUNT = Count()
_FLAG = Flag()
_BINARY = Size(1024)
_DECIMAL = Size(1000)

_OTHER_NODE = "choose nodes that fit, another partition for example, or relax this clause"
_OTHER_GPU = "ask for another GPU type or partition, or relax this clause; a job without GPUs needs --gpus"


def _machine(name: str) -> str:
    return _MACHINES.get(name, name)


def _node(name: str, kind: Version | Size | Count, fact: str, noun: str, help: str, example: str, **more: str) -> Row:
    """Return the row of a single value of the node that has an order."""
    key = name.replace(".", "_")
    return Row(
        name,
        kind,
        fact,
        judges.one,
        "node",
        "one",
        key,
        f"{key}_",
        help,
        example,
        noun,
        more.get("absent", f"no {noun}"),
        (more["words"],),
        more.get("remedy", _OTHER_NODE),
    )


def _gpu(name: str, kind: Version | Size | TokenName | Flag, attribute: str, noun: str, help: str, *words: str) -> Row:
    """Return the row of an attribute that every GPU considered must have."""
    key = name.replace(".", "_")
    example = {"gpu": "gpu=h100", "gpu.memory": "gpu.memory>=80G", "gpu.arch": "gpu.arch>=9.0"}.get(name, name)
    return Row(
        name,
        kind,
        f"gpus.{attribute}",
        judges.every_gpu,
        "gpu",
        "all",
        key,
        f"{key}_",
        help,
        example,
        noun,
        "no GPU",
        words,
        _OTHER_GPU,
    )


def _mig(name: str, kind: Count | mig.Profiles, key: str, help: str, example: str, *words: str) -> Row:
    """Return the row of a number of MIG devices."""
    return Row(
        name,
        kind,
        "gpus.mig_devices",
        mig.judge,
        "gpu",
        "one",
        key,
        f"gpu_{key.removesuffix('_')}_",
        help,
        example,
        "MIG devices",
        "no MIG device",
        words,
        "ask Slurm for a MIG device of that profile (--gres=gpu:3g.40gb:1), or relax this clause",
    )


def _set(
    name: str, kind: Version | Name, fact: str, noun: str, help: str, example: str, remedy: str, *words: str
) -> Row:
    """Return the row of something that a node has several of; a set has no single Extra value."""
    return Row(
        name,
        kind,
        fact,
        judges.any_of,
        "node",
        "any",
        None,
        f"{name}_",
        help,
        example,
        noun,
        f"no {noun}",
        words,
        remedy,
    )


_NODE = (
    _node("kernel", Version(".-"), "kernel.release", "kernel", "kernel release", "kernel>=5.14", words="the kernel"),
    _node(
        "glibc",
        _VERSION,
        "libc.glibc",
        "glibc",
        "version of the GNU C library; does not hold on musl",
        "glibc>=2.34",
        words="the GNU C library",
        remedy="build on an older system or run in a container; or choose nodes with a newer system",
    ),
    Row(
        "arch",
        AliasedName(_machine),
        "arch.machine",
        judges.one,
        "node",
        "one",
        "arch",
        "arch_",
        "machine architecture, as uname -m says it; amd64 and arm64 are understood",
        "arch=x86_64",
        "architecture",
        "no architecture",
        ("the machine is {}", "the machine is not {}"),
        _OTHER_NODE,
    ),
    _node(
        "driver",
        _VERSION,
        "driver.version",
        "driver",
        "version of the NVIDIA driver",
        "driver>=550.54",
        words="the NVIDIA driver",
        absent="no NVIDIA driver",
    ),
    Row(
        "cuda",
        _VERSION,
        "driver.cuda",
        cuda.judge,
        "node",
        "one",
        "cuda",
        "cuda_",
        "with >=, = and ~=: a program built with that CUDA runs here; with the others: the driver's own CUDA version",
        "cuda>=12.4",
        "CUDA",
        "no NVIDIA driver",
        ("the driver's own CUDA version",),
        "build with an older CUDA, or choose nodes with a newer driver",
        also=("gpus", "toolkits"),
    ),
    Row(
        "driver.cuda",
        _VERSION,
        "driver.cuda",
        cuda.own_version,
        "node",
        "one",
        "cuda",
        "cuda_",
        "the driver's own CUDA version, no compatibility: what enroot, pyxis and Docker compare (NVIDIA_REQUIRE_CUDA)",
        "driver.cuda>=12.4",
        "CUDA",
        "no NVIDIA driver",
        ("the driver's own CUDA version",),
        "choose nodes with a newer driver, or an image that asks for an older CUDA",
    ),
    _set(
        "toolkit",
        _VERSION,
        "toolkits.versions",
        "CUDA toolkit",
        "version of a CUDA toolkit with nvcc on the node",
        "toolkit>=12.4",
        "load a module or use a container that brings the toolkit, or choose nodes that have it",
        "a CUDA toolkit with nvcc is on the node, and its version",
    ),
)

_GPUS = (
    _gpu(
        "gpu",
        TokenName(),
        "name",
        "name",
        "words of the name of every GPU, whole: a10 does not match A100",
        "every GPU is a {}",
        "no GPU is a {}",
    )._replace(judge=mig.name),
    Row(
        "gpu.count",
        _COUNT,
        "gpus.count",
        judges.gpu_count,
        "gpu",
        "one",
        "gpu_count",
        "gpu_count_",
        "number of GPUs",
        "gpu.count>=4",
        "GPUs",
        "no GPU",
        ("the number of GPUs",),
        _OTHER_GPU,
    ),
    _gpu(
        "gpu.memory",
        _DECIMAL,
        "memory",
        "memory",
        "memory of every GPU, decimal as vendors sell it: 80G is 80 000 000 000 bytes",
        "the memory of every GPU",
    ),
    _gpu(
        "gpu.arch",
        Capability(),
        "compute_capability",
        "compute capability",
        "compute capability of every GPU",
        "the compute capability of every GPU",
    ),
    _gpu(
        "nvlink",
        _FLAG,
        "nvlink",
        "NVLink",
        "every GPU has an active NVLink",
        "every GPU has an active NVLink",
        "no GPU has an active NVLink",
    ),
    _gpu("ecc", _FLAG, "ecc", "ECC", "ECC is on for every GPU", "ECC is on for every GPU", "ECC is off for every GPU"),
    _gpu("mig", _FLAG, "mig", "MIG", "MIG is on for every GPU", "MIG is on for every GPU", "MIG is off for every GPU"),
    _mig(
        "mig.count",
        _COUNT,
        "mig_count",
        "number of MIG devices",
        "mig.count>=7",
        "the number of MIG devices",
    ),
    _mig(
        "mig.profile",
        mig.Profiles(),
        "mig_",  # and the profile
        "number of MIG devices of a profile: 1g.5gb:7 is seven; without a number, any at all",
        "mig.profile=1g.5gb:7",
        "the number of MIG devices of profile {}",
        "a MIG device has profile {}",
        "no MIG device has profile {}",
    ),
)


def _free(name: str, noun: str, where: str, example: str) -> Row:
    """Return the row of free space: it changes from hour to hour, so it is verified but never published."""
    row = _node(name, _BINARY, f"{name}.free", noun, f"free space {where}", example, words=f"free space {where}")
    return row._replace(extra=None, feature=None, consumable=True)


_CAPACITY = (
    _node("memory", _BINARY, "memory.total", "memory", "the node's memory in all", "memory>=256G", words="the memory"),
    _node("cpus", _COUNT, "cpu.count", "cpus", "the node's CPUs in all", "cpus>=64", words="the number of CPUs"),
    _free("tmp", "free tmp", "for temporary files", "tmp>=100G"),
    _free("shm", "free shm", "in /dev/shm", "shm>=16G"),
)

_SERVICES = (
    _set(
        "mount",
        PathName(),
        "mounts.paths",
        "mount",
        "a file system is mounted there",
        "mount=/scratch",
        "choose nodes that mount it, or use another file system",
        "{} is mounted",
        "{} is not mounted",
    )._replace(judge=judges.mounted, also=("remote",)),
    _set(
        "module",
        ModuleName(),
        "modules.names",
        "module",
        "an environment module that 'module load' finds: NAME, NAME/VERSION (or its first parts), NAME/default",
        "module=cuda/12.4",
        "see 'module avail' for what there is, or choose nodes that have it",
        "module {} is available",
        "module {} is not available",
    )._replace(judge=modules.judge),
    _set(
        "container",
        OneOf(RUNTIMES, {program: name for name, program in PROGRAMS.items()}),
        "container.runtimes",
        "container runtime",
        f"a container runtime: {', '.join(RUNTIMES[:-1])} or {RUNTIMES[-1]}",
        "container=enroot",
        "choose nodes that have it, or use a runtime that this node has",
        "container runtime {} is installed",
        "container runtime {} is not installed",
    ),
    Row(
        "ib",
        _FLAG,
        "ib.rate",
        judges.one,
        "node",
        "any",
        "ib",
        "ib",
        "an InfiniBand port is active",
        "ib",
        "InfiniBand rate",
        "no active InfiniBand port",
        ("an InfiniBand port is active", "no InfiniBand port is active"),
        _OTHER_NODE,
    ),
    _node(
        "ib.rate",
        _COUNT,
        "ib.rate",
        "InfiniBand rate",
        "rate of the fastest active InfiniBand port, in Gb/s",
        "ib.rate>=400",
        words="the rate of the fastest InfiniBand port in Gb/s",
        absent="no active InfiniBand port",
    ),
)

_FIXED = SYSTEM_ROWS + _NODE + _GPUS + _CAPACITY + _SERVICES
_TAKEN = frozenset(row.name for row in _FIXED)

# Arch Linux's ID is taken by the machine's architecture: os=arch asks for the distribution.
DISTRIBUTION_ROWS = tuple(distribution_row(one) for one in families.DISTRIBUTIONS if one.id not in _TAKEN)

ROWS = SYSTEM_ROWS + DISTRIBUTION_ROWS + _NODE + _GPUS + _CAPACITY + _SERVICES

_BY_NAME = {row.name: row for row in ROWS} | {
    alias: row for row in DISTRIBUTION_ROWS for alias in families.aliases(row.name)
}


def find(name: str) -> Row | None:
    """Return the row of a name or of another name for a distribution (oracle for ol), or None."""
    return _BY_NAME.get(name)


# What people call a thing otherwise. A name that is not here gets a hint only for a slip of the keyboard.
_CALLED = {
    **dict.fromkeys(("vram", "gpumem", "gpu.mem", "gpu.ram", "gpu.vram"), "gpu.memory"),
    **dict.fromkeys(("gpus", "ngpus", "num.gpus", "gpu.num"), "gpu.count"),
    **dict.fromkeys(("mem", "ram"), "memory"),
    **dict.fromkeys(("cpu", "core", "cores", "ncpus"), "cpus"),
    **dict.fromkeys(("nvidia", "nvidia.driver", "nvidia-driver"), "driver"),
    **dict.fromkeys(("compute.capability", "cc", "sm", "gpu.cc"), "gpu.arch"),
    **dict.fromkeys(("gpu.name", "gpu.type", "gpu.model"), "gpu"),
    **dict.fromkeys(("nvcc", "cuda.toolkit", "cuda-toolkit"), "toolkit"),
    **dict.fromkeys(("distro", "distribution"), "os"),
    **dict.fromkeys(("modules", "lmod"), "module"),
    "infiniband": "ib",
}


def nearest(name: str) -> str | None:
    """Return the name that a mistaken one surely means, or None: no hint is better than a wrong one."""
    folded = name.casefold().replace("_", ".")[:40]
    if folded in _BY_NAME:
        return folded
    if folded in _CALLED:
        return _CALLED[folded]
    plain = folded.removesuffix("version").removesuffix(".")
    if plain != folded and plain in _BY_NAME:
        return plain
    close = [one for one in _BY_NAME if len(folded) > 3 and _slipped(folded, one)]
    return close[0] if len(close) == 1 else None


def _slipped(typed: str, meant: str) -> bool:
    """Tell whether one letter more, less or other, or two that changed places, make the one of the other."""
    if abs(len(typed) - len(meant)) > 1:
        return False
    pairs = enumerate(zip(typed, meant, strict=False))
    at = next((place for place, (one, other) in pairs if one != other), min(len(typed), len(meant)))
    left, right = typed[at:], meant[at:]
    swapped = left[:2] == right[1::-1] and left[2:] == right[2:]
    return swapped or left[1:] == right[1:] or left[1:] == right or left == right[1:]
