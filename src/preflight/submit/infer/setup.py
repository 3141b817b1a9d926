"""The usual lines that only set a tool up: what they read or run is not known, but a need is seldom in it."""

import re

_SOURCED = re.compile(
    r".*/etc/profile\.d/(?:conda|mamba)\.sh"  # of any installation
    r"|/etc/profile|/etc/profile\.d/(?:[a-z0-9]+-)?(?:modules|lmod)\.sh"
    r"|.*/(?:lmod|[Mm]odules)/(?:.*/)?init/[a-z]+|.*/share/spack/setup-env\.sh|/etc/(?:bashrc|bash\.bashrc)"
    r"|.*/\.(?:bashrc|bash_profile|profile)"
)
_PROGRAM = r'(?:"?[^\s"`;|&<>()]*?/|"?)(?:conda|mamba|micromamba)"?|"?\$\{?(?:CONDA_EXE|MAMBA_EXE)\}?"?'
_HOOK = re.compile(
    rf"eval \"?\$\((?:{_PROGRAM}) shell(?:\.[a-z]+)? hook"
    r"(?: (?:-[a-z]|--[a-z-]+)(?:[ =][^\s;|&<>()`]+)?)*(?: *2> ?/dev/null)?\)\"?"
)

# The same in the lines that `conda init` writes: they keep the hook in a variable.
_KEPT = re.compile(r'eval "\$__(?:conda|mamba)_setup"')
_MODULES = re.compile(r"(?:source|\.)\s+\"?\$\{?(?:MODULESHOME|LMOD_PKG|LMOD_DIR)\}?(?:/\.\.)?/init/[a-z]+\"?")
_LONGEST = 4096  # PATH_MAX
_PERSONAL = re.compile(r".*/\.[a-z_]+")


def sourced(path: str, line: str = "") -> bool:
    """Tell whether a file that a script sources sets up conda, modules, Spack or the shell; holes may be in it.

    ``line``: the script's, which names variables that are known for it.
    """
    usual = len(path) <= _LONGEST and _SOURCED.fullmatch(path) is not None
    return usual or _MODULES.fullmatch(line.strip()) is not None


def is_personal(path: str) -> bool:
    """Tell whether a file is one of the user's own in which such lines stand (~/.bashrc): more may stand there."""
    return _PERSONAL.fullmatch(path) is not None


def evaluated(line: str) -> bool:
    """Tell whether a script's line is an eval of conda's or mamba's hook, and nothing else."""
    return _HOOK.fullmatch(line.strip()) is not None or _KEPT.fullmatch(line.strip()) is not None
