"""Slurm's accounting for a lab: MariaDB on a private socket and directory, and slurmdbd in front of it.

The database is this machine's, whichever Slurm runs: the lab's directory, and with it the socket, is seen in the
chroots as well. It listens on no port and knows no passwords; only the user slurm can reach its socket. It keeps
nothing on disk that a crash would need, so that starting it costs a second.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from lab.conf import Settings, free_ports, give_back
from lab.daemons import Daemon, LabError
from lab.release import HostRelease, Release
from lab.users import Account, account

PLUGIN = "AccountingStorageType=accounting_storage/slurmdbd"
_MARIADB = (
    "--no-defaults", "--skip-networking", "--skip-grant-tables", "--skip-log-bin", "--innodb-buffer-pool-size=32M",
    "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync", "--skip-innodb-doublewrite",
    "--innodb-log-file-size=16M", "--innodb-lock-wait-timeout=900", "--performance-schema=off",
)  # fmt: skip
# What mariadb-install-db makes the server's own tables from; slurmdbd's stored procedures are kept in one of them.
_TABLES = "/usr/share/mysql/mysql_system_tables.sql"


def missing(release: Release) -> list[str]:
    """Return what is not installed of what accounting needs."""
    absent = [] if release.find("slurmdbd") else ["slurmdbd"]
    return absent if HostRelease().find("mariadbd") else [*absent, "mariadbd (mariadb-server-core)"]


class Accounting:
    """The two daemons of one lab: ``daemons`` in the order in which they are started."""

    def __init__(self, settings: Settings, release: Release) -> None:
        self._directory = settings.path("accounting")
        self._port = free_ports(1)[0]
        self._munge = settings.munge_socket
        self._log = settings.path("log", "slurmdbd.log")
        self._user = settings.slurm_user
        self.socket = os.path.join(self._directory, "mariadb.socket")
        self._conf = settings.path("slurmdbd.conf")
        self._slurm_conf = settings.path("slurm.conf")
        self._release = release
        self._arguments = [*_MARIADB, f"--datadir={self._directory}/data", f"--tmpdir={self._directory}/tmp"]
        arguments = [*self._arguments, f"--socket={self.socket}", f"--pid-file={self._directory}/mariadb.pid"]
        who = self._account()
        self._mariadb = Daemon(settings.directory, "mariadbd", HostRelease(), "mariadbd", arguments, who)
        self._slurmdbd = Daemon(settings.directory, "slurmdbd", release, "slurmdbd", ["-D"], who, self._surroundings)
        self.daemons = [self._mariadb, self._slurmdbd]

    def lines(self) -> str:
        """Return the lines of slurm.conf that name it."""
        return (
            f"{PLUGIN}\nAccountingStorageHost=localhost\nAccountingStoragePort={self._port}\n"
            f"AccountingStoragePass={self._munge}\n"
            "JobAcctGatherType=jobacct_gather/linux\nJobAcctGatherFrequency=1\n"
        )

    def make(self) -> None:
        """Make the directory, the empty database and slurmdbd.conf; raises LabError where something is missing."""
        absent = missing(self._release)
        if absent:
            raise LabError(f"accounting needs {', '.join(absent)}")
        who = account(self._user)
        for path in (self._directory, f"{self._directory}/data", f"{self._directory}/tmp"):
            os.makedirs(path, exist_ok=True)
            os.chown(path, who.uid, who.gid)
            os.chmod(path, 0o700)
        text = (
            f"AuthType=auth/munge\nAuthInfo=socket={self._munge}\nDbdHost=localhost\nDbdAddr=127.0.0.1\n"
            f"DbdPort={self._port}\nSlurmUser={self._user}\nLogFile={self._log}\nDebugLevel=info\n"
            f"PidFile={self._directory}/slurmdbd.pid\nStorageType=accounting_storage/mysql\n"
            "StorageHost=localhost\nStorageUser=slurm\nStorageLoc=slurm_acct_db\n"
        )
        with open(os.open(self._conf, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as out:
            out.write(text)
        os.chown(self._conf, who.uid, who.gid)
        if not os.path.isdir(f"{self._directory}/data/mysql"):
            self._make_tables(who)

    def _make_tables(self, who: Account) -> None:
        with open(_TABLES, encoding="utf-8") as tables:
            script = f"create database mysql;\nuse mysql;\n{tables.read()}"
        command = HostRelease().argv("mariadbd", [*self._arguments, "--bootstrap"], who)
        done = subprocess.run(
            command, input=script, capture_output=True, text=True, cwd=self._directory, timeout=120, check=False
        )
        if done.returncode:
            raise LabError(f"mariadbd --bootstrap: status {done.returncode}: {done.stderr[-500:]}")

    def start_database(self) -> None:
        """Start MariaDB; its socket appears when it answers."""
        self._mariadb.start()

    def start(self) -> None:
        """Start slurmdbd."""
        self._slurmdbd.start()

    def stop(self) -> None:
        """End both, and drop the data."""
        for daemon in reversed(self.daemons):
            daemon.stop()
        give_back([self._port])
        shutil.rmtree(self._directory, ignore_errors=True)

    def stop_slurmdbd(self) -> None:
        """End slurmdbd alone, as in an outage."""
        self._slurmdbd.stop()

    def _account(self) -> Account | None:
        try:
            return account(self._user)
        except KeyError:
            return None  # Lab.start says what is missing

    def _surroundings(self, command: list[str]) -> tuple[list[str], dict[str, str]]:
        # slurmdbd looks for its file beside slurm.conf, and gives the database's library no socket.
        return command, {"SLURM_CONF": self._slurm_conf, "MYSQL_UNIX_PORT": self.socket}
