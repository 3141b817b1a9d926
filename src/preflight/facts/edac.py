"""Memory errors that the kernel counts, by memory controller (Documentation/admin-guide/RAS/main.rst)."""

from __future__ import annotations

from preflight.digits import whole
from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

CONTROLLERS = "/sys/devices/system/edac/mc"
MAX_CONTROLLERS = 64


@fact(
    "edac",
    keys={
        "controllers": [
            {
                "name": "text: mc0",
                "corrected": "count: errors since the driver was loaded",
                "uncorrected": "count",
            }
        ]
    },
    child=FILES,
    budget_s=1,
)
def read(root: Root) -> Answer:
    """Memory errors that the kernel counts, by memory controller; none without an EDAC driver."""
    holder = root.holder(CONTROLLERS)
    if holder is None:
        return Answer({"controllers": []}) if root.live or root.is_dir("/sys/devices") else unknown(NOT_LIVE)
    found: list[dict[str, Any]] = []
    for name in holder.names(CONTROLLERS) or []:
        here = f"{CONTROLLERS}/{name}"
        if not name.startswith("mc") or not holder.is_dir(here) or len(found) >= MAX_CONTROLLERS:
            continue
        ce, ue = (whole((holder.read_text(f"{here}/{file}", 64) or "").strip()) for file in ("ce_count", "ue_count"))
        if ce is not None and ue is not None:
            found.append({"name": name, "corrected": ce, "uncorrected": ue})
    return Answer({"controllers": found})
