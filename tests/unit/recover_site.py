"""A node whose drain and reboot a stand-in for slurmctld keeps, its health checks run in forked processes.

The boot id and the clocks are the test's own; a run can be ended by SIGKILL at any of its instants.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from preflight.facts import cache
from preflight.hooks import drain, spool
from preflight.hooks.main import main
from preflight.hooks.recover import evidence, record
from preflight.slurm import commands
from preflight.slurm import node as slurm_node
from unit.hook_site import Site, settle

ROW = '[[host]]\ncheck = "mount"\naction = "drain"\npath = "/scratch"\n'
MOUNTED = "fs1:/scratch /scratch nfs4 rw 0 0\n"
CONTROLLER = """
import json, os, time
with open(PLACE + "/calls", "a") as log:
    log.write(" ".join([program, *words]) + chr(10))
node = json.load(open(PLACE + "/node.json"))
def keep():
    with open(PLACE + "/node.json.new", "w") as file:
        json.dump(node, file)
    os.rename(PLACE + "/node.json.new", PLACE + "/node.json")
if program == "sinfo":
    mark = words[-1].split(":0", 1)[1].split(",")[0]
    names = ("NodeList", *("StateComplete", "Reason", "User", "Timestamp"))
    asked = [one.split(":")[0] for one in words[-1].split(",")]
    rows = [dict(node, NodeList="n1")] + [] if "-n" in words else [dict(node, NodeList="n1"), *node["others"]]
    for row in rows:
        say("".join(row[name] + mark for name in asked))
elif program == "squeue":
    say(node["jobs"])
elif program == "scontrol" and words[0] == "update":
    values = dict(one.split("=", 1) for one in words[1:])
    if values["State"].upper() == "RESUME":
        node.update(StateComplete="idle", Reason="none", User="Unknown", Timestamp="Unknown")
    else:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
        node.update(StateComplete="idle+drain", Reason=values["Reason"], User="root", Timestamp=stamp)
    keep()
elif program == "scontrol" and words[0] == "reboot":
    if node["refuses"]:
        fail("scontrol: error: " + node["refuses"])
    if "drain" in node["StateComplete"]:
        node["StateComplete"] += "+reboot_requested"
    keep()
elif program == "scontrol" and words == ["show", "config"]:
    say("SlurmUser               = slurm(64030)")
    say("RebootProgram           = " + node["program"])
else:
    fail("not known: " + " ".join([program, *words]))
"""


class Node:
    """The node n1: what Slurm says of it, its boot, its clocks."""

    def __init__(self, site: Site, more: str) -> None:
        self.site = site
        self.place = site.place / "slurm"
        self.place.mkdir()
        self.slurm(
            StateComplete="idle", Reason="none", User="Unknown", Timestamp="Unknown", jobs="", others=[], refuses=""
        )
        self.slurm(program="/sbin/reboot")
        self.mounts = site.place / "root/proc/self/mounts"
        self.mounts.parent.mkdir(parents=True, exist_ok=True)
        self.mounts.write_text("")
        self.boot_file = site.place / "boot_id"
        self.wall, self.up = 1_800_000_000.0, 1000.0
        self.policy(more)
        self.boots = 0
        self.booted()

    def policy(self, more: str, drain: str = 'max_nodes = "100%"\nresume_after = 1', top: str = "") -> None:
        self.site.policy(ROW + more, top=top, live=False)
        text = self.site.config.read_text().replace("[drain]\n", f"[drain]\n{drain}\n")
        self.site.config.write_text(text)
        settle(self.site.config)

    def slurm(self, **more: Any) -> dict[str, Any]:
        """Change what Slurm says of the node; return it."""
        path = self.place / "node.json"
        now = {**(json.loads(path.read_text()) if path.exists() else {}), **more}
        path.write_text(json.dumps(now))
        return now

    def booted(self) -> None:
        """Another boot: a new boot id, a clock that begins at 0; Slurm has registered the node."""
        self.boots += 1
        self.boot_file.write_text(f"boot-{self.boots}\n")
        self.up = 30.0
        now = self.slurm()
        if "reboot" in now["StateComplete"]:
            self.slurm(StateComplete="idle+drain", Reason=f"{now['Reason']} : reboot issued", User="slurm")

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.up += seconds

    def health(self, kill_at: int | None = None) -> int:
        """Run a health check, ended at the instant ``kill_at`` of it; return its wait status: 9 where it was ended."""
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                os.environ.clear()
                os.environ.update(self.site.environment())
                cache.BOOT_ID = str(self.boot_file)
                now = record.Now(cache.boot_id(), self.up, self.wall)
                record.now = lambda: now
                commands._run = self._answer
                drain.SETTLE_S = drain.JITTER_S = 0.0
                if kill_at is not None:
                    _end_at(kill_at)
                code = main(["health", "--config", str(self.site.config), "--run-dir", str(self.site.run_dir)])
            finally:
                os._exit(code)
        status = os.waitpid(pid, 0)[1]
        return signal.SIGKILL if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)

    def keep(self) -> Path:
        """Keep what the node and Slurm remember, for `back_to`."""
        to = self.site.place / "kept"
        for name in ("spool", "run", "slurm"):
            shutil.copytree(self.site.place / name, to / name)
        return to

    def back_to(self, kept: Path) -> None:
        """Bring all of it back to what it was, in the boot of then."""
        for name in ("spool", "run", "slurm"):
            shutil.rmtree(self.site.place / name, ignore_errors=True)
            shutil.copytree(kept / name, self.site.place / name)
        self.boots = 1
        self.boot_file.write_text("boot-1\n")

    def _answer(self, path: str, argv: list[str], *_: object) -> tuple[str, str]:
        """Answer a command of Slurm's as slurmctld would; a process for each would be most of what a test costs."""
        said: list[str] = []

        def fail(why: str) -> None:
            raise commands.SlurmError(why)

        place = {"PLACE": str(self.place), "program": argv[0], "words": argv[1:], "say": said.append, "fail": fail}
        exec(CONTROLLER, place)
        return "".join(f"{line}\n" for line in said), ""

    def reports(self) -> list[dict[str, Any]]:
        paths = sorted((self.site.spool / "reports/node").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_text()) for path in paths]

    def action(self) -> dict[str, Any]:
        """Run a health check and return the action of its report."""
        assert self.health() == 0
        action: dict[str, Any] = self.reports()[-1]["action"]
        return action

    def calls(self, start: str) -> list[str]:
        path = self.place / "calls"
        return [line for line in (path.read_text().splitlines() if path.exists() else []) if line.startswith(start)]

    @property
    def reboots(self) -> int:
        return len(self.calls("scontrol reboot"))

    def evidence(self) -> list[Path]:
        return sorted((self.site.spool / "evidence").glob("*"))


def _end_at(number: int) -> None:
    """End this process at an instant: before and after each write of the record, the evidence's child, the command."""
    seen = [0]

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **more: Any) -> Any:
            for part in (lambda: None, lambda: function(*args, **more)):
                answer = part()
                seen[0] += 1
                if seen[0] > number:
                    os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return wrapped

    write = spool.write_json
    recorded = around(write)
    spool.write_json = lambda path, data: (recorded if "/recover-" in path else write)(path, data)
    evidence.start = around(evidence.start)
    slurm_node.reboot = around(slurm_node.reboot)
