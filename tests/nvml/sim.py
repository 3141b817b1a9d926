"""Build the simulated libnvidia-ml.so.1 and write its scenarios; the keys are in README.md beside this file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE / "examples"
LIBRARY = "libnvidia-ml.so.1"


def _is_current(library: Path) -> bool:
    try:
        built = library.stat().st_mtime_ns
    except FileNotFoundError:
        return False
    return all(source.stat().st_mtime_ns <= built for source in [HERE / "Makefile", *HERE.glob("src/*.[ch]")])


def build(directory: Path) -> Path:
    """Compile the library into the directory (made where missing) unless it is current; answer its path.

    Two processes may build at once: the Makefile links under a temporary name and renames. Raises RuntimeError
    with the compiler's words where the build fails.
    """
    library = Path(directory).resolve() / LIBRARY
    if not _is_current(library):
        # A make above this one would hand down its flags and its job server.
        env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        command = ["make", "-s", "-C", str(HERE), f"OUT={library.parent}"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"the simulated driver does not build in {library.parent}: {done.stderr.strip()}")
    return library


def scenario(*parts: str | Mapping[str, object]) -> str:
    """Join texts and mappings into one scenario; later parts win. True is written 1, False 0, None unsets the key."""
    lines: list[str] = []
    for part in parts:
        if isinstance(part, str):
            lines.append(part.rstrip("\n"))
            continue
        for key, value in part.items():
            text = "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)
            if "\n" in key + text or "=" in key:
                raise ValueError(f"scenario key {key!r}: no line break in key or value, no '=' in the key")
            lines.append(f"{key} = {text}".rstrip())
    return "\n".join(lines) + "\n"


def near_every_cpu() -> dict[str, object]:
    """Answer the key that slurmd's NVML plugin cannot do without: 22.05 ends where a GPU has no CPU affinity.

    Every CPU of this machine: 26.05 refuses a node whose GPUs' CPUs end within a socket.
    """
    return {"gpu.*.affinity.cpus": f"0-{max(os.sched_getaffinity(0))}"}


def example(name: str) -> str:
    """Answer the text of examples/NAME.scenario."""
    return (EXAMPLES / f"{name}.scenario").read_text(encoding="utf-8")


def write(path: Path, *parts: str | Mapping[str, object]) -> Path:
    """Write a scenario file, its directory made where missing, in one rename: no reader sees half of it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(scenario(*parts), encoding="utf-8")
    os.replace(temporary, path)
    return path


def environment(path: Path, *, strict: bool = True) -> dict[str, str]:
    """Answer the variables that name the scenario; strict makes nvmlInit refuse keys that are not in README.md."""
    return {"NVML_SIM_SCENARIO": str(path), **({"NVML_SIM_STRICT": "1"} if strict else {})}


def build_cuda(directory: Path) -> Path:
    """Compile the simulated libcuda.so.1 into the directory; answer its path."""
    library = Path(directory).resolve() / "libcuda.so.1"
    source = HERE / "cuda" / "libcuda.c"
    command = ["cc", "-O2", "-fPIC", "-shared", "-Wl,-soname,libcuda.so.1", "-o", str(library), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the simulated libcuda does not build in {library.parent}: {done.stderr.strip()}")
    return library
