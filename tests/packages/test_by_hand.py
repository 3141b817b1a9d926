"""What an admin does who has a package, or the one file, and the docs: a Slurm by hand, and the demo's six jobs.

In a Debian that has nothing on it, with the lines that the installation prints. On configless Slurm too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import MACHINE
from lab.demo import ACTS, Act
from nvml import sim
from packages.machines import CONTROLLER, GRES_CONF, NODES, SICK, SLURM_CONF, SOUND, USER, Cluster, cluster, pasted
from packages.system import SYSTEMS, System, bare, base, build, layered, put, way_out

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("debootstrap"), reason="needs root and debootstrap"
)
CGROUP = {"bookworm": "CgroupAutomount=no\n"}  # what 22.05 reads; later ones:
NO_CGROUP = "CgroupPlugin=disabled\n"
DAEMONS = ("slurmctld", "slurmd", "slurm-client", "munge")
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT")


@pytest.fixture(scope="module")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The packages and the one file, made on a machine of that Debian: the suite, and where they are."""
    suite: str = request.param
    kept = tmp_path_factory.mktemp(suite)
    with layered(base(suite), tmp_path_factory.mktemp("layer")) as builder:
        for one in build(system=builder):
            shutil.copy(one, kept)
        shutil.copy(one.parent / "preflight.pyz", kept)
    return suite, kept


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated driver."""
    return sim.build(tmp_path_factory.mktemp("nvml"))


@pytest.mark.parametrize(
    ("built", "way"),
    [("bookworm", "deb"), ("bookworm", "onefile"), ("trixie", "deb"), ("trixie", "onefile"), ("sid", "onefile")],
    indirect=["built"],
)  # Slurm 22.05, 24.11, 26.05
def test_six_jobs_come_out_as_the_demonstration_says(
    built: tuple[str, Path], library: Path, tmp_path: Path, way: str
) -> None:
    """The packages on hosts with files of their own; the one file where the controller alone has them (configless)."""
    suite, place = built
    with layered(bare(suite), tmp_path) as image:
        prepare(image, suite)
        shown = by_package(image, place) if way == "deb" else by_one_file(image, place)
        policy(image)
        slurm_conf, plugstack = pasted(shown)
        configless = way == "onefile"
        with cluster(bare(suite), image, library, tmp_path.with_name(f"{tmp_path.name}-m")) as site:
            files = {
                "slurm.conf": SLURM_CONF
                + slurm_conf
                + ("SlurmctldParameters=enable_configless\n" if configless else ""),
                "plugstack.conf": plugstack,
                "gres.conf": GRES_CONF,
                "cgroup.conf": CGROUP.get(suite, NO_CGROUP),
            }
            for name in (CONTROLLER,) if configless else site.machines:
                for file, text in files.items():
                    site[name].write(f"/etc/slurm/{file}", text)
            site.start(configless)
            story = Story(site)
            story.tell()
            if configless:
                story.place_from_the_controllers_files()


def prepare(image: System, suite: str) -> None:
    """Do what the admin of a cluster has done before: a mirror, no service that starts by itself, a user, Slurm."""
    way_out(image)
    (image.root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (image.root / "usr/sbin/policy-rc.d").chmod(0o755)
    archives = SYSTEMS / f"{suite}-archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", str(archives), str(image.root / "var/cache/apt/archives")], check=True)
    try:
        keep = ["-o", "Binary::apt::APT::Keep-Downloaded-Packages=true"]
        image.run("apt-get", "-o", "Acquire::Check-Valid-Until=false", "update")  # a mirror of sid may be behind
        image.run("env", "DEBIAN_FRONTEND=noninteractive", "apt", *keep, "install", "-y", *DAEMONS)
    finally:
        subprocess.run(["umount", str(image.root / "var/cache/apt/archives")], check=True)
    image.run("useradd", "--no-create-home", "--shell", "/bin/bash", USER)


def by_package(image: System, place: Path) -> str:
    """Install the two packages as docs/install/packages.md says; return what apt printed."""
    packages = [put(image, one) for one in sorted(place.glob("*.deb"))]
    return image.run("env", "DEBIAN_FRONTEND=noninteractive", "apt", "install", "-y", *packages)


def by_one_file(image: System, place: Path) -> str:
    """Install the one file as docs/install/one-file.md says, with the plugin built there; return what it printed."""
    there = put(image, place / "preflight.pyz")
    image.run(
        "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "python3", "gcc", "make", "libslurm-dev"
    )
    shown = image.run(there, "install", "--python", "/usr/bin/python3")
    image.run("ln", "-s", "/opt/preflight/bin/preflight", "/usr/local/bin/preflight")
    return shown


def policy(image: System) -> None:
    """Enforce, and let users read their reports; what this machine under the tests has is no node's."""
    path = image.root / "etc/preflight/preflight.toml"
    text = path.read_text()
    assert 'mode = "observe" ' in text  # a new one observes
    text = text.replace('mode = "observe" ', 'mode = "enforce" ').replace('dir = "" ', 'dir = "/shared/preflight" ', 1)
    path.write_text(f"{text}\n{MACHINE}\n")
    image.run("/opt/preflight/bin/preflight", "config", "check")


class Story:
    """The demonstration's story as an ordinary user has it who is logged in on the controller."""

    def __init__(self, site: Cluster) -> None:
        self.site = site

    def tell(self) -> None:
        """Submit all, wait for all, and hold every try of every job against the demonstration's."""
        self.doctor()
        for host in (CONTROLLER, "debian1"):
            done = self.site[host].ask("sbatch", "--require=cudaa>=12.4", "--wrap=true", user=USER)
            assert done.returncode != 0
            assert 'unknown name "cudaa": did you mean "cuda"?' in done.stderr, done.stderr
        jobs = {act.title: self.submit(act) for act in ACTS if act.command == "sbatch"}
        jobs |= {act.title: self.interactive(act) for act in ACTS if act.command == "srun"}
        for act in ACTS:
            self.site.wait(lambda act=act: self.settled(act, jobs[act.title]), f"job {jobs[act.title]} ({act.title})")
        for act in ACTS:
            assert self.tries(jobs[act.title]) == list(act.tries), act.title
            assert self.state(jobs[act.title]) == act.end, act.title
        self.user_reads(jobs)
        self.resume()
        assert set(self.site.states().values()) == {"idle"}  # no misfit has drained a node
        self.doctor()

    def doctor(self) -> None:
        """Ask it on every host: nothing is wrong."""
        for name in (CONTROLLER, *NODES):
            done = self.site[name].ask("preflight", "doctor")
            assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def submit(self, act: Act) -> str:
        """Submit a batch job and wait until it met its first node, as somebody does who types the next one then."""
        if act.title == "sick":
            self.site["sick1"].set_gpus(SICK)  # between two health checks
        asked = (f"--require={act.asked}",) if act.asked else ()
        done = self.user("sbatch", "--parsable", *asked, *act.options, "--wrap=hostname; sleep 1")
        assert done.returncode == 0, done.stderr
        job = done.stdout.strip()
        self.site.wait(lambda: self.tries(job), f"job {job} ({act.title}) meets a node", 120)
        return job

    def interactive(self, act: Act) -> str:
        """Run the interactive one: its terminal says why it ends."""
        before = set(self.numbers())
        done = self.user("srun", f"--require={act.asked}", *act.options, "hostname")
        assert done.returncode != 0
        assert "rocky1" not in done.stdout
        assert "cannot run on rocky1" in done.stderr, done.stderr
        (job,) = set(self.numbers()) - before
        return job

    def user_reads(self, jobs: dict[str, str]) -> None:
        """The user's own commands: why it was moved, why it waits, and the page."""
        said = self.user("preflight", "report", jobs["moves"])
        assert "READY" in said.stdout, said.stderr
        assert "rocky1 did not have what it asks for" in " ".join(said.stdout.split())
        said = self.user("preflight", "why", jobs["lost"])
        assert "held" in said.stdout, said.stderr
        page = self.user("preflight", "report", jobs["sick"], "--format", "html", "-o", f"/home/{USER}/sick.html")
        assert page.returncode == 0, page.stderr

    def resume(self) -> None:
        """Mend the sick node; its health check gives it back."""
        node = self.site["sick1"]
        reason = self.site.controller.run("sinfo", "-h", "-n", "sick1", "-o", "%E")
        assert reason.startswith("preflight:gpu.ecc.uncorrected:gpu0:"), reason
        node.set_gpus(SOUND)
        for _ in range(2):  # [drain] resume_after
            node.run("/opt/preflight/libexec/healthcheck")
        self.site.wait(lambda: self.site.states()["sick1"] == "idle", "sick1 comes back", 60)

    def place_from_the_controllers_files(self) -> None:
        """Put cli_filter.lua beside the controller's slurm.conf: every host has it, and jobs are placed from a node."""
        controller = self.site.controller
        controller.run(
            "install", "-m", "644", "/opt/preflight/share/preflight/cli_filter.lua", "/etc/slurm/cli_filter.lua"
        )
        with open(controller.root / "etc/slurm/slurm.conf", "a", encoding="utf-8") as conf:
            conf.write("CliFilterPlugins=cli_filter/lua\n")
        controller.run("scontrol", "reconfigure")
        for name in NODES:
            cache = self.site[name].root / "var/lib/slurm/slurmd/conf-cache"
            self.site.wait(lambda cache=cache: (cache / "cli_filter.lua").exists(), f"cli_filter.lua on {name}", 60)
            assert (cache / "plugstack.conf").exists()
            self.site[name].run("preflight", "publish")
        self.doctor()
        done = self.site["rocky1"].ask("sbatch", "--parsable", "--require=debian>=12", "--wrap=true", user=USER)
        assert done.returncode == 0, done.stderr
        job = done.stdout.strip()
        self.site.wait(lambda: self.state(job) == "COMPLETED", f"job {job}", 120)
        assert self.tries(job) == [("debian1", "ready", "none")]  # placed: rocky1 is the first that is free

    def user(self, *command: str) -> subprocess.CompletedProcess[str]:
        return self.site.controller.ask(*command, user=USER)

    def numbers(self) -> list[str]:
        return [
            one.name for one in (self.site.shared / "preflight").iterdir() if one.name.isascii() and one.name.isdigit()
        ]

    def tries(self, job: str) -> list[tuple[str, str, str]]:
        """Return what each node's prolog found and did, in order."""
        found: list[dict[str, Any]] = []
        for path in (self.site.shared / "preflight" / job).glob("*.prolog.json"):
            found.append(json.loads(path.read_text(encoding="utf-8")))
        found.sort(key=lambda one: one["started"])
        return [(one["node"], one["verdict"], one["action"]["kind"]) for one in found]

    def state(self, job: str) -> str:
        return self.site.controller.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T").strip()

    def settled(self, act: Act, job: str) -> bool:
        if len(self.tries(job)) < len(act.tries):
            return False
        state = self.state(job)
        return state in ENDED or (act.end == "PENDING" and state == "PENDING")
