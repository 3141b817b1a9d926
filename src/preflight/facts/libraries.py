"""NVIDIA's libraries beside the toolkit on the node: what is told of them; installed_files.py reads them."""

from preflight.facts.answer import Answer
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root


@fact(
    "libraries",
    keys={
        "cudnn": "texts: 9.1.0, or 9 where only the library's soname says it",
        "nccl": "texts: 2.20.5",
    },
    static=True,
    child=FILES,
    budget_s=3,
)
def read(root: Root) -> Answer:
    """cuDNN and NCCL in the system's library directories and those of CUDA toolkits, by library or header."""
    from preflight.facts.installed_files import libraries

    prefixes = root.source.cuda_prefixes
    return Answer({"cudnn": libraries(root, "cudnn", prefixes), "nccl": libraries(root, "nccl", prefixes)})
