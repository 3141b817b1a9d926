"""Checks of GPUs and fabrics: NHC's own two, and those of the sets that Azure and DeepOps publish, by their names."""

from __future__ import annotations

import re

from preflight.deploy.nhc.call import REASONS, Call, Unturned, turns, whole
from preflight.deploy.nhc.hardware import one_port

BENCHMARK = "it is a benchmark, which takes a node away from its jobs; run it from a job or at boot"
# What Preflight's own checks do on every node with an NVIDIA GPU, without a row.
_HEALTH = ("gpu.responds", "gpu.ecc.uncorrected", "gpu.inforom", "gpu.retired.pending", "gpu.remap.failure")
ALWAYS = {
    "check_nv_healthmon": _HEALTH,
    "check_nvsmi_healthmon": _HEALTH,
    "check_gpu_xid": ("gpu.xid", "gpu.xid.application", "gpu.xid.repeated"),
    "check_xid_errors": ("gpu.xid", "gpu.xid.application", "gpu.xid.repeated"),
    "check_gpu_ecc": ("gpu.ecc.uncorrected", "gpu.ecc.corrected", "gpu.ecc.sram"),
    "check_gpu_clock_throttling": ("gpu.slowdown", "gpu.slowdown.time", "gpu.temperature"),
    "check_nvlink_status": ("gpu.nvlink", "gpu.nvlink.crc"),
    "check_nv_retired_pages": ("gpu.retired.pending", "gpu.remap.pending"),
    "check_nv_pcie_link_width": ("gpu.pcie.width",),
    "check_gpu_persistence": ("gpu.persistence",),
}
REASONS.update(
    dict.fromkeys(
        (
            "check_gpu_bw",
            "check_nccl_allreduce",
            "check_nccl_allreduce_ib_loopback",
            "check_rccl_allreduce",
            "check_ib_bw_gdr",
            "check_ib_bw_non_gdr",
            "check_cpu_stream",
            "check_nv_dcgmi_diag",
        ),
        BENCHMARK,
    )
)
REASONS.update(
    {
        "check_gpu_xgmi": "Preflight reads NVIDIA's GPUs only",
        "check_app_gpu_clocks": "application clocks are a setting of the site's, no fault; write it as [[command]]",
        "check_hw_topology": "no check compares the topology; write it as [[command]]",
        "check_nvme_count": "no check counts NVMe devices; write it as [[command]] or [[host]] file rows",
        "check_num_nvme_devs": "no check counts NVMe devices; write it as [[command]] or [[host]] file rows",
        "check_num_nvme_devices": "no check counts NVMe devices; write it as [[command]] or [[host]] file rows",
        "check_num_numa_nodes": "no row counts NUMA nodes; [[host]] cpu counts sockets, cores and threads",
        "check_ib_link_ber": "no check reads a link's bit error rate; [[host]] infiniband has link_downed_max",
    }
)


@turns(*ALWAYS)
def always(call: Call) -> None:
    """Done on every node with a GPU."""
    call.met = f"done without a row on every node with a GPU: {', '.join(ALWAYS[call.name])}"
    if any(call.args):
        call.left_out(" ".join(call.args), 'limits are set in [checks."NAME"], by their names')


@turns("check_gpu_count", "check_nv_gpu_count")
def gpu_count(call: Call) -> None:
    """NUMBER of GPUs."""
    if len(call.args) > 1 and call.args[1].lower() not in ("nvidia", "cuda"):
        raise Unturned("Preflight reads NVIDIA's GPUs only")
    call.expect(f"gpu.count={whole(call.args[0] if call.args else '', 'the number of GPUs')}")


@turns("check_nv_drv_version")
def driver(call: Call) -> None:
    """VERSION of the driver."""
    version = call.args[0] if call.args else ""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+){0,2}", version):
        raise Unturned(f"{version!r} is no driver's version")
    call.expect(f"driver={version}")


@turns("check_ipoib_up")
def ipoib(call: Call) -> None:
    """INTERFACE is up."""
    if not any(call.args):
        raise Unturned("it names no interface")
    call.row("ethernet", device=call.args[0], state="up")


@turns("check_ib_link_flapping")
def flapping(call: Call) -> None:
    """[HOURS]: no link of an InfiniBand device went down within that time."""
    hours = whole(call.args[0], "the hours") if call.args and call.args[0] else 6
    one_port(call)
    call.row("infiniband", link_downed_max=0, window=f"{hours}h")
