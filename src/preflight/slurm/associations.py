"""Accounts, users and QOS with their limits, as slurmctld has them: `scontrol show assoc_mgr`.

It tells the limits in force with what is used of them now, also while slurmdbd is down. Names in it are the admins';
no text that users write stands there.
"""

from __future__ import annotations

import re

from preflight.slurm.commands import Slurm, lines
from preflight.tuples import NamedTuple

_AMOUNT = re.compile(r"([0-9.]+|N)?(?:\(([0-9.]+)\))?")
_NAME = re.compile(r"[A-Za-z0-9_.@+-]+")
MOST_PARENTS = 20


class Amount(NamedTuple):
    """A limit and what is used of it now; None: no limit, or nothing told. Memory in MiB, times in minutes."""

    limit: float | None
    used: float | None = None


class Holder(NamedTuple):
    """What limits are set on: ``kind`` is "account", "user" (in an account, perhaps for one partition) or "qos".

    ``values``: {"GrpTRES": {"cpu": Amount}, "MaxWallPJ": {"": Amount}} by Slurm's names; a QOS has also those of the
    user and the account asked about ("MaxTRESPU", "MaxJobsPA").
    """

    kind: str
    name: str
    account: str = ""
    partition: str = ""
    parent: str = ""
    values: dict[str, dict[str, Amount]] = {}  # noqa: RUF012 - a default, never written

    def amount(self, field: str, tres: str = "") -> Amount:
        """Return one limit; without a limit where it has none."""
        return self.values.get(field, {}).get(tres, Amount(None))


def chain(slurm: Slurm, user: str, account: str, partition: str) -> list[Holder]:
    """Return the holders whose limits bind a job, nearest first: its user's, its account, the accounts above.

    [] where Slurm has no accounting. Raises SlurmError.
    """
    found: list[Holder] = []
    seen: set[str] = set()
    while account and account not in seen and _NAME.fullmatch(account) and len(seen) < MOST_PARENTS:
        seen.add(account)
        rows = _records(slurm.run("scontrol", "-o", "show", "assoc_mgr", "flags=assoc", f"accounts={account}"))
        holders = [_association(row) for row in rows if row and row[0].startswith("ClusterName=")]
        if len(seen) == 1:
            own = [one for one in holders if one.kind == "user" and one.name == user]
            chosen = [one for one in own if one.partition == partition] or [one for one in own if not one.partition]
            found += chosen[:1]
        whole = [one for one in holders if one.kind == "account" and one.name == account]
        found += whole[:1]
        account = whole[0].parent if whole else ""
    return found


def qos(slurm: Slurm, name: str, user: str, uid: int, account: str) -> Holder | None:
    """Return a QOS with its limits, those of one user and account in it among them; None where there is none.

    Raises SlurmError.
    """
    if not _NAME.fullmatch(name):
        return None
    for row in _records(slurm.run("scontrol", "-o", "show", "assoc_mgr", "flags=qos", f"qos={name}")):
        if row and row[0].partition("(")[0] == f"QOS={name}":
            return Holder("qos", name, values=_of_qos(row, user, uid, account))
    return None


def partition_fields(slurm: Slurm, partition: str) -> dict[str, str]:
    """Return what a partition sets ("MaxTime", "MaxNodes", "QoS"), by Slurm's names; what is not set is left out.

    Raises SlurmError.
    """
    if not _NAME.fullmatch(partition):
        return {}
    words = slurm.run("scontrol", "-o", "show", "partition", partition).split()
    pairs = (word.partition("=")[::2] for word in words)
    return {name: text for name, text in pairs if text not in ("", "N/A", "(null)", "UNLIMITED")}


def _records(out: str) -> list[list[str]]:
    """Return the words of each record; `-o` writes one on a line."""
    return [line.split() for line in lines(out) if line.startswith(("ClusterName=", "QOS="))]


def _association(row: list[str]) -> Holder:
    fields = dict(word.partition("=")[::2] for word in row if "=" in word)
    user, account = fields.get("UserName", "").partition("(")[0], fields.get("Account", "")
    parent = fields.get("ParentAccount", "").partition("(")[0]
    values = {name: _amounts(text) for name, text in fields.items() if name.startswith(("Grp", "Max"))}
    kind = "user" if user else "account"
    return Holder(kind, user or account, account, fields.get("Partition", ""), parent, values)


def _of_qos(row: list[str], user: str, uid: int, account: str) -> dict[str, dict[str, Amount]]:
    """Return a QOS's values, those of one user and account among them.

    Behind "Account Limits=" and "User Limits=" stand those of each in use, as "physics={MaxJobsPA=4(1) …}"; a user is
    "999" on 22.05 and "alice(999)" on later releases. Who uses nothing has no entry.
    """
    found: dict[str, dict[str, Amount]] = {}
    whose = ""
    meant = {"Account": (account,), "User": (user, str(uid), f"{user}({uid})")}
    section = ""
    for before, word in zip(["", *row], row):
        if word == "Limits=" and before in meant:
            section, whose = before, ""
            continue
        if "={" in word:
            whose, _, word = word.partition("={")
        if not section or whose in meant[section]:
            name, _, text = word.partition("=")
            found[name] = _amounts(text.rstrip("}"))
        if word.endswith("}"):
            whose = ""
    return found


def _amounts(text: str) -> dict[str, Amount]:
    """Return the amounts of "cpu=3(2),mem=N(32)", or of "7(1)" under ""; N is no limit."""
    found = {}
    for part in text.split(","):
        name, equals, told = part.rpartition("=")
        amount = _AMOUNT.fullmatch(told)
        if amount and told:
            limit = None if amount[1] in (None, "N") else float(amount[1])
            found[name if equals else ""] = Amount(limit, None if amount[2] is None else float(amount[2]))
    return found
