"""Boards behind the same name: what the last boot left is compared, and only what is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from nvml import sim
from preflight.checks.finding import Finding
from preflight.hooks import inventory
from unit.hook_site import H100X2, Site
from unit.test_gpu_generations import Node, judged, library, node

__all__ = ["library", "node"]

EXAMPLE = sim.example("h100x8-r580")
SLOT = "00000000:06:00.0"  # of GPU 5, in the simulator's order


@pytest.fixture
def boots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Boots":
    return Boots(monkeypatch, str(tmp_path / "spool"))


class Boots:
    """A node that is booted again and again; each health check reads the GPUs and keeps them."""

    def __init__(self, patch: pytest.MonkeyPatch, spool: str) -> None:
        self.patch, self.spool, self.example = patch, spool, EXAMPLE
        self.boot("first")

    def boot(self, name: str) -> None:
        self.patch.setattr(inventory, "boot_id", lambda: name)

    def health(self, node: Node, *parts: Any) -> list[Finding]:
        document = node.facts("health", self.example, *parts)
        found = judged("health", document, last_boot=inventory.last_boot(self.spool, "n1"))
        inventory.keep(self.spool, "n1", document)
        return [one for one in found if one.check == "gpu.inventory"]


def told(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.status, one.subject) for one in found]


def test_without_an_earlier_boot_nothing_is_compared(node: Node, boots: Boots) -> None:
    assert told(boots.health(node)) == [("skip", "node")]
    assert told(boots.health(node, {"gpu.5.vbios": "x"})) == [("skip", "node")]


@pytest.mark.parametrize(
    ("changes", "subject", "words"),
    [
        ({"gpu.5.vbios": "96.00.99.00.01"}, "gpu5", "VBIOS 96.00.99.00.01, was 96.00.74.00.01"),
        ({"gpu.5.inforom.image_version": "G520.0300.00.01"}, "gpu5", "InfoROM G520.0300.00.01, was G520.0200.00.05"),
        ({"gpu.5.serial": "999"}, "gpu5", "serial number 999, was 1655023100005"),
        ({"gpu.5.bus_id": "00000000:F1:00.0"}, "gpu5", "PCI address 00000000:F1:00.0, was 00000000:06:00.0"),
        ({"gpu.5.uuid": "GPU-new", "gpu.5.serial": "999"}, "gpu5", f"another GPU is at {SLOT}: GPU-new (serial 999)"),
    ],
)
def test_what_changed_is_a_warning_for_that_boot(
    node: Node, boots: Boots, changes: dict[str, Any], subject: str, words: str
) -> None:
    boots.health(node)
    boots.boot("second")
    for _ in range(2):  # and not the first time alone
        (one,) = boots.health(node, changes)
        assert (one.status, one.subject, one.blame) == ("warn", subject, "node")
        assert words in one.message
    boots.boot("third")
    assert told(boots.health(node, changes)) == [("pass", "node")]


def test_a_gpu_less_and_a_gpu_more(node: Node, boots: Boots) -> None:
    boots.health(node)
    boots.boot("second")
    last = next(line for line in EXAMPLE.splitlines() if line.startswith("gpu.7."))
    boots.example = EXAMPLE.replace(f"{last}\n", "")
    fewer = boots.health(node, {"gpus": 7})
    boots.example = EXAMPLE
    assert [one.message.split(":")[0] for one in fewer] == ["7 GPUs, 8 at the last boot", "a GPU is gone"]
    boots.boot("third")
    more = boots.health(node)
    assert told(more) == [("warn", "node"), ("warn", "gpu7")]


@pytest.mark.parametrize("how", ["gone", "silent"])
def test_a_gpu_that_fell_off_the_bus_and_is_back_is_no_new_one(node: Node, boots: Boots, how: str) -> None:
    boots.health(node)
    if how == "gone":
        last = next(line for line in EXAMPLE.splitlines() if line.startswith("gpu.7."))
        boots.example = EXAMPLE.replace(f"{last}\n", "")
        for _ in range(2):
            boots.health(node, {"gpus": 7})
        boots.example = EXAMPLE
    else:
        boots.health(node, {"gpu.7.lost": 1})
    boots.boot("second")
    assert told(boots.health(node)) == [("pass", "node")]


def test_two_gpus_that_changed_places_moved_and_are_no_others(node: Node, boots: Boots) -> None:
    boots.health(node, {"gpu.1.bus_id": "00000000:21:00.0", "gpu.2.bus_id": "00000000:22:00.0"})
    boots.boot("second")
    found = boots.health(node, {"gpu.1.bus_id": "00000000:22:00.0", "gpu.2.bus_id": "00000000:21:00.0"})
    assert told(found) == [("warn", "gpu1"), ("warn", "gpu2")]
    assert all("PCI address" in one.message for one in found)


def test_silence_is_no_change(node: Node, boots: Boots) -> None:
    boots.health(node)
    boots.boot("second")
    silent = {"gpu.5.ret.nvmlDeviceGetVbiosVersion": 999, "gpu.6.ret.nvmlDeviceGetSerial": 3, "gpu.4.lost": 1}
    assert told(boots.health(node, silent)) == [("pass", "node")]
    boots.boot("third")  # what the second did not tell is not known: no board came or went
    assert all("was not there" in one.message for one in boots.health(node) if one.status == "warn")


def test_what_one_look_could_not_read_an_earlier_one_did(node: Node, boots: Boots) -> None:
    boots.health(node)
    boots.health(node, {"gpu.5.ret.nvmlDeviceGetVbiosVersion": 999})
    boots.boot("second")
    (one,) = boots.health(node, {"gpu.5.vbios": "96.00.99.00.01"})
    assert "was 96.00.74.00.01" in one.message


def test_a_driver_that_does_not_answer_forgets_nothing(node: Node, boots: Boots) -> None:
    boots.health(node)
    boots.boot("second")
    assert told(boots.health(node, {"ret.nvmlInitWithFlags": 9})) == [("warn", "node")]
    assert told(boots.health(node, {"ret.nvmlInitWithFlags": 999})) == [("unknown", "node")]
    boots.boot("third")
    assert told(boots.health(node)) == [("pass", "node")]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot": 7, "now": 7}', '{"now": [{"uuid": 7}], "boot": "x"}'])
def test_a_record_that_is_no_record_is_none(boots: Boots, text: str) -> None:
    place = Path(boots.spool, "inventory-n1.json")
    place.parent.mkdir()
    place.write_text(text)
    place.chmod(0o600)
    assert inventory.last_boot(boots.spool, "n1") is None


def test_a_spool_that_cannot_be_written_is_no_error(node: Node, boots: Boots, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    assert told(boots.health(node)) == [("skip", "node")]


def test_nothing_is_written_where_nothing_changed(node: Node, boots: Boots) -> None:
    boots.health(node)
    place = Path(boots.spool, "inventory-n1.json")
    first = place.stat().st_mtime_ns, place.stat().st_ino
    boots.health(node)
    assert (place.stat().st_mtime_ns, place.stat().st_ino) == first
    assert json.loads(place.read_text())["boot"] == "first"


def test_the_real_health_check_keeps_the_boards_and_tells_after_a_boot(hooked: Site) -> None:
    """The record's boot id is another one: as if it had been written before the node was booted."""

    def told_by_the_hook() -> list[dict[str, Any]]:
        assert hooked.hook("health").returncode == 0
        latest = max((hooked.spool / "reports/node").iterdir(), key=lambda one: one.stat().st_mtime_ns)
        findings = json.loads(latest.read_text())["findings"]
        return [one for one in findings if one["check"] == "gpu.inventory" and one["status"] != "pass"]

    hooked.scenario(H100X2, {"gpu.*.vbios": "96.00.74.00.01"})
    assert [one["status"] for one in told_by_the_hook()] == ["skip"]
    place = hooked.spool / "inventory-n1.json"
    assert place.stat().st_mode & 0o777 == 0o600
    stored = json.loads(place.read_text())
    assert [one["name"] for one in stored["now"]] == ["NVIDIA H100 80GB HBM3"] * 2
    stored["now"][1]["vbios"] = "96.00.00.00.99"
    place.write_text(json.dumps({**stored, "boot": "an earlier one"}))
    (one,) = told_by_the_hook()
    assert (one["status"], one["subject"], one["blame"]) == ("warn", "gpu1", "node")
    assert "was 96.00.00.00.99" in one["message"]
