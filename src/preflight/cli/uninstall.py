"""`preflight uninstall`."""

from __future__ import annotations

import os

import click

from preflight.cli.common import fail
from preflight.deploy.layout import HOOKS, SLURM_KEYS, DeployError, Target

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.policy.model import Policy


@click.command()
@click.option("--prefix", metavar="DIR", help="Where it is installed; default: where this is, or /opt/preflight.")
@click.option("--run-dir", metavar="DIR", help="The hooks' runtime directory; default: the one that they use.")
@click.option("--all", "everything", is_flag=True, help="Remove the hooks' paths too: slurm.conf names them no more.")
def uninstall(prefix: str | None, run_dir: str | None, everything: bool) -> None:
    """Take Preflight off this node; policy and spool stay.

    slurm.conf may still name the hooks, and slurmd drains a node whose prolog is missing: without --all they become
    scripts that exit with 0.
    """
    from preflight.deploy import uninstall as deploy
    from preflight.deploy.doctor.host import installed_prefix, used_policy, used_run_dir
    from preflight.deploy.versions import only_one

    prefix = os.path.abspath(prefix or installed_prefix())
    if not os.path.isdir(f"{prefix}/libexec"):
        fail(f"{prefix}: no Preflight is installed there (--prefix)")
    run_dir = os.path.abspath(run_dir or used_run_dir(prefix))
    target, policy = Target(prefix, "", run_dir, ""), used_policy(prefix)
    try:
        with only_one(target):  # an installation meanwhile would put the hooks back, or lose its version
            deploy.quiet(target)  # the health check would publish again
            _withdraw(policy)
            removed = deploy.remove(target, everything)
        for path in removed:
            click.echo(f"removed {path}")
    except DeployError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" + (" (uninstall as root)" if error.errno in (1, 13) else ""))
    if not everything:
        names = ", ".join(SLURM_KEYS[name] for name in HOOKS)
        click.echo(f"{prefix}/libexec holds scripts that do nothing. Now take {names} out of slurm.conf")
        click.echo(f"and the plugin out of plugstack.conf, scontrol reconfigure, then: rm -r {prefix} {run_dir}")
        click.echo("Until then each sbatch prints an error: the plugin is gone and plugstack.conf names it.")
        click.echo("Nodes that Preflight has drained stay so, nothing resumes them now: sinfo -R | grep preflight:")
        click.echo("A cli_filter.lua that calls preflight lets jobs through with a warning: take it out too.")


def _withdraw(policy: Policy) -> None:
    """Take back what the node published to Slurm, and say so."""
    from preflight.deploy.uninstall import withdraw
    from preflight.slurm.commands import SlurmError

    try:
        published = withdraw(policy)
        if published and published.via:
            click.echo("taken back: what this node had published to Slurm")
    except SlurmError as error:
        click.echo(f"preflight: warning: what this node published to Slurm is there still: {error}", err=True)
        click.echo("preflight: warning: elsewhere: preflight publish --clear --node NAME", err=True)
