"""`preflight install`: hooks, plugin and directories; slurm.conf and plugstack.conf are the admin's to edit."""

from __future__ import annotations

import os

import click

from preflight.cli.common import fail, write_out
from preflight.deploy.layout import CLIENTS, SLURM_KEYS, DeployError, Target
from preflight.policy.model import DEFAULT_PATH

prefix_option = click.option("--prefix", metavar="DIR", default="/opt/preflight", show_default=True)
run_dir_option = click.option("--run-dir", metavar="DIR", default="/run/preflight", show_default=True)


@click.command()
@prefix_option
@click.option("--config", metavar="FILE", default=DEFAULT_PATH, show_default=True, help="The policy; made if missing.")
@run_dir_option
@click.option("--python", metavar="PATH", help="The interpreter for the hooks; default: what this one was made from.")
@click.option("--no-plugin", is_flag=True, help="Leave out the SPANK plugin (jobs then ask in their comment).")
@click.option(
    "--agent/--no-agent", default=None, help="With the node agent's client (docs/agent.md); default: as it is."
)
@click.option("--cppflags", default="", metavar="FLAGS", help="Where Slurm's headers are: -I/opt/slurm/include.")
def install(
    prefix: str, config: str, run_dir: str, python: str | None, no_plugin: bool, agent: bool | None, cppflags: str
) -> None:
    """Install hooks and plugin below --prefix, as root, over a running version too; print the lines for slurm.conf."""
    from preflight.deploy.install import install as deploy
    from preflight.deploy.layout import interpreter

    paths = [os.path.abspath(one) for one in (prefix, config, run_dir)]
    for path in paths:
        if not all(c.isalnum() or c in "/._-+" for c in path):
            fail(f"{path!r}: paths are written into shell scripts; use letters, digits and / . _ - + only")
    try:
        target = Target(paths[0], paths[1], paths[2], interpreter(python))
        with_agent = target.with_agent if agent is None else agent
        version = deploy(target, not no_plugin, cppflags, with_agent)
    except DeployError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" + (" (install as root)" if error.errno in (1, 13) else ""))
    from preflight.policy.load import load_policy

    mode = load_policy(target.config).mode
    hint = ' (set mode = "observe" first: nothing is then drained or moved)' if mode == "enforce" else ""
    policy = f"policy    {target.config}\nmode      {mode}{hint}"
    write_out(f"installed {version}\n{policy}\n\n{lines(target, not no_plugin, with_agent)}")


def lines(target: Target, plugin: bool, agent: bool = False) -> str:
    """Return what belongs into slurm.conf and plugstack.conf."""
    text = "Add to slurm.conf, then: scontrol reconfigure\n\n"
    named = {name: CLIENTS.get(name, name) if agent else name for name in SLURM_KEYS}
    text += "".join(f"    {key}={target.libexec}/{named[name]}\n" for name, key in SLURM_KEYS.items())
    text += "    PrologFlags=Alloc,DeferBatch\n    HealthCheckInterval=300\n    HealthCheckNodeState=ANY,CYCLE\n"
    text += "    # and to your SchedulerParameters, or a job that a broken node sends back stays held:\n"
    text += "    SchedulerParameters=nohold_on_prolog_fail\n"
    if plugin:
        text += "\nAdd to plugstack.conf (beside slurm.conf), on submit hosts and nodes:\n\n"
        text += f"    optional {target.plugin} preflight={target.program}\n"
        text += _at_submit(target)
    if agent:
        text += "\nStart the node agent, on nodes; without it each prolog judges by itself:\n\n"
        text += f"    systemctl enable --now {target.agent_unit}\n"
    text += "\nOptional, to tell Slurm this node's facts at boot ([publish] enabled = true does so later on):\n\n"
    text += f"    systemctl enable {target.publish_unit}\n"
    return f"{text}\nThen look whether all of it is right:\n\n    {target.program} doctor\n"


def _at_submit(target: Target) -> str:
    """Return how cli_filter.lua comes to Slurm: a copy, so that a submit host without Preflight goes on submitting."""
    from preflight.deploy.doctor.conf import conf_path

    directory = os.path.dirname(conf_path(os.environ.get("SLURM_CONF", ""))) or "/etc/slurm"
    head = "\nOptional, to have jobs placed by --require (docs/placement.md), on submit hosts and nodes:\n\n"
    slurm = "    CliFilterPlugins=cli_filter/lua      # slurm.conf, when the file is there\n"
    if not os.path.lexists(f"{directory}/cli_filter.lua"):
        return f"{head}    install -m 644 {target.cli_filter} {directory}/cli_filter.lua\n{slurm}"
    copy = f"{directory}/preflight_cli_filter.lua"
    return (
        f"{head}    install -m 644 {target.cli_filter} {copy}\n"
        f"    # {directory}/cli_filter.lua is there already: at its top write\n"
        f'    dofile("{copy}")\n{slurm}'
    )
