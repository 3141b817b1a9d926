"""The user's side imports and runs where there is no POSIX: a process without its modules and without fork."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from preflight.report.store import write_copy
from report_samples import report
from unit import gpu_code_samples, image_samples

GONE = ("fcntl", "pwd", "grp", "resource", "syslog", "termios")
# As on Windows, as far as this Python's own library goes along.
WITHOUT = f"""
import os, sys
for name in {GONE!r}:
    sys.modules[name] = None
for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp", "setsid", "pipe2", "uname", "statvfs", "killpg",
             "getuid", "geteuid", "getgid", "getegid", "chown", "fchown", "fchmod",
             "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_DIRECTORY"):
    if hasattr(os, name):
        delattr(os, name)
os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks = set(), set(), set()
for name in ("SIGALRM", "SIGKILL", "setitimer", "pthread_sigmask", "ITIMER_REAL"):
    import signal
    if hasattr(signal, name):
        delattr(signal, name)
"""
ONLY_FORK = f"import os, sys\nfor name in {GONE!r}:\n    sys.modules[name] = None\ndel os.fork\n"
RUN = "\nfrom preflight.__main__ import main\nsys.exit(main())\n"

FACTS = {
    "format": "preflight.facts/1",
    "node": "gpu1",
    "collected": "2026-11-24T14:00:00Z",
    "facts": {
        "os": {"id": "ubuntu", "version": "22.04", "like": ["debian"]},
        "kernel": {"release": "5.15.0"},
        "driver": {"version": "550.54.15", "cuda": "12.4", "module": "550.54.15", "nvml": "ok"},
        "gpus": {"count": 1, "stuck_at": None, "devices": [{"index": 0, "minor": 0, "name": "NVIDIA H100 80GB HBM3"}]},
    },
    "unknown": {},
    "timings_ms": {},
}


def run(without: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", without + RUN, *arguments]
    clean = {"PATH": os.environ["PATH"], "PREFLIGHT_CONFIG": "", "SLURMD_NODENAME": "here", **environment}
    if sys.version_info < (3, 10):
        clean.setdefault("HOME", "/")  # else posixpath.expanduser imports pwd there; Windows' never does
    return subprocess.run(command, env=clean, capture_output=True, text=True, check=False)


@pytest.fixture(params=[ONLY_FORK, WITHOUT], ids=["as-designed", "little-posix"])
def without(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_posix_modules_are_really_gone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + "\nimport syslog"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "import of syslog halted" in done.stderr


def test_a_requirement_is_explained(without: str) -> None:
    done = run(without, "require", "cuda>=12.4, ubuntu>=22.04 | rhel>=9", "--to", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[0] == [{"name": "cuda", "op": ">=", "value": "12.4", "negated": False}]
    assert run(without, "require", "cuda").returncode == 2


@pytest.mark.parametrize(
    ("spec", "code"),
    [("gpu=h100, ubuntu>=22.04", 0), ("gpu=a100", 3), ("kernel>=5.15", 0), ("python>=3.11, cudnn>=9", 4)],
)
def test_recorded_facts_are_judged(without: str, tmp_path: Path, spec: str, code: int) -> None:
    (tmp_path / "facts.json").write_text(json.dumps(FACTS))
    for more in ((), ("--json",)):
        done = run(without, "check", "--facts", str(tmp_path / "facts.json"), "--require", spec, *more)
        assert done.returncode == code, done.stderr
        assert done.stderr == ""


def test_a_node_says_what_it_can(without: str, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    done = run(without, "facts", "--json", "--root", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["facts"]["os"]["version"] == "12"
    assert run(without, "facts").returncode == 0


def test_a_job_is_reported(without: str, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    write_copy(str(shared), report(), os.geteuid(), -1)
    policy = tmp_path / "p.toml"
    policy.write_text(f'version = 1\n[report]\nspool = "{tmp_path}/none"\ndir = "{shared}"\n')
    for form in ("text", "html", "markdown", "json"):
        done = run(without, "report", "42", "--config", str(policy), "--format", form)
        assert (done.returncode, done.stderr) == (0, "")
        assert "gpu001" in done.stdout


def test_a_job_is_explained_from_its_reports(without: str, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    write_copy(str(shared), report(), os.geteuid(), -1)
    policy = tmp_path / "p.toml"
    nowhere = f'[hook]\nslurm_bin = "{tmp_path}"\n[report]\nspool = "{tmp_path}/none"\ndir = "{shared}"\n'
    policy.write_text(f"version = 1\n{nowhere}")
    done = run(without, "why", "42", "--config", str(policy))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Job 42, by its reports, " in done.stdout
    done = run(without, "why", "43", "--config", str(policy))
    assert done.returncode == 2
    assert "Slurm could not be asked" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--help",), ("checks",), ("config", "show"), ("config", "check"), ("--version",)]
)
def test_the_rest_that_users_call_works(without: str, arguments: tuple[str, ...]) -> None:
    done = run(without, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_errors_are_one_line_there_too(without: str) -> None:
    done = run(without, "check", "--facts", "/no/such")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


SCRIPT = "#!/bin/bash\n#SBATCH -N2 --gpus-per-node=4\n#SBATCH --require=cuda>=12.4\nmodule load cuda/12.4\n"


def test_a_script_is_planned_without_a_cluster(without: str, tmp_path: Path) -> None:
    (tmp_path / "job.sh").write_text(SCRIPT)
    (tmp_path / "p.toml").write_text(f'version = 1\n[hook]\nslurm_bin = "{tmp_path}/none"\n')
    arguments = ("plan", "--config", str(tmp_path / "p.toml"))
    done = run(without, *arguments, str(tmp_path / "job.sh"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "No cluster was asked" in done.stdout
    assert "cuda>=12.4  (--require, line 3)" in done.stdout
    found = json.loads(run(without, *arguments, "--json", str(tmp_path / "job.sh")).stdout)
    assert (found["cluster_asked"], found["enough"], found["problem"]) == (False, None, None)
    assert found["components"][0]["asked"]["gpus"]["per_node"] == 4
    assert run(without, *arguments, str(tmp_path / "missing.sh")).returncode == 2


def test_images_and_shares_of_a_gpu_are_read_there_too(without: str, tmp_path: Path) -> None:
    images = Path(__file__).parents[1] / "images"
    for name in ("default.sif", "umoci-tags.tar:12.6", "pzstd.tar.zst"):
        done = run(without, "image", str(images / name))
        assert (done.returncode, done.stderr) == (0, "")
        assert "cuda>=12." in done.stdout
    (tmp_path / "job.sh").write_text("#!/bin/bash\n#SBATCH --gres=shard:2\nhostname\n")
    (tmp_path / "p.toml").write_text(f'version = 1\n[hook]\nslurm_bin = "{tmp_path}/none"\n')
    done = run(without, "plan", "--config", str(tmp_path / "p.toml"), str(tmp_path / "job.sh"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "GPUs 2 shard" in done.stdout


def test_gpu_code_is_told_there_too(without: str, tmp_path: Path) -> None:
    unit = gpu_code_samples.container(gpu_code_samples.image(90), gpu_code_samples.ptx(90))
    wheel = gpu_code_samples.wheel(tmp_path / "x-1-py3-none-any.whl", {"x/a.so": gpu_code_samples.library([unit])})
    library = gpu_code_samples.library([unit])
    (tmp_path / "a.so").write_bytes(library)
    layers = [image_samples.layer({"opt/a.so": library})]
    layout = image_samples.layout(tmp_path / "layout", layers, image_samples.configuration({}))
    saved = image_samples.docker_save(tmp_path / "saved.tar", layers, image_samples.configuration({}), packed=True)
    for path in (wheel, tmp_path, tmp_path / "a.so", layout, saved):
        done = run(without, "code", str(path), "--gpu", "h100")
        assert (done.returncode, done.stderr) == (0, "")
        assert "H100 (9.0): yes" in done.stdout
    assert run(without, "code", str(tmp_path / "none")).returncode == 2


NHC = "* || check_ps_daemon sshd root\n"
# What each of the other commands does on a laptop: its exit code, and its one line where it cannot.
ELSEWHERE = [
    (("support", "--driver", "550", "--cuda", "12.4"), 0, ""),
    (("import-nhc", "nhc.conf"), 0, ""),
    (("help", "plan"), 0, ""),
    (("version",), 0, ""),
    (("ingest", "reports", "--store", "sqlite:///store.db"), 0, ""),
    (("fleet", "status", "--store", "sqlite:///none.db"), 2, "no store is there yet"),
    (("agent", "status"), 2, "no agent runs here"),
    (("publish", "--dry-run", "--config", "p.toml"), 2, "scontrol not found"),
    (("ship", "--config", "p.toml"), 2, "url is not set"),
]


@pytest.mark.parametrize(("arguments", "code", "error"), ELSEWHERE, ids=[one[0][0] for one in ELSEWHERE])
def test_the_other_commands_work_or_say_why_not(
    without: str, arguments: tuple[str, ...], code: int, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    (tmp_path / "job.sh").write_text(SCRIPT)
    (tmp_path / "nhc.conf").write_text(NHC)
    (tmp_path / "p.toml").write_text(f'version = 1\n[hook]\nslurm_bin = "{tmp_path}/none"\n')
    done = run(without, *arguments, PATH=str(tmp_path))
    assert (done.returncode, error in done.stderr) == (code, True), done.stderr
    assert len(done.stderr.splitlines()) == bool(error)


def test_a_job_that_cannot_be_submitted_is_said(without: str, tmp_path: Path) -> None:
    """No sbatch, or one that finds no cluster."""
    (tmp_path / "job.sh").write_text(SCRIPT)
    (tmp_path / "p.toml").write_text(f'version = 1\n[hook]\nslurm_bin = "{tmp_path}/none"\n')
    done = run(without, "sbatch", str(tmp_path / "job.sh"), PREFLIGHT_CONFIG=str(tmp_path / "p.toml"))
    assert done.returncode in (1, 2)
    says = r"preflight: not planned, so not placed by Preflight: (scontrol|sbatch) not found"  # sbatch: no Slurm here
    assert re.match(says, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["doctor", "serve", "install", "uninstall", "hook"])
def test_what_is_a_nodes_or_a_servers_has_its_help_and_no_traceback(without: str, command: str) -> None:
    done = run(without, command, "--help")
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 2)
