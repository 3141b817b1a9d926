"""The ordinary users that submit jobs in the lab."""

import pwd
import shutil
import subprocess
from typing import NamedTuple

USERS = ("pfalice", "pfbob")


class Account(NamedTuple):
    """Numeric identity to run a program as, with what its environment needs."""

    name: str
    uid: int
    gid: int
    home: str


def account(name: str) -> Account:
    """Return the account called ``name``; raises KeyError if the machine has none."""
    entry = pwd.getpwnam(name)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def ensure_users(names: tuple[str, ...] = USERS) -> list[Account]:
    """Create the missing ones of ``names`` as system users without a home; return all accounts. Needs root."""
    for name in names:
        try:
            pwd.getpwnam(name)
        except KeyError:
            # Two test runs may start at once: useradd's "already exists" (9) is success.
            done = subprocess.run(
                [_useradd(), "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
                 "--shell", "/bin/sh", name],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode not in (0, 9):
                raise RuntimeError(f"useradd {name}: {done.stderr.strip()}") from None
    return [account(name) for name in names]


def _useradd() -> str:
    return shutil.which("useradd") or "/usr/sbin/useradd"
