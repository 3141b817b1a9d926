"""`preflight config`, `checks`, and what every command shares: one line for a mistake, help without imports."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from preflight.checks.registry import every_check
from preflight.cli.main import COMMANDS
from unit.hook_site import Site


def test_a_good_policy_is_fine(site: Site) -> None:
    site.policy('[[expect]]\nnodes = "n[1-2]"\nrequire = "ib"\n[[expect]]\nnodes = "n9"\nrequire = "ib"')
    for arguments in ((), (str(site.config),)):
        done = site.run("config", "check", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{site.config}: fine (1 expectations for this node, mode enforce)\n"


def test_a_wrong_policy_names_file_line_and_key_for_each_mistake(site: Site) -> None:
    site.config.write_text('version = 1\nmode = "x"\n\n[[expect]]\nrequire = "gpuu=h100"\n')
    done = site.run("config", "check")
    assert done.returncode == 2
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith(f"preflight: {site.config}:2: mode: ")
    assert second.startswith(f"preflight: {site.config}:5: expect.0.require: ")


def test_unknown_keys_and_checks_are_refused(site: Site) -> None:
    site.policy('[hok]\n[checks."gpu.ecc.uncorected"]\naction = "warn"')
    done = site.run("config", "check")
    assert (done.returncode, done.stdout) == (2, "")
    key, name = done.stderr.splitlines()
    assert "hok: unknown key" in key
    line = site.config.read_text().splitlines().index('[checks."gpu.ecc.uncorected"]') + 1
    assert name.startswith(f'preflight: {site.config}:{line}: checks."gpu.ecc.uncorected": no check has')
    assert name.endswith("did you mean gpu.ecc.uncorrected?")


def test_what_is_in_force_is_shown_with_defaults_merged(site: Site) -> None:
    site.policy('[cuda]\nminor_version_compatibility = "accept"')
    for arguments in (("show",), ("show", "--config", str(site.config))):
        done = site.run("config", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        shown = json.loads(done.stdout)
        assert shown["cuda"] == {"minor_version_compatibility": "accept"}
        assert shown["hook"]["on_unknown"] == "run"
        assert shown["report"]["spool"] == str(site.spool)
        assert shown["sha256"]


def test_the_nodes_name_is_written_into_paths(site: Site) -> None:
    site.policy()
    site.config.write_text(site.config.read_text().replace(str(site.spool), "/s/%n"))
    shown = json.loads(site.run("config", "show").stdout)
    assert shown["report"]["spool"] == "/s/n1"


def test_every_check_is_in_the_catalogue(site: Site) -> None:
    rows = json.loads(site.run("checks", "--json").stdout)
    assert [row["name"] for row in rows] == sorted(every_check())
    for row in rows:
        assert {"name", "help", "phases", "reads", "action", "mode", "limit", "unit", "remedy"} <= row.keys()
    page = site.run("checks")
    assert page.returncode == 0
    assert {line.split()[0] for line in page.stdout.splitlines()} >= set(every_check())


def test_one_check_is_shown_as_the_policy_has_it(site: Site) -> None:
    site.policy('[checks."gpu.ecc.uncorrected"]\naction = "warn"\nlimit = 4\nmode = "observe"')
    row = json.loads(site.run("checks", "gpu.ecc.uncorrected", "--json").stdout)
    assert (row["action"], row["limit"], row["mode"]) == ("warn", 4, "observe")
    text = site.run("checks", "gpu.ecc.uncorrected").stdout
    for word in ("gpus", "warn", "4", "errors since the driver was loaded", "reset the GPU"):
        assert word in text


def test_a_misspelt_check_gets_the_nearest(site: Site) -> None:
    done = site.run("checks", "gpu.ecc.uncorected")
    assert done.returncode == 2
    assert "did you mean gpu.ecc.uncorrected?" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(site.run("checks", "zzz").stderr.splitlines()) == 1


# What plan and sbatch do not know may be an option of sbatch's, or of another's plugin.
@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("plan", "sbatch")])
def test_an_unknown_option_is_one_line_and_2(site: Site, command: str) -> None:
    done = site.run(command, "--no-such-option")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--no-such-option" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(site: Site, command: str) -> None:
    for word in ("--help", "-h"):
        done = site.run(command, word)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Usage: preflight {command} ")


def test_an_unknown_command_is_one_line_and_2(site: Site) -> None:
    done = site.run("chek")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


def test_nothing_asked_for_is_the_help_and_2(site: Site) -> None:
    done = site.run()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: preflight ")
    assert all(command in done.stderr for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["checks", "--json"], 0),
        (["require", "ib"], 0),
        (["check", "--json"], 0),
        (["check", "--require", "gpu=t4"], 3),
    ],
)
def test_a_reader_that_goes_away_changes_no_exit_code(site: Site, arguments: list[str], code: int) -> None:
    command = [sys.executable, "-m", "preflight", *arguments]
    environment = {**site.environment(), "PATH": os.environ["PATH"], "PREFLIGHT_CONFIG": str(site.config)}
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(command, env=environment, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (code, "")


def with_bug(site: Site, *arguments: str) -> Any:
    (site.place / "bug").mkdir()
    bug = "import preflight.policy.load as p\ndef load_policy(*_):\n    raise RuntimeError('one\\ntwo')\n"
    (site.place / "bug/sitecustomize.py").write_text(f"{bug}p.load_policy = load_policy\n")
    return site.run(*arguments, PYTHONPATH=str(site.place / "bug"))


def test_a_bug_in_another_command_is_2_and_one_line(site: Site) -> None:
    done = with_bug(site, "config", "show")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "preflight: RuntimeError: one (--debug shows where)\n"


def test_a_script_s_own_debug_option_is_left_to_it() -> None:
    from preflight.cli.main import _without_debug

    assert _without_debug(["check", "--debug", "--json"]) == (["check", "--json"], True)
    assert _without_debug(["--debug", "check"]) == (["check"], True)
    assert _without_debug(["check"]) == (["check"], False)
    assert _without_debug(["sbatch", "job.sh", "--debug"]) == (["sbatch", "job.sh", "--debug"], False)
