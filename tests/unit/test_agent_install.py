"""Installing the agent's client: what is built and written, that it stays over an upgrade, and how it is taken away."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from preflight import __version__
from preflight.cli.install import lines
from preflight.deploy import activate, install, render, versions
from preflight.deploy.layout import CLIENTS, PROGRAMS, DeployError, Target, assets
from preflight.deploy.uninstall import uninstall
from unit.agent_site import GPUS, AgentSite
from unit.hook_site import H100X2

PYTHON = os.path.realpath(sys.executable)


def test_the_client_stands_beside_the_hooks_and_becomes_one(target: Target) -> None:
    assert not target.with_agent
    install.install(target, plugin=False, agent=True)
    assert target.with_agent
    libexec = Path(target.libexec)
    text = (libexec / "client-prolog").read_text()
    assert text.startswith(f"#!{libexec}/preflight-client\n")
    settings = dict(line.split(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    expected = {"run-dir": target.run_dir, "version": __version__, "wait-ms": "400", "otherwise": f"{libexec}/prolog"}
    expected["longest-ms"] = "4000"
    assert settings == expected
    assert "@" not in text + (libexec / "client-taskprolog").read_text()
    unit = Path(target.agent_unit).read_text()
    assert f"ExecStart={target.program} agent --run-dir {target.run_dir} --units\n" in unit
    publishes = Path(target.agent_publish_unit).read_text()
    assert f"ExecStart={target.program} publish --agent --run-dir {target.run_dir}\n" in publishes
    for name in PROGRAMS:
        said = subprocess.run([libexec / name, "--version"], capture_output=True, text=True, env={}, check=True)
        assert said.stdout.split()[0] == name
        header = subprocess.run(["readelf", "-ldh", libexec / name], capture_output=True, text=True, check=True).stdout
        assert "DYN (" in header  # at another address in each run
        assert "INTERP" not in header  # and needs no library
        assert "NEEDED" not in header
        assert "GNU_RELRO" in header
        assert "BIND_NOW" in header or "NOW" in header
        stack = header[header.index("GNU_STACK") :]
        assert " RWE " not in stack[:120]
    said = lines(target, False, True)
    assert f"Prolog={libexec}/client-prolog" in said
    assert f"TaskProlog={libexec}/client-taskprolog" in said
    assert f"Epilog={libexec}/client-epilog" in said
    assert f"systemctl enable --now {target.agent_unit}" in said
    # No agent runs: the hook itself judges, with what is left of its deadline.
    job = {"SLURMD_NODENAME": "n1", "SLURM_JOB_ID": "7", "SLURM_JOB_UID": "4242"}
    done = subprocess.run([libexec / "client-prolog"], env=job, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (Path(target.config).parent.parent / "spool/reports/7/n1.0.prolog.json").exists()
    task = subprocess.run([libexec / "client-taskprolog"], env=job, capture_output=True, text=True, check=False)
    own = subprocess.run([libexec / "taskprolog"], env=job, capture_output=True, text=True, check=False)
    assert "export PREFLIGHT_VERDICT=" in own.stdout
    assert (task.returncode, task.stdout) == (0, own.stdout)
    done = subprocess.run([libexec / "client-epilog"], env=job, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (Path(target.config).parent.parent / "spool/reports/7/n1.0.epilog.json").exists()


def test_uninstalling_leaves_slurmd_scripts_that_run(target: Target) -> None:
    install.install(target, plugin=False, agent=True)
    run_dir = Path(target.run_dir)
    (run_dir / "agent").mkdir(mode=0o700)
    for name in ("n1.sock", "n1.journal"):
        (run_dir / "agent" / name).touch()
    (run_dir / "agent.sock").symlink_to("agent/n1.sock")
    uninstall(target, everything=False)
    assert not [one for one in target.units if os.path.exists(one)]
    for name in CLIENTS.values():
        assert subprocess.run([f"{target.libexec}/{name}"], env={}, check=False).returncode == 0
    uninstall(target, everything=True)
    assert not os.path.lexists(target.libexec)
    assert not run_dir.exists()


def test_nothing_of_the_hooks_is_left_in_the_runtime_directory(target: Target, agent: AgentSite) -> None:
    """Whatever hooks, health check and agent keep there, on a node on which something has failed."""
    site = agent.site
    site.files({"dev/kmsg": "3,9001,5000000,-;NVRM: Xid (PCI:0000:10:00): 79, pid=1, name=python\n"})
    site.scenario(H100X2, {"gpu.1.ecc.uncorrected.volatile": 2})
    agent.seen()
    for phase in ("prolog", "epilog", "health"):
        site.hook(phase, **GPUS)
    agent.stop()
    kept = {path.name.split("-")[0] for path in site.run_dir.iterdir()}
    assert {"policy", "gres", "counters", "kept", "kernel", "clock", "agent"} <= kept
    uninstall(target._replace(run_dir=str(site.run_dir)), everything=True)
    assert not site.run_dir.exists(), sorted(site.run_dir.rglob("*"))


def test_client_scripts_without_their_program_are_the_hooks_again(target: Target) -> None:
    """slurm.conf names them still: an uninstalled client's must neither fail jobs nor leave them unchecked for good."""
    install.install(target, plugin=False, agent=True)
    uninstall(target, everything=False)
    install.install(target, plugin=False, agent=False)
    job = {"SLURMD_NODENAME": "n1", "SLURM_JOB_ID": "7", "SLURM_JOB_UID": "4242"}
    for hook, name in CLIENTS.items():
        done = subprocess.run([f"{target.libexec}/{name}"], env=job, capture_output=True, text=True, check=False)
        own = subprocess.run([f"{target.libexec}/{hook}"], env=job, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (own.returncode, own.stdout) == (0, own.stdout)
    assert (Path(target.config).parent.parent / "spool/reports/7/n1.0.prolog.json").exists()


def test_an_upgrade_without_a_compiler_asks_in_the_new_versions_name(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.install(target, plugin=False, agent=True)
    script = Path(target.libexec, "client-prolog")
    program = Path(target.libexec, "preflight-client").stat()
    for module in (install, render):
        monkeypatch.setattr(module, "__version__", "9.9")
    install.install(target, plugin=False, agent=False)
    assert "version 9.9\n" in script.read_text()
    assert Path(target.libexec, "preflight-client").stat() == program
    uninstall(target, everything=False)
    install.install(target, plugin=False, agent=False)
    assert script.read_text().startswith("#!/bin/sh\n")  # the program is gone: what cannot run would drain the node


def test_back_to_a_version_without_one_of_the_clients_that_script_is_the_hook(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier program asks its agent for a prolog whatever the script says, and its removal leaves the script."""
    install.install(target, plugin=False, agent=True)
    earlier = Path(versions.current(target))
    (earlier / "files/libexec/client-epilog").unlink()
    manifest = versions.read(str(earlier))
    assert manifest is not None
    files = {name: made for name, made in manifest.files.items() if name != "libexec/client-epilog"}
    versions.write(str(earlier), manifest._replace(files=files))
    for module in (install, render):
        monkeypatch.setattr(module, "__version__", "9.9")
    install.install(target, plugin=False, agent=True)
    script = Path(target.libexec, "client-epilog")
    assert script.read_text().startswith(f"#!{target.libexec}/preflight-client\n")
    done = install.rollback(target)
    assert (done.place, str(script) in done.changed) == (str(earlier), True)
    assert Path(target.libexec, "client-prolog").read_text().startswith(f"#!{target.libexec}/preflight-client\n")
    for name in PROGRAMS:
        os.unlink(f"{target.libexec}/{name}")  # as that version's removal does
    job = {"SLURMD_NODENAME": "n1", "SLURM_JOB_ID": "7", "SLURM_JOB_UID": "4242"}
    assert subprocess.run([script], env=job, check=False).returncode == 0
    assert (Path(target.config).parent.parent / "spool/reports/7/n1.0.epilog.json").exists()


def test_what_is_swapped_in_is_on_the_disk_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr("preflight.deploy.activate.os.fsync", lambda file: sizes.append(os.fstat(file).st_size))
    activate.swap(str(tmp_path / "a"), b"12345")
    assert sizes == [5]


# systemd.exec(5): each gives the service a mount table of its own, or another root.
MOUNT_NAMESPACE = (
    *("ProtectSystem", "ProtectHome", "ProtectHostname", "ProtectProc", "ProcSubset", "ProtectKernelTunables"),
    *("ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "PrivateTmp", "PrivateDevices"),
    *("PrivateMounts", "PrivateUsers", "PrivateIPC", "PrivateNetwork", "DynamicUser", "RootDirectory", "RootImage"),
    *("ReadOnlyPaths", "ReadWritePaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths", "TemporaryFileSystem"),
    *("BindPaths", "BindReadOnlyPaths", "MountImages", "ExtensionImages", "ExtensionDirectories", "MountFlags"),
    *("MountAPIVFS", "LogNamespace", "JoinsNamespaceOf", "IPCNamespacePath", "NetworkNamespacePath"),
)


def test_the_agent_sees_the_hosts_mounts_and_devices() -> None:
    lines = Path(assets(), "site-config/preflight-agent.service").read_text().splitlines()
    keys = {line.partition("=")[0] for line in lines if "=" in line and not line.startswith("#")}
    assert "ExecStart" in keys
    assert keys & {*MOUNT_NAMESPACE, "ProtectClock", "DevicePolicy", "DeviceAllow"} == set()
    assert "UMask=0022" in lines


def test_a_client_that_does_not_build_changes_nothing(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    install.install(target, plugin=False, agent=True)
    before = {path.name: path.read_bytes() for path in Path(target.libexec).iterdir()}
    versions = sorted(os.listdir(target.versions))
    monkeypatch.setenv("CC", "false")
    with pytest.raises(DeployError, match="the client does not build"):
        install.install(target, plugin=False, agent=True)
    assert {path.name: path.read_bytes() for path in Path(target.libexec).iterdir()} == before
    assert sorted(os.listdir(target.versions)) == versions


def test_doctor_says_what_an_absent_agent_costs(target: Target) -> None:
    from preflight.deploy.doctor.agent import look
    from preflight.deploy.doctor.host import gather

    def found() -> dict[str, tuple[str, str]]:
        host = gather("n1", target.prefix, target.config, target.run_dir, frozenset({"node"}))
        return {one.subject: (one.status, f"{one.text} {one.fix}") for one in look(host)}

    assert found() == {}  # neither installed nor named in slurm.conf
    install.install(target, plugin=False, agent=True)
    status, text = found()["agent"]
    assert status == "warn"
    assert "no agent runs here" in text
    assert "each prolog and epilog judges by itself" in text
    assert f"systemctl enable --now {target.agent_unit}" in text
    other = Path(target.libexec, "preflight-client")
    other.write_bytes(b"\x7fELF of another machine")
    status, text = found()["preflight-client"]
    assert status == "fail"
    assert "it does not run here: slurmd fails each prolog" in text
