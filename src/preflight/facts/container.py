"""Container runtimes that are installed."""

from stat import S_ISREG

from preflight.facts.answer import Answer
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root

RUNTIMES = (
    "enroot",
    "apptainer",
    "singularity",
    "podman",
    "docker",
    "charliecloud",
    "shifter",
    "podman-hpc",
    "sarus",
    "uenv",
)
PROGRAMS = {"charliecloud": "ch-run"}
# Sarus is unpacked as /opt/sarus/VERSION, with a link "default" (its installation guide).
PLACES = ("/usr/bin", "/usr/local/bin", "/opt/{}/bin", "/opt/{}/default/bin", "/usr/sbin", "/bin", "/snap/bin")


@fact(
    "container",
    keys={"runtimes": "texts: enroot, apptainer, singularity, podman, docker …"},
    static=True,
    child=FILES,
    budget_s=6,
)
def read(root: Root) -> Answer:
    """Container runtimes that are installed: those with an executable program in one of PLACES."""
    return Answer({"runtimes": [name for name in RUNTIMES if _installed(root, name)]})


def _installed(root: Root, name: str) -> bool:
    program = PROGRAMS.get(name, name)
    for place in PLACES:
        info = root.stat(f"{place.format(name)}/{program}")
        if info is not None and S_ISREG(info.st_mode) and info.st_mode & 0o111:
            return True
    return False
