"""The text files of an installation, with its paths written in."""

from __future__ import annotations

import os
from typing import NamedTuple

from preflight import __version__
from preflight.agent.wire import longest_s
from preflight.deploy.layout import CLIENTS, HOOKS, Target
from preflight.policy.model import DEFAULT_PATH, Policy

PROGRAM = "/opt/preflight/bin/preflight"  # what cli_filter.lua calls where nothing says otherwise


class File(NamedTuple):
    """What is put into the prefix."""

    data: bytes
    mode: int = 0o755


def texts(source: str, target: Target, main: str, policy: Policy) -> dict[str, File]:
    """Return every text file of an installation whose package is run by ``main``: path below the prefix -> file.

    Those of the agent's client are among them, whether it is used or not.
    """
    found = {f"libexec/{name}": File(filled(_read(f"{source}/prolog/{name}"), target, main).encode()) for name in HOOKS}
    found["bin/preflight"] = File(wrapper(target, main).encode())
    values = {
        "@LIBEXEC@": target.libexec,
        "@RUN_DIR@": target.run_dir,
        "@VERSION@": __version__,
        "@WAIT_MS@": str(policy.agent.wait_ms),
        "@LONGEST_MS@": str(round(longest_s(policy.agent.wait_ms, policy.hook.deadline_s) * 1000)),
    }
    for name in CLIENTS.values():
        found[f"libexec/{name}"] = File(_with(_read(f"{source}/client/{name}"), values).encode())
    shared = {
        target.cli_filter: "slurm_plugin/cli_filter.lua",
        target.publish_unit: "site-config/preflight-publish.service",
        target.agent_unit: "site-config/preflight-agent.service",
        target.agent_publish_unit: "site-config/preflight-agent-publish.service",
    }
    values = {PROGRAM: target.program, "@PROGRAM@": target.program, "@RUN_DIR@": target.run_dir}
    for path, name in shared.items():
        found[os.path.relpath(path, target.prefix)] = File(_with(_read(f"{source}/{name}"), values).encode(), 0o644)
    return found


def wrapper(target: Target, main: str) -> str:
    """Return the command's script; a policy that is elsewhere is known to it, as it is to the hooks."""
    known = ""
    if target.config != DEFAULT_PATH:
        known = f"PREFLIGHT_CONFIG=${{PREFLIGHT_CONFIG:-{target.config}}}\nexport PREFLIGHT_CONFIG\n"
    return f'#!/bin/sh\n{known}exec {target.python} -I -S {main} "$@"\n'


def filled(text: str, target: Target, main: str) -> str:
    """Return a script of prolog/ with the paths written in."""
    values = {"@PYTHON@": target.python, "@MAIN@": main, "@CONFIG@": target.config, "@RUN_DIR@": target.run_dir}
    return _with(text, values)


def _with(text: str, values: dict[str, str]) -> str:
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
