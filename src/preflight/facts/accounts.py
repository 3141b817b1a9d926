"""Names of users and groups, of /etc/passwd and /etc/group, then of the system's own directory (LDAP, sssd).

The directory may be a network service that hangs: only probe children ask it.
"""

from __future__ import annotations

from preflight.digits import is_whole, whole
from preflight.facts.rootfs import Root

PASSWD, GROUP = "/etc/passwd", "/etc/group"
MOST = 16 << 20


def uid_of(root: Root, name: str) -> int | None:
    """Return the uid of a user's name or number, None where nobody knows it."""
    return _number(root, name, PASSWD)


def gid_of(root: Root, name: str) -> int | None:
    """Return the gid of a group's name or number, None where nobody knows it."""
    return _number(root, name, GROUP)


def _number(root: Root, name: str, file: str) -> int | None:
    if is_whole(name, 10):
        return int(name)
    for line in (root.read_text(file, MOST) or "").splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2:
            return whole(fields[2])
    if not root.own:
        return None
    try:
        if file == PASSWD:
            import pwd

            return pwd.getpwnam(name).pw_uid
        import grp

        return grp.getgrnam(name).gr_gid
    except (ImportError, KeyError):
        return None
