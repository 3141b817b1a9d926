"""What goes wrong with GPUs, told as it happens: the driver says one thing now and another later, the kernel writes its
lines, and Preflight finds it, blames whom it is to blame, and does what is to be done.

Each story was written with its end before it was run (one end was wrong: Xid 63 is a warning of its own).
"""

from typing import Any, NamedTuple

import pytest

from nvml import sim
from preflight.checks.registry import Earlier, JobGpus
from preflight.facts.collect import collect
from preflight.facts.document import FactsDocument
from preflight.facts.source import Source
from preflight.hooks import inventory
from preflight.hooks.counters import KEYS
from preflight.policy.model import Policy
from preflight.verdict import decide, verdict
from unit.test_gpu_generations import GPUS, OLD, Node, judged, library, node

__all__ = ["library", "node"]

H100, A100, V100, GB200, B200 = "h100x8-r580", "a100x4-mig", "v100x4", "gb200x4", "b200x8"
ALL = tuple(f"gpu{index}" for index in range(8))
GB = 1 << 30
SLOT5 = "PCI:0000:06:00"  # of GPU 5, in the simulator's order
Found = dict[tuple[str, str], tuple[str, str]]


class Story(NamedTuple):
    """``then`` and ``now``: what the scenario says at the first look (the job's prolog, or five minutes ago) and the
    second; ``log``: lines of the kernel between them. ``ends``: (check, subject) -> (status, blame). ``job``: its GPUs.
    """

    name: str
    node: str
    now: dict[str, Any]
    ends: Found
    action: str = "none"
    then: dict[str, Any] = {}  # noqa: RUF012
    log: tuple[str, ...] = ()
    phase: str = "health"
    job: tuple[int, ...] = ()
    cuda: str = ""


def every(check: str, status: str, blame: str, subjects: tuple[str, ...] = ALL) -> Found:
    return {(check, subject): (status, blame) for subject in subjects}


WARN, FAIL = "warn", "fail"
NODE, USER, SITE = "node", "user", "site"
STORIES = [
    Story(
        "a board that is half out of its slot: lanes are lost, packets sent again",
        H100,
        {"gpu.5.pcie.width.current": 8, "gpu.5.field.94": 90_000},
        {**every("gpu.pcie.width", WARN, NODE, ("gpu5",)), **every("gpu.pcie.replay", WARN, NODE, ("gpu5",))},
    ),
    Story(
        "an uncorrected error in DRAM while a job ran: its results may be wrong, the board needs a reset",
        H100,
        {
            "gpu.5.ecc.uncorrected.volatile": 1,
            "gpu.5.ecc.uncorrected.aggregate": 1,
            "gpu.5.remap.pending": 1,
            "gpu.5.remap.uncorrectable": 1,
            "gpu.5.ecc.uncorrected.volatile.dram": 1,
        },
        {
            ("gpu.ecc.uncorrected", "gpu5"): (FAIL, NODE),
            ("gpu.ecc.risen", "gpu5"): (WARN, NODE),
            ("gpu.ecc.location", "gpu5"): (WARN, NODE),
            ("gpu.remap.pending", "gpu5"): (WARN, NODE),
        },
        "drain",
        phase="epilog",
        job=(4, 5),
    ),
    Story(
        "spare rows run out at night: a remapping fails",
        H100,
        {"gpu.5.remap.failure": 1, "gpu.5.remap.histogram.none": 1},
        {("gpu.remap.failure", "gpu5"): (FAIL, NODE), ("gpu.remap.banks", "gpu5"): (WARN, NODE)},
        "drain",
    ),
    Story(
        "a program that its user left behind, with its memory",
        H100,
        {"gpu.1.process.0": f"999999:{20 * GB}", "gpu.1.memory.used": 20 * GB},
        {("gpu.processes", "gpu1"): (WARN, USER)},
        phase="epilog",
        job=(0, 1),
    ),
    Story(
        "memory that is held, and nobody there who holds it",
        H100,
        {"gpu.1.memory.used": 30 * GB},
        {("gpu.memory.left", "gpu1"): (WARN, USER)},
        phase="epilog",
        job=(0, 1),
    ),
    Story(
        "a job's own illegal access: its user's fault, the node is well",
        H100,
        {},
        {("gpu.xid.application", "gpu5"): (WARN, USER)},
        log=(f"NVRM: Xid ({SLOT5}): 31, pid=4242, name=train.py, Ch 00000012, intr 00000000. MMU Fault",),
        phase="epilog",
        job=(5,),
    ),
    Story(
        "a GPU falls off the bus: the log says it, and so does NVML",
        H100,
        {"gpu.5.lost": 1},
        {("gpu.xid", "gpu5"): (FAIL, NODE), ("gpu.responds", "gpu5"): (FAIL, NODE)},
        "drain",
        log=(f"NVRM: Xid ({SLOT5}): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",),
    ),
    Story(
        "a row is marked for remapping, which a reset makes good",
        H100,
        {"gpu.5.remap.pending": 1, "gpu.5.remap.correctable": 1},
        {("gpu.remap.pending", "gpu5"): (WARN, NODE), ("gpu.xid", "gpu5"): (WARN, NODE)},
        log=(f"NVRM: Xid ({SLOT5}): 63, Row Remapper: New row marked for remapping, reset gpu to activate.",),
    ),
    Story(
        "jobs are preempted and their channels torn down: Xid 45 on many GPUs, and nothing is broken",
        H100,
        {},
        {},
        log=tuple(f"NVRM: Xid (PCI:0000:0{at}:00): 45, pid=4242, name=python3, Ch 0000001{at}" for at in range(1, 7)),
    ),
    Story(
        "a link of an NVL72 tray recovers, then fails and stays down",
        GB200,
        {"gpu.3.field.215.7": 4, "gpu.3.field.214.7": 1, "gpu.3.nvlink.7.state": 0},
        {("gpu.nvlink", "gpu3"): (FAIL, NODE), ("gpu.nvlink.flapping", "gpu3"): (WARN, NODE)},
        "drain",
    ),
    Story(
        "the fabric manager did not start: CUDA error 802 for everybody",
        H100,
        {"gpu.*.fabric.state": 1},
        {**every("gpu.fabric", FAIL, NODE), ("cuda.start", "cuda"): (FAIL, NODE)},
        "drain",
        cuda="802",
    ),
    Story(
        "the chassis pulls the power brake on all of its boards",
        H100,
        {"gpu.*.clocks.event_reasons": 0x88, "gpu.*.power.limit.enforced": 350_000},
        {**every("gpu.slowdown", WARN, NODE), **every("gpu.power.enforced", WARN, NODE)},
    ),
    Story(
        "an admin caps the power on purpose: the limit that was set is told once, not twice",
        H100,
        {"gpu.*.power.limit": 400_000, "gpu.*.power.limit.enforced": 400_000},
        every("gpu.power.limit", WARN, NODE),
    ),
    Story(
        "a V100 retires a page after a double-bit error",
        V100,
        {
            "gpu.1.ecc.uncorrected.volatile": 1,
            "gpu.1.ecc.uncorrected.volatile.dram": 1,
            "gpu.1.field.30": 3,
            "gpu.1.field.31": 1,
        },
        {
            ("gpu.ecc.uncorrected", "gpu1"): (FAIL, NODE),
            ("gpu.ecc.location", "gpu1"): (WARN, NODE),
            ("gpu.retired.pending", "gpu1"): (WARN, NODE),
        },
        "drain",
    ),
    Story(
        "MIG is switched on and nobody makes the instances",
        A100,
        {"gpu.1.mig.mode": 1},
        {("gpu.mig.devices", "gpu1"): (WARN, SITE)},
    ),
    Story(
        "a collective waits for ever: all GPUs are busy, at the power of idle ones",
        H100,
        {"gpu.*.utilization.gpu": 100, "gpu.*.pcie.gen.current": 5},
        every("gpu.stuck", WARN, USER),
        then={"gpu.*.utilization.gpu": 100, "gpu.*.pcie.gen.current": 5},
    ),
    Story(
        "a GPU asks for a reset half way through",
        H100,
        {"gpu.2.ret.nvmlDeviceGetEccMode": 16},
        {("gpu.reset", "gpu2"): (FAIL, NODE)},
        "drain",
    ),
    Story(
        "the driver asks for peer-to-peer work to be drained: a hint, no order",
        B200,
        {"gpu.7.field.230": 3},
        {("gpu.recovery", "gpu7"): (WARN, NODE)},
    ),
    Story(
        "the driver asks for a reboot, and the kernel's log says so too",
        B200,
        {"gpu.7.field.230": 2},
        {("gpu.recovery", "gpu7"): (FAIL, NODE), ("gpu.xid", "gpu7"): (FAIL, NODE)},
        "drain",
        log=("NVRM: Xid (PCI:0000:08:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot)",),
    ),
    Story(
        "a user's program takes the words of an Xid for its name and crashes: no fault of anybody's",
        H100,
        {},
        {},
        log=("NVRM: Xid 79, [4242]: segfault at 0 ip 7efe59785ad8 sp 7ffdfe3505c8 error 4 in libc.so.6[1+1]",),
        phase="epilog",
        job=(0, 1),
    ),
    Story(
        "another job's GPU is lost while this one starts: its own are well, and it may start",
        H100,
        {"gpu.5.lost": 1},
        {("gpu.responds", "gpu5"): (WARN, NODE)},
        phase="prolog",
        job=(0, 1),
    ),
    Story(
        "memory gets too hot on one board of a row whose fan died, and the die with it",
        H100,
        {"gpu.5.field.82": 97, "gpu.5.temperature": 90, "gpu.5.temperature.margin": -1},
        {
            ("gpu.temperature.memory", "gpu5"): (WARN, NODE),
            ("gpu.temperature", "gpu5"): (WARN, NODE),
            ("gpu.temperature.margin", "gpu5"): (WARN, NODE),
        },
    ),
]


def look(node: Node, story: Story, changes: dict[str, Any], phase: str) -> FactsDocument:
    node.scenario(sim.example(story.node), changes)
    source = Source(f"{node.place}/root", nvml_library=node.library, phase=phase, run_dir=None, node="n1")
    return collect((*GPUS, "kernel_log"), source._replace(run_dir=f"{node.place}/run"), 60.0)


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_a_story_ends_as_it_should(node: Node, story: Story) -> None:
    log = node.place / "root/dev/kmsg"
    log.parent.mkdir()
    log.write_text("6,1,1000000,-;Linux version 6.8.0\n")
    first = look(node, story, story.then, "health")
    with log.open("a") as file:
        for number, text in enumerate(story.log, 2):
            file.write(f"3,{number},{number * 1_000_000},-;{text}\n")
    if story.cuda:
        node.patch.setenv("CUDA_SIM", story.cuda)
    second = look(node, story, {**story.then, **story.now}, story.phase)
    devices = first.facts["gpus"]["devices"]
    counters = {one["uuid"]: {key: one[key] for key in KEYS if key in one} for one in devices}
    more: dict[str, Any] = {"earlier": Earlier(300.0, counters)}
    if story.job:
        more |= {"gpus": JobGpus(story.job, job=7), "before": first.facts, "ran_s": 300.0}
    found = [one for one in judged(story.phase, second, **more) if one.check not in OLD]
    ends = {(one.check, one.subject): (one.status, one.blame) for one in found if one.status not in ("pass", "skip")}
    assert ends == story.ends
    decision = decide(story.phase, found, Policy(mode="enforce"))
    assert (decision.kind, decision.enforced) == (story.action, True)
    assert verdict(found) == ("unhealthy" if story.action == "drain" else "degraded" if story.ends else "ready")


def test_a_board_is_swapped_for_repair_and_the_node_boots(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, as is the other firmware beside its equals; nothing is drained."""
    spool = f"{node.place}/spool"
    monkeypatch.setattr(inventory, "boot_id", lambda: "first")
    inventory.keep(spool, "n1", node.facts("health", sim.example(H100)))
    monkeypatch.setattr(inventory, "boot_id", lambda: "second")
    new = {"gpu.5.uuid": "GPU-new", "gpu.5.serial": "1659999000000", "gpu.5.vbios": "96.00.99.00.02"}
    document = node.facts("health", sim.example(H100), new)
    found = judged("health", document, last_boot=inventory.last_boot(spool, "n1"))
    ends = {(one.check, one.subject): (one.status, one.blame) for one in found if one.status not in ("pass", "skip")}
    assert {key: value for key, value in ends.items() if key[0] not in OLD} == {
        ("gpu.inventory", "gpu5"): (WARN, NODE),
        ("gpu.alike", "NVIDIA H100 80GB HBM3"): (WARN, SITE),
    }
    assert decide("health", found, Policy(mode="enforce")).kind == "none"
