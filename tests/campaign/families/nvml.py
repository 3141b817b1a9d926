"""The GPU driver's library: every error of every call, symbols that are missing, hangs, and hostile libraries."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from campaign.fault import Fault, NotHere
from campaign.world import HERE, World

FACTS = HERE.parents[1] / "src/preflight/facts"
# What NVML says of a GPU or driver that is broken: these may drain, and nothing else may.
BROKEN = {9: "DriverNotLoaded", 15: "GpuIsLost", 16: "ResetRequired", 18: "LibRmVersionMismatch"}
ODD = {
    1: "Uninitialized",
    2: "InvalidArgument",
    3: "NotSupported",
    4: "NoPermission",
    6: "NotFound",
    7: "InsufficientSize",
    8: "InsufficientPower",
    10: "Timeout",
    11: "IrqIssue",
    13: "FunctionNotFound",
    14: "CorruptedInforom",
    17: "OperatingSystem",
    19: "InUse",
    20: "Memory",
    23: "InsufficientResources",
    25: "ArgumentVersionMismatch",
    29: "GpuNotFound",
    999: "Unknown",
    255: "255",
    123456: "123456",
}
# They speak of the library, of who asks, or of memory: no GPU is at fault.
NOT_THE_GPU = (1, 2, 3, 4, 7, 13, 20, 23, 25)
SCENES = ("fit", "health", "epilog")
HOWS = (
    *("crash at load", "exit at load", "hang at load", "abort at init", "exit at init", "spin at init", "stop at init"),
    *("kill at init", "4 billion GPUs", "2 billion GPUs", "a million GPUs", "closes every descriptor"),
    *("writes to every descriptor", "blocks signals and hangs", "leaves no memory", "forks 20 that stay", "long texts"),
    *("texts without an end", "texts that are no UTF-8", "garbage", "crash at the name", "crash at the count"),
    *(
        "exit 0 at init",
        "switches the alarm off and hangs",
        "an unknown code",
        "leaves its session",
        "a stack overflow",
    ),
    "no symbols",
)
FALLEN = ("gpu.0.lost", "gpu.1.lost")


def calls() -> list[str]:
    """Return the functions that the facts call."""
    text = "".join(path.read_text() for path in sorted(FACTS.rglob("*.py")))
    return sorted({one for one in re.findall(r"\bnvml(?:Init|System|Device|Get)\w*", text) if not one.endswith("_t")})


def faults() -> Iterator[Fault]:
    """Every call with every error and a hang, each symbol missing; hostile libraries; torn ones."""
    for call in calls():
        first = call.startswith(("nvmlInit", "nvmlSystem", "nvmlDeviceGetCount"))
        for scene in SCENES:
            for code, name in {**BROKEN, **ODD}.items():
                for key in (f"ret.{call}",) if first else (f"gpu.1.ret.{call}", f"gpu.*.ret.{call}"):
                    said = f"{key} = {code} ({name})"
                    yield Fault("nvml", said, scene, partial(_answers, key=key, value=code), drains=_may(call, code))
            hang = partial(_answers, key=f"delay_ms.{call}", value=600_000)
            yield Fault("nvml", f"{call} hangs", scene, hang, drains=True, slow=True)
            yield Fault("nvml", f"{call} takes 1 s", scene, partial(_answers, key=f"delay_ms.{call}", value=1000))
            yield Fault("nvml", f"{call} is no symbol", scene, partial(_without, symbol=call))
    for scene in SCENES:
        for number, how in enumerate(HOWS, 1):
            # Slurm counts two GPUs, and the library none or others: nobody can tell that from GPUs that are gone.
            inject = partial(_hostile, how=number)
            yield Fault("nvml", f"library: {how}", scene, inject, drains=True, slow="hang" in how or "spin" in how)
        for name, make in LIBRARIES.items():
            yield Fault("nvml", f"library: {name}", scene, partial(_instead, make=make), drains=True)


def _may(call: str, code: int) -> bool:
    """Return whether such an answer is a fault of the node's: broken, or GPUs that are not there."""
    handle = call.startswith("nvmlDeviceGetHandle")
    return code in BROKEN or call.startswith("nvmlInit") or code == 29 or (handle and code not in NOT_THE_GPU)


@contextmanager
def _answers(world: World, key: str, value: int) -> Iterator[None]:
    _present(world, key.rpartition(".")[2])
    world.driver({key: value})
    yield
    world.driver()


def _present(world: World, symbol: str) -> list[bytes]:
    """Return the names of a function in the simulated driver, as they stand in its table of names."""
    data = Path(world.assets.library).read_bytes()
    names = [f"\0{symbol}{ending}\0".encode() for ending in ("", "_v1", "_v2", "_v3")]
    present = [name for name in names if name in data]
    if not present:
        raise NotHere(f"the simulated driver has no {symbol}")
    return present


@contextmanager
def _library(world: World, path: Path) -> Iterator[None]:
    before, world.library = world.library, str(path)
    world.policy()
    yield
    world.library = before
    world.policy()


@contextmanager
def _without(world: World, symbol: str) -> Iterator[None]:
    """The library has another name in place of that symbol, of the same length, so no loader finds it."""
    data = Path(world.assets.library).read_bytes()
    for name in _present(world, symbol):
        data = data.replace(name, b"\0x" + name[2:])
    path = world.place / "libnvidia-ml.so.1"
    path.write_bytes(data)
    with _library(world, path):
        yield


@contextmanager
def _hostile(world: World, how: int) -> Iterator[None]:
    path = Path(world.assets.shim).parent / f"hostile-{how}" / "libnvidia-ml.so.1"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        made = path.with_name(f"made.{os.getpid()}")
        source = str(HERE / "hostile_nvml.c")
        command = ["cc", "-shared", "-fPIC", "-O0", "-w", f"-DHOW={how}", "-Wl,-soname,libnvidia-ml.so.1"]
        subprocess.run([*command, "-o", str(made), source], check=True)
        made.rename(path)
    with _library(world, path):
        yield


@contextmanager
def _instead(world: World, make: Callable[[World, Path], object]) -> Iterator[None]:
    path = world.place / "libnvidia-ml.so.1"
    make(world, path)
    with _library(world, path):
        yield


def _patched(world: World, path: Path, at: int, value: int) -> None:
    data = bytearray(Path(world.assets.library).read_bytes())
    data[at] = value
    path.write_bytes(bytes(data))


def _cut(world: World, path: Path, size: int) -> None:
    path.write_bytes(Path(world.assets.library).read_bytes()[:size])


LIBRARIES: dict[str, Callable[[World, Path], object]] = {
    "missing": lambda world, path: None,
    "empty": lambda world, path: path.touch(),
    "a text": lambda world, path: path.write_text("INPUT(-lhang)\n" * 100),
    "a directory": lambda world, path: path.mkdir(),
    "a FIFO": lambda world, path: os.mkfifo(path),
    "a dangling link": lambda world, path: path.symlink_to("/nonexistent.so"),
    "not executable": lambda world, path: (shutil.copy(world.assets.library, path), path.chmod(0)),
    "of another class": lambda world, path: _patched(world, path, 4, 1),
    "of another machine": lambda world, path: _patched(world, path, 18, 183),
    "of no type": lambda world, path: _patched(world, path, 16, 2),
    "without segments": lambda world, path: _patched(world, path, 56, 0),
    **{f"cut at {2**power}": partial(_cut, size=2**power) for power in range(4, 17)},
}
