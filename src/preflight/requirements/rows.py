"""The rows of requirement names: one each, from which help, evaluation, publishing and the docs come."""

from __future__ import annotations

from preflight.catalog import families
from preflight.facts.container import PROGRAMS, RUNTIMES
from preflight.requirements import cuda, installed, judges, modules
from preflight.requirements.gpu_rows import GPU_ROWS
from preflight.requirements.kinds import Count, Flag, Size, Version
from preflight.requirements.kinds_of_names import Name, OneOf, PathName
from preflight.requirements.modules import ModuleName
from preflight.requirements.row import Row
from preflight.requirements.systems import SYSTEM_ROWS, distribution_row

_MACHINES = {"amd64": "x86_64", "x86-64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}
# What uname -m says on Linux, of machines that Slurm runs on. Source: arch/*/ of the kernel (UTS_MACHINE).
_KNOWN = (
    *("x86_64", "aarch64", "ppc64le", "ppc64", "s390x", "riscv64", "loongarch64", "i686", "i586", "i386"),
    *("armv7l", "armv6l", "armv8l", "riscv32", "mips64", "sparc64", "alpha"),
)

_CUDA = Version(most=99)
_COUNT = Count()
_FLAG = Flag()
_BINARY = Size(1024)

_OTHER_NODE = "choose nodes that fit, another partition for example, or relax this clause"


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
    _node(
        "kernel",
        Version(".-", 99, "5.14"),
        "kernel.release",
        "kernel",
        "kernel release",
        "kernel>=5.14",
        words="the kernel",
    ),
    _node(
        "glibc",
        Version(most=9, example="2.34"),
        "libc.glibc",
        "glibc",
        "version of the GNU C library; does not hold on musl",
        "glibc>=2.34",
        words="the GNU C library",
        remedy="build on an older system or run in a container; or choose nodes with a newer system",
    ),
    _node(
        "glibcxx",
        Version(most=9, example="3.4.30"),
        "libstdcxx.glibcxx",
        "GLIBCXX",
        "GLIBCXX version of the system's libstdc++; not of one that a module or an environment brings",
        "glibcxx>=3.4.30",
        words="the system's libstdc++ (GLIBCXX)",
        absent="no libstdc++",
        remedy="use an environment, a gcc module or a container that brings libstdc++; or choose newer nodes",
    )._replace(feature=None),
    Row(
        "arch",
        OneOf(_KNOWN, _MACHINES),
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
        Version(most=9999, example="550.54"),
        "driver.version",
        "driver",
        "version of the NVIDIA driver",
        "driver>=550.54",
        words="the NVIDIA driver",
        absent="no NVIDIA driver",
    ),
    Row(
        "cuda",
        _CUDA,
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
        _CUDA,
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
        _CUDA,
        "toolkits.versions",
        "CUDA toolkit",
        "version of a CUDA toolkit with nvcc on the node",
        "toolkit>=12.4",
        "load a module or use a container that brings the toolkit, or choose nodes that have it",
        "a CUDA toolkit with nvcc is on the node, and its version",
    ),
)


def _installed(name: str, most: int, fact: str, noun: str, help: str, example: str, remedy: str) -> Row:
    """Return the row of something that may be there in several versions, of which Slurm is told the highest."""
    return Row(
        name,
        Version(most=most, example=example.rpartition("=")[2] if "." in example else "9.1"),
        fact,
        installed.judge,
        "node",
        "any",
        name,
        f"{name}_",
        help,
        example,
        noun,
        f"no {noun}",
        (f"{noun} is on the node, and its version",),
        remedy,
        also=("modules",),
    )


_BY_MODULE = "load a module or use an environment or a container that brings it, or choose nodes that have it"
_INSTALLED = (
    _installed(
        "python",
        9,
        "python.versions",
        "Python",
        "version of a python3 in /usr/bin or /usr/local/bin, or of a module python",
        "python>=3.11",
        _BY_MODULE,
    ),
    _installed(
        "cudnn",
        49,
        "libraries.cudnn",
        "cuDNN",
        "version of cuDNN on the node, by its library or header or a module cudnn; not of what an image brings",
        "cudnn>=9",
        _BY_MODULE,
    ),
    _installed(
        "nccl",
        19,
        "libraries.nccl",
        "NCCL",
        "version of NCCL on the node, by its library or header or a module nccl; not of what an image brings",
        "nccl>=2.20",
        _BY_MODULE,
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

_FIXED = SYSTEM_ROWS + _NODE + _INSTALLED + GPU_ROWS + _CAPACITY + _SERVICES
_TAKEN = frozenset(row.name for row in _FIXED)

# Arch Linux's ID is taken by the machine's architecture: os=arch asks for the distribution.
DISTRIBUTION_ROWS = tuple(distribution_row(one) for one in families.DISTRIBUTIONS if one.id not in _TAKEN)

ROWS = SYSTEM_ROWS + DISTRIBUTION_ROWS + _NODE + _INSTALLED + GPU_ROWS + _CAPACITY + _SERVICES
