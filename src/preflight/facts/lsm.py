"""SELinux and AppArmor: what is in force, and what is configured (selinux(8), apparmor(7))."""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

ENFORCE = "/sys/fs/selinux/enforce"
CONFIG = "/etc/selinux/config"
# systemd, podman and docker leave one of them in a container.
CONTAINERS = ("/run/systemd/container", "/run/.containerenv", "/.dockerenv")
APPARMOR = "/sys/module/apparmor/parameters/enabled"


@fact(
    "lsm",
    keys={
        "selinux": "text?: enforcing or permissive, null where it is off",
        "selinux_config": "text?: enforcing, permissive or disabled, as /etc/selinux/config says; null without it",
        "selinux_off": "text?: why it cannot be in force here: selinux=0 on the kernel's command line, or a container",
        "apparmor": "flag: it is in force",
    },
)
def read(root: Root) -> Answer:
    """SELinux and AppArmor."""
    if not root.live and not root.is_dir("/sys"):
        return unknown(NOT_LIVE)
    enforce = (root.live_read(ENFORCE, 16) or "").strip()
    config = None
    for line in (root.read_text(CONFIG) or "").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "SELINUX":
            config = value.strip().lower()
    apparmor = (root.live_read(APPARMOR, 16) or "").strip()
    in_force = {"1": "enforcing", "0": "permissive"}.get(enforce)
    off = None if in_force else _off(root)
    return Answer({"selinux": in_force, "selinux_config": config, "selinux_off": off, "apparmor": apparmor == "Y"})


def _off(root: Root) -> str | None:
    if "selinux=0" in (root.live_read("/proc/cmdline") or "").split():
        return "selinux=0 on the kernel's command line"
    return next((f"a container ({one})" for one in CONTAINERS if root.stat(one) is not None), None)
