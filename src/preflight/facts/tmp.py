"""Free space in /tmp."""

from preflight.facts.answer import Answer
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root
from preflight.facts.space import KEYS, read_space

PATH = "/tmp"


@fact("tmp", keys=KEYS)
def read(root: Root) -> Answer:
    """Free space in /tmp."""
    return read_space(root, PATH)
