"""Environment modules on the node: what is told of them; modulefiles.py reads them."""

from preflight.facts.answer import Answer
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root


@fact(
    "modules",
    keys={
        "names": "texts: cuda/12.4",
        "aliases": "texts: other names for them, by .modulerc",
        "unread": "flag: an rc file names more than was understood",
        "behind": "text?: why there may be modules beside these: one of them adds a tree of its own",
        "system": "text?: lmod, environment-modules",
    },
    static=True,
    child=FILES,
    budget_s=9,
)
def read(root: Root) -> Answer:
    """Environment modules beneath the policy's directories."""
    from preflight.facts.modulefiles import read as read_files

    return read_files(root, root.source.module_paths)
