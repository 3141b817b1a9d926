"""The commands that the pages for installing print, run as they stand there, page after page, in a fresh Debian 12."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from packages.system import PREFIX, REPOSITORY, base, layered, way_out
from packages.test_pip import checkout, shell

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("debootstrap"), reason="needs root and debootstrap"
)
PAGES = [
    "README.md",
    "docs/install.md",
    *(str(one.relative_to(REPOSITORY)) for one in REPOSITORY.glob("docs/install/*.md")),
]
COMMAND = re.compile(
    r"(?:\./|/usr/|/opt/|\.venv/|(?:make|git|cd|apt|dnf|rm|touch|scontrol|journalctl|restorecon|semanage|ausearch|preflight)\s)"
)
# Those that can't run in a chroot without a Slurm, and why.
ELSEWHERE = {
    "git clone URL preflight": "the checkout is there",
    "cd preflight": "the checkout is there",
    "make demo": "tests/lab/test_demo.py",
    "make test": "CI",
    "scontrol reconfigure": "test_by_hand.py",
    'scontrol update nodename=gpu12 state=drain reason="board sent back"': "test_by_hand.py",
    "journalctl -t preflight": "no journal",
    "dnf install ./preflight-0.1.0-1.x86_64.rpm ./preflight-slurm-plugin-0.1.0-1.x86_64.rpm": "by rpm",
    "restorecon -R /opt/preflight /etc/preflight /var/spool/preflight": "no SELinux",
    "semanage fcontext -a -e /opt/preflight /srv/preflight && restorecon -R /srv/preflight": "no SELinux",
    "semanage permissive -a slurmd_t": "no SELinux",
    "ausearch -m avc -ts today -c slurmd -c python3 -c prolog | audit2allow -M preflight_local": "no SELinux",
}

BEFORE = ("make onefile", "make packages")  # run once, before the pages that need what they make


def commands(page: str) -> list[str]:
    """Return a page's commands as they stand in its indented blocks, but for scripts and README's list of commands."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^ {4}.*\n)+", text, re.MULTILINE)
    shown = [one for one in blocks if "#!" not in one and not one.startswith("    preflight facts   ")]
    return [line[4:].rstrip() for one in shown for line in one.splitlines() if COMMAND.match(line[4:])]


def test_what_runs_elsewhere_stands_on_a_page() -> None:
    printed = {line for page in PAGES for line in commands(page)}
    assert set(ELSEWHERE) | set(BEFORE) <= printed


def test_the_commands_of_the_pages_run_as_they_stand_there(tmp_path: Path) -> None:
    with layered(base("bookworm"), tmp_path) as system:
        way_out(system)
        checkout(system)
        done: list[str] = []

        def page(name: str, cd: str = ".", ends: dict[str, tuple[int, ...]] | None = None) -> None:
            """Run a page's commands; ``cd``: from where. ``ends``: part of a command -> its exit codes, where not 0."""
            for line in commands(name):
                if line in ELSEWHERE or line in BEFORE:
                    continue
                allowed = next((codes for part, codes in (ends or {}).items() if part in line), (0,))
                asked = line.replace("JOBID", "1")
                shell(system, f"cd {cd}", "set +e", asked, "status=$?", f"echo {name}: $status", _among(allowed))
                done.append(line)
                if line.endswith("preflight install"):
                    assert system.prolog(job=1).returncode == 0

        system.run("ln", "-sf", f"{PREFIX}/bin/preflight", "/usr/bin/preflight")
        health, none_before, findings = (0, 1, 4), (2,), (0, 1)
        ends = {"--phase health": health, "--rollback": none_before, "doctor": findings}
        page("README.md", ends=ends)
        page("docs/install.md", ends=ends)
        assert not (system.root / PREFIX[1:]).exists()

        shell(system, "make onefile", "rm -rf .venv")
        page("docs/install/one-file.md", "dist", ends)
        page("docs/install/ansible.md", ends={"--detailed-exitcode": (0, 3)})
        page("docs/install/selinux.md", ends=ends)
        shell(system, "mkdir -p /srv/images/node", f"cp {PREFIX}/lib/slurm/preflight.so .")
        page("docs/install/images.md")
        shell(system, "preflight uninstall --all", "rm /usr/bin/preflight preflight.so", "make packages")
        shell(system, "apt-get update")
        (system.root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (system.root / "usr/sbin/policy-rc.d").chmod(0o755)
        (system.root / "etc/apt/apt.conf.d/99-yes").write_text('APT::Get::Assume-Yes "true";\n')
        page("docs/install/packages.md", "dist")
        assert system.prolog(job=2).returncode == 0
        assert {*done, *ELSEWHERE, *BEFORE} == {line for page in PAGES for line in commands(page)}


def _among(codes: tuple[int, ...]) -> str:
    tests = " || ".join(f"[ $status = {code} ]" for code in codes)
    return f"{tests} || exit 99"
