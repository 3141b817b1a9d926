"""`preflight import-nhc`: every line becomes rows that the policy takes, or is named."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preflight import toml
from preflight.checks.registry import every_check
from preflight.deploy.nhc.accelerators import ALWAYS
from preflight.deploy.nhc.call import REASONS, TURNS
from preflight.deploy.nhc.convert import Imported, convert
from preflight.policy.load import parse_policy
from unit.nhc_samples import EVERY_CHECK, IN_PART, MET, NAMED, TURNED

OTHER_KEYS = ("check", "action", "nodes")


def turned(text: str) -> Imported:
    """Return what becomes of a file, which a policy takes without a doubt whatever it holds."""
    made = convert(text, "nhc.conf")
    assert parse_policy(made.text, "p.toml").doubts() == ()
    return made


def rows(made: Imported) -> list[dict[str, Any]]:
    data = toml.loads(made.text)
    found = [row for table in ("host", "command", "expect") for row in data.get(table, [])]
    return [{key: value for key, value in row.items() if key not in OTHER_KEYS} for row in found]


def blocks(text: str) -> dict[int, str]:
    """Return line of the file -> what stands in the policy for it."""
    parts = re.split(r"^# nhc\.conf:(\d+): .*$", text, flags=re.MULTILINE)
    return {int(number): block for number, block in zip(parts[1::2], parts[2::2])}


def test_each_of_nhcs_checks_is_known() -> None:
    assert len(EVERY_CHECK) == 46
    assert [name for name in EVERY_CHECK if f"check_{name}" not in {*TURNS, *REASONS}] == []
    assert [name for names in ALWAYS.values() for name in names if name not in every_check()] == []
    told = [*TURNED, *IN_PART, *NAMED, *MET]
    assert [name for name in EVERY_CHECK if not any(f"check_{name}" in text.split() for text in told)] == []


@pytest.mark.parametrize("check", TURNED)
def test_a_check_becomes_rows(check: str) -> None:
    made = turned(f"* || {check}\n")
    assert (rows(made), made.named) == (TURNED[check], ())


@pytest.mark.parametrize("check", IN_PART)
def test_what_acts_on_the_node_is_named_and_the_check_kept(check: str) -> None:
    made = turned(f"* || {check}\n")
    kept, reasons = IN_PART[check]
    assert rows(made) == kept
    assert len(made.named) == len(reasons)
    assert [word for word, one in zip(reasons, made.named) if word not in one.reason] == []


@pytest.mark.parametrize("check", NAMED)
def test_what_cannot_be_turned_is_named_with_its_line(check: str) -> None:
    made = turned(f"# a comment\n\n * || {check}\n")
    assert rows(made) == []
    (named,) = made.named
    assert named.line == 3
    assert NAMED[check] in named.reason
    assert named.reason in blocks(made.text)[3]


@pytest.mark.parametrize("check", MET)
def test_what_needs_no_row_says_so(check: str) -> None:
    made = turned(f"* || {check}\n")
    assert (rows(made), made.named) == ([], ())
    assert MET[check] in blocks(made.text)[1]


def test_a_row_drains_as_nhc_does_unless_users_bring_it_about_or_nhc_only_logs() -> None:
    made = turned(
        "* || check_fs_mount_rw /\n* || check_fs_mount_rw -0 /a\n* || check_ps_loadavg 9\n"
        "* || check_cmd_status true\n* || check_ps_unauth_users log\n"
    )
    data = toml.loads(made.text)
    assert [row["action"] for row in data["host"]] == ["drain", "warn", "warn", "warn"]
    assert [row["action"] for row in data["command"]] == ["drain"]
    assert (data["version"], data["mode"]) == (1, "observe")


def test_variables_are_those_of_the_lines_nodes() -> None:
    made = turned(
        "* || export DIR=/all\n"
        "gpu* || DIR=/gpu\n"
        "* || check_fs_mount_rw $DIR\n"
        "gpu* || check_fs_mount_rw ${DIR}/x\n"
        "* || DIR=/late\n"
        "* || check_fs_mount_rw ${DIR:-/never}\n"
        "* || DIR=/tmp check_fs_mount_rw $OTHER\n"
        "* || UNUSED=1\n"
    )
    found = [(row.get("nodes"), row["path"]) for row in toml.loads(made.text)["host"]]
    assert found == [("gpu*", "/gpu"), ("!gpu*", "/all"), ("gpu*", "/gpu/x"), (None, "/late")]
    assert [(one.line, "OTHER" in one.reason or "UNUSED" in one.reason) for one in made.named] == [(7, True), (8, True)]


def test_checks_read_nhcs_variables() -> None:
    made = turned(
        "* || MCELOG_MAX_CORRECTED_RATE=5\n* || MAX_SYS_UID=499\n* || NHC_AUTH_USERS='root ops'\n"
        "* || check_hw_mcelog\n* || check_ps_unauth_users die\n"
    )
    edac, users = rows(made)
    assert edac["corrected_max"] == 5
    assert users == {"allow": ["root", "ops"], "uid_min": 500}
    assert made.named == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (" || check_hw_eth eth0", "no target"),
        ("* ||", "no check"),
        ("* || # check_hw_eth eth0", "no check"),
        ("check_hw_eth eth0", "no ||"),
        ("source /etc/nhc/more.nhc", "no ||"),
        ("{{ host }} || check_hw_eth eth0", "template"),
        ("{% if gpus %}", "template"),
        ("{n[1-3,7]} || check_hw_eth eth0", "never ran this line"),
        ("/^n[9-1]/ || check_hw_eth eth0", "matches nothing"),
        ("gpu* || login* || check_hw_eth eth0", "depends on how the first part answers"),
    ],
)
def test_lines_that_nhc_itself_passes_over_are_named(line: str, reason: str) -> None:
    made = turned(f"{line}\n")
    assert rows(made) == []
    assert [(one.line, reason in one.reason) for one in made.named] == [(1, True)]


def test_lines_are_counted_as_they_stand_in_the_file() -> None:
    made = turned("# c \\\n* || check_gone\n* || check_hw_ \\\n  eth\n* || check_goss\r\n\n* || check_other")
    assert [one.line for one in made.named] == [3, 5, 7]
    assert "no newline ends" in blocks(made.text)[7]


def test_a_bracket_that_was_meant_as_a_range_is_told() -> None:
    made = turned("s[0-300] || check_hw_cpuinfo 2 64 64\n")
    (row,) = toml.loads(made.text)["host"]
    assert row["nodes"] == "/^s[0-300]$/"
    assert 'if the range was meant: nodes = "s[0-300]"' in blocks(made.text)[1]


def test_a_settings_file_without_bars_is_read_as_settings() -> None:
    made = turned("NHC_RM=slurm\nMARK_OFFLINE=0\n")
    assert made.named == ()
    assert "NHC does not see it" in made.text


def test_more_rows_than_a_policy_takes_are_named() -> None:
    made = turned("\ufeff" + "".join(f"* || check_hw_eth eth{at}\n" for at in range(1010)))
    assert len(rows(made)) == 1000
    assert [one.line for one in made.named] == list(range(1001, 1011))


@pytest.mark.parametrize(
    "line",
    [
        "gpu* && !gpu9 || check_hw_eth eth0\n",
        "* || check_hw_eth eth0",
        "* || check_cmd_status date",
        "* || check_file_contents /etc/x '!/y/'\n",
        "* || check_ps_cpu 90\n",
        "* || check_hw_ib 100 mlx5_0\n",
        "* || check_ps_service -v -r crond\n",
        "* || check_net_socket -p tcp -l '*:22'\n",
    ],
)
def test_a_row_only_warns_where_nhc_would_not_fail_the_same_nodes(line: str) -> None:
    data = toml.loads(turned(line).text)
    assert [row["action"] for table in ("host", "command") for row in data.get(table, [])] == ["warn"]


def test_lines_below_one_that_ends_the_run_leave_its_nodes_out() -> None:
    made = turned(
        "* || check_hw_eth eth0\nlogin* || exit 0\n* || check_hw_eth eth1\ngpu* || return\n"
        "login* || check_hw_eth eth2\ngpu* || export A=1\n* || check_hw_eth eth3\n* || exit 0 # stop\n"
        "* || check_hw_eth eth4\n"
    )
    found = [(row.get("nodes"), row["device"], row["action"]) for row in toml.loads(made.text)["host"]]
    assert found == [
        (None, "eth0", "drain"),
        ("!login*", "eth1", "drain"),
        ("!login* && !gpu*", "eth3", "drain"),
    ]
    ended = [one.line for one in made.named if "ends NHC's run" in one.reason]
    assert ended == [2, 4, 5, 6, 8, 9]


@pytest.mark.parametrize("line", ["[[ -e /etc/x ]] && exit 0", "check_hw_eth eth9 || return 0", "if x; then exit; fi"])
def test_lines_below_one_that_may_end_the_run_only_warn(line: str) -> None:
    made = turned(f"* || check_hw_eth eth0\n* || {line}\n* || check_hw_eth eth1\n* || check_cmd_status date\n")
    data = toml.loads(made.text)
    assert [row["action"] for row in data["host"] + data["command"]] == ["drain", "warn", "warn"]
    assert "line 2 may end NHC's run" in blocks(made.text)[3]


def test_many_lines_that_end_the_run_soften_what_stands_below() -> None:
    made = turned("".join(f"n{at}* || exit 0\n" for at in range(40)) + "* || check_hw_eth eth1\n")
    (row,) = toml.loads(made.text)["host"]
    assert (row["action"], row["nodes"].count("&&")) == ("warn", 15)


def test_a_function_or_a_quoted_exit_ends_no_run() -> None:
    made = turned("* || f() { return 0; }\n* || check_cmd_status grep 'exit 0' /etc/x\n* || check_hw_eth eth1\n")
    assert [row["action"] for row in toml.loads(made.text)["host"]] == ["drain"]


TARGETS = [
    "*",
    "gpu*",
    "!io*",
    "/^n[0-9]+$/",
    "{n[1-9]}",
    "s[0-3]",
    "n1",
    "*.cluster",
    "@(a|b)",
    "a && !b",
    "",
    "{{ x }}",
]
WORDS = st.text(st.sampled_from("abz019 -/.*?[]{},!$()'\"\\|&;<>=#%:~^\té\x01"), max_size=12)
CHECKS = st.sampled_from([*TURNED, *IN_PART, *NAMED, *MET])
NAMES = st.sampled_from(
    [*(f"check_{name}" for name in EVERY_CHECK), "check_site", "export A=1;", "FOO=$A", "systemctl"]
)
LOOSE = st.builds(lambda name, words: " ".join([name, *words]), NAMES, st.lists(WORDS, max_size=6))
LINES = st.one_of(
    st.builds(lambda target, check: f" {target} || {check}", st.sampled_from(TARGETS), CHECKS | LOOSE),
    st.builds(lambda check: f"* || {check}", CHECKS | LOOSE),
    WORDS,
    st.sampled_from(["# a comment", "", "   ", "#* || check_hw_eth eth0"]),
)


def active(text: str) -> list[int]:
    """Return the numbers of lines that are neither empty nor comments, counting as an editor does."""
    found, at, number = [], 0, 1
    physical = text.split("\n")
    while at < len(physical):
        first, line = number, physical[at]
        while len(line) - len(line.rstrip("\\")) & 1 and at + 1 < len(physical):
            at, number = at + 1, number + 1
            line = line[:-1] + physical[at]
        if line.strip(" \t\r").replace("\\", "") and not line.strip(" \t\r").lstrip("\\").startswith("#"):
            found.append(first)
        at, number = at + 1, number + 1
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=8).map("\n".join))
def test_no_line_is_dropped_in_silence(text: str) -> None:
    made = turned(text)
    told, named = blocks(made.text), {one.line for one in made.named}
    for number in active(text):
        assert number in told, text
        block = told[number].strip()
        assert ("[[" in block) or number in named or block.startswith("#"), text
    assert named <= set(told)
    for row in toml.loads(made.text).get("command", []):
        assert not {"kill", "reboot", "systemctl"} & {word.rpartition("/")[2] for word in row["run"][:1]}


def test_bytes_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    file = tmp_path / "nhc.conf"
    file.write_bytes(b"* || check_file_contents /etc/x 'caf\xe9'\n\x80\n* || check_hw_eth eth0\n")
    command = [sys.executable, "-m", "preflight", "import-nhc", "-"]
    with file.open("rb") as stream:
        done = subprocess.run(command, stdin=stream, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == ["standard input:1", "standard input:2"]
    assert [row["device"] for row in toml.loads(done.stdout)["host"]] == ["eth0"]


@pytest.mark.parametrize(
    ("text", "code"), [("* || check_hw_eth eth0\n", 0), ("* || check_goss\n", 1), ("", 0), (None, 2)]
)
def test_the_command_prints_the_policy_and_names_the_rest(tmp_path: Path, text: str | None, code: int) -> None:
    file = tmp_path / "nhc.conf"
    if text is not None:
        file.write_text(text)
    command = [sys.executable, "-m", "preflight"]
    done = subprocess.run([*command, "import-nhc", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == code
    if code == 1:
        assert done.stderr.startswith(f"{file}:1: check_goss: it is a function of the site's")
    if code == 2:
        assert done.stderr == f"preflight: {file}: No such file or directory\n"
        assert done.stdout == ""
        return
    policy = tmp_path / "p.toml"
    policy.write_text(done.stdout)
    checked = subprocess.run([*command, "config", "check", str(policy)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
