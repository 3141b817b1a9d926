"""The usual lines that only set a tool up: what they read or run is not known, but a need is seldom in it."""

import re

_SOURCED = re.compile(
    r".*/etc/profile\.d/(?:conda|mamba)\.sh"  # of any installation
    r"|/etc/profile|/etc/profile\.d/(?:[a-z0-9]+-)?(?:modules|lmod)\.sh"
    r"|.*/lmod/(?:.*/)?init/[a-z]+|.*/share/spack/setup-env\.sh|.*/\.bashrc"
)
_PROGRAM = r'(?:"?[^\s"`;|&<>()]*?/|"?)(?:conda|mamba|micromamba)"?|"?\$\{?(?:CONDA_EXE|MAMBA_EXE)\}?"?'
_HOOK = re.compile(
    rf"eval \"?\$\((?:{_PROGRAM}) shell(?:\.[a-z]+)? hook"
    r"(?: (?:-[a-z]|--[a-z-]+)(?:[ =][^\s;|&<>()`]+)?)*(?: *2> ?/dev/null)?\)\"?"
)


def sourced(path: str) -> bool:
    """Tell whether a file that a script sources sets up conda, modules, Spack or the shell; holes may be in it."""
    return _SOURCED.fullmatch(path) is not None


def evaluated(line: str) -> bool:
    """Tell whether a script's line is an eval of conda's or mamba's hook, and nothing else."""
    return _HOOK.fullmatch(line.strip()) is not None
