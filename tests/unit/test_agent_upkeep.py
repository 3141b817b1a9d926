"""What the agent has done beside its answers: publishes, ships, delivers, prunes. Real daemon, real commands."""

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.collector import Collector
from preflight.agent import duties, privileges
from preflight.agent.child import Helper
from preflight.agent.pace import BURST, LONGEST_S, MINUTE_S, Pace
from preflight.agent.upkeep import Duty
from preflight.facts.isolate import process_state
from preflight.fleet import tokens
from preflight.fleet.query import jobs
from preflight.fleet.store.open import open_store
from preflight.hooks.turn import PLACES, turn
from preflight.policy.load import load_policy
from preflight.report import queue
from unit.agent_site import AgentSite, until
from unit.hook_site import JOB, Site, settle

STATUS = ("CapEff", "CapPrm", "NoNewPrivs")


def test_what_waits_is_delivered_and_shipped_without_a_health_check(idle: AgentSite, tmp_path: Path) -> None:
    """A copy that its directory refused, and reports of the agent as of the one-shot hook; each once."""
    url = f"sqlite:///{tmp_path}/fleet.db"
    store, site = open_store(url), idle.site
    token, program = tmp_path / "token", tmp_path / "preflight"
    token.write_text(tokens.make(store, "lab", "n1"), encoding="ascii")
    token.chmod(0o600)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m preflight "$@"\n')
    program.chmod(0o755)
    collector = Collector(url).start()
    try:
        copies = site.place / "copies"
        keys = f'[ship]\nurl = "{collector.url}"\ntoken_file = "{token}"\nprogram = "{program}"\n'
        site.policy(f"[agent]\njitter_s = 0\n{keys}")
        text = site.config.read_text()
        site.config.write_text(text.replace("[report]", f'[report]\ndir = "{copies}"'))
        settle(site.config)
        assert site.hook("prolog", **JOB).returncode == 0
        assert len(list((site.spool / "outbox").iterdir())) == 1  # nobody has made the users' directory
        copies.mkdir()
        idle.start()
        until((copies / "7").exists, "the copy of job 7")
        assert idle.prolog(**{**JOB, "SLURM_JOB_ID": "8"})[0] == "agent"
        until(lambda: not list((site.spool / "outbox").iterdir()), "an empty outbox")
        until(lambda: len(jobs.raw_reports(store, 7)) == len(jobs.raw_reports(store, 8)) == 1, "both in the store")
        until(lambda: not queue.waiting(str(site.spool)), "an empty queue")
        until(lambda: idle.ask("status")["upkeep"]["ship"]["well"], "the end of the one that ships")
        state = idle.ask("status")["upkeep"]
        assert (state["deliver"]["well"], state["publish"]["on"]) == (True, False)
    finally:
        collector.kill()
        store.close()


def test_what_cannot_be_shipped_is_named_and_not_tried_for_a_minute(idle: AgentSite, tmp_path: Path) -> None:
    program = tmp_path / "preflight"
    program.write_text(f'#!/bin/sh\necho x >>{tmp_path}/calls\nexec {sys.executable} -m preflight "$@"\n')
    program.chmod(0o755)
    url = 'url = "https://collector.example.org"'
    idle.site.policy(f'[agent]\njitter_s = 0\n[ship]\n{url}\ntoken_file = "{tmp_path}/none"\nprogram = "{program}"\n')
    assert idle.site.hook("prolog", **JOB).returncode == 0
    idle.start()
    failed = until(lambda: idle.ask("status")["upkeep"]["ship"]["failures"] and idle.ask("status"), "a failure")
    ship = failed["upkeep"]["ship"]
    assert (ship["well"], ship["failures"]) == (False, 1)
    assert "none: No such file or directory" in ship["text"]
    until(lambda: (idle.ask("status")["upkeep"]["ship"]["next_s"] or 0) > 30, "the next try, in a while")
    assert idle.ask("check")["verdict"] == "ready"  # and it answers on
    idle.stop()
    idle.start()  # an agent that is started again asks no sooner
    again = until(lambda: idle.ask("status")["upkeep"]["ship"]["next_s"] and idle.ask("status"), "a next try")
    assert again["upkeep"]["ship"]["next_s"] > 20
    assert again["upkeep"]["ship"]["failures"] == 1
    assert (tmp_path / "calls").read_text() == "x\n"


def test_what_is_not_wanted_is_not_done(idle: AgentSite) -> None:
    idle.site.policy("[publish]\nenabled = true\n[agent]\nupkeep = false\njitter_s = 0\n")
    idle.start()
    state = idle.ask("status")["upkeep"]
    assert not any(one["on"] or one["next_s"] for one in state.values())
    assert idle.site.slurm_calls() == []


def test_publishing_is_seen_from_outside(idle: AgentSite) -> None:
    """This site's scontrol has no controller: that is a failure with its reason, and nothing hangs by it."""
    idle.site.policy("[publish]\nenabled = true\n[agent]\njitter_s = 0\n")
    idle.start()
    said = until(lambda: idle.ask("status")["upkeep"]["publish"]["failures"] and idle.ask("status"), "a failure")
    assert "no controller here" in said["upkeep"]["publish"]["text"]
    done = subprocess.run(
        [sys.executable, "-m", "preflight", "agent", "status", "--run-dir", str(idle.site.run_dir), "--node", "n1"],
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("publish"))
    assert "failed (1 in a row)" in line
    metrics = idle.ask("metrics")["text"]
    assert 'preflight_agent_upkeep_failures{cluster="lab",host="n1",duty="publish"} 1' in metrics


SHIP = '[agent]\njitter_s = 0\n[ship]\nurl = "https://collector.example.org"\n'


def alone(site: Site, more: str) -> duties.Context:
    """Return what a duty of an agent on ``site`` gets to know, under the policy ``more``."""
    from preflight.agent.answer import run_of
    from preflight.hooks.reading import reading_of

    site.policy(more)
    policy = load_policy(str(site.config), "n1")
    run = run_of(policy, "n1", str(site.run_dir), reading_of(policy, "n1", str(site.run_dir), "prolog"), None)
    return duties.Context(str(site.config), run, "", False)


def test_copies_that_cannot_be_delivered_are_named_and_tried_more_and_more_seldom(idle: AgentSite) -> None:
    site = idle.site
    site.policy("[agent]\njitter_s = 0\n")
    text = site.config.read_text()
    site.config.write_text(text.replace("[report]", f'[report]\ndir = "{site.place}/copies"'))
    settle(site.config)
    assert site.hook("prolog", **JOB).returncode == 0
    idle.start()
    until(lambda: idle.ask("status")["upkeep"]["deliver"]["failures"] == 1, "a failure")
    deliver = until(lambda: _next(idle, "deliver"), "the next try, in a while")
    assert not deliver["well"]
    assert deliver["text"].startswith("copies wait: ")
    assert deliver["text"].endswith(str(site.place / "copies"))
    (site.place / "copies").mkdir()
    idle.ask("refresh")  # it was put right: nobody waits for the next try
    until((site.place / "copies/7").exists, "the copy of job 7")
    until(lambda: idle.ask("status")["upkeep"]["deliver"]["well"], "the end of the one that delivered it")


def _next(agent: AgentSite, name: str) -> "dict[str, object] | None":
    state: dict[str, object] = agent.ask("status")["upkeep"][name]
    return state if float(str(state["next_s"] or 0)) > 30 else None


def test_a_duty_that_says_it_is_done_and_did_nothing_is_no_more_often_tried_than_one_that_fails(
    hooked: Site, tmp_path: Path
) -> None:
    program = tmp_path / "preflight"
    program.write_text("#!/bin/sh\necho nothing to do\n")
    program.chmod(0o755)
    context = alone(hooked, f'{SHIP}program = "{program}"\n')
    left = [1]
    one = Duty("ship", str(tmp_path / "state.json"), lambda: left[0])
    one.want(1, 0.0, 60.0)
    one.begin(context)
    until(lambda: one.tend() or not one.running, "its end")
    state = one.state()
    assert (state["well"], state["failures"], state["text"]) == (False, 1, "nothing to do")
    one.again()
    left[0] = 2  # something of it is gone
    one.want(1, 0.0, 60.0)
    one.begin(context)
    until(lambda: one.tend() or not one.running, "its end")
    assert one.state()["well"]


def test_what_is_wanted_while_it_fails_waits_as_long_as_the_failure_says(hooked: Site, tmp_path: Path) -> None:
    program = tmp_path / "preflight"
    program.write_text("#!/bin/sh\nexit 2\n")
    program.chmod(0o755)
    one = Duty("ship", str(tmp_path / "state.json"))
    one.want(1, 0.0)
    one.begin(alone(hooked, f'{SHIP}program = "{program}"\n'))
    one.want(2, 0.0)
    until(lambda: one.tend() or not one.running, "its end")
    assert one.state()["next_s"] > 30


def test_a_child_ends_with_its_agent_and_lets_the_lock_go(idle: AgentSite, tmp_path: Path) -> None:
    """Killed while a child hangs with the lock held: the next agent finds nobody beside it."""
    site, pid = idle.site, tmp_path / "pid"
    program = tmp_path / "preflight"
    program.write_text(
        f"#!{sys.executable}\nimport fcntl, os, time\n"
        f'fcntl.flock(os.open("{site.spool}/ship", os.O_RDONLY), fcntl.LOCK_EX)\n'
        f'open("{pid}.new", "w").write(str(os.getpid()))\nos.rename("{pid}.new", "{pid}")\ntime.sleep(600)\n'
    )
    program.chmod(0o755)
    site.policy(f'{SHIP}program = "{program}"\n')
    assert site.hook("prolog", **JOB).returncode == 0
    idle.start()
    until(pid.exists, "a child that hangs")
    with turn(str(site.spool), "ship") as mine:
        assert not mine
    assert idle.process is not None
    idle.process.kill()  # nothing of it gets to end its children
    idle.process.wait()
    idle.process = None
    until(lambda: _zombie(int(pid.read_text())), "the child's end")
    with turn(str(site.spool), "ship") as mine:
        assert mine


def test_a_controller_and_a_collector_that_say_nothing_hold_up_no_answer(idle: AgentSite, tmp_path: Path) -> None:
    site, token, program = idle.site, tmp_path / "token", tmp_path / "preflight"
    scontrol_that_answers(site)
    pid = tmp_path / "pid"
    (site.place / "bin/sinfo").write_text(f"#!/bin/sh\necho $$ >{pid}.new\nmv {pid}.new {pid}\nexec sleep 600\n")
    token.write_text("x")
    token.chmod(0o600)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m preflight "$@"\n')
    program.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, nobody answers
        url = f'url = "http://127.0.0.1:{silent.getsockname()[1]}"'
        keys = f'[ship]\n{url}\ntoken_file = "{token}"\nprogram = "{program}"\n'
        site.policy(f"[publish]\nenabled = true\n[agent]\njitter_s = 0\n{keys}")
        assert site.hook("prolog", **JOB).returncode == 0
        idle.start()
        silent.settimeout(60.0)
        silent.accept()[0].recv(1)
        until(pid.exists, "a command that hangs")
        state = idle.ask("status")["upkeep"]
        assert state["publish"]["pid"]
        assert state["ship"]["pid"]
        assert idle.prolog(**{**JOB, "SLURM_JOB_ID": "8"})[0] == "agent"
        children = [*idle.children(), int(pid.read_text())]
        idle.stop()
        until(lambda: all(_zombie(one) for one in children), "the end of all that it has started")


def _zombie(pid: int) -> bool:
    return process_state(pid) in ("", "Z")


def scontrol_that_answers(site: Site) -> None:
    """Let this site's controller take what is published, and forget it."""
    (site.place / "slurm.conf").write_text("ClusterName=lab\nSchedulerParameters=extra_constraints\n")
    (site.place / "bin/sinfo").write_text(
        '#!/bin/sh\nmark="$*" mark=${mark##*:0}\nprintf "%s%s%s%s%s%s\\n" "" "$mark" "" "$mark" "" "$mark"\n'
    )
    (site.place / "bin/scontrol").write_text(f'#!/bin/sh\necho "$*" >>{site.log}\n')


def test_a_fact_that_is_not_at_hand_is_named_where_it_holds_back_the_others(idle: AgentSite) -> None:
    scontrol_that_answers(idle.site)
    idle.site.policy("[publish]\nenabled = true\n[agent]\njitter_s = 0\n")
    idle.start()
    until(lambda: idle.ask("status")["upkeep"]["publish"]["well"], "a publication")
    idle.ask("release", FOR="1h")
    until(lambda: idle.ask("status")["upkeep"]["publish"]["waits"] == "gpus: NVML is released", "what it waits for")
    idle.ask("resume")
    until(lambda: not idle.ask("status")["upkeep"]["publish"]["waits"], "its end")


def test_a_policy_that_cannot_be_read_any_more_is_named_and_ends_no_agent(idle: AgentSite) -> None:
    scontrol_that_answers(idle.site)
    idle.site.policy("[publish]\nenabled = true\n[agent]\njitter_s = 0\n")
    text = idle.site.config.read_text()
    idle.start()
    until(lambda: idle.ask("status")["upkeep"]["publish"]["well"], "a publication")
    idle.site.config.write_text("version = ")
    settle(idle.site.config)
    idle.ask("refresh")
    state = until(lambda: _failed(idle, "publish"), "a failure")
    assert "p.toml" in str(state["text"])
    idle.site.config.write_text(text)
    settle(idle.site.config)
    idle.ask("refresh")
    until(lambda: idle.ask("status")["upkeep"]["publish"]["well"], "a publication")


def _failed(agent: AgentSite, name: str) -> "dict[str, object] | None":
    state: dict[str, object] = agent.ask("status")["upkeep"][name]
    return state if state["failures"] else None


def test_what_only_slurm_is_told_is_read_seldom_and_is_too_old_for_a_job(hooked: Site) -> None:
    from preflight.agent.kept import CHILD_MAX_S, Kept, Known, Stale
    from preflight.hooks.reading import reading_of

    hooked.policy(live=False)
    policy = load_policy(str(hooked.config), "n1")
    kept = Kept(reading_of(policy, "n1", str(hooked.run_dir), "prolog").source)
    kept.publishes(("ib", "os"))
    until(lambda: kept.tend() and kept.complete(), "the facts")
    answer = kept._known["ib"].answer
    old = Known(answer, time.monotonic() - CHILD_MAX_S - 10)
    kept._known["ib"] = old
    assert "ib" in {*kept.to_publish(frozenset(("ib",))).unknown, *kept.to_publish(frozenset(("ib",))).facts}
    with pytest.raises(Stale, match="ib: 70 s old"):
        kept.collect(frozenset(("ib",)), 0.0)
    until(lambda: kept.tend() and kept._known["ib"] is not old, "a new reading, for the next job")
    assert kept.collect(frozenset(("ib",)), 0.0).node == "n1"


def in_child(function: object, tmp_path: Path) -> dict[str, str]:
    """Run ``function`` in a helper and return what a program that it becomes says of its privileges."""
    out = tmp_path / "status"

    def become(theirs: object) -> None:
        function()  # type: ignore[operator]
        os.execv("/bin/sh", ["sh", "-c", f"cat /proc/self/status >{out}"])

    helper = Helper("test", become, 10)
    assert helper.start()
    until(helper.ended, "the child's end")
    assert helper.status == 0
    rows = dict(line.split(":", 1) for line in out.read_text().splitlines())
    return {key: rows[key].strip() for key in STATUS}


def test_what_talks_to_a_network_has_none_of_roots_privileges(tmp_path: Path) -> None:
    """And gets none back by running a program, though its user is root."""
    nothing = in_child(privileges.keep_only, tmp_path)
    assert nothing == {"CapEff": "0" * 16, "CapPrm": "0" * 16, "NoNewPrivs": "1"}
    copies = in_child(lambda: privileges.keep_only(privileges.USERS_COPIES), tmp_path)
    assert int(copies["CapPrm"], 16) == 0b1011


def test_a_duty_that_hangs_is_named_and_has_no_second_beside_it(
    hooked: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preflight.agent.answer import run_of
    from preflight.hooks.reading import reading_of

    program = tmp_path / "hangs"
    program.write_text(f"#!/bin/sh\necho x >>{tmp_path}/calls\nexec sleep 600\n")
    program.chmod(0o755)
    hooked.policy(f'[ship]\nurl = "https://collector.example.org"\nprogram = "{program}"\n')
    policy = load_policy(str(hooked.config), "n1")
    run = run_of(policy, "n1", str(hooked.run_dir), reading_of(policy, "n1", str(hooked.run_dir), "prolog"), None)
    context = duties.Context(str(hooked.config), run, "", False)
    one = Duty("ship", str(tmp_path / "state.json"))
    one.want(1, 0.0)
    one.begin(context)
    until((tmp_path / "calls").exists, "its child")
    one.want(2, 0.0)
    one.begin(context)
    assert one.running
    monkeypatch.setitem(duties.LIMITS_S, "ship", 0.01)
    until(lambda: one.stuck_s() > 0.05, "it is past its limit")
    until(lambda: one.tend() or not one.running, "its end")
    state = one.state()
    assert (state["well"], state["failures"], state["text"]) == (False, 1, "it hung for 0.01 s")
    one.begin(context)
    one.tend()
    assert (tmp_path / "calls").read_text() == "x\n"


def test_old_records_are_removed_by_a_child_of_its_own(hooked: Site, tmp_path: Path) -> None:
    from preflight.agent.answer import run_of
    from preflight.hooks.reading import reading_of

    for job in ("7", "8"):
        assert hooked.hook("prolog", **{**JOB, "SLURM_JOB_ID": job}).returncode == 0
    old = time.time() - 40 * 86400
    for path in (hooked.spool / "reports/7").iterdir():
        os.utime(path, (old, old))
    os.utime(hooked.spool / "reports/7", (old, old))
    policy = load_policy(str(hooked.config), "n1")
    run = run_of(policy, "n1", str(hooked.run_dir), reading_of(policy, "n1", str(hooked.run_dir), "prolog"), None)
    one = Duty("prune", str(tmp_path / "state.json"))
    one.want("records", 0.0, 3600.0)
    one.begin(duties.Context(str(hooked.config), run, "", True))
    until(lambda: one.tend() or not one.running, "its end")
    assert one.state()["well"], one.state()
    assert [path.name for path in (hooked.spool / "reports").iterdir()] == ["8"]
    one.want("records", 0.0, 3600.0)
    assert one.state()["next_s"] is None  # for an hour


def test_only_one_is_at_work_whoever_began_it(hooked: Site) -> None:
    """Another process's lock keeps the command, the health check and the agent from it; its end lets them."""
    (hooked.spool / "ship").mkdir(parents=True)
    hooked.policy(
        '[ship]\nurl = "https://collector.example.org"\ntoken_file = "TOKEN"\n'.replace(
            "TOKEN", str(hooked.place / "token")
        )
    )
    (hooked.place / "token").write_text("x")
    (hooked.place / "token").chmod(0o600)
    descriptor = os.open(hooked.spool / "ship", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        done = hooked.run("ship")
        assert (done.returncode, done.stdout) == (0, "nothing to do: another preflight ship sends what waits\n")
        with turn(str(hooked.spool), "ship") as mine:
            assert not mine
    finally:
        os.close(descriptor)
    with turn(str(hooked.spool), "ship") as mine, turn(str(hooked.spool), "ship") as second:
        assert (mine, second) == (True, False)
    with turn(str(hooked.place / "none"), "publish") as mine:
        assert mine


def test_the_first_is_quick_and_no_failure_is_tried_again_within_a_minute() -> None:
    pace, now = Pace(), 1000.0
    for _ in range(BURST):
        assert pace.not_before <= now
        pace = pace.begun(now).ended(now + 0.1, True)
        now += 1.0
    assert pace.not_before > now + MINUTE_S / 2  # changed again and again: once a minute
    assert Pace().begun(now).ended(now + 30.0, True).not_before >= now + MINUTE_S  # a slow controller
    waits = []
    pace = Pace()
    for _ in range(8):
        pace = pace.begun(now).ended(now, False)
        waits.append(pace.not_before - now)
        now = pace.not_before
    assert waits[0] >= MINUTE_S
    assert all(later > before for before, later in zip(waits[:3], waits[1:4]))
    assert max(waits) <= LONGEST_S * 1.5
    assert len({Pace().ended(now, False).not_before for _ in range(500)}) > 490  # a cluster does not come back at once


def test_what_an_agent_left_that_cannot_be_read_is_forgotten(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"pace": 1}', '{"pace": [1, 9e99, 0, 0], "last": {}, "done_for": 1}', "null"):
        (tmp_path / "state.json").write_text(text)
        assert Duty("ship", str(tmp_path / "state.json")).pace == Pace()
    last = {"at": 1.0, "took_s": 1.0, "well": False, "text": "x"}
    kept = {"last": last, "pace": [2.0, 1.0, 3, 70.0], "done_for": 5}
    (tmp_path / "state.json").write_text(json.dumps(kept))
    one = Duty("ship", str(tmp_path / "state.json"))
    assert (one.pace, one.done_for, one.last["text"]) == (Pace(2.0, 1.0, 3, 70.0), 5, "x")


def test_doctor_says_who_does_it(tmp_path: Path) -> None:
    from preflight.deploy.doctor.agent import upkeep

    well = {"on": True, "stuck_s": 0.0, "failures": 0, "text": "", "pid": None, "waits": ""}
    wants = tmp_path / "timers.target.wants"
    wants.mkdir()
    (wants / "preflight-ship.timer").symlink_to("/nowhere")
    missing = "Failed to start preflight-agent-publish.service: Unit preflight-agent-publish.service not found."
    state = {
        "publish": {**well, "failures": 2, "text": missing},
        "ship": well,
        "deliver": {**well, "pid": 7, "stuck_s": 3.0},
        "prune": {**well, "on": False},
    }
    held = {"publish": {**well, "waits": "gpus: NVML is released"}}
    assert [text for one in upkeep("/x", held, str(tmp_path)) for text in (one.status, one.text)] == [
        "warn",
        "waits for gpus: NVML is released; Slurm keeps what it has",
    ]
    found = {
        one.subject: (one.status, f"{one.text} {one.fix}") for one in upkeep("/x/publish.service", state, str(tmp_path))
    }
    assert [status for status, _ in found.values()] == ["warn", "pass", "warn"]
    assert "systemctl link /x/publish.service" in found["agent publish"][1]
    assert "preflight-ship.timer is on too" in found["agent ship"][1]
    assert "pid 7 hangs" in found["agent deliver"][1]


def test_what_is_slow_and_fails_keeps_its_pace_and_leaves_it_to_the_next_agent(
    hooked: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wanted is asked again while the child is at work; that makes its next time no earlier."""

    def fails(name: str, context: duties.Context) -> Callable[[socket.socket], None]:
        def work(_: socket.socket) -> None:
            time.sleep(0.3)
            os._exit(1)

        return work

    monkeypatch.setattr(duties, "child", fails)
    one = Duty("ship", str(tmp_path / "state.json"))
    context = alone(hooked, "")
    one.want("reports", 0.0)
    one.begin(context)
    assert Duty("ship", str(tmp_path / "state.json")).pace == one.pace  # should the agent end now
    while one.running:
        one.want("reports", 0.0)
        one.tend()
        time.sleep(0.01)
    assert one.state()["well"] is False
    one.want("reports", 0.0)
    one.begin(context)
    assert not one.running
    waits = one.state()["next_s"]
    assert isinstance(waits, float)
    assert waits > MINUTE_S - 1


def test_no_user_can_hold_the_lock_of_what_root_does(hooked: Site) -> None:
    hooked.spool.mkdir(parents=True, exist_ok=True)
    for one in (hooked.place, hooked.spool):
        one.chmod(0o755)
    (hooked.spool / "ship").mkdir(exist_ok=True)
    (hooked.spool / "ship").chmod(0o755)
    for what in PLACES:
        with turn(str(hooked.spool), what) as mine:
            assert mine
        assert (hooked.spool / PLACES[what]).stat().st_mode & 0o777 == 0o700


def test_where_nothing_can_be_locked_nobody_is_kept_from_the_work(
    hooked: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked.spool.mkdir(parents=True, exist_ok=True)
    for number in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EBADF):

        def refused(descriptor: int, operation: int, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", refused)
        with turn(str(hooked.spool), "publish") as mine:
            assert mine, errno.errorcode[number]
