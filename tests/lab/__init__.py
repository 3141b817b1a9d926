"""A private, real Slurm on loopback for tests and demonstrations.

with Lab(nodes=[LabNode("n1", gpus=2), LabNode("n2")]) as lab:
    job = lab.sbatch("hostname", user="pfalice")
    lab.wait_job(job, "COMPLETED")
"""

from lab.commands import LabTimeout
from lab.conf import LabNode, Scripts
from lab.daemons import LabError
from lab.lab import Lab, unavailable
from lab.release import HostRelease, Release
from lab.users import USERS, ensure_users

__all__ = [
    "USERS",
    "HostRelease",
    "Lab",
    "LabError",
    "LabNode",
    "LabTimeout",
    "Release",
    "Scripts",
    "ensure_users",
    "unavailable",
]
