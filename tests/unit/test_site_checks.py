"""The site's own checks in Python: judged as ours are, and costing their own result and nothing else."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import preflight
from preflight.checks.finding import Finding
from preflight.checks.registry import Context
from preflight.checks.run import run_checks
from preflight.facts.source import Source
from preflight.facts.view import View
from preflight.hooks.site.run import catalogue, site_findings
from preflight.policy.model import CheckPolicy, Policy, SitePolicy
from preflight.policy.site_files import any_files, site_files
from unit.hook_site import JOB, Site, settle

EXAMPLE = Path(__file__).resolve().parents[2] / "site-config/checks.d/raid.py"
HEAD = """
import os, sys, time
from preflight.checks.finding import failed, passed, untold
from preflight.checks.registry import check
from preflight.facts.answer import Answer
from preflight.facts.registry import fact

@check("site.one", reads=(), remedy="mend it", phases=("health",))
def one(context, limit):
    '''One holds.'''
"""
GOOD = f"{HEAD}    yield passed('it holds')\n"
# What a file does to everybody else's time, memory and processes, and what its own result says of it.
BAD = {
    "hangs at import": ("import time\ntime.sleep(600)", "did not end in time"),
    "hangs in a check": (f"{HEAD}    time.sleep(600)\n    yield passed('')\n", "did not end in time"),
    "loops": ("while True: pass", "did not end in time"),
    "floods": ("import sys\nwhile True: sys.stdout.write('x' * 4096); sys.stdout.flush()", "wrote more than"),
    "floods what it tells": (f"{HEAD}    yield from (failed('x' * 400) for _ in range(10**9))\n", "wrote more than"),
    "ends by a signal": ("import os\nos.kill(os.getpid(), 11)", "ended by signal 11"),
    "exits": ("import os\nos._exit(7)", "ended with status 7"),
    "asks to exit": ("raise SystemExit(3)", "SystemExit"),
    "is no Python": ("x = = 1", "SyntaxError"),
    "raises": (f"{HEAD}    raise KeyError('oh')\n    yield\n", "KeyError: 'oh'"),
    "tells nonsense": (f"{HEAD}    yield 'fine'\n", "told"),
    "takes a name of ours": (GOOD.replace("site.one", "node.memory"), "one of Preflight's own"),
}
FORKS = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", MARK])
        time.sleep(600)
"""


CLOSED = any(not os.stat(one).st_mode & 0o001 for one in Path(preflight.__file__).parents)


def context(policy: Policy, phase: str = "health") -> Context:
    return Context(phase, View({}, {}), View({}, {}), policy)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "checks.d"
    made.mkdir(mode=0o755)
    return made


@pytest.fixture
def judge(place: Path) -> Callable[..., list[Finding]]:
    """Write files and return the findings of one run."""

    def run(files: dict[str, str], policy: Policy = Policy(), budget_s: float = 1.0, **more: str) -> list[Finding]:  # noqa: B008
        for name, text in files.items():
            (place / name).write_text(text)
            (place / name).chmod(0o644)
        site = SitePolicy(str(place), budget_s=budget_s, **more)
        return site_findings(context(policy._replace(site=site, site_points=())), Source(), time.monotonic() + 60)

    return run


def test_a_site_without_any_costs_a_look_at_a_directory(tmp_path: Path) -> None:
    policy = Policy(site=SitePolicy(str(tmp_path / "none")), site_points=())
    assert not any_files(policy)
    assert site_files(policy) == []


@pytest.mark.parametrize(
    ("mdstat", "statuses"),
    [
        ("md0 : active raid1 sda1[0] sdb1[1]\n      1046528 blocks super 1.2 [2/2] [UU]\n", ["pass"]),
        ("md0 : active raid1 sda1[0]\n      1046528 blocks super 1.2 [2/1] [U_]\n", ["warn"]),
        ("Personalities :\nunused devices: <none>\n", ["skip"]),
    ],
)
def test_the_example_is_run(tmp_path: Path, mdstat: str, statuses: list[str]) -> None:
    (tmp_path / "root/proc").mkdir(parents=True)
    (tmp_path / "root/proc/mdstat").write_text(mdstat)
    policy = Policy(site=SitePolicy(str(EXAMPLE.parent)), site_points=())
    source = Source(str(tmp_path / "root"), live=True)
    found = site_findings(context(policy), source, time.monotonic() + 60)
    assert [(one.check, one.status) for one in found] == [("site.raid", status) for status in statuses]


def test_action_limit_and_phase_are_the_policys(judge: Callable[..., list[Finding]]) -> None:
    text = GOOD.replace("yield passed('it holds')", "yield failed(f'limit {limit}')")
    assert [one.status for one in judge({"a.py": text})] == ["fail"]
    assert [one.remedy for one in judge({})] == ["mend it"]
    warned = judge({}, Policy(checks={"site.one": CheckPolicy(action="warn", limit=4)}))
    assert [(one.status, one.message) for one in warned] == [("warn", "limit 4")]
    assert judge({}, Policy(checks={"site.one": CheckPolicy(action="off")})) == []


def test_a_site_check_moves_no_job_and_writes_no_second_line(judge: Callable[..., list[Finding]]) -> None:
    text = GOOD.replace("passed('it holds')", "failed('a\\nb', subject='x:y', blame='job')")
    (found,) = judge({"a.py": text})
    assert (found.blame, found.subject, found.message) == ("site", "x y", "a b")


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_costs_its_own_result_only(judge: Callable[..., list[Finding]], kind: str) -> None:
    text, why = BAD[kind]
    found = judge({"bad.py": text, "good.py": GOOD.replace("site.one", "site.good")})
    good = [one for one in found if one.check == "site.good"]
    bad = [one for one in found if one.check != "site.good"]
    assert [one.status for one in good] == ["pass"]
    assert [one.status for one in bad] == ["unknown"]
    assert why in bad[0].message
    assert bad[0].blame == "site"


def test_what_a_file_forks_ends_with_it(judge: Callable[..., list[Finding]]) -> None:
    mark = f"{600 + os.getpid() / 1e7:.7f}"
    found = judge({"forks.py": FORKS.replace("MARK", repr(mark)) + GOOD})
    assert [one.status for one in found] == ["pass"]
    running = subprocess.run(["ps", "axo", "args"], capture_output=True, text=True, check=True).stdout
    assert mark not in running


def test_it_has_no_descriptor_environment_or_time_of_ours(
    judge: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET", "x")
    with open(tmp_path / "secret", "w") as file:
        os.set_inheritable(file.fileno(), True)
        text = "    fds = [f'/proc/self/fd/{one}' for one in os.listdir('/proc/self/fd')]\n"
        text += "    fds = [os.readlink(one) for one in fds if os.path.lexists(one)]\n"
        text += "    yield passed(repr((sorted(os.environ), [one for one in fds if one.startswith('/')])))\n"
        (found,) = judge({"a.py": HEAD + text})
    assert found.message == "(['HOME', 'LC_ALL', 'PATH', 'SLURMD_NODENAME'], ['/dev/null'])"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.skipif(CLOSED, reason="the checkout is closed to other users")
def test_it_runs_as_another_user_where_one_is_named(judge: Callable[..., list[Finding]], place: Path) -> None:
    (place / "a.py").write_text(f"{HEAD}    yield passed(f'{{os.getuid()}} {{os.getgroups()}}')\n")
    (place / "a.py").chmod(0o600)
    (found,) = judge({}, user="nobody")
    assert found.message.split()[0] == "65534"
    (unknown,) = judge({}, user="nobody-of-that-name")
    assert (unknown.status, "nobody-of-that-name" in unknown.message) == ("unknown", True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("how", ["group", "others", "owner", "directory", "above", "link", "fifo"])
def test_a_file_that_others_can_change_is_refused(judge: Callable[..., list[Finding]], place: Path, how: str) -> None:
    judge({"a.py": GOOD})
    file = place / "a.py"
    if how in ("group", "others"):
        file.chmod(0o664 if how == "group" else 0o646)
    elif how == "owner":
        os.chown(file, 1000, 0)
    elif how == "directory":
        place.chmod(0o777)
    elif how == "above":
        os.chown(place.parent, 1000, 0)
    else:
        file.unlink()
        os.mkfifo(file) if how == "fifo" else file.symlink_to(EXAMPLE)
    found = judge({})
    os.chown(place.parent, 0, 0)
    assert [(one.check, one.status, one.subject) for one in found] == [("site", "unknown", "a.py")]
    assert "\n" not in found[0].message


def test_facts_that_were_read_already_are_not_read_again(place: Path) -> None:
    (place / "a.py").write_text(
        HEAD.replace("reads=()", "reads=('cpu', 'kernel', 'gpus')")
        + ("    yield passed(f\"{context.node.get('cpu.count')} {context.node.get('kernel.release') is not None}\")\n")
    )
    policy = Policy(site=SitePolicy(str(place)), site_points=())
    seen = context(policy)._replace(node=View({"cpu": {"count": 4711}}, {}))
    (found,) = site_findings(seen, Source(), time.monotonic() + 60)
    assert found.message == "4711 True"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A directory with an installed package that has an entry point."""
    made = tmp_path / "packages"
    (made / "site_checks-1.dist-info").mkdir(parents=True)
    (made / "site_checks-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: site-checks\nVersion: 1\n")
    (made / "site_checks-1.dist-info/entry_points.txt").write_text("[preflight.checks]\nours = site_checks\n")
    (made / "site_checks.py").write_text(GOOD.replace("site.one", "site.packaged"))
    return made


def test_an_entry_point_is_a_file_of_checks(installed: Path) -> None:
    policy = Policy(site=SitePolicy("/none", (str(installed),)))
    (result,) = [one for one in catalogue(policy) if one.file.path == str(installed)]
    assert ([one.name for one in result.checks], result.why) == (["site.packaged"], "")
    found = site_findings(context(policy), Source(), time.monotonic() + 60)
    assert [one.status for one in found if one.check == "site.packaged"] == ["pass"]
    (installed / "site_checks.py").chmod(0o666)
    (refused,) = [one for one in site_findings(context(policy), Source(), time.monotonic() + 60) if one.check == "site"]
    assert "site_checks.py can be written by others" in refused.message
    installed.chmod(0o777)
    (refused,) = [one for one in site_findings(context(policy), Source(), time.monotonic() + 60) if one.check == "site"]
    assert "can be written by others" in refused.message


def test_the_real_hook_runs_them_and_a_prolog_only_what_is_for_it(hooked: Site, place: Path, installed: Path) -> None:
    (place / "a.py").write_text(GOOD)
    (place / "hangs.py").write_text(BAD["loops"][0])
    (place / "prolog.py").write_text(GOOD.replace("site.one", "site.prolog").replace('("health",)', '("prolog",)'))
    hooked.policy(f'[site]\ndirectory = "{place}"\npath = ["{installed}"]\nbudget_s = 0.5\n')
    for _ in range(2):  # the second policy is the cached one
        assert hooked.hook("health").returncode == 0
        report = hooked.report(0, "health") if (hooked.spool / "reports/0").exists() else _health(hooked)
        found = {(one["check"], one["subject"]): one["status"] for one in report["findings"] if "site" in one["check"]}
        assert found == {
            ("site.one", "node"): "pass",
            ("site.packaged", "node"): "pass",
            ("site", "hangs.py"): "unknown",
        }
    (place / "hangs.py").unlink()
    assert hooked.hook("prolog", **JOB).returncode == 0
    checks = [one["check"] for one in hooked.report()["findings"] if one["check"].startswith("site")]
    assert checks == ["site.prolog"]
    phases = json.loads((hooked.run_dir / "site-phases.json").read_text())
    assert {Path(key.strip()).name: value[1] for key, value in phases.items()}["a.py"] == ["health"]


def _health(site: Site) -> dict[str, object]:
    """Return the newest report of a health check."""
    newest = max(site.spool.rglob("*health*.json"), key=lambda path: path.stat().st_mtime_ns)
    loaded: dict[str, object] = json.loads(newest.read_text())
    return loaded


def test_commands_know_their_names(tmp_path: Path, place: Path) -> None:
    (place / "a.py").write_text(GOOD)
    config = tmp_path / "p.toml"

    def preflight(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "preflight", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def policy(name: str) -> None:
        config.write_text(
            f'version = 1\nmode = "observe"\n[site]\ndirectory = "{place}"\n[checks."{name}"]\naction = "warn"\n'
        )
        settle(config)

    policy("site.one")
    assert preflight("config", "check", str(config)).returncode == 0
    shown = preflight("checks", "site.one", "--config", str(config))
    assert "One holds." in shown.stdout
    policy("site.on")
    wrong = preflight("config", "check", str(config))
    assert (wrong.returncode, "did you mean site.one?" in wrong.stderr) == (2, True)
    (place / "b.py").write_text("x = = 1")
    policy("site.one")
    broken = preflight("config", "check", str(config))
    assert (broken.returncode, "b.py:1: SyntaxError" in broken.stderr) == (2, True)


def test_without_them_nothing_of_it_is_imported(hooked: Site, tmp_path: Path) -> None:
    from unit.test_hook_imports import modules

    hooked.policy(f'[site]\ndirectory = "{tmp_path}/none"\n')
    for _ in range(2):
        names = modules(hooked, tmp_path / "modules", "health")
    assert [one for one in names if one.startswith(("preflight.hooks.site", "preflight.facts.confine"))] == []
    assert {one.check for one in run_checks(context(Policy()))}.isdisjoint({"site", "site.one"})
