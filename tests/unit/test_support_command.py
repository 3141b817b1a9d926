"""`preflight support`: this node, or a machine that is not here; as a page and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from preflight.artifacts.gpu_code import runs
from preflight.catalog import gpus, picture
from preflight.catalog.wheels import builds
from preflight.cli import facts as facts_command
from preflight.cli.support import support
from preflight.facts.document import FactsDocument

DAY = ("--date", "2026-11-24")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "preflight.toml"
    file.write_text("version = 1\n")
    return file


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(support, [*DAY, "--config", str(config), *arguments], standalone_mode=True)


def answers(config: Path, text: str) -> tuple[int, dict[str, Any]]:
    result = run(config, *text.split(), "--json")
    return result.exit_code, json.loads(result.stdout)


def test_the_issues_example(config: Path) -> None:
    code, found = answers(config, "--cuda 12.8 --driver 535.183.01 --gpu a100 --os rhel9.4")
    assert code == 0
    assert list(found) == ["cuda", "gpu", "toolkit_os", "compiler", "os", "driver", "module"]
    assert set(found["cuda"]) == {"answer", "why", "needs", "source"}
    assert found["cuda"]["answer"] == "minor"
    assert found["gpu"]["answer"] == "supported"
    assert (found["gpu"]["first_cuda"], found["gpu"]["last_cuda"]) == ("11.0", None)
    assert set(found["toolkit_os"]) == {"answer", "source"}
    assert found["toolkit_os"]["answer"] == "supported"
    assert found["compiler"]["max_gcc"] == 14
    assert found["os"] == {"eol": "2032-05-31", "extended_eol": "2036-05-31", "answer": "supported"}
    assert found["driver"] == {
        "branch": 535,
        "type": "lts",
        "eol": "2026-06",
        "answer": "eol",
        "last_security_fix": "535.309.01",
        "behind": True,
    }
    assert found["module"] == {"open": "either"}


@pytest.mark.parametrize(
    ("text", "code", "keys"),
    [
        ("--cuda 13.0 --gpu v100", 3, ["gpu", "compiler", "module"]),
        ("--cuda 12.4 --driver 525.60.13", 0, ["cuda", "compiler", "driver"]),
        ("--cuda 12.4 --driver 470.256.02 --gpu geforce", 3, ["cuda", "gpu", "compiler", "driver", "module"]),
        ("--cuda 13.0 --driver 580.65.06", 0, ["cuda", "compiler", "driver"]),
        ("--cuda 13.0 --os amzn2", 3, ["toolkit_os", "compiler", "os"]),
        ("--cuda 12.6 --os rhel9.4", 3, ["toolkit_os", "compiler", "os"]),
        ("--cuda 12.6 --os rhel9.4 --gpu a100", 0, ["gpu", "toolkit_os", "compiler", "os", "module"]),
        ("--gpu h100", 0, ["gpu", "wheels", "module"]),
        ("--gpu v100", 3, ["gpu", "wheels", "module"]),
        ("--gpu nonesuch", 3, ["gpu", "module"]),
        ("--os centos7", 3, ["os"]),
        ("--os debian13", 0, ["os"]),
        ("--driver 550.54.15", 3, ["driver_cuda", "driver"]),
        ("--driver 620.70.06", 0, ["driver_cuda", "driver", "module"]),
        ("--driver 580.95.05 --gpu v100", 0, ["driver_cuda", "driver_gpu", "gpu", "wheels", "driver", "module"]),
        ("--driver 595.45.04 --gpu v100", 3, ["driver_cuda", "driver_gpu", "gpu", "wheels", "driver", "module"]),
        ("--driver 550.54.15 --gpu b200", 3, ["driver_cuda", "driver_gpu", "gpu", "wheels", "driver", "module"]),
        ("--cuda 12.4 --driver 570.124.06 --gpu b200", 0, ["cuda", "gpu", "compiler", "driver", "module"]),
        ("--cuda 12.4 --gpu rtx5090", 0, ["gpu", "compiler", "module"]),
    ],
)
def test_parts_that_are_not_given_are_left_out(config: Path, text: str, code: int, keys: list[str]) -> None:
    found = answers(config, text)
    assert (found[0], list(found[1])) == (code, keys)


def test_an_unknown_gpu_leaves_the_drivers_half(config: Path) -> None:
    code, found = answers(config, "--cuda 12.8 --driver 535.183.01 --gpu nonesuch")
    assert (code, found["cuda"]["answer"], found["gpu"]["answer"]) == (3, "minor", "unknown")
    assert answers(config, "--cuda 12.8 --driver 470.256.02 --gpu nonesuch")[1]["cuda"]["answer"] == "no"
    assert "Quadro RTX 6000" in run(config, "--cuda", "12.8", "--gpu", "rtx6000").stdout  # several are called so


@pytest.mark.parametrize(
    ("driver", "own", "minor"),
    [
        ("535.183.01", "12.2", "12.x"),
        ("580.65.06", "13.0", "13.x"),
        ("470.82.01", "11.4", "11.x"),
        ("418.226.00", "10.1", None),
    ],
)
def test_up_to_which_cuda_a_driver_runs_programs(config: Path, driver: str, own: str, minor: str | None) -> None:
    found = answers(config, f"--driver {driver}")[1]["driver_cuda"]
    assert (found["own"], found["minor"]) == (own, minor)
    assert f"CUDA of programs on driver {driver}: up to {own}" in run(config, "--driver", driver).stdout


@pytest.mark.parametrize(
    ("text", "eol"),
    [
        ("rhel9.4", "2032-05-31"),
        ("RHEL 9.4", "2032-05-31"),
        ("ubuntu22.04", "2027-06-01"),
        ("oracle9.1", "2032-06-30"),
        ("centos-stream9", "2027-05-31"),
        ("CentOS Stream 9", "2027-05-31"),
        ("amzn2023", "2029-06-30"),
        ("Amazon Linux 2", "2026-06-30"),
        ("opensuse-leap15.6", "2026-04-30"),
        ("sles:15.7", "2031-07-31"),
        ("debian", None),
    ],
)
def test_names_of_systems(config: Path, text: str, eol: str | None) -> None:
    result = run(config, "--os", text, "--json")
    assert json.loads(result.stdout)["os"]["eol"] == eol


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--cuda", "twelve"), "--cuda twelve is no version; write one such as 12.8"),
        (("--cuda", ""), "is no version"),
        (("--driver", "550.x"), "--driver 550.x is no version"),
        (("--os", "rehl9"), "no distribution rehl is known; did you mean rhel?"),
        (("--os", "9.4"), "--os 9.4 is no distribution and version"),
        (("--gpu", "-"), "names no GPU"),
        (("--os", "debian12", "--date", "tomorrow"), "--date tomorrow is no date"),
        (("--os", "debian12", "--root", "/"), "--root is for this node"),
        (("--root", "/nonesuch"), "/nonesuch: no such directory"),
        (("--cuda", "\x1b[31m\n"), "is no version"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(config: Path, arguments: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(support, ["--config", str(config), *arguments], standalone_mode=False)
    text = str(getattr(result.exception, "message", ""))
    assert said in text
    assert text.isprintable()
    assert run(config, *arguments).exit_code != 0


def lines(result: Result) -> list[str]:
    found: list[str] = result.stdout.splitlines()
    assert [line for line in found if len(line) > 80] == []
    return found


def test_the_page(config: Path) -> None:
    asked = ("--cuda", "12.8", "--driver", "535.183.01", "--gpu", "a100", "--os", "rhel9.4")
    text = "\n".join(lines(run(config, *asked)))
    assert "CUDA 12.8 programs on driver 535.183.01: minor" in text
    assert "! driver 535.183.01 (long-term support): eol" in text
    assert "it\n    misses 7 bulletins" in text
    for heading in ("\nEnds\n", "\nWhat to do\n", "\nSources\n  [1] "):
        assert heading in text


NODE = {
    "format": "preflight.facts/1",
    "node": "gpu001",
    "collected": "2026-11-24T14:00:00Z",
    "facts": {
        "os": {"id": "rocky", "version": "9.4", "like": ["rhel"], "variant": None, "l4t": None, "support_end": None},
        "kernel": {"release": "5.14.0-427.el9.x86_64"},
        "arch": {"machine": "x86_64"},
        "libc": {"glibc": "2.34"},
        "toolkits": {
            "versions": ["12.5.1", "13.0"],
            "items": [
                {"version": "12.5.1", "path": "/usr/local/cuda-12.5", "nvcc": True},
                {"version": "13.0", "path": "/usr/local/cuda-13.0", "nvcc": True},
            ],
            "compat": [{"path": "/usr/local/cuda-13.0/compat", "driver": "580.95.05"}],
        },
        "driver": {"version": "550.54.15", "cuda": "12.4", "module": "550.54.15", "nvml": "ok"},
        "gpus": {
            "count": 2,
            "devices": [
                {"index": 0, "name": "NVIDIA H100 80GB HBM3", "compute_capability": "9.0"},
                {"index": 1, "name": "NVIDIA H100 80GB HBM3", "compute_capability": "9.0"},
            ],
        },
    },
    "unknown": {},
    "timings_ms": {},
}


def on_node(patch: pytest.MonkeyPatch, **changed: Any) -> None:
    data = json.loads(json.dumps(NODE))
    data["facts"].update(changed)
    patch.setattr(facts_command, "read_facts", lambda root, config: FactsDocument.from_dict(data))


def test_this_node(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_node(monkeypatch)
    result = run(config)
    text = "\n".join(lines(result))
    assert text.startswith("gpu001  (on 2026-11-24")
    for part in (
        "CUDA 12.5.1 programs on driver 550.54.15: minor",
        "CUDA 13.0 programs on driver 550.54.15: forward",
        "toolkit 12.5.1 on Rocky Linux 9.4: supported",
        "CUDA 13.0 on H100 80GB HBM3: supported",
        "/usr/local/cuda-13.0/compat, driver 580.95.05",
        "Rocky Linux 9.4: supported",
        "kernel 5.14.0-427.el9.x86_64: ok",
        "! its security fixes: behind",
        "2032-05-31  Rocky Linux 9.4",
    ):
        assert part in text
    assert result.exit_code == 0


def test_this_node_with_several_kinds_of_gpu_answers_by_the_worst(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [
        *NODE["facts"]["gpus"]["devices"],
        {"index": 2, "name": "Tesla V100-SXM2-32GB", "compute_capability": "7.0"},
    ]  # type: ignore[index]
    on_node(monkeypatch, gpus={"count": 3, "devices": devices})
    result = run(config, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["cuda"]["answer"], found["gpu"]["answer"]) == (3, "no", "dropped")


def test_this_node_without_driver_gpus_or_toolkit(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none = {"version": None, "cuda": None, "module": None, "nvml": "LibraryNotFound"}
    on_node(
        monkeypatch, driver=none, gpus={"count": 0, "devices": []}, toolkits={"versions": [], "items": [], "compat": []}
    )
    result = run(config)
    assert result.exit_code == 0
    assert "NVIDIA driver: none" in "\n".join(lines(result))
    assert list(json.loads(run(config, "--json").stdout)) == ["os"]


def test_a_jetson(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = {"id": "ubuntu", "version": "22.04", "like": ["debian"], "variant": None, "l4t": "36.4.3"}
    on_node(monkeypatch, os=system, arch={"machine": "aarch64"})
    assert "Jetson, L4T 36.4.3: here\n    JetPack 6.2, CUDA 12" in "\n".join(lines(run(config)))


def test_a_sites_own_rows(config: Path, tmp_path: Path) -> None:
    own = tmp_path / "catalog.toml"
    own.write_text('[[branches]]\nbranch = 535\neol = "2027-06"\nsource = "contract"\n')
    config.write_text(f'version = 1\n[catalog]\nfile = "{own}"\n')
    assert answers(config, "--driver 535.183.01")[1]["driver"]["answer"] == "supported"
    own.write_text("[[branches]]\nbranch = 'x'\n")
    result = run(config, "--driver", "535.183.01")
    assert result.exit_code == 2
    assert "branches row 1 (x): branch needs a whole number" in result.stderr


def test_hostile_facts_stay_printable(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "x\x1b[31m\n" + "y" * 300
    on_node(
        monkeypatch,
        os={"id": evil, "version": evil, "like": [], "variant": None},
        gpus={"count": 1, "devices": [{"index": 0, "name": evil, "compute_capability": evil}]},
        kernel={"release": evil},
        driver={"version": evil, "cuda": evil, "module": None, "nvml": "ok"},
    )
    assert "\x1b" not in run(config).stdout
    lines(run(config))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("--cuda 99", "takes compilers that no source names"),
        ("--driver 999", "newer than the catalog of 20"),
        ("--driver 585.10", "branch 585 is not in the catalog of 20"),
        ("--os rhel99", "RHEL 99 is not in the catalog"),
    ],
)
def test_what_the_catalog_does_not_list_is_no_yes(config: Path, text: str, why: str) -> None:
    result = run(config, *text.split())
    assert result.exit_code == 3
    assert why in " ".join(result.stdout.split())
    assert run(config, "--cuda", "12.4").exit_code == run(config, "--driver", "616.00").exit_code == 0


def test_a_driver_newer_than_the_catalog_runs_what_those_before_it_run(config: Path) -> None:
    code, found = answers(config, "--driver 999.10 --cuda 12.8")
    assert (code, found["cuda"]["answer"], found["driver"]["answer"]) == (0, "native", "unknown")
    assert "is of CUDA 13.5 or newer" in found["cuda"]["why"]
    assert answers(config, "--driver 999.10 --gpu h100")[0] == 3


# First CUDA of the chips: catalog/data/gpus.toml; of the drivers: 570 is of 12.8, 575 of 12.9.
@pytest.mark.parametrize(
    ("gpu", "driver", "answer", "wheels"),
    [
        ("b300", "570.133.20", "unknown", "none"), ("gb300", "570.211.01", "unknown", "none"),
        ("gb10", "570.133.20", "unknown", "none"), ("b300", "575.57.08", "ok", "ok"),
        ("b200", "570.133.20", "ok", "ok"), ("rtx3090", "450.80.02", "unknown", "none"),
        ("rtx3090", "455.32", "ok", "ok"), ("a100", "450.80.02", "ok", "ok"), ("b300", "550.54.15", "no", "none"),
        ("v100", "390.157", "ok", "none"),
    ],
)  # fmt: skip
def test_a_driver_that_is_older_than_the_chip(config: Path, gpu: str, driver: str, answer: str, wheels: str) -> None:
    """Of the right generation; `preflight code` answers the same of machine code for it."""
    shown = run(config, "--gpu", gpu, "--driver", driver).stdout
    found = answers(config, f"--gpu {gpu} --driver {driver}")[1]
    assert found["driver_gpu"]["answer"] == answer
    assert bool(found["wheels"]["builds"]) == (wheels == "ok")
    capability = gpus.look_up(gpu).capability or ""
    assert runs.gpu(capability, driver).driven == {"ok": True, "no": False, "unknown": None}[answer]
    if answer == "unknown":
        assert f"driver branch {'455' if gpu == 'rtx3090' else '575'} or newer" in " ".join(shown.split())
        cuda = "11.1" if gpu == "rtx3090" else "12.9"
        assert answers(config, f"--gpu {gpu} --driver {driver} --cuda {cuda}")[1]["cuda"]["answer"] == "unknown"


def test_where_the_driver_runs_it_drives_what_it_has_told_of() -> None:
    here = picture.Machine(driver="570.133.20", driver_cuda="12.8", gpus=(gpus.look_up("NVIDIA B300 SXM6 AC"),))
    entry = next(one for one in picture.picture(here, "2026-11-30") if one.key == "driver_gpu")
    assert (entry.answer, entry.needs) == ("ok", None)


def test_code_that_a_gpu_runs_is_not_that_of_a_system_on_a_chip(config: Path) -> None:
    """What CUDA 12.8 calls 10.1 is Thor; 8.7, Orin, runs no code for 8.6 for certain."""
    told = {
        (gpu, cuda): run(config, "--gpu", gpu, "--cuda", cuda).stdout
        for gpu, cuda in (("b300", "12.8"), ("rtx4090", "11.4"))
    }
    assert "if it holds code for 10.0 or PTX" in " ".join(told["b300", "12.8"].split())
    assert "if it holds code for 8.6 or PTX" in " ".join(told["rtx4090", "11.4"].split())
    assert "holds PTX" in gpus.with_toolkit(gpus.Gpu("", capability="8.7"), "11.1").why


def test_a_build_that_needs_its_ptx_compiled_needs_a_driver_that_knows_the_gpu() -> None:
    (build,) = builds("ctranslate2", "10.3")
    assert (build.by_ptx, build.driver, build.driver_cuda) == (True, "575", "12.9")
    assert "a driver of CUDA 12.9 or newer" in build.shown


@pytest.mark.parametrize("name", ["9.0", "sm_90", "compute_90"])
@pytest.mark.parametrize("cuda", ["11.7", "12.4"])
def test_a_gpu_by_its_compute_capability(config: Path, name: str, cuda: str) -> None:
    done = run(config, "--gpu", name, "--cuda", cuda)
    assert done.exit_code == run(config, "--gpu", "h100", "--cuda", cuda).exit_code
    assert "(compute capability 9.0)" in " ".join(done.output.split())
    assert "nothing is known" not in done.output


def test_a_compute_capability_that_there_is_not(config: Path) -> None:
    done = run(config, "--gpu", "9.9")
    assert done.exit_code == 3
    assert "compute capability 9.9 is not in the catalog" in done.output
