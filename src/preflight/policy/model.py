"""The policy as plain tuples; on the hook's path, so it imports nothing heavy.

Field names are the keys of preflight.toml; site-config/preflight.toml explains each of them.
"""

from __future__ import annotations

from preflight.catalog.tables import SHIPPED, Tables
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any
DEFAULT_PATH = "/etc/preflight/preflight.toml"


class FactsPolicy(NamedTuple):
    """[facts]: where a node's facts are read. ``live`` keeps live sources on under another root."""

    root: str = "/"
    live: bool = False
    cuda_prefixes: tuple[str, ...] = ("/usr/local/cuda*",)
    module_paths: tuple[str, ...] = ()


class NvmlPolicy(NamedTuple):
    """[nvml]: path of libnvidia-ml.so.1 where the loader does not find it."""

    library: str = ""


class HookPolicy(NamedTuple):
    """[hook]: ``deadline_s`` seconds for a whole hook, actions included; ``on_unknown`` is "run" or "move"."""

    deadline_s: float = 8.0
    on_unknown: str = "run"
    max_requeues: int = 3
    slurm_bin: str = ""
    slurm_conf: str = ""


class ReportPolicy(NamedTuple):
    """[report]: ``spool`` is root's record, ``dir`` where users read, ``search`` more places `report` looks in.

    ``write_s``: seconds a hook spends on the user's copy before leaving it to the health check.
    ``keep_days``: days a record stays in the spool. ``store``: URL of the fleet store that root's `report` asks too.
    """

    spool: str = "/var/spool/preflight"
    dir: str = ""
    search: tuple[str, ...] = ()
    admin_group: str = ""
    write_s: float = 1.0
    keep_days: int = 30
    store: str = ""


class DrainPolicy(NamedTuple):
    """[drain]: ``max_nodes`` a number or a share of the cluster ("5%", at least one node).

    ``resume_after``: health checks in a row that find the node well before it is resumed; ``hold_down``: how long they
    must have done so ("10m").
    """

    max_nodes: str = "5%"
    kill_switch: str = "/etc/preflight/off"
    resume_after: int = 2
    hold_down: str = "0s"


class RecoverPolicy(NamedTuple):
    """[recover]: what is done about a node that we drained; nothing where ``steps`` is empty.

    ``steps``: pattern of findings -> its steps in order, "reboot" or a name of ``commands``, whose values are program
    and arguments. ``hold_down``: each step at most once in this time. ``command_s``: seconds for a command.
    ``evidence_keep``, ``evidence_size``: how many records of evidence stay, and how large all of them may be.
    ``bug_report``: NVIDIA's program for one ("" runs none), ``bug_report_s``: seconds for it.
    """

    hold_down: str = "24h"
    steps: dict[str, list[str]] = {}  # noqa: RUF012 - a NamedTuple default, never written
    commands: dict[str, list[str]] = {}  # noqa: RUF012 - a NamedTuple default, never written
    command_s: float = 3.0
    evidence_keep: int = 8
    evidence_size: str = "256M"
    bug_report: str = "/usr/bin/nvidia-bug-report.sh"
    bug_report_s: float = 120.0


class EpilogPolicy(NamedTuple):
    """[epilog]: ``grace_s`` seconds for the job's own processes to end; ``end_processes``: end those that do not."""

    grace_s: float = 2.0
    end_processes: bool = False


class CudaPolicy(NamedTuple):
    """[cuda]: what minor-version compatibility is worth: "accept", "warn" or "reject"."""

    minor_version_compatibility: str = "warn"


class CatalogPolicy(NamedTuple):
    """[catalog]: ``file`` with a site's own rows of the catalog."""

    file: str = ""


class PublishPolicy(NamedTuple):
    """[publish]: the health check tells Slurm the node's facts. ``via`` is "auto", "extra" or "features"."""

    enabled: bool = False
    via: str = "auto"


class CheckPolicy(NamedTuple):
    """[checks."NAME"]: "" and None leave the check's own default.

    ``after``: how often it must fail in a row, and ``for_`` (key ``for``) how long, before the node is drained for it.
    ``resume_after``, ``hold_down``: as in [drain], of a drain by this check. ``window``: time within which a check
    counts that counts over time.
    """

    action: str = ""
    limit: float | None = None
    mode: str = ""
    after: int = 1
    for_: str = ""
    resume_after: int | None = None
    hold_down: str = ""
    window: str = ""


class Expectation(NamedTuple):
    """[[expect]]: what the site asks of its nodes. ``nodes`` "" means every node, no partition means all."""

    nodes: str = ""
    partitions: tuple[str, ...] = ()
    require: str = ""


class HostRow(NamedTuple):
    """[[host]]: one thing about the host that the site asks of its nodes; ``check`` is its kind (`facts.host`).

    ``nodes`` "" means every node (`policy.selector`). ``action`` "" leaves the kind's own. ``phases``: where it runs.
    ``users``: why users alone can make it fail, and it drains nothing then; "" where they cannot. ``args``: the kind's
    own keys as written. ``place``: "FILE:LINE".
    """

    check: str
    nodes: str = ""
    action: str = ""
    phases: tuple[str, ...] = ()
    users: str = ""
    args: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple default, never written
    place: str = ""

    @property
    def own_name(self) -> str:
        """Return the name of the check that a [[command]] row with a ``name`` is: command.NAME; "" of another row."""
        return f"{self.check}.{self.args['name']}" if self.check == "command" and "name" in self.args else ""


class ShipPolicy(NamedTuple):
    """[ship]: the collector's ``url`` ("" ships nothing), the file with this node's token, the site's authority.

    ``program``: the command that the node agent ships by; "" for its own.
    """

    url: str = ""
    token_file: str = "/etc/preflight/ship.token"
    ca_file: str = ""
    program: str = ""


class MetricsPolicy(NamedTuple):
    """[metrics]: the directory of node_exporter's textfile collector; "" writes no file there."""

    textfile: str = ""


class SitePolicy(NamedTuple):
    """[site]: the site's own checks. ``directory`` holds them as files, ``path`` directories of packages with them.

    ``user``: as whom they run, "" for root. ``budget_s``: seconds for all checks of a file, within the hook's deadline.
    """

    directory: str = "/etc/preflight/checks.d"
    path: tuple[str, ...] = ()
    user: str = ""
    budget_s: float = 2.0


class AgentPolicy(NamedTuple):
    """[agent]: ``wait_ms`` milliseconds that a prolog waits for the node agent before it judges by itself.

    ``upkeep``: the agent publishes, ships, delivers copies and prunes, as [publish], [ship] and [report] say.
    ``jitter_s``: seconds within which nodes that change together spread what they ask of the controller.
    """

    wait_ms: int = 250
    upkeep: bool = True
    jitter_s: float = 5.0


SECTIONS: dict[str, type] = {
    "facts": FactsPolicy,
    "nvml": NvmlPolicy,
    "hook": HookPolicy,
    "report": ReportPolicy,
    "drain": DrainPolicy,
    "recover": RecoverPolicy,
    "epilog": EpilogPolicy,
    "cuda": CudaPolicy,
    "catalog": CatalogPolicy,
    "publish": PublishPolicy,
    "ship": ShipPolicy,
    "metrics": MetricsPolicy,
    "site": SitePolicy,
    "agent": AgentPolicy,
}


class Policy(NamedTuple):
    """All of it, defaults merged. ``problem`` is set where the file could not be used (then mode is "observe").

    ``warnings``: lines on unknown keys and checks. ``notes``: lines that `config check` says and does not refuse.

    ``xids``: the site's own action for an Xid, number -> "drain", "warn" or "off".

    ``catalog_rows``: what the site's catalog file holds, table -> rows; read when the policy is.

    ``commands``: the names of [[command]] rows, of all nodes: "command.NAME".

    ``site_points``: (directory, "module:attribute") of the site's checks in packages, None where nobody looked.
    """

    version: int = 1
    cluster: str = ""
    mode: str = "enforce"
    facts: FactsPolicy = FactsPolicy()
    nvml: NvmlPolicy = NvmlPolicy()
    hook: HookPolicy = HookPolicy()
    report: ReportPolicy = ReportPolicy()
    drain: DrainPolicy = DrainPolicy()
    recover: RecoverPolicy = RecoverPolicy()
    epilog: EpilogPolicy = EpilogPolicy()
    cuda: CudaPolicy = CudaPolicy()
    catalog: CatalogPolicy = CatalogPolicy()
    publish: PublishPolicy = PublishPolicy()
    ship: ShipPolicy = ShipPolicy()
    metrics: MetricsPolicy = MetricsPolicy()
    site: SitePolicy = SitePolicy()
    agent: AgentPolicy = AgentPolicy()
    checks: dict[str, CheckPolicy] = {}  # noqa: RUF012 - a NamedTuple default, never written
    xids: dict[str, str] = {}  # noqa: RUF012 - a NamedTuple default, never written
    expect: tuple[Expectation, ...] = ()
    host: tuple[HostRow, ...] = ()
    path: str = ""
    sha256: str = ""
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    mode_written: bool = True
    problem: str = ""
    catalog_rows: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple default, never written
    site_points: tuple[tuple[str, str], ...] | None = None
    commands: tuple[str, ...] = ()

    def tables(self) -> Tables:
        """Return the catalog, with the site's own rows in it."""
        return Tables(self.catalog_rows) if self.catalog_rows else SHIPPED

    def doubts(self) -> tuple[str, ...]:
        """Return the lines for which `preflight config check` refuses the policy; a hook goes on and says them."""
        if self.mode_written:
            return self.warnings
        return (
            f'{self.path}:1: mode: missing, so it is "observe"; write mode = "observe" or "enforce"',
            *self.warnings,
        )

    def host_rows(self, phase: str) -> tuple[HostRow, ...]:
        """Return the [[host]] rows that ``phase`` asks, all of them for "" (a command that only reads)."""
        return tuple(row for row in self.host if row.action != "off" and (not phase or phase in row.phases))

    def host_asked(self, phase: str) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Return (kind, keys) of what the [[host]] rows of ``phase`` ask, each once."""
        found: list[tuple[str, dict[str, Any]]] = []
        for row in self.host_rows(phase):
            if (row.check, row.args) not in found:
                found.append((row.check, row.args))
        return tuple(found)

    def check(self, name: str) -> CheckPolicy:
        """Return what the site says about one check."""
        return self.checks.get(name) or CheckPolicy()


def to_json(policy: Policy) -> dict[str, Any]:
    """Return the policy as plain JSON values."""
    out: dict[str, Any] = policy._asdict()
    for name in SECTIONS:
        out[name] = out[name]._asdict()
    out["checks"] = {name: one._asdict() for name, one in policy.checks.items()}
    out["expect"] = [one._asdict() for one in policy.expect]
    out["host"] = [one._asdict() for one in policy.host]
    return out


def to_cache(policy: Policy) -> dict[str, Any]:
    """Return the policy as `from_cache` reads it; of [[expect]] there may be thousands."""
    return {**to_json(policy), "expect": [list(one) for one in policy.expect]}


def from_cache(data: dict[str, Any]) -> Policy:
    """Return the policy that `to_cache` wrote; raises KeyError, TypeError or AttributeError on anything else."""
    values = dict(data)
    for name, section in SECTIONS.items():
        values[name] = section(**_tuples(values[name]))
    values["checks"] = {name: CheckPolicy(**one) for name, one in values["checks"].items()}
    values["expect"] = tuple([Expectation(nodes, tuple(of), text) for nodes, of, text in values["expect"]])
    values["host"] = tuple(HostRow(**_tuples(one)) for one in values["host"])
    return Policy(**_tuples(values))


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
