"""A node on which all is fine: Preflight installed, and Slurm's commands that answer as recorded of a release."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from preflight.deploy import install
from preflight.deploy.doctor.host import Host, gather
from preflight.deploy.doctor.result import Result
from preflight.deploy.doctor.run import examine
from preflight.deploy.layout import Target

DATA = Path(__file__).parent / "data" / "slurm"
RELEASES = {"22.05": "22.05.8", "24.11": "24.11.5", "26.05": "26.05.5"}
NODES = "n1 os_ubuntu_22.04,gpu_count_0\nn2 fast,os_ubuntu_22.04,gpu_count_0\n"
EXTRAS = "".join(f'{node} {{"cuda_runs":12004000,"gpu_count":1}}\n' for node in ("n1", "n2"))
SINFO = """case "$*" in
*%f*) cat {place}/nodes ;;
*) echo n1 ;;
esac
"""
# One node as `scontrol show node` has it; between its fields {joint}.
NODE = (
    "NodeName=%s CoresPerSocket=1 {joint}CPUAlloc=0 CPUTot=4 CPULoad=0.1{joint}State=IDLE {joint}RealMemory=9 {joint}"
)
NODE += "Partitions=p {joint}Extra=%s{end}"
PYTHON = os.path.realpath(sys.executable)


class DoctorSite:
    """One node "n1". ``config`` is what `scontrol show config` answers; change it with `set`."""

    def __init__(self, place: Path, lib: str, plugin: Path, release: str) -> None:
        self.place, self.release = place, release
        self.slurm, self.bin, self.log = place / "slurm", place / "bin", place / "calls"
        self.target = Target(str(place / "opt"), str(place / "etc/p.toml"), str(place / "run"), PYTHON)
        for one in (self.slurm, self.bin, place / "etc"):
            one.mkdir(mode=0o755)
        self.policy()
        _install(self.target, lib)
        Path(self.target.plugin).write_bytes(plugin.read_bytes())
        text = (DATA / f"config-{release}.txt").read_text()
        self.config = text.replace("/etc/slurm", str(self.slurm)).replace("/opt/preflight", self.target.prefix)
        (self.slurm / "slurm.conf").write_text("ClusterName=lab\nNodeName=n[1-2] CPUs=4\n")
        self.line = f"optional {self.target.plugin} preflight={self.target.program}\n"
        (self.slurm / "plugstack.conf").write_text(self.line)
        self.filter()
        self.commands()

    @property
    def extra(self) -> bool:
        """Whether the recorded configuration has extra_constraints."""
        return self.release != "22.05"

    def policy(self, top: str = "", more: str = "", publish: str = "") -> None:
        """Write the policy; ``top`` are keys before the first table."""
        mode = "" if "mode =" in top else 'mode = "enforce"\n'
        publish = publish or f"[publish]\nenabled = {'true' if self.extra else 'false'}\n"
        Path(self.target.config).write_text(
            f'version = 1\n{mode}{top}\n[hook]\nslurm_bin = "{self.bin}"\nslurm_conf = "{self.slurm}/slurm.conf"\n'
            f'[report]\nspool = "{self.place}/spool"\n[drain]\nkill_switch = "{self.place}/off"\n{publish}{more}'
        )

    def filter(self, program: str = "", to: str = "") -> None:
        """Write the site's cli_filter.lua, which loads ours."""
        ours = self.slurm / "preflight_cli_filter.lua"
        shutil.copy(self.target.cli_filter, ours)
        to = to or ("extra" if self.extra else "constraint")
        settings = f'preflight = {{ program = "{program or self.target.program}", to = "{to}" }}\n'
        (self.slurm / "cli_filter.lua").write_text(f'{settings}dofile("{ours}")\n')

    def set(self, key: str, value: str) -> None:
        """Make the controller answer another value for ``key`` (as it spells it)."""
        lines = self.config.splitlines()
        kept = [line for line in lines if line.split("=")[0].split("[")[0].strip() != key]
        assert value or len(kept) < len(lines), f"{key} was not recorded"
        self.config = "\n".join([*kept, *([f"{key} = {value}"] if value else [])])
        self.commands()

    def commands(
        self, up: bool = True, queue: str = '{"jobs": []}', version: str = "", nodes: str = "", extras: str = ""
    ) -> None:
        """Write Slurm's commands: the controller's answers, or none.

        ``nodes``: each node and its features, ``extras``: and its Extra; of the way in use where they are "".
        """
        bare = "n1 rack1\nn2 fast\n", "n1 {}\nn2 {}\n"
        nodes = nodes or (bare[0] if self.extra else NODES)
        (self.place / "extras").write_text(extras or (EXTRAS if self.extra else bare[1]))
        (self.place / "config").write_text(self.config)
        (self.place / "queue").write_text(queue)
        (self.place / "nodes").write_text(nodes)
        version = version or RELEASES[self.release]
        down = "echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1"
        answers = {
            "scontrol": f'case "$*" in\n-V) echo "slurm-wlm {version}" ;;\n'
            f"ping) {'exit 0' if up else 'exit 1'} ;;\n"
            f'"show config") {f"cat {self.place}/config" if up else down} ;;\n'
            f"*'show node') {_extras(self.place) if up else down} ;;\n*) exit 1 ;;\nesac\n",
            "sinfo": SINFO.format(place=self.place) if up else down,
            "squeue": f"cat {self.place}/queue\n" if up else down,
        }
        for name, body in answers.items():
            path = self.bin / name
            path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.log}\n{body}\n')
            path.chmod(0o755)

    def host(self, *roles: str) -> Host:
        """Gather this node."""
        return gather("n1", self.target.prefix, roles=frozenset(roles or ("node",)))

    def results(self, *roles: str, hooks: bool = False) -> list[Result]:
        """Return what the doctor says; ``hooks``: with the dry run, which takes a second."""
        host = self.host(*roles)
        without = frozenset() if hooks else frozenset({"Dry run"})
        return [one for _, rows in examine(host, without) for one in rows]

    def findings(self, *roles: str, hooks: bool = False) -> list[Result]:
        """Return what is to be done something about."""
        return [one for one in self.results(*roles, hooks=hooks) if one.is_finding]

    def calls(self) -> list[str]:
        """Return the Slurm commands that were run."""
        return self.log.read_text().splitlines() if self.log.exists() else []


def _install(target: Target, lib: str) -> None:
    """Install by links: the copying itself is tested apart."""

    def linked(to: str, named: str = "") -> None:
        os.makedirs(os.path.dirname(to), exist_ok=True)
        subprocess.run(["cp", "-al", lib, to], check=True)

    copy, install.copy_package = install.copy_package, linked
    try:
        install.install(target, plugin=False)
    finally:
        install.copy_package = copy


def _extras(place: Path) -> str:
    """Return what prints the nodes of the file of extras in scontrol's long form, or with -o in the other."""
    long, short = NODE.format(joint="\\n   ", end="\\n\\n"), NODE.format(joint=" ", end="\\n")
    form = f"form='{long}'; [ $2 != -o ] || form='{short}'"
    return f'{form}; while read -r node extra; do printf "$form" "$node" "$extra"; done <{place}/extras'
