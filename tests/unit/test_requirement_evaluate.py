"""Requirements against nodes: the literal cases of the design, and what is said about them."""

from __future__ import annotations

from typing import Any

import pytest

from preflight.catalog import cuda as cuda_catalog
from preflight.catalog import families
from preflight.facts.view import View
from preflight.requirements import names
from preflight.requirements.evaluate import ClauseResult, evaluate, facts_needed
from preflight.requirements.grammar import parse


def node(unknown: dict[str, str] | None = None, gpus: tuple[int, ...] | None = None, **facts: Any) -> View:
    return View(facts, unknown or {}, gpus)


def system(os_id: str, version: str | None, *like: str) -> View:
    return node(os={"id": os_id, "version": version, "like": list(like)})


def driver(version: str | None, own: str | None) -> View:
    return node(driver={"version": version, "cuda": own})


def gpu(index: int = 0, **more: Any) -> dict[str, Any]:
    plain = {
        "index": index,
        "name": "NVIDIA H100 80GB HBM3",
        "memory": 85520809984,
        "compute_capability": "9.0",
        "ecc": True,
        "mig": False,
        "nvlink": 18,
    }
    return plain | more


def gpus(*devices: dict[str, Any], seen: tuple[int, ...] | None = None) -> View:
    return View({"gpus": {"devices": list(devices)}}, {}, seen)


def only(text: str, view: View, cuda_minor: str = "warn") -> ClauseResult:
    [result] = evaluate(parse(text), view, cuda_minor=cuda_minor)
    return result


@pytest.mark.parametrize(
    ("view", "text", "status"),
    [
        (system("ubuntu", "22.04", "debian"), "ubuntu>=22.04", "pass"),
        (system("ubuntu", "22.04", "debian"), "ubuntu>=24.04", "fail"),
        (system("ubuntu", "22.04", "debian"), "debian>=12", "fail"),
        (system("ubuntu", "22.04", "debian"), "os.like=debian", "pass"),
        (system("ubuntu", "22.04", "debian"), "os.like=rhel", "fail"),
        (system("debian", "12"), "os.like=debian", "pass"),
        (system("opensuse-leap", "15.6", "suse", "opensuse"), "os.like=suse", "pass"),
        (system("opensuse-leap", "15.6", "suse", "opensuse"), "os.like=leap", "pass"),
        (system("opensuse-tumbleweed", "20250101", "opensuse", "suse"), "os.like=leap", "fail"),
        (system("rocky", "9.4", "rhel"), "rhel>=9", "pass"),
        (system("rocky", "9.4", "rhel"), "rhel=9", "pass"),
        (system("rocky", "9.4", "rhel"), "redhat>=9", "pass"),
        (system("ol", "8.10", "fedora"), "rhel>=8", "pass"),
        (system("almalinux", "9.2"), "rhel>=9.4", "fail"),
        (system("scientific", "7.5"), "rhel=7", "pass"),
        (system("centos", "9"), "rhel>=9", "pass"),
        (system("centos", "9"), "rhel>=9.4", "unknown"),
        (system("centos", "9"), "!rhel>=9.4", "unknown"),
        (system("centos", "9"), "rhel>=9.4|centos=9", "pass"),
        (system("centos", "9"), "rhel>=9.4|ubuntu>=22.04", "unknown"),
        (system("amzn", "2", "centos", "rhel", "fedora"), "rhel>=2", "fail"),
        (system("amzn", "2", "centos", "rhel", "fedora"), "amzn=2", "pass"),
        (system("fedora", "42"), "rhel>=9", "fail"),
        (system("rhel", "9.4"), "rocky>=9", "fail"),
        (system("rocky", "9.4"), "rocky>=9", "pass"),
        (system("sles", "15.6", "suse"), "sles>=15.6", "pass"),
        (system("opensuse-leap", "15.6", "suse"), "sles>=15", "pass"),
        (system("opensuse-leap", "16.0", "suse"), "sles>=15", "fail"),
        (system("opensuse-leap", None, "suse"), "sles>=15", "unknown"),
        (system("debian", None), "debian>=12", "unknown"),
        (system("debian", None), "ubuntu>=22.04", "fail"),
        (system("debian", "12"), "ubuntu!=22.04", "pass"),
        (system("debian", "12"), "!ubuntu>=22.04", "pass"),
        (system("ol", "9.4"), "os=oracle", "pass"),
        (system("ol", "9.4"), "os=ol", "pass"),
        (system("ol", "9.4"), "oracle>=9", "pass"),
        (system("ol", "9.4"), "os!=oracle", "fail"),
        (system("openEuler", "24.03"), "os=openeuler, openeuler>=24", "pass"),
        (system("opensuse-leap", "15.6"), "os=leap", "pass"),
        (system("arch", None), "os=arch", "pass"),
        (node({"os": "os-release unreadable"}), "ubuntu>=22.04", "unknown"),
        (node({"os.like": "x"}, os={"id": "debian", "version": "12"}), "os.like=debian", "pass"),
        (node({"os.like": "x"}, os={"id": "debian", "version": "12"}), "os.like=rhel", "unknown"),
    ],
)
def test_systems(view: View, text: str, status: str) -> None:
    assert {result.status for result in evaluate(parse(text), view)} == {status}


@pytest.mark.parametrize(
    ("view", "text", "status"),
    [
        (node(kernel={"release": "5.14.0-427.el9"}), "kernel>=5.14", "pass"),
        (node(kernel={"release": "5.14.0-427.el9"}), "kernel>=5.14.0-503", "fail"),
        (node(libc={"glibc": "2.34"}), "glibc>=2.34", "pass"),
        (node(libc={"glibc": None}), "glibc>=2.34", "fail"),
        (node(libc={"glibc": None}), "!glibc>=2.34", "pass"),
        (node(arch={"machine": "x86_64"}), "arch=x86_64", "pass"),
        (node(arch={"machine": "aarch64"}), "arch=arm64", "pass"),
        (node(arch={"machine": "aarch64"}), "arch!=x86_64", "pass"),
        (driver("550.54.15", "12.4"), "driver>=550.54", "pass"),
        (driver("550.54.15", "12.4"), "driver>=550.127.5", "fail"),
        (driver(None, None), "driver>=550", "fail"),
        (driver(None, None), "driver<550", "fail"),
        (node(), "driver>=550", "unknown"),
        (node(memory={"total": 2**39}), "memory>=512G", "pass"),
        (node(memory={"total": 2**39 - 1}), "memory>=512G", "fail"),
        (node(cpu={"count": 64}), "cpus>=64", "pass"),
        (node(tmp={"free": 10**9}), "tmp>=1G", "fail"),
        (node(shm={"free": 2**30}), "shm>=1G", "pass"),
        (node({"tmp": "statvfs timed out"}), "!tmp>=1G", "unknown"),
        (node(toolkits={"versions": ["11.8", "12.4.1"]}), "toolkit>=12.4", "pass"),
        (node(toolkits={"versions": ["11.8", "12.4.1"]}), "toolkit=12.4", "pass"),
        (node(toolkits={"versions": ["11.8", "12.4.1"]}), "toolkit!=12.4", "fail"),
        (node(toolkits={"versions": ["11.8"]}), "toolkit!=12.4", "pass"),
        (node(toolkits={"versions": ["12"]}), "toolkit>=12.4", "unknown"),
        (node(toolkits={"versions": ["12", "12.6"]}), "toolkit>=12.4", "pass"),
        (node(toolkits={"versions": []}), "toolkit>=11", "fail"),
        (node(mounts={"paths": ["/", "/scratch"]}), "mount=/scratch", "pass"),
        (node(mounts={"paths": ["/", "/scratch"]}), "mount=/scratch/", "pass"),
        (node(mounts={"paths": ["/"]}), "mount=/scratch", "fail"),
        (node(mounts={"paths": ["/"]}), "mount!=/scratch", "pass"),
        (node(modules={"names": ["cuda/12.4"]}), "module=cuda/12.4", "pass"),
        (node(modules={"names": ["cuda/12.4"]}), "module=cuda", "pass"),
        (node(modules={"names": ["cuda/12.4"]}), "module=cuda/12", "pass"),
        (node(container={"runtimes": ["enroot"]}), "container=enroot", "pass"),
        (node(container={"runtimes": []}), "container=enroot", "fail"),
        (node(ib={"rate": 400}), "ib, ib.rate>=400, ib.rate", "pass"),
        (node(ib={"rate": None}), "ib", "fail"),
        (node(ib={"rate": None}), "!ib, !ib.rate>=100", "pass"),
    ],
)
def test_nodes(view: View, text: str, status: str) -> None:
    assert {result.status for result in evaluate(parse(text), view)} == {status}


@pytest.mark.parametrize(
    ("version", "own", "text", "accept", "warn", "reject"),
    [
        ("550.54.15", "12.4", "cuda>=12.4", "pass", "pass", "pass"),
        ("550.54.15", "12.4", "cuda=12.2", "pass", "pass", "pass"),
        ("550.54.15", "12.4", "cuda~=11.8", "pass", "pass", "pass"),
        ("550.54.15", "12.4", "cuda>=12.4.1", "pass", "pass", "pass"),
        ("550.54.15", "12.4", "cuda>=12", "pass", "pass", "pass"),
        ("550.54.15", "12.4", "cuda>=10.2", "pass", "pass", "pass"),
        ("535.54.03", "12.2", "cuda>=12.4", "pass", "warn", "fail"),
        ("535.54.03", "12.2", "cuda=12.4", "pass", "warn", "fail"),
        ("535.54.03", "12.2", "cuda~=12.4", "pass", "warn", "fail"),
        ("535.54.03", "12.2", "cuda>=13.0", "fail", "fail", "fail"),
        ("535.54.03", "12.2", "!cuda=12.4", "fail", "fail", "pass"),
        ("535.54.03", "12.2", "!cuda=13.0", "pass", "pass", "pass"),
        ("470.256.02", "11.4", "cuda>=11.8", "pass", "warn", "fail"),
        ("470.256.02", "11.4", "cuda>=12.4", "fail", "fail", "fail"),
        ("450.36.06", "11.0", "cuda>=11.8", "fail", "fail", "fail"),
        ("418.67", "10.1", "cuda>=10.2", "fail", "fail", "fail"),
        ("580.65.06", "13.0", "cuda>=13.4", "pass", "warn", "fail"),
        ("990.1", "14.0", "cuda>=14.2", "pass", "warn", "fail"),
        ("580.65.06", "13.0", "cuda>=14.0", "fail", "fail", "fail"),
        (None, None, "cuda>=12.4", "fail", "fail", "fail"),
        (None, None, "cuda<12.4", "fail", "fail", "fail"),
        (None, None, "cuda!=12.4", "pass", "pass", "pass"),
        (None, None, "!cuda=12.4", "pass", "pass", "pass"),
        ("550.54.15", "12.4", "cuda<13", "pass", "pass", "pass"),
        ("550.54.15", "12.4", "cuda<=12.4", "pass", "pass", "pass"),
        ("550.54.15", "12.4", "cuda>12.4", "fail", "fail", "fail"),
        ("550.54.15", "12.4", "cuda!=12.4", "fail", "fail", "fail"),
        ("550.54.15", "12.4", "cuda!=12.2", "pass", "pass", "pass"),
        ("550.54.15", "12.4", "!cuda<13", "fail", "fail", "fail"),
        ("550.54.15", "12.4", "cuda<=12.4.1", "unknown", "unknown", "unknown"),
        ("550.54.15", "?", "cuda>=12.4", "pass", "warn", "unknown"),
        ("550.54.15", "?", "cuda>=11.8", "pass", "pass", "pass"),
        ("550.54.15", "?", "cuda>=10.2", "pass", "pass", "pass"),
        ("550.54.15", "?", "cuda>=13.0", "fail", "fail", "fail"),
        ("550.54.15", "?", "cuda>=14.0", "unknown", "unknown", "unknown"),
        ("550.54.15", "?", "cuda<12.4", "unknown", "unknown", "unknown"),
        ("?", "12.2", "cuda>=12.2", "pass", "pass", "pass"),
        ("?", "12.2", "cuda>=12.4", "pass", "warn", "fail"),
        ("?", "12.2", "cuda>=13.0", "fail", "fail", "fail"),
        ("?", "?", "cuda>=12.4", "unknown", "unknown", "unknown"),
        ("?", "?", "!cuda=12.4", "unknown", "unknown", "unknown"),
    ],
)
def test_cuda(version: str | None, own: str | None, text: str, accept: str, warn: str, reject: str) -> None:
    facts = {"version": version, "cuda": own}
    unknown = {f"driver.{key}": "NVML timed out" for key, value in facts.items() if value == "?"}
    view = View({"driver": facts}, unknown)
    answers = [only(text, view, policy).status for policy in ("accept", "warn", "reject")]
    assert answers == [accept, warn, reject]


def test_an_unknown_cuda_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="accept, warn or reject"):
        evaluate(parse("cuda>=12"), node(), cuda_minor="maybe")


H100, LOST = gpu(), {"index": 1, "error": "GpuIsLost"}
A100 = gpu(1, name="NVIDIA A100-SXM4-40GB", memory=42949672960, compute_capability="8.0", mig=True)
BARE = {"index": 1, "errors": dict.fromkeys(("name", "memory", "ecc", "mig", "nvlink"), "NotSupported")}


@pytest.mark.parametrize(
    ("view", "text", "status"),
    [
        (gpus(H100, gpu(1)), "gpu=h100, gpu.count=2, gpu.memory>=80G, gpu.arch>=9.0, nvlink, ecc, !mig", "pass"),
        (gpus(H100, A100), "gpu=h100, gpu=a100, gpu.memory>=80G, mig", "fail"),
        (gpus(H100, A100), "gpu!=h100, gpu!=a100, !mig", "pass"),
        (gpus(H100, A100), "gpu.memory>=40G, gpu.arch>=8, gpu!=v100, gpu.count", "pass"),
        (gpus(H100, A100, seen=(0,)), "gpu=h100, gpu.count=1, !mig", "pass"),
        (gpus(H100, A100, seen=(1,)), "gpu=a100, mig", "pass"),
        (gpus(H100, LOST), "gpu=h100, gpu!=h100, ecc, gpu.count=2, gpu.memory>=80G", "unknown"),
        (gpus(H100, LOST), "gpu!=a100, !mig", "pass"),
        (gpus(H100, LOST), "gpu=a100, mig, gpu.memory<80G, gpu.count=3", "fail"),
        (gpus(H100, LOST), "gpu.count>=1, gpu.count", "pass"),
        (gpus(BARE), "ecc, mig, nvlink", "fail"),
        (gpus(BARE), "!ecc, !mig, !nvlink", "pass"),
        (gpus(BARE), "gpu=h100, gpu.memory>=1G, gpu.arch>=1", "unknown"),
        (gpus(), "!mig, gpu!=h100, gpu.count=0, !gpu.count", "pass"),
        (gpus(), "mig, gpu=h100, gpu.memory<80G, gpu.count, gpu.count>=1, gpu.arch>=1", "fail"),
        (gpus(H100, seen=()), "mig, gpu=h100, gpu.count>=1", "fail"),
        (node({"gpus": "driver hangs"}), "gpu=h100, !mig, gpu.count>=1", "unknown"),
    ],
)
def test_gpus(view: View, text: str, status: str) -> None:
    results = evaluate(parse(text), view)
    assert {result.text: result.status for result in results} == {result.text: status for result in results}


def test_a_failure_says_what_is_needed_and_what_there_is() -> None:
    result = only("cuda>=12.4", driver("470.256.02", "11.4"))
    assert result.message == "needs cuda>=12.4; the node's driver 470.256.02 runs programs up to CUDA 11.4"
    assert result.observed == "driver 470.256.02 (CUDA 11.4)"
    assert result.remedy
    result = only("ubuntu>=24.04|rhel>=9", system("ubuntu", "22.04"))
    assert result.message == "needs ubuntu>=24.04|rhel>=9; the node has ubuntu 22.04"
    result = only("ubuntu>=24.04|driver>=570", node(**system("ubuntu", "22.04").facts, **driver("550.1", "12.4").facts))
    assert result.observed == "ubuntu 22.04, driver 550.1"
    assert "no NVIDIA driver" in only("cuda>=12.4", driver(None, None)).message
    assert "minor-version compatibility" in only("cuda>=12.4", driver("535.54.03", "12.2"), "reject").message
    assert only("!cuda=12.4", driver("550.54.15", "12.4")).message.endswith("550.54.15 runs such programs")


def test_a_warning_names_what_is_lost() -> None:
    message = only("cuda>=12.4", driver("535.54.03", "12.2")).message
    assert "minor-version compatibility" in message
    assert "PTX" in message
    assert "12.2" in message


def test_an_alternative_without_caveat_is_a_pass() -> None:
    view = node(**driver("535.54.03", "12.2").facts, **system("ubuntu", "22.04").facts)
    assert only("cuda>=12.4|ubuntu>=22.04", view).status == "pass"


def test_an_unknown_says_why() -> None:
    assert "NVML timed out" in only("cuda>=12", node({"driver": "NVML timed out"})).message
    assert "GPU 1: NVML: GpuIsLost" in only("gpu=h100", gpus(H100, LOST)).message
    assert "centos 9" in only("rhel>=9.4", system("centos", "9")).message


def test_the_job_without_gpus_is_told_to_ask_for_them() -> None:
    result = only("gpu=h100", gpus(H100, seen=()))
    assert result.message == "needs gpu=h100; the job was given no GPU"
    assert "--gpus" in (result.remedy or "")
    assert only("gpu.count=2", gpus(H100, A100, seen=(0,))).message == "needs gpu.count=2; the job has 1 GPU"


def test_messages_are_printable_whatever_the_facts_hold() -> None:
    evil = "\x1b[31m\u202e\n" * 40
    view = node(
        os={"id": evil, "version": evil, "like": [evil, 3]},
        driver={"version": evil, "cuda": evil},
        mounts={"paths": [evil, {"a": 1}]},
        toolkits={"versions": [evil, None]},
    )
    view.facts["gpus"] = {"devices": [gpu(name=evil), {"index": evil, "error": evil}]}
    text = (
        f'os=x, os.like=x, ubuntu>=1, driver>=1, cuda>=1, cuda<1, mount=/x, toolkit>=1, gpu=x, mig, mount="/{"é" * 50}"'
    )
    for result in evaluate(parse(text), view):
        said = [result.observed, result.message, result.remedy or ""]
        assert all(part.isascii() and (part.isprintable() or not part) for part in said), result


def test_facts_needed() -> None:
    assert facts_needed(parse("cuda>=12, ubuntu>=22.04|gpu=h100, !mig, glibc>=2")) == {
        *("driver", "os", "gpus", "toolkits", "libc")
    }


def test_every_example_parses_and_every_row_can_be_evaluated() -> None:
    for row in names.ROWS:
        [result] = evaluate(parse(row.example), node())
        assert result.status == "unknown", row.name


def test_no_distribution_hides_another_name() -> None:
    seen = [name for row in names.ROWS for name in (row.name, *families.aliases(row.name))]
    assert len(seen) == len(set(seen))
    missing = {one.id for one in families.DISTRIBUTIONS} - {row.name for row in names.DISTRIBUTION_ROWS}
    assert missing == {"arch"}


def test_the_cuda_catalog() -> None:
    minimum = {major: cuda_catalog.minimum_driver(major) for major in (10, 11, 12, 13, 14)}
    assert minimum == {10: None, 11: (450, 80, 2), 12: (525, 60, 13), 13: (580, 65, 6), 14: None}
    assert cuda_catalog.runs_by_minor_version(12, None, (525, 60)) is None
    assert cuda_catalog.runs_by_minor_version(12, None, (525, 60, 12)) is False
