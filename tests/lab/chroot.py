"""The Slurm of another Debian release, run by chroot: same kernel, same /proc, same lab directory.

Each ``ChrootRelease`` has a view: the system bound to a place of its own, with /proc, /sys, /dev, the checkout (read
only) and the labs' directories in it. What a test mounts below a lab's directory shows inside as well.
"""

from __future__ import annotations

import atexit
import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from lab import debian, processes
from lab.daemons import LabError
from lab.mounts import mount, unmount, unmount_all
from lab.release import COMMANDS, DAEMONS
from lab.users import Account

_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
# chroot goes to /: come back to where the caller was, if that is a place inside. Execs to the end, so the pid stays.
_ENTER = (
    'here=$(pwd -P); [ -d "$1$here" ] || here=/; root=$1; shift; '
    'exec "$0" "$root" /usr/bin/env -u PWD -u OLDPWD -C "$here" "$@"'
)
_numbers = itertools.count()


class ChrootRelease:
    """The Slurm of Debian ``suite``, which must be of release ``wanted`` (such as "24.11")."""

    def __init__(self, suite: str, wanted: str) -> None:
        self.suite, self.wanted = suite, wanted
        self._root: str | None = None
        self._view: str | None = None
        self._directories: list[str] = []
        self._held = ExitStack()
        self._version: tuple[int, ...] | None = None

    @property
    def root(self) -> str:
        """The system's root directory; made now if there is none."""
        if self._root is None:
            self._root = debian.system(self.suite)
        return self._root

    def find(self, program: str) -> str | None:
        """Return the path that ``program`` has inside, None if it is not installed."""
        for place in _PATH:
            # A link to an absolute path points elsewhere from here.
            if os.path.lexists(f"{self.root}{place}/{program}"):
                return f"{place}/{program}"
        return None

    def argv(self, program: str, args: Sequence[str], account: Account | None = None) -> list[str]:
        """Return the command line; every part of it execs the next."""
        found = program if program.startswith("/") else self.find(program)
        if found is None:
            raise FileNotFoundError(f"{program}: not installed in {self.root}")
        command = [found, *args]
        if account is not None:
            drop = [f"--reuid={account.uid}", f"--regid={account.gid}", "--init-groups", "--inh-caps=-all"]
            command = ["/usr/bin/setpriv", *drop, "--", *command]
        return ["/bin/sh", "-c", _ENTER, debian.chroot_program(), self._seen(), *command]

    def outside(self, path: str) -> str:
        """Return the path of ``path`` in the view."""
        return f"{self._seen()}{path}"

    def python(self, args: Sequence[str]) -> list[str]:
        """Return the command line of the system's Python with the checkout and its libraries importable."""
        source = f"PYTHONPATH={debian.REPOSITORY}/src"
        interpreter = f"{debian.ENVIRONMENT}/bin/python"
        return self.argv("/usr/bin/env", [source, "PYTHONDONTWRITEBYTECODE=1", interpreter, *args])

    def interpreter(self) -> str:
        """Return the path of the system's own Python, which hooks run."""
        return "/usr/bin/" + os.path.basename(os.readlink(f"{self.root}/usr/bin/python3"))

    def missing(self) -> list[str]:
        return [name for name in (*DAEMONS, *COMMANDS, "setpriv") if self.find(name) is None]

    def version(self) -> tuple[int, ...]:
        """Return Slurm's version; raises LabError if the suite has moved on to another release."""
        if self._version is None:
            text = subprocess.run(
                self.argv("slurmd", ["-V"]), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
            ).stdout
            numbers = text.split()[1].split("-")[0]
            self._version = tuple(int(part) for part in numbers.split("."))
            if self._version[:2] != tuple(int(part) for part in self.wanted.split(".")):
                raise LabError(f"Debian {self.suite} has Slurm {numbers}, not {self.wanted}: see lab/releases.py")
        return self._version

    def prepare(self, directory: str) -> None:
        """Show ``directory`` inside, under the same path. Safe to call again."""
        directory = os.path.realpath(directory)
        view = self._seen()
        debian.copy_accounts(view)
        if any(f"{directory}/".startswith(f"{one}/") for one in self._directories):
            return
        # A mount point of its own and shared: what is mounted below it later is passed on.
        mount("--bind", directory, directory)
        mount("--make-shared", directory)
        self._directories.append(directory)
        os.makedirs(view + directory, exist_ok=True)
        mount("--bind", directory, view + directory)
        mount("--make-slave", view + directory)

    def release(self, directory: str) -> None:
        """Take ``directory`` out again, and the view with the last one."""
        directory = os.path.realpath(directory)
        if directory in self._directories:
            self._directories.remove(directory)
            unmount(f"{self._view}{directory}")
            unmount(directory)
        if not self._directories:
            self.close()

    def close(self) -> None:
        """Undo every mount."""
        atexit.unregister(self.close)
        for directory in list(self._directories):
            unmount(directory)
        self._directories.clear()
        if self._view is not None:
            _forget(Path(self._view))
            self._view = None
        self._held.close()

    def _seen(self) -> str:
        """Return the view's root; make it if there is none."""
        if self._view is None:
            root = self.root
            _sweep()
            me = processes.identify(os.getpid())
            view = debian.CACHE / "views" / f"{os.getpid()}-{me.started if me else 0}-{next(_numbers)}"
            view.mkdir(parents=True)
            self._held.enter_context(debian.in_use(self.suite))
            self._view = str(view)
            atexit.register(self.close)
            _fill(root, str(view))
        return self._view


def _fill(root: str, view: str) -> None:
    mount("--bind", root, view)
    mount("--make-private", view)
    for name in ("proc", "sys", "dev"):
        mount("--rbind", f"/{name}", f"{view}/{name}")
        # So that taking it out does not take out the machine's own.
        mount("--make-rslave", f"{view}/{name}")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{view}/tmp")
    checkout = view + str(debian.REPOSITORY)
    os.makedirs(checkout, exist_ok=True)
    mount("--bind", str(debian.REPOSITORY), checkout)
    mount("-o", "remount,bind,ro", checkout)


def _forget(view: Path) -> None:
    unmount_all(str(view))
    try:
        view.rmdir()
    except OSError as error:
        print(f"lab: {view} is left: {error.strerror}", file=sys.stderr)


def _sweep() -> None:
    """Undo the views whose owner died."""
    views = debian.CACHE / "views"
    for view in views.iterdir() if views.is_dir() else ():
        pid, started, _ = (int(part) for part in view.name.split("-"))
        if not processes.is_alive(processes.Process(pid, started)):
            _forget(view)
