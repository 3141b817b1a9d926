"""Shorthands for tests of the inference: a script's body, read as a job with or without GPUs on a small file system."""

from __future__ import annotations

from pathlib import Path

from preflight.submit import script
from preflight.submit.infer import Inference, infer

GPU = "#SBATCH --gres=gpu:1\n"
NEEDLESS = "gpu.count>=1"  # what GPU above says; left out of the answers


def read(body: str, root: Path, *, gpus: bool = True, options: tuple[str, ...] = (), **environment: str) -> Inference:
    """Infer from ``body``, whose first line is line 3 (line 2 without GPUs)."""
    submission = script.read(list(options), environment, f"#!/bin/bash\n{GPU if gpus else ''}{body}\n")
    return infer(
        submission.text, submission.components, environment=environment,
        cwd="/home/alice/project", home="/home/alice", root=str(root),
    )  # fmt: skip


def clauses(body: str, root: Path, *, gpus: bool = True) -> list[str]:
    """Return the clauses that ``body`` gives."""
    return [one.clause for one in read(body, root, gpus=gpus).needs if one.clause != NEEDLESS]


def unread(body: str, root: Path, *, gpus: bool = True) -> list[int]:
    """Return the lines of ``body`` that are unread, its own first line being 1."""
    return [one.line - 1 - gpus for one in read(body, root, gpus=gpus).unread]


def lines(body: str, root: Path) -> list[tuple[str, int]]:
    """Return clauses with the lines of ``body`` that they come from."""
    return [(one.clause, one.line - 2) for one in read(body, root).needs if one.clause != NEEDLESS]


def put(root: Path, path: str, text: str = "") -> None:
    """Write a file of the small file system."""
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def environment(root: Path, prefix: str, cuda: str = "", torch: str | None = None) -> None:
    """Make a virtual environment: with wheels of a CUDA runtime, or with PyTorch's version.py."""
    put(root, f"{prefix}/pyvenv.cfg", "home = /usr/bin\n")
    site = f"{prefix}/lib/python3.11/site-packages"
    if cuda:
        put(root, f"{site}/nvidia_cuda_runtime_cu12-{cuda}.dist-info/METADATA")
    if torch is not None:
        put(root, f"{site}/torch/version.py", f"__version__ = '2.4'\ncuda: Optional[str] = {torch}\n")
