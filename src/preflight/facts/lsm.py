"""SELinux and AppArmor: what is in force, and what is configured (selinux(8), apparmor(7))."""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

ENFORCE = "/sys/fs/selinux/enforce"
CONFIG = "/etc/selinux/config"
APPARMOR = "/sys/module/apparmor/parameters/enabled"


@fact(
    "lsm",
    keys={
        "selinux": "text?: enforcing or permissive, null where it is off",
        "selinux_config": "text?: enforcing, permissive or disabled, as /etc/selinux/config says; null without it",
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
    return Answer({"selinux": in_force, "selinux_config": config, "apparmor": apparmor == "Y"})
