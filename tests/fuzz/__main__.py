"""`python -m fuzz`: run targets, each in a process of its own; see `make fuzz`."""

import argparse
import subprocess
import sys
from pathlib import Path

from fuzz import engine
from fuzz.target import names


def main() -> int:
    """Run the targets asked for, one after the other; 1 where an input failed."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz the readers of Preflight.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of: {', '.join(names())} (default: all)")
    parser.add_argument("-n", "--inputs", type=int, default=20_000, help="how many inputs each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=Path("../fuzz-findings"), help="where failing inputs are kept")
    given = parser.parse_args()
    unknown = sorted(set(given.targets) - set(names()))
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(names())}")
    if len(given.targets) == 1:
        engine.run(given.targets[0], given.inputs, given.seed, given.findings)
    failed = False
    for name in given.targets or names():
        command = [sys.executable, "-m", "fuzz", name, "-n", str(given.inputs), "--seed", str(given.seed)]
        failed = bool(subprocess.run([*command, "--findings", str(given.findings)]).returncode) or failed
    return int(failed)


sys.exit(main())
