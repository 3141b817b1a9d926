"""A lab for a person: ``python -m lab`` from tests/ starts one, prints how to use it, and stops it at Ctrl-C."""

import argparse
import shlex
import signal
import sys
from typing import NoReturn

from lab import USERS, Lab, LabError, LabNode


def main() -> int:
    """Start, wait for SIGINT or SIGTERM, stop; return the exit status."""
    options = _arguments()
    lab = Lab(
        options.directory,
        [
            LabNode(f"n{i + 1}", cpus=options.cpus, gpus=options.gpus, gpu_type=options.gpu_type)
            for i in range(options.nodes)
        ],
        prolog=options.prolog,
        epilog=options.epilog,
        healthcheck=options.healthcheck,
        taskprolog=options.taskprolog,
        health_interval=options.health_interval,
        plugstack=options.plugstack.read() if options.plugstack else None,
        slurm_conf_extra=options.slurm_conf.read() if options.slurm_conf else "",
        keep=options.keep,
    )
    # SIGINT too: a shell that starts a command in the background has it ignored, and Python leaves it so.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with lab:
            print(
                "\n".join(f"export {key}={shlex.quote(value)}" for key, value in lab.environment().items()), flush=True
            )
            print(
                f"# logs: {lab.settings.path('log')}   users' directory: {lab.work}\n"
                f"# as a user: setpriv --reuid={USERS[0]} --regid={USERS[0]} --init-groups sbatch -D {lab.work} ...\n"
                "# Ctrl-C stops it.",
                file=sys.stderr,
            )
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except (LabError, OSError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab", description="A private Slurm on loopback, until Ctrl-C.")
    parser.add_argument("--directory", help="default: a new one in /tmp, removed at the end")
    parser.add_argument("--keep", action="store_true", help="keep the directory")
    parser.add_argument("--nodes", type=int, default=4, metavar="N", help="nodes n1..nN (default 4)")
    parser.add_argument("--cpus", type=int, default=4, help="CPUs of each node (default 4)")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of each node (default 0)")
    parser.add_argument("--gpu-type", help="type of the GPUs, as in gres.conf")
    for hook in ("prolog", "epilog", "healthcheck", "taskprolog"):
        parser.add_argument(f"--{hook}", metavar="PATH", help=f"the {hook} script")
    parser.add_argument("--health-interval", type=int, default=60, metavar="SECONDS")
    parser.add_argument("--plugstack", type=argparse.FileType(), metavar="FILE", help="its lines go to plugstack.conf")
    parser.add_argument("--slurm-conf", type=argparse.FileType(), metavar="FILE", help="lines that replace ours")
    return parser.parse_args()


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
