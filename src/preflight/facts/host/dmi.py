"""Kind "dmi": firmware, board and machine, as the kernel has them of SMBIOS in /sys/class/dmi/id.

The lines are as dmidecode writes them, so that an nhc.conf's patterns fit: "BIOS Information: Version: 2.3". Names of
the fields: SMBIOS 3.7 (DSP0134), types 0 to 3; of the files: Linux, drivers/firmware/dmi-id.c.
"""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE
from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

DIRECTORY = "/sys/class/dmi/id"
MACHINE, BOARD, CASE, BIOS = "System Information", "Base Board Information", "Chassis Information", "BIOS Information"
FIELDS = {
    "bios_vendor": (BIOS, "Vendor"),
    "bios_version": (BIOS, "Version"),
    "bios_date": (BIOS, "Release Date"),
    "bios_release": (BIOS, "BIOS Revision"),
    "ec_firmware_release": (BIOS, "Firmware Revision"),
    "sys_vendor": (MACHINE, "Manufacturer"),
    "product_name": (MACHINE, "Product Name"),
    "product_version": (MACHINE, "Version"),
    "product_serial": (MACHINE, "Serial Number"),
    "product_uuid": (MACHINE, "UUID"),
    "product_sku": (MACHINE, "SKU Number"),
    "product_family": (MACHINE, "Family"),
    "board_vendor": (BOARD, "Manufacturer"),
    "board_name": (BOARD, "Product Name"),
    "board_version": (BOARD, "Version"),
    "board_serial": (BOARD, "Serial Number"),
    "board_asset_tag": (BOARD, "Asset Tag"),
    "chassis_vendor": (CASE, "Manufacturer"),
    "chassis_type": (CASE, "Type"),
    "chassis_version": (CASE, "Version"),
    "chassis_serial": (CASE, "Serial Number"),
    "chassis_asset_tag": (CASE, "Asset Tag"),
}


def lines(root: Root) -> list[str]:
    """Return "BIOS Information: Version: 2.3" of each field that the firmware fills."""
    holder = root.holder(DIRECTORY)
    if holder is None:
        raise CannotTell("the firmware has no SMBIOS (/sys/class/dmi/id)" if root.live else NOT_LIVE)
    found = []
    for file, (part, field) in FIELDS.items():
        text = (holder.read_text(f"{DIRECTORY}/{file}", 4096) or "").strip()
        if text:
            found.append(f"{part}: {field}: {text}")
    if not found:
        raise CannotTell("the firmware fills no field of SMBIOS")
    return found


@kind(
    "dmi",
    keys={"match": 'patterns!: each must match a line such as "BIOS Information: Version: 2.3"'},
    names=("match",),
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """Firmware, board and machine are of the versions that are asked for."""
    return {"lines": shared.of(lines)}
