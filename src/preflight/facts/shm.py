"""Free space in /dev/shm."""

from preflight.facts.answer import Answer
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root
from preflight.facts.tmp import KEYS, read_space

PATH = "/dev/shm"


@fact("shm", keys=KEYS)
def read(root: Root) -> Answer:
    """Free space in /dev/shm."""
    return read_space(root, PATH)
