"""The node agent's own numbers: asked for, and in the file that node_exporter reads."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from preflight.agent import metrics
from preflight.agent.metrics import FAMILIES
from preflight.facts import isolate
from unit.agent_site import GPUS, AgentSite, until
from unit.hook_site import H100X2


def test_its_numbers_are_prometheus_text(agent: AgentSite) -> None:
    run_dir = str(agent.site.run_dir)
    assert agent.prolog(**GPUS)[0] == "agent"
    agent.site.scenario(H100X2, {"delay_ms.nvmlDeviceGetTotalEccErrors": 600000})
    until(lambda: agent.ask("status")["nvml"]["stuck_s"], "a call that is stuck")
    agent.site.scenario(H100X2)
    said = agent.site.run("agent", "metrics", "--run-dir", run_dir)
    assert (said.returncode, said.stderr) == (0, "")
    lines = said.stdout.splitlines()
    assert 'preflight_agent_answers_total{cluster="lab",host="n1",answer="pass"} 1' in lines
    stuck = next(one for one in lines if one.startswith("preflight_agent_nvml_stuck_seconds{"))
    assert float(stuck.split()[-1]) >= 5
    assert any(one.startswith('preflight_agent_fact_age_seconds{cluster="lab",host="n1",fact="os"} ') for one in lines)
    never = {"preflight_agent_upkeep_age_seconds"}  # of what has not been done yet
    assert {one.split("{")[0] for one in lines if one[0] != "#"} | never == FAMILIES.keys()
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=said.stdout, text=True, check=False)
        assert done.returncode == 0


def test_the_text_file_is_written_where_the_policy_says_and_only_where_it_is_roots(idle: AgentSite) -> None:
    directory = idle.site.place / "textfile"
    directory.mkdir(mode=0o755)
    idle.site.policy(f'[metrics]\ntextfile = "{directory}"\n')
    idle.start()
    path = directory / "preflight-n1-agent.prom"
    until(path.exists, "the file")
    assert path.stat().st_mode & 0o777 == 0o644
    assert f"# HELP preflight_agent_up_seconds {FAMILIES['preflight_agent_up_seconds'][1]}\n" in path.read_text()
    idle.stop()
    path.unlink()
    os.chmod(directory, 0o777)
    idle.start()
    assert idle.prolog(**GPUS)[0] == "agent"
    idle.stop()
    assert list(directory.iterdir()) == []


def test_a_text_file_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child in D state does not end by SIGKILL, and who asks the agent meanwhile waits 250 ms."""
    waits: list[float] = []
    reap = isolate._reap
    monkeypatch.setattr(isolate, "_reap", lambda pid, patience_s: waits.append(patience_s) or reap(pid, patience_s))
    monkeypatch.setattr(isolate, "_kill", lambda pid: None)
    monkeypatch.setattr(metrics, "put", lambda *_: signal.pause())
    monkeypatch.setattr(metrics, "BUDGET_S", 0.1)
    monkeypatch.setattr(metrics, "EVERY_S", 0.0)
    file = metrics.TextFile(str(tmp_path), "n1")
    place = tmp_path / "stuck-textfile-n1.json"

    def remembered() -> bool:
        file.tend("/nowhere", lambda: "")
        return place.exists()

    until(remembered, "a child that is remembered")
    left = json.loads(place.read_text())["pid"]
    file.tend("/nowhere", lambda: "")
    assert (file._child, {*waits}) == (None, {0.0})  # none beside it
    os.kill(left, signal.SIGKILL)
    monkeypatch.undo()

    def reaped() -> bool:
        file._next = 0.0
        file.tend(str(tmp_path), lambda: "")
        return not Path(f"/proc/{left}").exists()

    until(reaped, "its end")
    while file._child is not None:
        file.tend("", lambda: "")
