"""Which Slurm the lab runs: PREFLIGHT_LAB_RELEASE names it, the machine's own where nothing does.

It is one of NAMES, or the absolute path of a prefix (/opt/slurm-25.11) with the bin and sbin of a Slurm built by hand.
"""

import os

from lab.release import HostRelease, Release

VARIABLE = "PREFLIGHT_LAB_RELEASE"
# Slurm's release: the Debian that has it.
SUITES = {"24.11": "trixie", "26.05": "sid"}
NAMES = ("host", *SUITES)


def chosen() -> Release:
    """Return the release that the environment names; raises ValueError for one that is not known."""
    name = os.environ.get(VARIABLE) or "host"
    if name == "host":
        return HostRelease()
    if name.startswith("/"):
        return HostRelease(name.rstrip("/") or "/")
    if name not in SUITES:
        raise ValueError(f"{VARIABLE}={name}: give one of {', '.join(NAMES)}, or the path of a Slurm's prefix")
    from lab.chroot import ChrootRelease

    return ChrootRelease(SUITES[name], name)
