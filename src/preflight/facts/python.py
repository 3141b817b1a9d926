"""Python on the node: the programs that a job finds without a module."""

from preflight.facts.answer import Answer
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root


@fact(
    "python",
    keys={"versions": "texts: 3.11.2, or 3.11 where only the program's name says it"},
    static=True,
    child=FILES,
    budget_s=3,
)
def read(root: Root) -> Answer:
    """Versions of the python3 programs in /usr/bin and /usr/local/bin; none of them is run."""
    from preflight.facts.installed_files import pythons

    return Answer({"versions": pythons(root)})
