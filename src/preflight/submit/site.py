"""What this cluster does with a requirement at submit, asked of its controller and of its sbatch."""

import os

from preflight.files import read_plain
from preflight.slurm.at_once import at_once
from preflight.slurm.commands import Slurm, lines
from preflight.slurm.conf_file import CONF, in_lines, plain_in_file
from preflight.submit.options_help import plugin_rows
from preflight.submit.options_table import Row
from preflight.tuples import NamedTuple

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
    config, asked = at_once(lambda: _settings(slurm), lambda: slurm._replace(bin=directory).run(name, "--help"))
    filters = config["CliFilterPlugins"].replace("cli_filter/", "").split(",")
    here = os.path.dirname(slurm.conf or config["SLURM_CONF"])
    filtered = "lua" in filters and _is_ours(f"{here}/{_FILTER_NAME}")
    return Site(plugin_rows(asked), filtered, config["ClusterName"])


def _settings(slurm: Slurm) -> dict[str, str]:
    """Return what `ask_site` reads of slurm.conf: of the file, as sbatch itself does, where that says it plainly."""
    path = slurm.conf or CONF
    cluster, filters = (plain_in_file(path, key) for key in ("ClusterName", "CliFilterPlugins"))
    if cluster and filters is not None:
        return {"ClusterName": cluster, "CliFilterPlugins": filters, "SLURM_CONF": path}
    shown = lines(slurm.run("scontrol", "show", "config"))
    return {key: in_lines(shown, key) for key in ("ClusterName", "CliFilterPlugins", "SLURM_CONF")}


def _is_ours(path: str) -> bool:
    """Tell whether a cli_filter.lua is Preflight's own or loads it (docs/placement.md); it may be under any name."""
    try:
        return b"preflight" in read_plain(path, 1 << 20)
    except OSError:
        return False
