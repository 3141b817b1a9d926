"""`preflight check` as a program: exit codes and options of design.md section 7, on the simulated driver."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from nvml import sim
from preflight.cli import check as module
from preflight.facts.document import FactsDocument
from preflight.report.schema import schema
from unit.hook_site import H100X2, Site

SCHEMA = jsonschema.Draft202012Validator(schema())


def judged(site: Site, *arguments: str, code: int) -> dict[str, Any]:
    """Return the report of `check --json`, validated; the exit code must be ``code``."""
    done = site.run("check", "--json", *arguments)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    SCHEMA.validate(report)
    return report


def bad(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows = [(one["check"], one["subject"], one["status"]) for one in report["findings"]]
    return [row for row in rows if row[2] not in ("pass", "skip")]


def test_a_healthy_node_that_fits_is_ready(site: Site) -> None:
    report = judged(site, "--require", "gpu=h100, gpu.count=2, cuda>=12.4, ubuntu>=22.04", code=0)
    assert (report["verdict"], bad(report)) == ("ready", [])
    assert (report["format"], report["node"], report["phase"], report["cluster"]) == (
        "preflight.report/1",
        "n1",
        "prolog",
        "lab",
    )
    assert report["job"] is None
    assert report["action"] == {"kind": "none", "detail": "", "enforced": True}
    assert [(one["source"], one["status"]) for one in report["requirement"]["clauses"]] == [("--require", "pass")] * 4
    assert report["facts"]["os"]["id"] == "ubuntu"
    assert [one["index"] for one in report["facts"]["gpus"]["devices"]] == [0, 1]
    assert report["software"]["policy_sha256"]
    assert report["counts"]["pass"] == sum(one["status"] == "pass" for one in report["findings"])
    assert report["timings_ms"]["gpus"] >= 0
    assert "changes" not in report


def test_nothing_is_written_and_no_command_of_slurm_is_run(site: Site) -> None:
    site.scenario(H100X2, {"gpu.1.ecc.uncorrected.volatile": 2})
    before = sorted(str(path) for path in site.place.rglob("*"))
    judged(site, code=1)
    judged(site, "--require", "gpu=a100", "--gpus", "0", code=3)
    assert sorted(str(path) for path in site.place.rglob("*")) == before


@pytest.mark.parametrize(
    ("keys", "finding"),
    [
        ({"gpu.1.ecc.uncorrected.volatile": 2}, ("gpu.ecc.uncorrected", "gpu1", "fail")),
        ({"gpu.1.lost": True}, ("gpu.responds", "gpu1", "fail")),
        ({"gpu.1.ret.nvmlDeviceGetMemoryInfo": 16}, ("gpu.reset", "gpu1", "fail")),
        ({"ret.nvmlInitWithFlags": 18}, ("driver.match", "driver", "fail")),
        ({"gpu.1.remap.failure": True}, ("gpu.remap.failure", "gpu1", "fail")),
        ({"field.230": 1}, ("gpu.recovery", "gpu0", "fail")),
    ],
)
def test_a_faulty_node_is_unhealthy(site: Site, keys: dict[str, Any], finding: tuple[str, str, str]) -> None:
    site.scenario(H100X2, keys)
    report = judged(site, code=1)
    assert report["verdict"] == "unhealthy"
    assert finding in bad(report)
    assert all(one["blame"] == "node" for one in report["findings"] if one["status"] == "fail")


def test_a_driver_that_hangs_is_a_fault_and_the_call_is_named(site: Site) -> None:
    site.policy(deadline_s=2)
    site.scenario(H100X2, {"gpu.1.delay_ms.nvmlDeviceGetMemoryInfo": 600000})
    report = judged(site, code=1)
    (found,) = [one for one in report["findings"] if one["check"] == "gpu.responds" and one["status"] == "fail"]
    assert found["subject"] == "gpu1"
    assert "nvmlDeviceGetMemoryInfo" in report["facts"]["gpus"]["stuck_at"]
    site.scenario(H100X2, {"delay_ms.nvmlInitWithFlags": 600000})
    report = judged(site, code=1)
    assert ("driver.responds", "driver", "fail") in bad(report)
    assert "nvmlInit" in next(one["message"] for one in report["findings"] if one["check"] == "driver.responds")


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        ({"gpu.*.ret.nvmlDeviceGetTotalEccErrors": 3}, "skip"),
        ({"gpu.*.ret.nvmlDeviceGetTotalEccErrors": 13}, "unknown"),
    ],
)
def test_what_nvml_refuses_is_never_a_value(site: Site, keys: dict[str, Any], status: str) -> None:
    site.scenario(H100X2, keys)
    report = judged(site, code=0)
    said = [one["status"] for one in report["findings"] if one["check"] == "gpu.ecc.uncorrected"]
    assert said == [status, status]
    assert report["verdict"] == ("ready" if status == "skip" else "degraded")


def test_a_misfit_is_the_jobs(site: Site) -> None:
    report = judged(site, "--require", "gpu=a100, ubuntu>=24.04 | rhel>=9", code=3)
    assert report["verdict"] == "mismatch"
    assert {one["blame"] for one in report["findings"] if one["status"] == "fail"} == {"job"}


def test_a_fault_is_worse_than_a_misfit(site: Site) -> None:
    site.scenario(H100X2, {"gpu.0.lost": True})
    assert judged(site, "--require", "ubuntu>=24.04", code=1)["verdict"] == "unhealthy"


def test_what_could_not_be_told_is_unknown(site: Site) -> None:
    site.files({"etc/os-release": 'ID=centos\nVERSION_ID="9"\n'})
    assert judged(site, "--require", "rhel>=9.4", code=4)["verdict"] == "unknown"


def test_expectations_are_judged_on_the_whole_node(site: Site) -> None:
    site.policy('[[expect]]\nnodes = "n[1-2]"\nrequire = "gpu.count=2"\n[[expect]]\nnodes = "n9"\nrequire = "ib"')
    report = judged(site, "--gpus", "0", "--require", "gpu.count=1", code=0)
    rows = {one["text"]: (one["source"], one["status"]) for one in report["requirement"]["clauses"]}
    assert rows == {"gpu.count=1": ("--require", "pass"), "gpu.count=2": ("policy", "pass")}
    site.policy('[[expect]]\nrequire = "gpu.count=8"')
    assert judged(site, code=1)["verdict"] == "unhealthy"


def test_only_the_gpus_named_are_judged(site: Site) -> None:
    site.scenario(H100X2, {"gpu.1.ecc.uncorrected.volatile": 2, "gpu.0.minor": 7})
    assert bad(judged(site, "--gpus", "1", code=1)) == [("gpu.ecc.uncorrected", "gpu1", "fail")]
    assert bad(judged(site, "--gpus", "0", code=0)) == [("gpu.ecc.uncorrected", "gpu1", "warn")]
    assert bad(judged(site, "--gpus", "0-1", code=1)) == [("gpu.ecc.uncorrected", "gpu1", "fail")]
    assert ("gpu.present", "gpu5", "fail") in bad(judged(site, "--gpus", "5", code=1))


@pytest.mark.parametrize("phase", ["prolog", "epilog", "health"])
def test_each_phase_has_its_checks(site: Site, phase: str) -> None:
    report = judged(site, "--phase", phase, "--require", "ubuntu>=24.04", code=3 if phase == "prolog" else 0)
    assert report["phase"] == phase
    assert ("changes" in report) is (phase == "epilog")


@pytest.mark.parametrize("phase", ["prolog", "health"])
def test_gpus_of_gres_conf_without_a_driver_are_a_fault_as_for_the_health_check(site: Site, phase: str) -> None:
    faults = [("driver.loaded", "driver", "fail"), *(("gpu.present", f"/dev/nvidia{one}", "fail") for one in (0, 1))]
    site.scenario(H100X2, {"ret.nvmlInitWithFlags": 9})
    assert [one for one in bad(judged(site, "--phase", phase, code=1)) if one[2] == "fail"] == faults
    recorded = site.place / "facts.json"
    recorded.write_text(site.run("facts", "--json").stdout)
    judged(site, "--phase", phase, "--facts", str(recorded), code=0)
    judged(site, "--phase", phase, "--root", str(site.place / "root"), code=0)
    (site.place / "gres.conf").write_text("NodeName=n2 Name=gpu File=/dev/nvidia[0-1]\n")
    judged(site, "--phase", phase, code=0)
    (site.place / "gres.conf").unlink()
    judged(site, "--phase", phase, code=0)


def test_a_gpu_of_gres_conf_that_is_gone_is_a_fault_where_the_whole_node_is_judged(site: Site) -> None:
    (site.place / "gres.conf").write_text("Name=gpu File=/dev/nvidia[0-2]\n")
    assert ("gpu.present", "/dev/nvidia2", "fail") in bad(judged(site, "--phase", "health", code=1))
    judged(site, "--phase", "health", "--gpus", "0,1", code=0)
    judged(site, "--phase", "epilog", code=0)


@pytest.mark.parametrize(
    ("given", "gres_conf", "changes", "found"),
    [
        # a short Gres=: slurmd drops the file beyond it
        ("gpu:2", "Name=gpu File=/dev/nvidia[0-2]", {}, [("node", "pass")]),
        ("gpu:3", "Name=gpu File=/dev/nvidia[0-2]", {}, [("/dev/nvidia2", "fail")]),
        ("gpu:2", "include more.conf", {}, [("node", "pass")]),
        ("gpu:8", "AutoDetect=nvml", {}, [("node", "fail")]),
        ("gpu:2", "AutoDetect=nvml", {}, [("node", "pass")]),
        ("gpu:2", "AutoDetect=nvml", {"ret.nvmlInitWithFlags": 9}, [("node", "fail")]),
        # no GPU of this node, no driver: nothing is missing
        ("", "AutoDetect=nvml", {"ret.nvmlInitWithFlags": 12}, []),
        # other vendors
        ("gpu:2", "Name=gpu File=/dev/dri/renderD[128-129]", {"ret.nvmlInitWithFlags": 12}, [("node", "skip")]),
        ("gpu:8", "AutoDetect=rsmi", {"ret.nvmlInitWithFlags": 12}, [("node", "skip")]),
        ("gpu:2", "Name=gpu File=/dev/fakegpu[0-1]", {}, [("node", "skip"), ("node", "pass")]),
    ],
)
def test_what_slurm_configures_is_held_against_what_is_there(
    site: Site, given: str, gres_conf: str, changes: dict[str, object], found: list[tuple[str, str]]
) -> None:
    gres = f" Gres={given}" if given else ""
    (site.place / "slurm.conf").write_text(f"GresTypes=gpu\nNodeName=n[1-4] CPUs=4{gres}\n")
    (site.place / "gres.conf").write_text(gres_conf)
    (site.place / "more.conf").write_text("NodeName=n1 Name=gpu File=/dev/nvidia[0-1]\n")
    site.scenario(H100X2, changes)
    faulty = any(status == "fail" for _, status in found)
    report = judged(site, "--phase", "health", code=1 if faulty else 0)
    rows = [(one["subject"], one["status"]) for one in report["findings"] if one["check"] == "gpu.present"]
    assert rows == found
    assert all(
        one["check"] in ("gpu.present", "driver.loaded") for one in report["findings"] if one["status"] == "fail"
    )


def test_policy_turns_a_fail_into_a_warning_or_off(site: Site) -> None:
    site.scenario(H100X2, {"gpu.1.ecc.uncorrected.volatile": 2})
    for action, code, left in (("warn", 0, ["warn"]), ("off", 0, []), ("drain", 1, ["fail"])):
        site.policy(f'[checks."gpu.ecc.uncorrected"]\naction = "{action}"')
        assert [status for _, _, status in bad(judged(site, code=code))] == left


def test_recorded_facts_are_judged_as_the_node_was(site: Site, tmp_path: Path) -> None:
    site.scenario(H100X2, {"gpu.1.ecc.uncorrected.volatile": 2})
    recorded = site.run("facts", "--json")
    assert recorded.returncode == 0
    file = tmp_path / "facts.json"
    file.write_text(recorded.stdout.replace('"node": "n1"', '"node": "gpu042"'))
    site.scenario(H100X2)
    site.policy('[[expect]]\nnodes = "gpu[001-064]"\nrequire = "gpu.count=2"')
    report = judged(site, "--facts", str(file), code=1)
    assert report["node"] == "gpu042"
    assert bad(report) == [("gpu.ecc.uncorrected", "gpu1", "fail")]
    assert [one["text"] for one in report["requirement"]["clauses"]] == ["gpu.count=2"]
    judged(site, "--facts", str(file), "--gpus", "0", "--require", "gpu=h100", code=0)


def test_a_root_is_read_alone_unless_live(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "image"
    for name, text in (("etc/os-release", 'ID=debian\nVERSION_ID="12"\n'), ("usr/lib/x", "")):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(text)
    site.policy(live=False)
    report = judged(site, "--root", str(other), "--require", "debian>=12", code=0)
    assert report["facts"]["os"]["id"] == "debian"
    assert "gpus" not in report["facts"]
    assert "live" in report["unknown"]["gpus"]
    judged(site, "--root", str(other), "--require", "kernel>=1", code=4)
    judged(site, "--root", str(other), "--require", "gpu=h100", code=4)
    site.policy(live=True)
    judged(site, "--root", str(other), "--require", "debian>=12, gpu=h100", code=0)


def test_the_page_for_people_names_verdict_and_remedy(site: Site) -> None:
    site.scenario(H100X2, {"gpu.1.ecc.uncorrected.volatile": 2})
    done = site.run("check")
    assert (done.returncode, done.stderr) == (1, "")
    for word in ("unhealthy", "gpu.ecc.uncorrected", "gpu1", "reset the GPU"):
        assert word in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--bogus",), "No such option"),
        (("--phase", "task"), "'task' is not one of"),
        (("word",), "word"),
        (("--gpus", "a"), "--gpus 'a': needs NVML indexes such as 0,1"),
        (("--gpus", ""), "--gpus"),
        (("--facts", "/no/such"), "/no/such: cannot be read: No such file"),
        (("--facts", "/etc/passwd"), "/etc/passwd: not JSON"),
        (("--root", "/no/such"), "--root /no/such: not a directory"),
        (("--root", "/", "--facts", "x"), "exclude each other"),
        (("--config", "/no/such.toml"), "/no/such.toml: cannot be read"),
        (("--require",), "requires an argument"),
    ],
)
def test_a_mistake_of_usage_is_one_line_and_2(site: Site, arguments: tuple[str, ...], says: str) -> None:
    done = site.run("check", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_mistaken_requirement_gets_a_line_and_a_caret(site: Site) -> None:
    done = site.run("check", "--require", "ubuntuu>=22.04")
    assert done.returncode == 2
    first, text, caret = done.stderr.splitlines()
    assert "ubuntu" in first
    assert (text.strip(), caret.strip()) == ("ubuntuu>=22.04", "^")


def test_a_wrong_policy_is_2_and_names_every_mistake(site: Site) -> None:
    site.config.write_text('version = 1\nmode = "x"\n[hook]\ndeadline_s = 0\n')
    done = site.run("check")
    assert done.returncode == 2
    assert done.stdout == ""
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [f"{site.config}:2", f"{site.config}:4"]


def test_an_unknown_key_of_the_policy_only_warns(site: Site) -> None:
    site.policy("[shop]\na = 1")
    done = site.run("check", "--json")
    assert done.returncode == 0
    assert done.stderr.startswith("preflight: warning: ")
    assert len(done.stderr.splitlines()) == 1
    SCHEMA.validate(json.loads(done.stdout))


# A bug of ours: sitecustomize is imported before anything else where PYTHONPATH says so.
BUG = "import preflight.hooks.assess as a\ndef broken(*_):\n    raise RuntimeError('one\\ntwo')\na.assess = broken\n"


def with_bug(site: Site, *arguments: str) -> Any:
    (site.place / "bug").mkdir(exist_ok=True)
    (site.place / "bug/sitecustomize.py").write_text(BUG)
    return site.run(*arguments, PYTHONPATH=str(site.place / "bug"))


def test_a_bug_of_ours_is_4_and_one_line(site: Site) -> None:
    done = with_bug(site, "check")
    assert done.returncode == 4
    assert done.stderr == "preflight: RuntimeError: one (--debug shows where)\n"


@pytest.mark.parametrize("arguments", [("--debug", "check"), ("check", "--debug")])
def test_debug_shows_where_and_is_4_as_well(site: Site, arguments: tuple[str, ...]) -> None:
    done = with_bug(site, *arguments)
    assert done.returncode == 4
    assert "Traceback" in done.stderr
    assert "in broken" in done.stderr


def test_every_verdict_has_an_exit_code() -> None:
    from preflight.verdict import VERDICTS

    assert set(module.EXIT) == set(VERDICTS)
    assert sorted(set(module.EXIT.values())) == [0, 1, 3, 4]


def test_hooks_that_are_switched_off_are_said(site: Site) -> None:
    assert "kill switch" not in site.run("check").stdout
    (site.place / "off").touch()
    done = site.run("check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(
        f"\nThe kill switch is on ({site.place}/off): hooks drain, move and resume nothing here.\n"
    )
    assert "kill switch" not in site.run("check", "--root", str(site.place / "root")).stdout
    json.loads(site.run("check", "--json").stdout)
    (site.place / "off").unlink()
    site.policy(top='mode = "observe"')
    end = f"\nObserve mode ({site.config}): hooks judge and report, and drain and move nothing.\n"
    assert site.run("check").stdout.endswith(end)


MIG = sim.example("mig")


@pytest.mark.parametrize(
    ("gpus", "require", "code"),
    [
        ("1:0", "gpu.memory>=40G, gpu.memory<45G, mig, gpu.count=1, gpu=3g.40gb, gpu=a100_3g.40gb, !nvlink", 0),
        ("1:2", "gpu.memory>=40G", 3),
        ("1:0-1", "gpu.count=2, mig.count=2, gpu.memory>=20G", 0),
        ("0", "!mig, gpu.memory>=80G, gpu.count=1", 0),
        ("0,1:1", "gpu.count=2, gpu=a100", 0),
        ("0", "gpu=3g.40gb", 3),
        ("1:6", "gpu.count=1", 1),
    ],
)
def test_mig_devices_named_by_their_numbers(site: Site, tmp_path: Path, gpus: str, require: str, code: int) -> None:
    site.scenario(MIG)
    live = judged(site, "--gpus", gpus, "--require", require, code=code)
    recorded = tmp_path / "n1.json"
    recorded.write_text(site.run("facts", "--json").stdout)
    again = judged(site, "--facts", str(recorded), "--gpus", gpus, "--require", require, code=code)
    assert [one["status"] for one in live["findings"] if one["check"] == "requirement"] == [
        one["status"] for one in again["findings"] if one["check"] == "requirement"
    ]


@pytest.mark.parametrize(
    ("expected", "code"),
    [
        ("mig.profile=3g.40gb:1, mig.profile=2g.20gb:1, mig.profile=1g.10gb:1, mig.count=3, gpu.count=2", 0),
        ("mig.profile=1g.10gb:7", 1),
        ("mig.count=0", 1),
    ],
)
def test_the_policy_expects_how_gpus_are_cut(site: Site, expected: str, code: int) -> None:
    site.scenario(MIG)
    site.policy(f'[[expect]]\nrequire = "{expected}"')
    report = judged(site, "--phase", "health", code=code)
    said = [one for one in report["findings"] if one["check"] == "expectation" and one["status"] == "fail"]
    assert {one["blame"] for one in said} == ({"node"} if code else set())
    assert not said or "the node has MIG devices 3g.40gb:1, 2g.20gb:1, 1g.10gb:1" in said[0]["message"]


def test_a_fault_of_the_gpu_is_one_of_each_mig_device_on_it(site: Site) -> None:
    site.scenario(MIG, {"gpu.1.ecc.uncorrected.volatile": 3})
    report = judged(site, "--gpus", "1:1", code=1)
    (found,) = (one for one in report["findings"] if one["status"] == "fail")
    assert (found["subject"], found["blame"]) == ("gpu1", "node")
    assert found["message"].startswith("GPU 1 MIG 2g.20gb: 3 uncorrected ECC errors")
    assert judged(site, "--gpus", "0", code=0)["verdict"] == "degraded"


def test_gpus_that_are_no_numbers_are_refused(site: Site) -> None:
    for text in ("1:", "a:1", "0-1:2", "1:2:3", ":"):
        done = site.run("check", "--gpus", text)
        assert (done.returncode, "of a MIG device its GPU's and its own" in done.stderr) == (2, True), text


def test_gpus_named_on_a_node_without_any_are_a_mistake_of_the_command(site: Site, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(FactsDocument("login1", "", {"gpus": {"count": 0, "devices": []}}, {}, {}).to_dict()))
    done = site.run("check", "--facts", str(facts), "--gpus", "7")
    assert done.returncode == 2
    assert "this node has no NVIDIA GPU" in done.stderr


def test_timings_of_each_fact_and_check_in_80_columns(site: Site) -> None:
    done = site.run("check", "--phase", "health", "--timings")
    assert done.returncode in (0, 1), done.stderr
    facts, _, checks = done.stdout.partition("\nfacts: ")[2].partition("\nchecks: ")
    for text, names in ((facts, ("gpus", "cuda", "toolkits", "services")), (checks, ("gpu.ecc.sram", "gpu.present"))):
        rows = {line.split()[0]: float(line.split()[1]) for line in text.splitlines()[1:] if line.endswith(" ms")}
        assert set(names) <= set(rows)
        assert list(rows.values()) == sorted(rows.values(), reverse=True)
    assert all(len(line) <= 80 for line in (facts + checks).splitlines())
    assert "ms in all" not in site.run("check", "--phase", "health").stdout


def test_gpus_that_slurm_was_not_told_of_are_a_warning_of_the_health_check(site: Site) -> None:
    (site.place / "gres.conf").write_text("Name=gpu File=/dev/nvidia0\n")
    report = judged(site, "--phase", "health", code=0)
    (one,) = [one for one in report["findings"] if one["check"] == "gpu.configured"]
    assert (one["status"], one["blame"]) == ("warn", "site")
    assert one["message"] == "NVML has 2 GPUs, Slurm's configuration gives the node 1"
    (site.place / "gres.conf").write_text("Name=gpu File=/dev/nvidia[0-1]\n")
    report = judged(site, "--phase", "health", code=0)
    assert [one["status"] for one in report["findings"] if one["check"] == "gpu.configured"] == ["pass"]
