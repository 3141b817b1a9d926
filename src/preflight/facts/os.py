"""The operating system, from os-release (through the library `distro`)."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.facts.answer import Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

FILES = ("/etc/os-release", "/usr/lib/os-release")
TEGRA = "/etc/nv_tegra_release"


@fact(
    "os",
    keys={
        "id": "text: os-release's ID, in lower case",
        "version": "text?: VERSION_ID; null where the file states none",
        "like": "texts: ID_LIKE",
        "name": "text?",
        "codename": "text?",
        "variant": "text?: VARIANT_ID; stream for CentOS Stream",
        "support_end": "text?",
        "l4t": "text?: a Jetson's release (36.4.3), null elsewhere",
    },
    static=True,
)
def read(root: Root) -> Answer:
    """The operating system, as os-release states it.

    Reads TEGRA (a Jetson's L4T, "36.4.3"; None elsewhere) and the first of FILES beneath the root, never the running
    machine's in its place. ``version`` is None where the file states none (rolling releases, Debian testing). Imports
    `distro`: only when static facts are collected.
    """
    path = next((path for path in FILES if root.is_file(path)), None)
    text = root.read_text(path) if path else None
    l4t = _l4t(root)
    if path is None or text is None:
        return _without(f"no os-release file beneath {root.path}", l4t)
    try:
        fields = _parse(root, path)
    except (ValueError, OSError) as error:
        return _without(f"{path} cannot be parsed: {error}", l4t)
    return Answer({**values(fields), "l4t": l4t})


def values(fields: dict[str, str]) -> dict[str, Any]:
    """Return the values of subject ``os`` from the fields of an os-release file, their names in lower case."""
    return {
        "id": fields.get("id", "").strip().lower() or "linux",  # os-release(5): linux where it is not set
        "version": _version(fields.get("version_id", "")),
        "like": fields.get("id_like", "").lower().split(),
        "name": fields.get("pretty_name") or fields.get("name") or None,
        "codename": fields.get("version_codename") or fields.get("ubuntu_codename") or None,
        "variant": _variant(fields),
        "support_end": fields.get("support_end") or None,
    }


def _without(reason: str, l4t: str | None) -> Answer:
    """Return the answer where os-release says nothing: all is unknown, but for a Jetson's L4T."""
    if l4t is None:
        return unknown(reason)
    return Answer({"l4t": l4t}, dict.fromkeys(values({}), reason))


def _l4t(root: Root) -> str | None:
    """Return "36.4.3" of "# R36 (release), REVISION: 4.3, GCID: ...", None where this is no Jetson."""
    text = root.read_text(TEGRA) if root.is_file(TEGRA) else None
    line = text.partition("\n")[0] if text else ""
    release = line.partition(" R")[2].partition(" ")[0]
    revision = line.partition("REVISION:")[2].partition(",")[0].strip()
    if not is_whole(release):
        return None
    numbers = all(is_whole(part) for part in revision.split("."))
    return f"{release}.{revision}" if revision and numbers else release


def _parse(root: Root, path: str) -> dict[str, str]:
    """Parse with `distro`, given the file with links resolved inside the root: distro would follow them out."""
    from distro import LinuxDistribution

    real = root.resolve(path) or path
    beneath = "" if root.own else root.path
    release = LinuxDistribution(
        include_lsb=False, include_uname=False, os_release_file=beneath + real, root_dir=root.path
    )
    return dict(release.os_release_info())


def _version(text: str) -> str | None:
    """Return VERSION_ID, None where it is missing or a template ("TEMPLATE_VERSION_ID" on Arch Linux)."""
    version = text.strip()
    return version if any(is_whole(letter) for letter in version) else None


def _variant(fields: dict[str, str]) -> str | None:
    """Return VARIANT_ID; "stream" for CentOS Stream, which shares ID and VERSION_ID with CentOS Linux 8."""
    told = (fields.get("redhat_support_product_version", ""), fields.get("name", ""), fields.get("pretty_name", ""))
    if any("centos stream" in text.lower() for text in told):
        return "stream"
    return fields.get("variant_id") or None
