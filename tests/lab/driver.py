"""The simulated driver as one node's slurmd meets it: on its loader's path, in its /dev, in its /proc and /sys.

/dev, /proc/driver and the PCI drivers of /sys are laid over the machine's own in a mount namespace of that slurmd,
which its hooks and steps share: several nodes with other GPUs run on one machine, and what is mounted goes with the
last process of each.
"""

import os
from dataclasses import dataclass

from nvml import devices

# $1: root of slurmd's system, $2: an empty directory, $3: what to show of /proc and /sys is below it, or "",
# $4: device files, $5: files to show in place of others, "this:that".
# A device behaves as /dev/null: who changes a GPU's owner changes nothing of the machine's.
_ENTER = r"""
set -eu
root=$1 stage=$2 shown=$3 files=$4 instead=$5
shift 5
mount -t tmpfs -o mode=755 preflight-lab "$stage"
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx /dev/fd /dev/std* "$stage"
for one in pts shm mqueue log; do
    if [ -d "/dev/$one" ]; then mkdir "$stage/$one"; elif [ -e "/dev/$one" ]; then : >"$stage/$one"; else continue; fi
    mount --bind "/dev/$one" "$stage/$one"
done
for one in $files; do
    mkdir -p "$(dirname "$stage/$one")"
    mknod -m 666 "$stage/$one" c 1 3
done
mount --move "$stage" "$root/dev"
for one in /proc/driver /sys/bus/pci/drivers; do
    if [ -n "$shown" ] && [ -d "$shown$one" ]; then mount --bind "$shown$one" "$root$one"; fi
done
for one in $instead; do
    mount --bind "${one%%:*}" "$root${one#*:}"
done
exec "$@"
"""


@dataclass(frozen=True)
class Driver:
    """Absolute paths: the library, the node's scenario, a directory that has proc/driver and sys/bus/pci/drivers or "".

    ``files``: names of device files below /dev beside those of the scenario's GPUs. ``instead``: paths of
    files, each with that of the file in whose place slurmd sees it.
    """

    library: str
    scenario: str
    shown: str = ""
    files: tuple[str, ...] = ()
    instead: tuple[tuple[str, str], ...] = ()

    def environment(self, loader: str) -> dict[str, str]:
        """Return slurmd's variables; makes the directory ``loader``, which holds the library by both its names.

        22.05 opens libnvidia-ml.so, the name of the development package, and no other.
        """
        os.makedirs(loader, exist_ok=True)
        for name in ("libnvidia-ml.so", "libnvidia-ml.so.1"):
            link = os.path.join(loader, name)
            if not os.path.lexists(link):
                os.symlink(self.library, link)
        return {"LD_LIBRARY_PATH": loader, "NVML_SIM_SCENARIO": self.scenario}

    def around(self, command: list[str], root: str, stage: str) -> list[str]:
        """Return the command line that runs ``command`` so, in the end by exec.

        ``root``: the root directory of the system that it runs in, "" for this one; ``stage``: a directory to make.
        """
        os.makedirs(stage, exist_ok=True)
        with open(self.scenario, encoding="utf-8") as text:
            files = " ".join(dict.fromkeys([*devices.of(text.read()).files(), *self.files]))
        # slave: what a test mounts later is seen inside, and nothing of this outside.
        own = ["unshare", "--mount", "--propagation", "slave", "/bin/sh", "-c", _ENTER, "lab-driver"]
        return [*own, root, stage, self.shown, files, " ".join(":".join(pair) for pair in self.instead), *command]
