"""``python -m lab.prepare`` from tests/: make the Slurm that PREFLIGHT_LAB_RELEASE names ready, once, before its tests.

Prints the version, or on stderr one line that says why it cannot be had; status 1 then. Without it each test module
would try again, or skip, and a run in which nothing ran would look green.
"""

import sys
import time

from lab import contrib, releases, unavailable
from lab.chroot import ChrootRelease
from lab.daemons import LabError


def main() -> int:
    """Make the chosen release usable; return the exit status."""
    began = time.monotonic()
    try:
        release = releases.chosen()
        reason = unavailable(release)
        if reason:
            raise LabError(reason)
        version = ".".join(str(part) for part in release.version())
    except (LabError, ValueError, OSError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    try:
        # Now, while the archive has the release that was just installed. What needs it says so itself.
        contrib.nvml_plugin(release)
    except (LabError, OSError) as error:
        print(f"lab: no AutoDetect=nvml: {error}", file=sys.stderr)
    where = getattr(release, "prefix", None) or "this machine's"
    if isinstance(release, ChrootRelease):
        where = f"Debian {release.suite} in {release.root}"
    print(f"Slurm {version}, {where} (ready in {time.monotonic() - began:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
