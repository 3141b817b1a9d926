"""What stands around the driver: device files, kernel modules, daemons, where the hardware needs them."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, first_unknown, passed, skipped, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)
FILES = "nvidia-modprobe -c MINOR -u makes them; see NVreg_DeviceFileMode, and udev's rules"
UVM = "nvidia-uvm"
OTHERS, GROUP = 0o006, 0o060


@check(
    "device.files",
    reads=("devices", "gpus"),
    phases=HEALTH,
    action="warn",
    remedy=FILES,
    device=True,
    subject="devices",
    blame="site",
)
def device_files(context: Context, limit: float | None) -> Iterator[Finding]:
    """Each GPU has its device file, and users may open them."""
    files, devices = context.node.get("devices.files"), context.node.devices()
    unclear = first_unknown(files, devices)
    if unclear or isinstance(devices, Unknown):
        yield untold(unclear or "")
        return
    named = {one["name"]: one for one in files}
    if "nvidiactl" not in named:
        yield skipped("no NVIDIA device files are to be seen here")
        return
    minors = [device["minor"] for device in devices if isinstance(device.get("minor"), int)]
    missing = [f"/dev/nvidia{minor}" for minor in minors if f"nvidia{minor}" not in named]
    used = [named[name] for name in ("nvidiactl", UVM, *(f"nvidia{minor}" for minor in minors)) if name in named]
    closed = [f"/dev/{one['name']}" for one in used if not _open(one)]
    plain = [f"/dev/{one['name']}" for one in used if not one["character"]]
    for text, which in (("missing", missing), ("closed to users", closed), ("no device files", plain)):
        if which:
            yield failed(f"{text}: {', '.join(which[:8])}", observed=len(which))
    if not (missing or closed or plain):
        yield passed(f"{len(used)} device files are there and open to users")


def _open(file: dict[str, int]) -> bool:
    """Return whether users can read and write it: all of them, or those of a group that the site made for it."""
    return file["mode"] & OTHERS == OTHERS or (file["gid"] != 0 and file["mode"] & GROUP == GROUP)


LOAD = "modprobe nvidia_uvm, or install nvidia-modprobe, which loads it for the first CUDA program"


@check(
    "module.uvm",
    reads=("services", "cuda"),
    phases=HEALTH,
    action="warn",
    remedy=LOAD,
    device=True,
    subject="nvidia_uvm",
    blame="site",
)
def uvm(context: Context, limit: float | None) -> Iterator[Finding]:
    """The kernel module nvidia_uvm, which CUDA needs, is loaded or can be."""
    modules, result = context.node.get("services.modules"), context.node.get("cuda.result")
    if isinstance(modules, Unknown):
        yield untold(modules)
    elif "nvidia" not in modules:
        yield skipped("no NVIDIA module is loaded")
    elif "nvidia_uvm" in modules:
        yield passed("nvidia_uvm is loaded")
    elif isinstance(result, str) and result not in ("ok", "LibraryNotFound"):
        yield failed(f"nvidia_uvm is not loaded, and CUDA does not start ({result})", observed="not loaded")
    else:
        yield skipped("nvidia_uvm is not loaded: the first CUDA program does that")


PEERMEM = "modprobe nvidia_peermem; or use the open kernel module, which needs none (DMA-BUF)"


@check(
    "module.peermem",
    reads=("services", "install", "ib"),
    phases=HEALTH,
    action="warn",
    remedy=PEERMEM,
    device=True,
    subject="nvidia_peermem",
    blame="site",
)
def peermem(context: Context, limit: float | None) -> Iterator[Finding]:
    """Where the proprietary module and InfiniBand are, nvidia_peermem lets adapters reach GPU memory."""
    modules, flavour = context.node.get("services.modules"), context.node.get("install.module")
    rate = context.node.get("ib.rate")
    unclear = first_unknown(modules, rate)
    if unclear:
        yield untold(unclear)
    elif "nvidia" not in modules or rate is None:
        yield skipped("no NVIDIA module is loaded, or no InfiniBand port is active")
    elif "nvidia_peermem" in modules:
        yield passed("nvidia_peermem is loaded")
    elif flavour == "proprietary":
        yield failed("nvidia_peermem is not loaded: GPUDirect RDMA goes through the host's memory", observed=flavour)
    else:
        yield skipped("the open kernel module needs no nvidia_peermem")


DAEMON = "systemctl enable --now nvidia-persistenced"


@check(
    "service.persistenced",
    reads=("services", "gpus"),
    phases=HEALTH,
    action="warn",
    remedy=DAEMON,
    device=True,
    subject="nvidia-persistenced",
    blame="site",
)
def persistenced(context: Context, limit: float | None) -> Iterator[Finding]:
    """nvidia-persistenced runs where GPUs are not kept awake."""
    daemons, devices = context.node.get("services.daemons"), context.node.devices()
    unclear = first_unknown(daemons, devices)
    if unclear or isinstance(devices, Unknown):
        yield untold(unclear or "")
        return
    asleep = [device for device in devices if device.get("persistence") is False]
    if "nvidia-persistenced" in daemons:
        yield passed("nvidia-persistenced runs")
    elif asleep:
        text = f"nvidia-persistenced does not run, and {len(asleep)} GPUs are not kept awake"
        yield failed(text, observed=len(asleep))
    else:
        yield skipped("the GPUs are kept awake without it, or there is none")


MANAGER = "systemctl enable --now nvidia-fabricmanager; where it runs elsewhere (a service VM), action = off"


@check(
    "service.fabric_manager",
    reads=("services", "install"),
    phases=HEALTH,
    action="warn",
    remedy=MANAGER,
    device=True,
    subject="nv-fabricmanager",
    blame="site",
)
def fabric_manager(context: Context, limit: float | None) -> Iterator[Finding]:
    """The fabric manager runs on a node with NVSwitches."""
    daemons, switches = context.node.get("services.daemons"), context.node.get("install.nvswitch")
    unclear = first_unknown(daemons, switches)
    if unclear:
        yield untold(unclear)
    elif not switches:
        yield skipped("no NVSwitch on this node's PCI bus")
    elif "nv-fabricmanager" in daemons:
        yield passed("the fabric manager runs")
    else:
        yield failed("NVSwitches and no fabric manager that runs: CUDA error 802", observed="not running")


IMEX = "systemctl enable --now nvidia-imex; nodes that exchange memory over NVLink need it"


@check(
    "service.imex",
    reads=("services",),
    phases=HEALTH,
    action="warn",
    remedy=IMEX,
    device=True,
    subject="nvidia-imex",
    blame="site",
)
def imex(context: Context, limit: float | None) -> Iterator[Finding]:
    """The IMEX daemon runs where it is configured for a domain of several nodes."""
    daemons, nodes = context.node.get("services.daemons"), context.node.get("services.imex_nodes")
    unclear = first_unknown(daemons, nodes)
    if unclear:
        yield untold(unclear)
    elif nodes is None or nodes < 2:
        yield skipped("IMEX is not configured for several nodes")
    elif "nvidia-imex" in daemons:
        yield passed(f"the IMEX daemon runs, for {nodes} nodes")
    else:
        yield failed(f"IMEX is configured for {nodes} nodes and does not run", observed="not running")
