"""Kind "memory": main memory, swap and huge pages, as /proc/meminfo and /sys/kernel/mm/hugepages have them."""

from __future__ import annotations

from preflight.digits import whole
from preflight.facts.answer import NOT_LIVE
from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.memory import MEMINFO, sizes
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

PAGES = "/sys/kernel/mm/hugepages"
USED_UP = ("physical_free_min", "swap_free_min", "total_free_min")


def users(args: Args) -> str:
    """Return why users can make a row fail: one that asks for free memory."""
    return "users can use up free memory" if any(key in args for key in USED_UP) else ""


def meminfo(root: Root) -> dict[str, int]:
    """Return the bytes of each size in /proc/meminfo."""
    text = root.live_read(MEMINFO)
    if text is None:
        raise CannotTell(f"no {MEMINFO}" if root.live else NOT_LIVE)
    return sizes(text)


@kind(
    "memory",
    keys={
        "physical_min": "size: main memory that the kernel has, at least",
        "physical_max": "size: at most",
        "physical_free_min": "amount: of it available for programs (MemAvailable)",
        "swap_min": "size: swap in all, at least; physical and swap together are total",
        "swap_max": "size: at most",
        "swap_free_min": "amount: of it free",
        "total_min": "size: at least",
        "total_max": "size: at most",
        "total_free_min": "amount: of it free",
        "fudge": "amount: by how much a minimum or maximum may be missed: 5%, or a size",
        "hugepages_min": "count: huge pages in the pool, at least",
        "hugepages_free_min": "count: of them free",
        "hugepage_size": "size: of which size; left out: the kernel's default",
    },
    needs=(
        (
            *("physical_min", "physical_max", "physical_free_min", "swap_min", "swap_max", "swap_free_min"),
            *("total_min", "total_max", "total_free_min", "hugepages_min", "hugepages_free_min"),
        ),
    ),
    phases=("prolog", "epilog", "health"),
    users=users,
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """Main memory, swap and huge pages are what the site bought and set up."""
    found = shared.of(meminfo)
    told: dict[str, Any] = {
        "physical": found.get("MemTotal"),
        "physical_free": found.get("MemAvailable"),
        "swap": found.get("SwapTotal", 0),
        "swap_free": found.get("SwapFree", 0),
    }
    if "hugepages_min" in args or "hugepages_free_min" in args:
        told.update(_pages(root, args.get("hugepage_size"), found.get("Hugepagesize")))
    return told


def _pages(root: Root, asked: str | None, default: int | None) -> dict[str, int | None]:
    from preflight.facts.host.match import size

    bytes_each = size(asked) if asked else default
    if not bytes_each:
        return {"hugepages": None, "hugepages_free": None}
    place = f"{PAGES}/hugepages-{bytes_each >> 10}kB"
    holder = root.holder(place)
    if holder is None:
        return {"hugepages": None, "hugepages_free": None}
    number, free = (
        whole((holder.read_text(f"{place}/{name}") or "").strip()) for name in ("nr_hugepages", "free_hugepages")
    )
    return {"hugepages": number, "hugepages_free": free}
