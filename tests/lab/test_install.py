"""Installing over a running cluster, and taking Preflight off it, while jobs start and end all the time."""

import os
import shutil
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from lab.cluster import Cluster, sites_of
from lab.placing import features, publish

pytestmark = pytest.mark.lab
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "REQUEUE_HOLD")
NODES = ("ubuntu1", "ubuntu2", "debian1")


class _Traffic:
    """Jobs that start and end on every node, from one thread, until it is told to stop."""

    def __init__(self, cluster: Cluster) -> None:
        self.jobs: list[str] = []
        self._cluster, self._stop = cluster, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "_Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.4):
            node = NODES[len(self.jobs) % len(NODES)]
            gpu = ["--gpus=1"] if node != "debian1" else []
            self.jobs.append(self._cluster.lab.sbatch("echo ran", "-w", node, *gpu))

    def more(self, count: int) -> None:
        """Wait until so many more jobs have been submitted."""
        wanted = len(self.jobs) + count
        self._cluster.lab.wait_until(lambda: len(self.jobs) >= wanted, 60, "more jobs")

    def all_ran(self) -> None:
        """Each job has run once, and no node was drained for it."""
        lab = self._cluster.lab
        for job in self.jobs:
            state = lab.wait_job(job, ENDED)
            assert (state["state"], state["restarts"]) == ("COMPLETED", "0"), state
            assert "ran" in lab.output(job)
        for node in NODES:
            lab.wait_until(lambda node=node: lab.node_state(node) == "IDLE", 30, f"{node} to be idle")  # type: ignore[misc]


def _other_version(cluster: Cluster, version: str) -> None:
    """Install a copy of the checkout that says it is another version."""
    import preflight

    package = Path(preflight.__file__).parent
    checkout, copy = package.parent.parent, Path(cluster.directory, "checkout")
    shutil.rmtree(copy, ignore_errors=True)
    for name in ("src/preflight", "prolog", "client", "site-config", "slurm_plugin"):
        shutil.copytree(checkout / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.o"))
    init = copy / "src/preflight/__init__.py"
    text = init.read_text(encoding="utf-8").replace(f'"{preflight.__version__}"', f'"{version}"')
    init.write_text(text, encoding="utf-8")
    # By the release's own Python, which the hooks will run on, and before the checkout that it knows.
    code = (
        f"import sys; sys.path.insert(0, {str(copy / 'src')!r}); from preflight.__main__ import main; sys.exit(main())"
    )
    options = ["--prefix", cluster.prefix, "--config", cluster.config, "--run-dir", cluster.run_dir, "--no-plugin"]
    command = cluster.release.python(["-c", code, "install", *options])
    subprocess.run(command, cwd="/", check=True, capture_output=True)


def test_what_later_clusters_take_from_the_first_is_what_is_installed(cluster: Cluster) -> None:
    """Copied, compiled and built again it is the same version, and whole: there is nothing to do."""
    later = Cluster(list(sites_of("debian1")))  # the process' first has been made
    try:
        assert later.install().startswith("unchanged ")
    finally:
        later.stop()


def test_installing_over_a_running_cluster(cluster: Cluster) -> None:
    import preflight

    try:
        with _Traffic(cluster) as traffic:
            for version in ("9.0.1", "9.0.2"):
                _other_version(cluster, version)
                traffic.more(len(NODES))
            rollback = [f"{cluster.prefix}/bin/preflight", "install", "--rollback", "--prefix", cluster.prefix]
            rollback += ["--config", cluster.config, "--run-dir", cluster.run_dir]
            cluster.lab.check_run(rollback)
            assert "9.0.1" in cluster.lab.check_run([f"{cluster.prefix}/bin/preflight", "--version"])
            traffic.more(len(NODES))
        traffic.all_ran()
        seen = set()
        for job in traffic.jobs:
            for report in cluster.reports(job, phase=None):
                assert report["verdict"] == "ready", report["findings"]
                seen.add(report["software"]["preflight"])
        assert seen <= {preflight.__version__, "9.0.1", "9.0.2"}
        assert len(seen) > 1, seen
        assert len(list(Path(cluster.prefix, "versions").iterdir())) == 3
    finally:
        cluster.install()


def test_uninstalling_from_a_running_cluster(cluster: Cluster) -> None:
    options = ["--prefix", cluster.prefix, "--run-dir", cluster.run_dir]
    command = cluster.release.python(["-m", "preflight", "uninstall", *options])
    publish(cluster, "ubuntu1")
    own = features(cluster, "ubuntu1")
    assert len(own) > 3
    node = {**os.environ, "SLURMD_NODENAME": "ubuntu1"}
    try:
        with _Traffic(cluster) as traffic:
            traffic.more(4)
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=node)
            traffic.more(4)
        traffic.all_ran()
        assert f"removed {cluster.prefix}/versions" in done.stdout
        assert features(cluster, "ubuntu1") == {"ubuntu"}, own
        assert "scripts that do nothing" in done.stdout
        assert cluster.reports(traffic.jobs[-1], phase=None) == []
        assert cluster.reports(traffic.jobs[0])
        assert cluster.health("ubuntu1").returncode == 0
        for name in ("prolog", "epilog", "healthcheck", "taskprolog"):
            assert os.access(f"{cluster.prefix}/libexec/{name}", os.X_OK)
    finally:
        cluster.install()
    job = cluster.lab.sbatch("true", "--require=ubuntu>=22.04", "-w", "ubuntu1")
    assert cluster.wait_report(job)["verdict"] == "ready"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_installing_prints_and_who_may_read_what(cluster: Cluster) -> None:
    printed = cluster.install("--no-plugin")
    for line in (
        f"Prolog={cluster.hook('prolog')}",
        f"Epilog={cluster.hook('epilog')}",
        f"HealthCheckProgram={cluster.hook('healthcheck')}",
        f"TaskProlog={cluster.hook('taskprolog')}",
        "PrologFlags=Alloc,DeferBatch",
    ):
        assert line in printed
    job = cluster.lab.sbatch("true", "-w", "ubuntu2", "--gpus=1")
    cluster.lab.wait_job(job, "COMPLETED")
    cluster.wait_report(job, phase="epilog")
    node = cluster.node_dir("ubuntu2")
    assert _mode(Path(cluster.run_dir)) == 0o755
    assert _mode(node / "spool" / "reports") == 0o700
    assert _mode(node / "spool" / "reports" / job) == 0o700
    assert _mode(node / "spool" / "reports" / job / "ubuntu2.0.prolog.json") == 0o600
    assert _mode(node / "reports" / job / "ubuntu2.0.prolog.json") == 0o640
    for path in (node / "spool" / "reports" / job, Path(cluster.run_dir, "policy.json")):
        assert cluster.lab.run(["cat", str(path)], user="pfalice").returncode != 0
    for path in Path(cluster.run_dir).rglob("*"):
        assert not _mode(path) & 0o022, path
