"""A directory of Slurm's commands for code that runs on this machine and asks a lab of any release."""

import os
import shlex

from lab.lab import Lab
from lab.release import COMMANDS


def write_bin(lab: Lab) -> str:
    """Make the directory below the lab's and return its path; each command is the release's own."""
    place = os.path.join(lab.directory, "bin-here")
    os.makedirs(place, exist_ok=True)
    for name in COMMANDS:
        path = os.path.join(place, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\nexec {shlex.join(lab.release.argv(name, []))} "$@"\n')
        os.chmod(path, 0o755)
    return place
