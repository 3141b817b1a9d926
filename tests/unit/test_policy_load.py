"""preflight.toml: every mistake gets file, line and key; what is right reaches the model."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from preflight.policy import load, locate
from preflight.policy.load import PolicyError, for_node, load_policy, parse_policy, read_text
from preflight.policy.locate import line_of
from preflight.policy.model import CheckPolicy, Expectation, Policy, from_cache, to_cache

SITE = Path(__file__).parents[2] / "site-config/preflight.toml"
FULL = """\
version = 1
cluster = "lab"
mode = "observe"
[facts]
root = "/srv/%n"
live = true
cuda_prefixes = ["/opt/cuda*", "/sw/%n/cuda"]
[nvml]
library = "/opt/lib/libnvidia-ml.so.1"
[hook]
deadline_s = 6.5
on_unknown = "move"
max_requeues = 0
slurm_bin = "/opt/slurm/bin"
slurm_conf = "/opt/slurm/etc/slurm.conf"
[report]
spool = "/var/spool/pf/%n"
dir = "/shared/reports"
[drain]
max_nodes = 3
kill_switch = "/etc/off"
[cuda]
minor_version_compatibility = "reject"
[checks."gpu.ecc.uncorrected"]
action = "warn"
limit = 4
[checks."gpu.remap.pending"]
mode = "observe"
[[expect]]
nodes = "gpu[001-064]"
partitions = ["a100", "long"]
require = "gpu=h100, gpu.count=8,driver>=550.54"
[[expect]]
require = "kernel>=5.14"
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "p.toml")
    assert str(caught.value) == "\n".join(caught.value.lines)
    return caught.value.lines


def test_every_key_of_the_design_reaches_the_model() -> None:
    policy = parse_policy(FULL, "p.toml")
    assert policy.warnings == ()
    assert (policy.version, policy.cluster, policy.mode, policy.path) == (1, "lab", "observe", "p.toml")
    assert policy.facts[:3] == ("/srv/%n", True, ("/opt/cuda*", "/sw/%n/cuda"))
    assert policy.nvml.library == "/opt/lib/libnvidia-ml.so.1"
    assert policy.hook == (6.5, "move", 0, "/opt/slurm/bin", "/opt/slurm/etc/slurm.conf")
    assert policy.report[:2] == ("/var/spool/pf/%n", "/shared/reports")
    assert policy.drain[:2] == ("3", "/etc/off")
    assert policy.cuda.minor_version_compatibility == "reject"
    assert policy.check("gpu.ecc.uncorrected") == CheckPolicy("warn", 4.0, "")
    assert policy.check("gpu.remap.pending") == CheckPolicy("", None, "observe")
    assert policy.check("never.named") == CheckPolicy()
    assert policy.expect[0].partitions == ("a100", "long")
    assert policy.expect[0].require.replace(" ", "") == "gpu=h100,gpu.count=8,driver>=550.54"
    assert policy.expect[1] == Expectation("", (), "kernel>=5.14")
    assert len(policy.sha256) == 64


def test_the_keys_of_time_and_of_xids() -> None:
    text = (
        'version = 1\nmode = "enforce"\n[drain]\nresume_after = 3\nhold_down = "10m"\n'
        '[checks."gpu.nvlink"]\nafter = 3\nfor = "5m"\nresume_after = 4\nhold_down = "1h"\n'
        '[xids]\n63 = "drain"\n079 = "warn"\n"45" = "off"\n'
    )
    policy = parse_policy(text, "p.toml")
    assert policy.doubts() == ()
    assert policy.drain[2:] == (3, "10m")
    assert policy.check("gpu.nvlink") == CheckPolicy(after=3, for_="5m", resume_after=4, hold_down="1h")
    assert policy.xids == {"63": "drain", "79": "warn", "45": "off"}
    assert from_cache(json.loads(json.dumps(to_cache(policy)))) == policy


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ('[checks.a]\nfor = "10 minutes"', "p.toml:4: checks.a.for: needs a time such as"),
        ("[checks.a]\nfor = 10", "p.toml:4: checks.a.for: needs a time such as"),
        ("[checks.a]\nafter = 0", "p.toml:4: checks.a.after: needs 1 to 1000 times in a row, not 0"),
        ("[drain]\nresume_after = true", "p.toml:4: drain.resume_after: needs 1 to 1000"),
        ("[agent]\nwait_ms = 1001", "p.toml:4: agent.wait_ms: needs 10 to 1000 milliseconds, not 1001"),
        ('[drain]\nhold_down = ""', "p.toml:4: drain.hold_down: needs a time such as"),
        ('[xids]\n79 = "kill"', "needs one of drain, warn, off, not 'kill'"),
        ('[xids]\nlost = "drain"', "p.toml:4: xids.lost: is no Xid's number, such as 79"),
        ("xids = 3", "p.toml:3: xids: needs a table, not 3"),
    ],
)
def test_mistakes_in_them(table: str, error: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(f'version = 1\nmode = "enforce"\n{table}\n', "p.toml")
    assert error in str(caught.value)


def test_the_defaults_are_those_of_the_design() -> None:
    policy = parse_policy('version = 1\nmode = "enforce"\n', "p.toml")
    assert policy._replace(path="", sha256="") == Policy()
    assert policy.facts[:3] == ("/", False, ("/usr/local/cuda*",))
    assert policy.hook == (8.0, "run", 3, "", "")
    assert policy.report[:2] == ("/var/spool/preflight", "")
    assert policy.drain == ("5%", "/etc/preflight/off", 2, "0s")
    assert policy.cuda.minor_version_compatibility == "warn"


def test_the_annotated_policy_stands_at_the_defaults() -> None:
    policy = parse_policy(SITE.read_text(), str(SITE))
    assert policy.warnings == ()
    assert policy._replace(path="", sha256="") == Policy(mode="observe")
    assert policy.doubts() == ()


def test_a_policy_without_its_mode_observes_and_is_refused_by_config_check() -> None:
    policy = parse_policy('version = 1\nMode = "enforce"\n', "p.toml")
    assert policy.mode == "observe"
    missing, unknown = policy.doubts()
    assert missing.startswith("p.toml:1: mode: missing")
    assert unknown == "p.toml:2: Mode: unknown key; did you mean mode?"


def test_drop_ins_are_merged_in_order(tmp_path: Path) -> None:
    main = tmp_path / "preflight.toml"
    main.write_text(FULL)
    place = tmp_path / "preflight.d"
    place.mkdir()
    (place / "20-b.toml").write_text('cluster = "b"\n[hook]\nmax_requeues = 7\n[[expect]]\nrequire = "ib"\n')
    (place / "10-a.toml").write_text(
        'cluster = "a"\nmode = "enforce"\n[hook]\nmax_requeues = 6\ndeadline_s = 5\n'
        '[checks."gpu.ecc.uncorrected"]\nlimit = 9\n'
    )
    (place / ".20-b.toml.swp").write_text("x")
    (place / ".hidden.toml").write_text("x")
    (place / "README").write_text("x")
    policy = load.read_policy(str(main))
    assert (policy.cluster, policy.mode, policy.hook.max_requeues, policy.hook.deadline_s) == ("b", "enforce", 7, 5)
    assert policy.hook.on_unknown == "move"
    assert policy.check("gpu.ecc.uncorrected") == CheckPolicy("warn", 9.0, "")
    assert [one.require for one in policy.expect][1:] == ["kernel>=5.14", "ib"]
    assert policy.sha256 != parse_policy(FULL, str(main)).sha256
    assert load.place_of(str(main), ("hook", "max_requeues")) == f"{place}/20-b.toml:3"
    (place / "20-b.toml").write_text("[hook]\nmax_requeues = -1\nnone = 1\n")
    with pytest.raises(PolicyError) as caught:
        load.read_policy(str(main))
    assert [line.partition(": ")[0] for line in caught.value.lines] == [f"{place}/20-b.toml:2"]


def test_nested_past_any_sense_is_one_line() -> None:
    (only,) = mistakes(f"version = 1\ncluster = {'[' * 20000}{']' * 20000}\n")
    assert only == "p.toml: tables or lists within each other, too deep to be a policy"


def test_a_fifo_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.toml")
    with pytest.raises(PolicyError, match="not a regular file"):
        read_text(str(tmp_path / "p.toml"))


def test_the_example_for_checks_and_expectations_is_well_formed_too() -> None:
    lines = SITE.read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("# [checks."))
    commented = [line.removeprefix("# ") for line in lines[begin:] if "=" in line or line.startswith("# [")]
    policy = parse_policy("version = 1\n" + "\n".join(commented), "p.toml")
    assert policy.checks["gpu.ecc.uncorrected"].limit == 0
    assert policy.expect[0].nodes == "gpu[001-064]"


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ("version = 1\nmode = 3\n", 2, "mode", "enforce, observe"),
        ('version = 1\nmode = "observ"\n', 2, "mode", "observ"),
        ("version = 1\ncluster = 1\n", 2, "cluster", "needs a text"),
        ('version = 1\ncluster = "a\\nb"\n', 2, "cluster", "needs a text"),
        ("version = 2\n", 1, "version", "only version"),
        ("version = true\n", 1, "version", "needs"),
        ("version = 1.0\n", 1, "version", "needs"),
        ("version = 1\n[facts]\nlive = 1\n", 3, "facts.live", "true or false"),
        ('version = 1\n[facts]\n\nroot = "srv"\n', 4, "facts.root", "absolute path"),
        ('version = 1\n[facts]\nroot = ""\n', 3, "facts.root", "absolute path"),
        ('version = 1\n[report]\nspool = ""\n', 3, "report.spool", "absolute path"),
        ('version = 1\n[facts]\ncuda_prefixes = "/usr"\n', 3, "facts.cuda_prefixes", "needs a list"),
        ('version = 1\n[facts]\ncuda_prefixes = ["usr"]\n', 3, "facts.cuda_prefixes", "absolute path"),
        ("version = 1\n[hook]\ndeadline_s = 0\n", 3, "hook.deadline_s", "1 to 60 seconds"),
        ("version = 1\n[hook]\ndeadline_s = nan\n", 3, "hook.deadline_s", "1 to 60 seconds"),
        ('version = 1\n[hook]\ndeadline_s = "8"\n', 3, "hook.deadline_s", "1 to 60 seconds"),
        ("version = 1\n[hook]\nmax_requeues = 1.5\n", 3, "hook.max_requeues", "requeues"),
        ("version = 1\n[hook]\nmax_requeues = true\n", 3, "hook.max_requeues", "requeues"),
        ("version = 1\nhook.max_requeues = -1\n", 2, "hook.max_requeues", "requeues"),
        ('version = 1\n[hook]\non_unknown = ["run"]\n', 3, "hook.on_unknown", "run, move"),
        ('version = 1\n[drain]\nmax_nodes = "101%"\n', 3, "drain.max_nodes", '"5%"'),
        ('version = 1\n[drain]\nmax_nodes = "five"\n', 3, "drain.max_nodes", '"5%"'),
        ("version = 1\n[drain]\nmax_nodes = 0.5\n", 3, "drain.max_nodes", '"5%"'),
        ("version = 1\n[drain]\nmax_nodes = -1\n", 3, "drain.max_nodes", '"5%"'),
        ('version = 1\n[cuda]\nminor_version_compatibility = "yes"\n', 3, "minor_version_compatibility", "accept"),
        ('version = 1\n[checks."gpu.x"]\naction = "requeue"\n', 3, 'checks."gpu.x".action', "drain, warn, off"),
        ('version = 1\n[checks."gpu.x"]\nlimit = "0"\n', 3, 'checks."gpu.x".limit', "check's unit"),
        ('version = 1\n[checks]\n"gpu.x" = "off"\n', 3, 'checks."gpu.x"', "needs a table"),
        ('version = 1\n[checks]\n"gpu.x" = { action = "no" }\n', 3, 'checks."gpu.x".action', "drain, warn, off"),
        ("version = 1\nchecks = 4\n", 2, "checks", "[checks."),
        ("version = 1\nhook = 4\n", 2, "hook", "needs a table"),
        ('version = 1\n[expect]\nrequire = "ib"\n', 2, "expect", "two brackets"),
        ('version = 1\n[[expect]]\nnodes = "n1"\n', 2, "expect.0", "require"),
        ("version = 1\nexpect = [4]\n", 2, "expect.0", "needs a table"),
        ('version = 1\n[[expect]]\nrequire = "ib"\n[[expect]]\nrequire = "cuda"\n', 5, "expect.1.require", "12.4"),
        ('version = 1\n[[expect]]\nrequire = "gpuu=h100"\n', 3, "expect.0.require", "gpu"),
        ("version = 1\n[[expect]]\nrequire = 12\n", 3, "expect.0.require", "needs a text"),
        ('version = 1\n[[expect]]\nnodes = "n[1-"\nrequire = "ib"\n', 3, "expect.0.nodes", "not a host list"),
        ('version = 1\n[[expect]]\npartitions = "p"\nrequire = "ib"\n', 3, "expect.0.partitions", "needs a list"),
    ],
)
def test_a_mistake_names_file_line_and_key(text: str, line: int, key: str, says: str) -> None:
    (only,) = mistakes(text)
    assert only.startswith(f"p.toml:{line}: ")
    assert key in only
    assert says in only
    assert "\n" not in only


@pytest.mark.parametrize(
    ("text", "line"), [("version = 1\nmode = \n", 2), ("version = 1\n\n[facts\n", 3), ('version = 1\nmode = "', 2)]
)
def test_a_syntax_error_names_file_and_line(text: str, line: int) -> None:
    (only,) = mistakes(text)
    assert only.startswith(f"p.toml:{line}: not TOML: ")


def test_a_missing_version_is_said_and_how_to_write_it() -> None:
    (only,) = mistakes('mode = "observe"\n')
    assert only == "p.toml:1: version: missing; write version = 1"


def test_all_mistakes_are_told_at_once() -> None:
    lines = mistakes('mode = "x"\n[hook]\ndeadline_s = 0\n[[expect]]\nrequire = ""\n')
    assert [line.split(": ")[1] for line in lines] == ["mode", "version", "hook.deadline_s", "expect.0.require"]


def test_unknown_keys_are_named_with_the_nearest() -> None:
    policy = parse_policy(
        'version = 1\nmodus = "x"\n[hook]\ndeadline = 4\n[shop]\na = 1\n[checks.x]\nlimits = 1\n'
        '[[expect]]\nrequire = "ib"\nnode = "n1"\n',
        "p.toml",
    )
    assert policy.hook == Policy().hook
    assert policy.warnings == (
        "p.toml:2: modus: unknown key; did you mean mode?",
        "p.toml:5: shop: unknown key",
        "p.toml:4: hook.deadline: unknown key; did you mean deadline_s?",
        "p.toml:8: checks.x.limits: unknown key; did you mean limit?",
        "p.toml:11: expect.0.node: unknown key; did you mean nodes?",
    )


def test_a_node_sees_its_own_paths_and_expectations() -> None:
    policy = for_node(parse_policy(FULL, "p.toml"), "gpu007")
    assert policy.facts.root == "/srv/gpu007"
    assert policy.facts.cuda_prefixes == ("/opt/cuda*", "/sw/gpu007/cuda")
    assert policy.report.spool == "/var/spool/pf/gpu007"
    assert [one.require.split(",")[0] for one in policy.expect] == ["gpu=h100", "kernel>=5.14"]
    other = for_node(parse_policy(FULL, "p.toml"), "gpu065")
    assert [one.require for one in other.expect] == ["kernel>=5.14"]


def test_the_cached_form_holds_all_of_it() -> None:
    policy = for_node(parse_policy(FULL, "p.toml"), "gpu007")
    assert from_cache(to_cache(policy)) == policy
    with pytest.raises(KeyError):
        from_cache({})


def test_the_named_file_is_read_and_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFLIGHT_CONFIG", raising=False)
    path = tmp_path / "p.toml"
    path.write_text(FULL)
    assert load_policy(str(path), "n1").cluster == "lab"
    monkeypatch.setenv("PREFLIGHT_CONFIG", str(path))
    assert load_policy(None, "n1").cluster == "lab"
    for missing in (tmp_path / "no.toml", tmp_path):
        with pytest.raises(PolicyError, match="cannot be read"):
            load_policy(str(missing), "n1")
    monkeypatch.setenv("PREFLIGHT_CONFIG", str(tmp_path / "no.toml"))
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(None, "n1")


def test_without_a_file_the_defaults_are_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFLIGHT_CONFIG", raising=False)
    monkeypatch.setattr(load.model, "DEFAULT_PATH", str(tmp_path / "none"))
    assert load_policy() == Policy(mode="observe")


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"version = 1\n# \xff\n", "not UTF-8 text at byte 14"), (b"#" * (load.MAX_BYTES + 1), "is this the policy?")],
)
def test_what_is_no_policy_is_said_in_one_line(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "p.toml").write_bytes(data)
    with pytest.raises(PolicyError, match=says.replace("?", "[?]")) as caught:
        read_text(str(tmp_path / "p.toml"))
    assert str(caught.value).startswith(f"{tmp_path}/p.toml: ")
    assert len(caught.value.lines) == 1


def test_the_node_is_slurms_name_for_it_else_the_short_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMD_NODENAME", "gpu9")
    assert load.node_name() == "gpu9"
    monkeypatch.delenv("SLURMD_NODENAME")
    monkeypatch.setattr(socket, "gethostname", lambda: "h1.example.org")
    assert load.node_name() == "h1"


def test_keys_are_found_whatever_their_quoting() -> None:
    text = 'a = 1\n# b = 2\n["x.y".z]\n\'k\' = 1\n"m=n" = 2\nc.d = 3\n[[e]]\n[[e]]\nf = """\n'
    assert line_of(text, ("x.y", "z", "k")) == 4
    assert line_of(text, ("x.y", "z", "c", "d")) == 6
    assert line_of(text, ("e", 1, "f")) == 9
    assert line_of(text, ("e", 0)) == 7
    assert line_of(text, ("e", 1, "missing")) == 8
    assert line_of(text, ("b",)) is None


def test_a_policy_of_many_rows_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a row stands is asked once a row: looked for anew each time, 400 rows took a hook's whole deadline."""
    looked: list[str] = []
    places = locate._places

    def counting(text: str) -> Iterator[tuple[locate.Path, int]]:
        looked.append(text)
        return places(text)

    monkeypatch.setattr(locate, "_places", counting)
    rows = "".join(f'[[host]]\ncheck = "ethernet"\ndevice = "once{at}"\n' for at in range(300))
    policy = parse_policy(f'version = 1\nmode = "observe"\n{rows}', "p.toml")
    assert (len(policy.host), policy.host[-1].place, len(looked)) == (300, "p.toml:900", 1)
