"""What this cluster does with a requirement at submit, asked of its controller and of its sbatch."""

import os
import re

from preflight.files import read_plain
from preflight.slurm.at_once import at_once
from preflight.slurm.commands import Slurm
from preflight.submit.options_help import plugin_rows
from preflight.submit.options_table import Row
from preflight.tuples import NamedTuple

_LINE = re.compile(r"^(\w+)\s*= (.*)$")
_FILTER_NAME = "cli_filter.lua"


class Site(NamedTuple):
    """``plugins``: options that SPANK plugins bring. ``filtered``: Preflight's cli_filter.lua places by --require.

    ``cluster``: its name in Slurm, which --clusters takes.
    """

    plugins: tuple[Row, ...]
    filtered: bool
    cluster: str = ""

    @property
    def takes_require(self) -> bool:
        """Whether sbatch knows --require, by Preflight's SPANK plugin."""
        return any(row.name == "require" for row in self.plugins)

    @property
    def takes_code(self) -> bool:
        """Whether sbatch takes the summary of an environment, by a plugin of Preflight's that knows it."""
        return any(row.name == "gpu-code" for row in self.plugins)


def ask_site(slurm: Slurm, sbatch: str) -> Site:
    """Ask what the cluster does; raises SlurmError where its controller or ``sbatch`` (a path) do not answer."""
    directory, name = os.path.split(sbatch)
    shown, asked = at_once(
        lambda: slurm.run("scontrol", "show", "config"), lambda: slurm._replace(bin=directory).run(name, "--help")
    )
    plugins = plugin_rows(asked)
    config = {one[1]: one[2] for one in map(_LINE.match, shown.split("\n")) if one}
    filters = config.get("CliFilterPlugins", "").replace("cli_filter/", "").split(",")
    here = os.path.dirname(slurm.conf or config.get("SLURM_CONF", ""))
    filtered = "lua" in filters and _is_ours(f"{here}/{_FILTER_NAME}")
    return Site(plugins, filtered, config.get("ClusterName", ""))


def _is_ours(path: str) -> bool:
    """Tell whether a cli_filter.lua is Preflight's own or loads it (docs/placement.md); it may be under any name."""
    try:
        return b"preflight" in read_plain(path, 1 << 20)
    except OSError:
        return False
