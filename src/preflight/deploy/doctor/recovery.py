"""What [recover] of the policy needs, and what it has done on this node: its last step, the evidence that is kept."""

import os
from collections.abc import Iterator

from preflight.deploy.doctor.host import NODE, Host
from preflight.deploy.doctor.result import Result, ok, unknown, warn, wrong
from preflight.facts.cache import boot_id
from preflight.files import read_json
from preflight.hooks.recover.evidence import PARTIAL, size_of
from preflight.hooks.recover.record import EVERY, REBOOT, SENT
from preflight.owned import refused_program
from preflight.report.clean import clean


def look(host: Host) -> Iterator[Result]:
    """Yield the results for a node whose policy has steps; nothing else."""
    steps = host.policy.recover.steps
    if not steps or not host.has(NODE):
        return
    if any(REBOOT in one for one in steps.values()):
        yield _reboot_program(host)
    for name, words in host.policy.recover.commands.items():
        why = refused_program(words[0])
        if why:
            text = f"{name} is not run: {why if why.startswith('/') else f'{words[0]} {why}'}"
            yield wrong("recover command", text, host.target.config, f"chown root {words[0]}; chmod 0755 {words[0]}")
    if not host.root:
        yield unknown("recovery", "only root reads the spool", host.policy.report.spool, "run it as root")
        return
    yield from _last(host)
    yield from _evidence(host)


def _reboot_program(host: Host) -> Result:
    subject, program = "slurm.conf RebootProgram", host.conf.get("RebootProgram")
    if program and program != "(null)":
        return ok(subject, program, host.conf.source)
    text = "there is no RebootProgram: no node is rebooted"
    return wrong(subject, text, host.conf.source, host.in_conf("RebootProgram=/sbin/reboot"))


def _last(host: Host) -> Iterator[Result]:
    path, subject = f"{host.policy.report.spool}/recover-{host.node}.json", "recovery"
    if not os.path.lexists(path):
        yield ok(subject, "no step was taken on this node", path)
        return
    stored = read_json(path)
    rows = stored.get("steps") if isinstance(stored, dict) else None
    if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
        text = "the record cannot be read: the next health check begins the hold-down of all steps anew"
        yield wrong(subject, text, path, "journalctl -t preflight names what was done")
        return
    for row in rows[-1:]:
        if row.get("step") == EVERY:
            text = "the record could not be read, and holds every step"
            yield warn(subject, text, path, f"rm {path} lets steps be taken again")
            continue
        about = f"{row.get('step')} for {clean(str(row.get('check')), 80)}:{clean(str(row.get('subject')), 80)}"
        state = "asked for" if row.get("state") == SENT else str(row.get("state"))
        if row.get("step") == REBOOT and row.get("boot") != boot_id():
            state = "made, another boot since"
        detail = f": {clean(str(row['detail']), 120)}" if row.get("detail") else ""
        yield ok(subject, f"{about} at {row.get('at')}: {state}{detail}", path)


def _evidence(host: Host) -> Iterator[Result]:
    place = f"{host.policy.report.spool}/evidence"
    try:
        names = sorted(one for one in os.listdir(place) if not one.endswith(PARTIAL))
    except OSError:
        return
    if names:
        total = sum(size_of(f"{place}/{one}") for one in names)
        yield ok("evidence", f"{len(names)} kept, {total / (1 << 20):.1f} MiB; the latest: {names[-1]}", place)
