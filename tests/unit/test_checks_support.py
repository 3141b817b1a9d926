"""The checks of the node's software: what the catalog says of it, and what stands around the driver."""

from __future__ import annotations

from typing import Any

import pytest

from preflight.checks.finding import Finding
from preflight.checks.health.software import split_release
from preflight.checks.registry import Context
from preflight.checks.run import run_checks
from preflight.facts.view import View
from preflight.policy.model import Policy
from preflight.verdict import verdict

TODAY = "2026-11-24"
SOUND: dict[str, Any] = {
    "os": {"id": "ubuntu", "version": "24.04", "like": ["debian"], "variant": None},
    "kernel": {"release": "6.8.0-40-generic"},
    "arch": {"machine": "x86_64"},
    "libc": {"glibc": "2.39"},
    "toolkits": {"versions": ["13.0"], "items": [], "compat": []},
    "driver": {"version": "580.95.05", "module": "580.95.05", "cuda": "13.0", "nvml": "ok"},
    "gpus": {"count": 1, "devices": [{"index": 0, "name": "NVIDIA H100 80GB HBM3", "compute_capability": "9.0"}]},
    "install": {
        "kernels": ["6.8.0-31-generic", "6.8.0-40-generic"],
        "headers": True,
        "dkms": True,
        "reboot": [],
        "cdi": [{"path": "/etc/cdi/nvidia.yaml", "driver": "580.95.05"}],
        "libraries": [{"path": "/usr/lib/libcuda.so.1", "version": "580.95.05", "problem": None}],
        "nvswitch": True,
        "fabric_manager": "580.95.05",
        "module": "open",
        "secure_boot": False,
        "lockdown": "none",
    },
}


def found(check: str, phase: str = "health", unknown: dict[str, str] | None = None, **changes: Any) -> list[Finding]:
    """Run one check on the sound node with some facts changed: ``os__version="7"``."""
    facts = {subject: dict(keys) for subject, keys in SOUND.items()}
    for path, value in changes.items():
        subject, _, key = path.partition("__")
        facts[subject][key] = value
    for path in unknown or {}:
        subject, _, key = path.partition(".")
        facts[subject].pop(key, None)
    view = View(facts, unknown or {})
    findings = run_checks(Context(phase, view, view, Policy(), today=TODAY))
    return [one for one in findings if one.check == check]


def statuses(check: str, **changes: Any) -> list[str]:
    return [one.status for one in found(check, **changes)]


CHECKS = (
    "os.eol",
    "driver.eol",
    "toolkit.supported",
    "kernel.newest",
    "reboot.pending",
    "driver.libraries",
    "cdi.stale",
)
CHECKS += ("fabric.version", "driver.flavour", "boot.locks", "kernel.headers")


@pytest.mark.parametrize("check", CHECKS)
def test_a_sound_node_passes(check: str) -> None:
    assert statuses(check) == ["pass"]


@pytest.mark.parametrize(
    ("check", "changes", "says"),
    [
        ("os.eol", {"os__id": "centos", "os__version": "7"}, "2024-06"),
        ("driver.eol", {"driver__version": "460.106.00"}, "460"),
        ("driver.security", {"driver__version": "535.54.03"}, "535"),
        ("toolkit.supported", {"os__id": "centos", "os__version": "7", "toolkits__versions": ["12.5"]}, "12.5"),
        ("kernel.newest", {"kernel__release": "6.8.0-31-generic"}, "6.8.0-40-generic is installed"),
        ("kernel.newest", {"kernel__release": "6.8.0-99-generic"}, "not installed any more"),
        ("reboot.pending", {"install__reboot": ["linux-image", "libc6"]}, "linux-image, libc6"),
        (
            "driver.libraries",
            {"install__libraries": [{"path": "/l/libcuda.so", "version": None, "problem": "empty"}]},
            "empty",
        ),
        (
            "driver.libraries",
            {"install__libraries": [{"path": "/l/libcuda.so.1", "version": "535.1", "problem": None}]},
            "is of 535.1, driver 580.95.05 is loaded",
        ),
        ("cdi.stale", {"install__cdi": [{"path": "/etc/cdi/x.yaml", "driver": "535.183.01"}]}, "535.183.01"),
        ("fabric.version", {"install__fabric_manager": "580.65.06"}, "fabric manager 580.65.06, driver 580.95.05"),
        ("fabric.version", {"install__fabric_manager": None}, "no fabric manager"),
        (
            "driver.flavour",
            {
                "install__module": "proprietary",
                "gpus__devices": [{"index": 0, "name": "NVIDIA B200", "compute_capability": "10.0"}],
            },
            "proprietary module is loaded",
        ),
        ("boot.locks", {"install__secure_boot": True, "driver__nvml": "DriverNotLoaded"}, "Secure Boot"),
        ("boot.locks", {"install__lockdown": "integrity", "driver__nvml": "DriverNotLoaded"}, "lockdown=integrity"),
        ("kernel.headers", {"install__headers": False}, "no headers for kernel 6.8.0-40-generic"),
    ],
)
def test_what_is_wrong_is_a_warning_with_a_remedy(check: str, changes: dict[str, Any], says: str) -> None:
    (finding,) = found(check, **changes)
    assert finding.status == "warn"
    assert finding.blame == "site"
    assert says in finding.message
    assert finding.remedy
    assert verdict([finding]) == "degraded"


@pytest.mark.parametrize(
    ("check", "changes"),
    [
        ("driver.eol", {"driver__version": None}),
        ("driver.security", {"driver__version": None}),
        ("toolkit.supported", {"toolkits__versions": []}),
        ("cdi.stale", {"install__cdi": []}),
        ("cdi.stale", {"driver__module": None}),
        ("fabric.version", {"install__nvswitch": False, "install__fabric_manager": None}),
        ("driver.flavour", {"install__module": None}),
        ("driver.libraries", {"install__libraries": []}),
        ("kernel.headers", {"install__dkms": False, "install__headers": False}),
    ],
)
def test_what_does_not_apply_is_skipped(check: str, changes: dict[str, Any]) -> None:
    assert statuses(check, **changes) == ["skip"]


@pytest.mark.parametrize(
    ("check", "path"),
    [
        ("os.eol", "os.id"),
        ("driver.eol", "driver.version"),
        ("driver.security", "driver.version"),
        ("kernel.newest", "install.kernels"),
        ("reboot.pending", "install.reboot"),
        ("driver.libraries", "install.libraries"),
        ("cdi.stale", "driver.module"),
        ("fabric.version", "install.fabric_manager"),
        ("boot.locks", "install.secure_boot"),
        ("kernel.headers", "install.headers"),
    ],
)
def test_what_could_not_be_told_is_unknown_and_not_a_pass(check: str, path: str) -> None:
    (finding,) = found(check, unknown={path: "why not"})
    assert finding.status == "unknown"
    assert "why not" in finding.message


def test_what_the_catalog_does_not_know_is_unknown() -> None:
    assert statuses("os.eol", os__id="plan9", os__version="4") == ["unknown"]
    assert statuses("driver.eol", driver__version="999.1") == ["unknown"]
    assert statuses("driver.security", driver__version="999.1") == ["unknown"]
    assert statuses("cdi.stale", install__cdi=[{"path": "/etc/cdi/x.yaml", "driver": None}]) == ["unknown"]


@pytest.mark.parametrize("phase", ["prolog", "epilog"])
def test_no_job_is_told_of_it(phase: str) -> None:
    assert [one for check in CHECKS for one in found(check, phase)] == []


@pytest.mark.parametrize(
    ("release", "numbers", "flavour"),
    [
        ("6.8.0-40-generic", (6, 8, 0, 40), "generic"),
        ("5.14.0-427.13.1.el9_4.x86_64", (5, 14, 0, 427, 13, 1), "el.x86_64"),
        ("5.14.0-503.el9_5.x86_64", (5, 14, 0, 503), "el.x86_64"),
        ("6.1.0-18-amd64", (6, 1, 0, 18), "amd64"),
    ],
)
def test_a_release_is_compared_within_its_flavour(release: str, numbers: tuple[int, ...], flavour: str) -> None:
    assert split_release(release) == (numbers, flavour)


def test_another_flavours_newer_kernel_is_no_matter() -> None:
    kernels = ["6.8.0-40-generic", "6.8.0-90-lowlatency"]
    assert statuses("kernel.newest", install__kernels=kernels) == ["pass"]


@pytest.mark.parametrize(
    ("switches", "state", "manager", "status"),
    [
        (True, None, None, "warn"),
        (False, None, None, "skip"),
        (False, 0, None, "skip"),
        (False, 1, None, "warn"),  # HGX B200 without its fabric manager: no switch of NVIDIA's on the bus
        (False, 3, "580.65.06", "warn"),
        (False, 3, "580.95.05", "pass"),
        (False, 3, None, "skip"),  # GB200 NVL72: its fabric is managed by the switch trays
    ],
)
def test_a_fabric_is_known_by_the_gpus_too(switches: bool, state: int | None, manager: str | None, status: str) -> None:
    device = {"index": 0, **({} if state is None else {"fabric_state": state})}
    changes = {"install__nvswitch": switches, "install__fabric_manager": manager, "gpus__devices": [device]}
    assert statuses("fabric.version", **changes) == [status]
