"""`preflight install`: hooks, plugin and directories; slurm.conf and plugstack.conf are the admin's to edit."""

from __future__ import annotations

import json
import os

import click

from preflight import __version__
from preflight.cli.common import fail, write_out
from preflight.deploy.layout import CLIENTS, SLURM_KEYS, DeployError, Target
from preflight.policy.model import DEFAULT_PATH

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.deploy.install import Outcome

CHANGED = 3  # of --detailed-exitcode; 2 is an error, as everywhere
prefix_option = click.option("--prefix", metavar="DIR", default="/opt/preflight", show_default=True)
run_dir_option = click.option("--run-dir", metavar="DIR", default="/run/preflight", show_default=True)


@click.command()
@prefix_option
@click.option("--config", metavar="FILE", default=DEFAULT_PATH, show_default=True, help="The policy; made if missing.")
@run_dir_option
@click.option("--python", metavar="PATH", help="The interpreter for the hooks; default: what this one was made from.")
@click.option("--plugin", "plugin_file", metavar="FILE.so", help="The SPANK plugin, built on another host.")
@click.option("--no-plugin", is_flag=True, help="Leave out the SPANK plugin (jobs then ask in their comment).")
@click.option(
    "--agent/--no-agent", default=None, help="With the node agent's client (docs/agent.md); default: as it is."
)
@click.option("--cppflags", default="", metavar="FLAGS", help="Where Slurm's headers are: -I/opt/slurm/include.")
@click.option("--destdir", metavar="DIR", default="", help="Write below DIR, the root of a node's image.")
@click.option("--rollback", is_flag=True, help="Go back to the version that was in use before this one.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option("--quiet", is_flag=True, help="Print nothing where nothing changed, and lines only for a new plugin.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 3 where something was changed.")
def install(
    prefix: str,
    config: str,
    run_dir: str,
    python: str | None,
    plugin_file: str | None,
    no_plugin: bool,
    agent: bool | None,
    cppflags: str,
    destdir: str,
    rollback: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    detailed_exitcode: bool,
) -> int:
    """Install hooks and plugin below --prefix, as root, over a running version too; print the lines for slurm.conf.

    Where nothing is new nothing is done. Three versions are kept, what rollbacks lead to, and what still runs.
    """
    from preflight.deploy import install as deploy
    from preflight.deploy.build import has_compiler
    from preflight.deploy.layout import interpreter

    if plugin_file and no_plugin:
        fail("--plugin and --no-plugin: give one of them")
    destdir = "" if not destdir else os.path.abspath(destdir).rstrip("/")
    paths = [os.path.abspath(one) for one in (prefix, config, run_dir)]
    for path in paths:
        if not all(c.isalnum() or c in "/._-+" for c in path):
            fail(f"{path!r}: paths are written into shell scripts; use letters, digits and / . _ - + only")
    try:
        if rollback:
            target = Target(paths[0], paths[1], paths[2], "", destdir)
            plugin, with_agent = os.path.exists(target.at(target.plugin)), target.with_agent
            done = deploy.rollback(target, dry_run)
        else:
            target = Target(paths[0], paths[1], paths[2], interpreter(python, destdir), destdir)
            plugin, with_agent = not no_plugin, target.with_agent if agent is None else agent
            built = with_agent if agent is not None else with_agent and has_compiler()
            done = deploy.install(target, plugin, cppflags, built, plugin_file, dry_run)
    except DeployError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" + (" (install as root)" if error.errno in (1, 13) else ""))
    if as_json:
        write_out(_document(target, done, plugin, with_agent))
    else:
        text = _would(done) if dry_run else _page(target, done, plugin, with_agent, quiet)
        if done.changed or not quiet:
            write_out(text)
    return CHANGED if detailed_exitcode and done.changed else 0


def _page(target: Target, done: Outcome, plugin: bool, agent: bool, quiet: bool = False) -> str:
    """Return what an admin reads; ``quiet``: of the lines to be written into files those for a new plugin alone."""
    from preflight.policy.load import load_policy

    mode = load_policy(target.at(target.config), root=target.destdir).mode
    first = mode == "enforce" and not done.before
    hint = ' (set mode = "observe" first: nothing is then drained or moved)' if first else ""
    text = f"{'installed' if done.changed else 'unchanged'} {done.place}\n"
    if done.changed and done.before and done.before != done.place:
        text += f"before    {done.before}{' (back to it: preflight install --rollback)' if done.back else ''}\n"
    elif done.changed and done.before:
        text += "".join(f"repaired  {path}\n" for path in done.changed)
    text += "".join(f"removed   {path}\n" for path in done.removed)
    text += "".join(f"left out  {note}\n" for note in done.notes)
    text += f"policy    {target.config}\nmode      {mode}{hint}\n"
    if quiet:
        return text + (_plugstack_lines(target) if target.at(target.plugin) in done.changed else "")
    return f"{text}\n{lines(target, plugin, agent)}"


def _would(done: Outcome) -> str:
    """Return what a run without --dry-run would do."""
    if not done.changed:
        return f"unchanged {done.place}\n"
    text = f"would install {done.place or f'version {__version__}, new'}\n"
    text += "".join(f"would leave out {note}\n" for note in done.notes)
    return text + "".join(f"would change  {path}\n" for path in done.changed if path != done.place)


def _document(target: Target, done: Outcome, plugin: bool, agent: bool) -> str:
    """Return the same for a program."""
    return json.dumps(
        {
            "changed": bool(done.changed),
            "version": done.version or __version__,
            "directory": done.place,
            "before": done.before,
            "paths_changed": list(done.changed),
            "versions_removed": list(done.removed),
            "notes": list(done.notes),
            "policy": target.config,
            "slurm_conf": slurm_conf(target, agent),
            "plugstack_conf": plugstack_conf(target) if plugin else [],
        },
        indent=2,
    )


def slurm_conf(target: Target, agent: bool = False) -> list[str]:
    """Return the lines for slurm.conf; SchedulerParameters is to be added to what the site has."""
    named = {name: CLIENTS.get(name, name) if agent else name for name in SLURM_KEYS}
    return [
        *(f"{key}={target.libexec}/{named[name]}" for name, key in SLURM_KEYS.items()),
        "PrologFlags=Alloc,DeferBatch",
        "HealthCheckInterval=300",
        "HealthCheckNodeState=ANY,CYCLE",
        "SchedulerParameters=nohold_on_prolog_fail",
    ]


def plugstack_conf(target: Target) -> list[str]:
    """Return the lines for plugstack.conf."""
    return [f"optional {target.plugin} preflight={target.program}"]


def lines(target: Target, plugin: bool, agent: bool = False) -> str:
    """Return what belongs into slurm.conf and plugstack.conf."""
    *own, scheduler = slurm_conf(target, agent)
    text = "Add to slurm.conf, then: scontrol reconfigure\n\n"
    text += "".join(f"    {line}\n" for line in own)
    text += "    # and to your SchedulerParameters, or a job that a broken node sends back stays held:\n"
    text += f"    {scheduler}\n"
    if plugin:
        text += _plugstack_lines(target)
    if agent:
        text += "\nStart the node agent, on nodes; without it each prolog judges by itself:\n\n"
        text += f"    systemctl link {target.agent_publish_unit}\n"
        text += f"    systemctl enable --now {target.agent_unit}\n"
    text += "\nOptional, to tell Slurm this node's facts at boot ([publish] enabled = true does so later on):\n\n"
    text += f"    systemctl enable {target.publish_unit}\n"
    return f"{text}\nThen look whether all of it is right:\n\n    {target.program} doctor\n"


def _plugstack_lines(target: Target) -> str:
    """Return what the plugin needs, with what comes to submit hosts beside it."""
    text = "\nAdd to plugstack.conf (beside slurm.conf), on submit hosts and nodes:\n\n"
    text += "".join(f"    {line}\n" for line in plugstack_conf(target))
    return text + _at_submit(target)


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
