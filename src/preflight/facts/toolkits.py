"""CUDA toolkits on the node: what is told of them; cuda_toolkits.py reads them."""

from preflight.facts.answer import Answer
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root


@fact(
    "toolkits",
    keys={
        "versions": "texts: of those with nvcc",
        "items": [{"version": "text?", "path": "text", "nvcc": "flag"}],
        "compat": [{"path": "text: a directory of cuda-compat", "driver": "text: the version of its libcuda"}],
    },
    static=True,
    child=FILES,
    budget_s=7,
)
def read(root: Root) -> Answer:
    """CUDA toolkits beneath the policy's prefixes, and Debian's own."""
    from preflight.facts.cuda_toolkits import read as read_files

    return read_files(root, root.source.cuda_prefixes)
