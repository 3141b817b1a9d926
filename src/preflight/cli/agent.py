"""`preflight agent`: what it has at hand, and whether it can answer. The daemon itself is preflight.agent.main."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from preflight.cli.check import EXIT
from preflight.cli.common import fail, write_out
from preflight.hooks.notes import RUN_DIR


@click.command()
@click.argument("what", type=click.Choice(["status", "facts", "check", "metrics"]), required=False)
@click.option("--config", metavar="FILE", help="The policy, to run the agent with; default: the hooks'.")
@click.option("--run-dir", metavar="DIR", default=RUN_DIR, show_default=True, help="The hooks' runtime directory.")
@click.option("--node", metavar="NAME", help="Ask the agent of this node, where several are on one host.")
@click.option("--require", "spec", metavar="SPEC", default="", help="check: what a job asks for.")
@click.option("--release", is_flag=True, help="Close NVML: for a driver's upgrade or a GPU's reset.")
@click.option("--for", "period", metavar="TIME", default="10m", show_default=True, help="How long it stays closed.")
@click.option("--resume", is_flag=True, help="Open NVML again, before that time is over.")
@click.option("--refresh", is_flag=True, help="Read all facts anew, try again what failed: it was put right.")
@click.option("--json", "as_json", is_flag=True, help="Print all of the answer.")
def agent(
    what: str | None,
    config: str | None,
    run_dir: str,
    node: str | None,
    spec: str,
    release: bool,
    period: str,
    resume: bool,
    refresh: bool,
    as_json: bool,
) -> int:
    """Run the node agent, or ask the one that runs here. As root.

    Without an argument it serves until it is ended. status: what it answered and what not, and why; facts: what it has
    at hand; check: this node's verdict on that, with the exit codes of `preflight check`; metrics: its own numbers in
    Prometheus' text.
    """
    from preflight.agent.client import AgentError, ask
    from preflight.agent.wire import socket_path

    flags = {"release": release, "resume": resume, "refresh": refresh}
    operations = [what] * (what is not None) + [name for name, given in flags.items() if given]
    if len(operations) != 1 or operations[0] is None:
        choices = "status, facts, check, metrics, --release, --resume and --refresh"
        fail(f"needs one of {choices}; to run it: preflight agent [--config FILE]")
    operation = operations[0]
    run_dir = os.path.abspath(run_dir)
    values = {"check": {"REQUIRE": spec}, "release": {"FOR": period}}.get(operation)
    try:
        said = ask(run_dir, operation, values, socket_path(run_dir, node) if node else "")
    except AgentError as error:
        fail(str(error))
    except ValueError as error:
        fail(f"--require: {error}")
    text, code = PAGES[operation](said)
    write_out(json.dumps(said, indent=2) if as_json else text)
    return code


def _status(said: dict[str, Any]) -> tuple[str, int]:
    nvml, answers = said["nvml"], said["answers"]
    rows = [
        ("node", f"{said['node']}, pid {said['pid']}, version {said['preflight']}, up {said['up_s']:.0f} s"),
        ("policy", said["policy"]["problem"] or said["policy"]["path"] or "the defaults"),
        ("NVML", _nvml(nvml)),
        ("passed", f"{answers['pass']} prologs and epilogs, of which {answers['not_taken']} did not wait for it"),
        ("one-shot", str(answers["one-shot"])),
        *(
            ("", f"{count} times: {why}")
            for why, count in sorted(said["one_shot_because"].items(), key=lambda one: -one[1])
        ),
        ("refused", f"{answers['refused']} clients that are not root, {answers['malformed']} malformed requests"),
        ("reports", f"{said['reports_waiting']} not on record yet"),
    ]
    if said["writer_stuck_s"] > 5:
        rows.append(("", f"writing them has been stuck for {said['writer_stuck_s']:.0f} s: is the spool's disk well?"))
    rows += [(name, _duty(one)) for name, one in said["upkeep"].items()]
    text = "".join(f"{name:<10}{value}\n" for name, value in rows)
    return text + "\nages in seconds\n" + _ages(said["ages_s"]), 0


def _duty(one: dict[str, Any]) -> str:
    """Return how one of the duties beside the answers goes, for one line."""
    if one["stuck_s"]:
        return f"pid {one['pid']} hangs: it should have ended {one['stuck_s']:.0f} s ago; no second one is started"
    if one["pid"]:
        return f"at work in pid {one['pid']} for {one['running_s']:.0f} s"
    words = []
    if one["last_s"] is not None:
        how = "done" if one["well"] else f"failed ({one['failures']} in a row)"
        words.append(f"{how} {one['last_s']:.0f} s ago" + (f": {one['text']}" if one["text"] else ""))
    if one["waits"]:
        words.append(f"waits: {one['waits']}")
    if one["next_s"] is not None:
        words.append(f"next in {one['next_s']:.0f} s")
    return "; ".join(words) or ("nothing to do yet" if one["on"] else "nothing to do")


def _nvml(nvml: dict[str, Any] | None) -> str:
    if nvml is None:
        return "not read here ([facts] live)"
    if nvml["released_s"]:
        return f"released for {nvml['released_s']:.0f} s more (--resume opens it)"
    if nvml["stuck_at"]:
        return f"stuck in {nvml['stuck_at']} for {nvml['stuck_s']:.0f} s, pid {nvml['pid']}"
    if nvml["signals_age_s"] is None:
        return "not read yet"
    return f"open in pid {nvml['pid']}, the GPUs looked at {nvml['signals_age_s']:.1f} s ago"


def _ages(ages: dict[str, float]) -> str:
    return "".join(f"  {name:<16}{age:9.1f}\n" for name, age in sorted(ages.items()))


def _facts(said: dict[str, Any]) -> tuple[str, int]:
    missing = "".join(f"not at hand: {why}\n" for why in said["missing"].values())
    return f"{json.dumps(said['document'], indent=2)}\n{missing}", 0


def _check(said: dict[str, Any]) -> tuple[str, int]:
    if said["verdict"] is None:
        return f"no verdict: {said['why']}; a prolog judges by itself now\n", EXIT["unknown"]
    bad = [one for one in said["findings"] if one["status"] not in ("pass", "skip")]
    lines = [f"  {one['status']:<8}{one['check']} {one['subject']}: {one['message']}\n" for one in bad]
    oldest = max(said["ages_s"].values(), default=0.0)
    return f"{said['verdict']}, on facts up to {oldest:.0f} s old\n{''.join(lines)}", EXIT[said["verdict"]]


def _metrics(said: dict[str, Any]) -> tuple[str, int]:
    return said["text"], 0


def _release(said: dict[str, Any]) -> tuple[str, int]:
    if not said["released"]:
        stuck = said["nvml"].get("stuck_at") or "a call"
        return f"NVML is still open: pid {said['nvml']['pid']} is in {stuck} and does not end\n", 1
    return f"NVML is closed for {said['seconds']:.0f} s; prologs judge by themselves meanwhile\n", 0


def _resume(said: dict[str, Any]) -> tuple[str, int]:
    return "NVML is opened again\n", 0


def _refresh(said: dict[str, Any]) -> tuple[str, int]:
    return "every fact is read anew; prologs judge by themselves until it has been\n", 0


PAGES = {
    "status": _status,
    "facts": _facts,
    "check": _check,
    "metrics": _metrics,
    "release": _release,
    "resume": _resume,
    "refresh": _refresh,
}
