"""The rest of slurm.conf: prolog flags, health check, scheduler parameters, and time limits above our deadline."""

import os
from collections.abc import Iterator

from preflight.deploy.doctor.host import NODE, Host
from preflight.deploy.doctor.result import Result, ok, unknown, warn, wrong
from preflight.slurm.commands import SlurmError

FLAGS = {
    "alloc": "a prolog then runs only when the first step starts, and nothing of the job waits for it",
    "deferbatch": "a batch script then starts while another node's prolog still decides",
}
# Slurm's own: BatchStartTimeout 10 s (slurm.conf(5)); the health check is killed at 60 s (seen on 22.05). 26.05 has
# PrologTimeout, EpilogTimeout and HealthCheckTimeout too (seen; to 22.05 and 24.11 they are errors), the last 0 unless
# it is set, which is taken for the 60 s of old. PrologEpilogTimeout is 65534, no limit, on all three.
BATCH_START_S, HEALTH_S = 10.0, 60.0
KEEPS_REASON = "24.11"  # seen there; not on 22.05 and 26.05
SPARE_S = 0.5  # the hook's own alarm rings so long after its deadline


def look(host: Host) -> Iterator[Result]:
    """Yield the results for slurm.conf but for the hooks' paths."""
    conf = host.conf
    if not conf.known:
        text = conf.problem or "no slurm.conf was found, and Slurm could not be asked"
        yield unknown("slurm.conf", text, conf.source, "set [hook] slurm_conf and slurm_bin in the policy")
        return
    if conf.asked:
        yield ok("slurm.conf", "as the controller has it in force", conf.source)
    else:
        yield unknown("slurm.conf", f"read from the file: {conf.problem}", conf.path, "scontrol ping")
    yield from _several_nodes(host)
    yield from _prolog_flags(host)
    yield from _health(host)
    yield _hold(host)
    yield _return_to_service(host)
    yield from _limits(host)


def _several_nodes(host: Host) -> Iterator[Result]:
    """Slurm knows the host as NodeHostname of nodes of other names: which of them is meant has to be said."""
    if host.has(NODE) or not host.conf.asked or host.node != os.uname().nodename.split(".")[0]:
        return
    try:
        nodes = sorted(host.slurm.run("scontrol", "show", "aliases", host.node).split())
    except SlurmError:
        return
    if nodes:
        named = ", ".join(nodes[:4]) + (f" and {len(nodes) - 4} more" if len(nodes) > 4 else "")
        text = f"this host runs {named}: files, hooks and the dry run were not looked at"
        fix = f"{host.target.program} doctor --node {nodes[0]}"
        yield warn("node", text, f"scontrol show aliases {host.node}", fix)


def _prolog_flags(host: Host) -> Iterator[Result]:
    flags = host.conf.words("PrologFlags")
    subject = "slurm.conf PrologFlags"
    missing = [flag for flag in FLAGS if flag not in flags]
    if not missing:
        yield ok(subject, host.conf.get("PrologFlags"), host.conf.source)
        return
    has = host.conf.get("PrologFlags")
    others = [one for one in has.split(",") if one and one.lower() not in FLAGS]
    line = host.in_conf(f"PrologFlags={','.join(['Alloc', 'DeferBatch', *others])}")
    names = " and ".join({"alloc": "Alloc", "deferbatch": "DeferBatch"}[flag] for flag in missing)
    yield wrong(subject, f"PrologFlags lacks {names}: {FLAGS[missing[0]]}", host.conf.source, line)


def _health(host: Host) -> Iterator[Result]:
    conf = host.conf
    if not conf.all("HealthCheckProgram"):
        return  # said with the hooks' paths
    interval = conf.seconds("HealthCheckInterval", None)
    subject = "slurm.conf HealthCheckInterval"
    if interval is None:
        text = "HealthCheckInterval is 0: the health check never runs"
        yield wrong(subject, text, conf.source, host.in_conf("HealthCheckInterval=300"))
    else:
        yield ok(subject, f"{interval:g} s", conf.source)
    states = conf.words("HealthCheckNodeState") or ("any",)
    subject = "slurm.conf HealthCheckNodeState"
    if "any" in states:
        yield ok(subject, conf.get("HealthCheckNodeState", "ANY"), conf.source)
    else:
        text = f"HealthCheckNodeState is {conf.get('HealthCheckNodeState')}: nodes in other states are not checked"
        yield warn(subject, text, conf.source, host.in_conf("HealthCheckNodeState=ANY,CYCLE"))


def _return_to_service(host: Host) -> Result:
    """A node that we drained and that was rebooted comes back DOWN+DRAIN unless ReturnToService is 2."""
    conf, subject, fix = host.conf, "slurm.conf ReturnToService", host.in_conf("ReturnToService=2")
    value = (conf.get("ReturnToService") or "0").split(" ")[0]
    if value == "2":
        return ok(subject, "2: a drained node that was rebooted is resumed when it is well", conf.source)
    states = conf.get("HealthCheckNodeState", "ANY")
    text = f"ReturnToService is {value}: a drained node is DOWN after a reboot"
    if "any" not in states.lower().split(","):
        why = f"nodes that are down have no health check (HealthCheckNodeState={states}), so nothing resumes it"
        return warn(subject, f"{text}; {why}", conf.source, fix)
    if value == "1" and conf.get("SLURM_VERSION").startswith(KEEPS_REASON):
        why = "this release keeps a resumed node's reason, and the next outage leaves it DOWN until somebody resumes it"
        return warn(subject, f"{text}; {why}", conf.source, fix)
    return ok(subject, f"{text}, until its health check resumes it", conf.source)


def _hold(host: Host) -> Result:
    conf, word, subject = host.conf, "nohold_on_prolog_fail", "slurm.conf nohold_on_prolog_fail"
    if word in conf.words("SchedulerParameters"):
        return ok(subject, "a job that a broken node sends back is not held", conf.source)
    text = f"SchedulerParameters lacks {word}: a job that a broken node sends back stays held"
    return warn(subject, text, conf.source, host.in_conf(scheduler_line(host, word)))


def scheduler_line(host: Host, word: str) -> str:
    """Return slurm.conf's SchedulerParameters line as it is now, with ``word`` added."""
    has = host.conf.get("SchedulerParameters")
    return f"SchedulerParameters={has},{word}" if has else f"SchedulerParameters={word}"


def _limits(host: Host) -> Iterator[Result]:
    """Our deadline must end a hook before Slurm does: slurmd drains a node whose prolog it had to kill."""
    conf, ours = host.conf, host.policy.hook.deadline_s
    limits = {
        "BatchStartTimeout": conf.seconds("BatchStartTimeout", BATCH_START_S),
        "PrologEpilogTimeout": conf.seconds("PrologEpilogTimeout", None),
        "PrologTimeout": conf.seconds("PrologTimeout", None),
        "EpilogTimeout": conf.seconds("EpilogTimeout", None),
        "HealthCheckTimeout": conf.seconds("HealthCheckTimeout", HEALTH_S) or HEALTH_S,
    }
    low = {key: value for key, value in limits.items() if value is not None and value <= ours + SPARE_S}
    for key, value in low.items():
        text = f"{key} is {value:g} s, the hook's deadline {ours:g} s: Slurm may end it before it has decided"
        fix = f"{host.in_conf(f'{key}={int(ours) + 5}')}; or a lower [hook] deadline_s"
        if value > 3:
            fix += f" into {host.target.config}"
        yield wrong(f"slurm.conf {key}", text, conf.source, fix)
    if not low:
        known = ", ".join(f"{key} {value:g} s" for key, value in limits.items() if value is not None)
        yield ok("time limits", f"deadline {ours:g} s, below {known}", conf.source)
