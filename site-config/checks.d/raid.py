"""An example of a site's own checks: are all disks of the software RAIDs there?

Copy it to /etc/preflight/checks.d/ (root's, not writable by others), change it, and see: preflight checks site.raid
"""

from preflight.checks.finding import failed, passed, skipped, untold
from preflight.checks.registry import check
from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.view import Unknown


@fact("raid", keys={"arrays": [{"name": "text", "disks": "text: a U for each disk that is there, else _"}]})
def read(root):
    """The arrays of /proc/mdstat."""
    text = root.live_read("/proc/mdstat")
    if text is None:
        return Answer({"arrays": []}) if root.live else unknown(NOT_LIVE)
    arrays, name = [], ""
    for line in text.splitlines():
        if line.startswith("md"):
            name = line.split()[0]
        elif "blocks" in line and line.rstrip().endswith("]"):
            arrays.append({"name": name, "disks": line.rstrip().rpartition("[")[2][:-1]})
    return Answer({"arrays": arrays})


@check("site.raid", reads=("raid",), phases=("health",), action="warn", remedy="replace the disk: mdadm --detail ARRAY")
def raid(context, limit):
    """All disks of the node's software RAIDs are there."""
    arrays = context.node.get("raid.arrays")
    if isinstance(arrays, Unknown):
        yield untold(arrays)
    elif not arrays:
        yield skipped("no software RAID")
    for one in arrays if isinstance(arrays, list) else ():
        judge = failed if "_" in one["disks"] else passed
        yield judge(f"{one['name']}: {one['disks']}", subject=one["name"], observed=one["disks"])
