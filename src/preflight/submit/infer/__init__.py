"""What a batch script says that it needs, each need with its line and evidence; docs/inference.md holds the rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from preflight.facts.rootfs import Root
from preflight.submit.infer import (
    compat,
    containers,
    elsewhere,
    engines,
    environments,
    gpus,
    launch,
    managers,
    modules,
    pythons,
    runtimes,
    trees,
    unknown,
    uses,
    wrappers,
)
from preflight.submit.infer.model import Active, Collector, Command, Inference, Inferred, Noted, Unread
from preflight.submit.infer.session import Rule, Session
from preflight.submit.infer.words import Word
from preflight.submit.options import Option
from preflight.submit.options_asked import Component

__all__ = ["Inference", "Inferred", "Noted", "Unread", "infer"]

MAX_SCRIPT = 4 << 20  # as slurmctld's default max_script_size
_SHELLS = ("sh", "bash", "dash", "ash", "ksh", "mksh", "zsh")
_FOREIGN = ("csh", "tcsh", "fish", "elvish", "xonsh", "nu", "pwsh")  # shells too: they load modules, start containers
# These are of the node: in a container they would be the image's.
_OUTSIDE: dict[str, Rule] = {
    "module": uses.modules(modules.module),
    "ml": uses.modules(modules.ml),
    "spack": engines.further(modules.spack),
    **dict.fromkeys(("source", "."), pythons.source),
    "eval": pythons.evaluate,
    **dict.fromkeys(("conda", "mamba", "micromamba"), engines.further(managers.conda)),
    "uv": engines.further(managers.uv),
    "poetry": engines.further(managers.poetry),
    "pixi": engines.further(managers.pixi),
    **dict.fromkeys(("apptainer", "singularity"), uses.container(unknown.acts(containers.apptainer))),
    **dict.fromkeys(("docker", "podman"), uses.container(engines.further(containers.docker))),
    "podman-hpc": uses.container(unknown.acts(containers.docker)),
    "enroot": uses.container(unknown.acts(containers.enroot)),
    "shifter": uses.container(runtimes.shifter),
    "sarus": uses.container(unknown.acts(runtimes.sarus)),
    "ch-run": uses.container(runtimes.ch_run),
    "uenv": uses.container(unknown.acts(runtimes.uenv)),
    **engines.RULES,
    **elsewhere.RULES,
    **wrappers.WRAPPERS,
    **dict.fromkeys(
        ("udocker", "nerdctl", "nvidia-docker", "runc", "crun", "bwrap", "proot"), uses.container(runtimes.other)
    ),
}
_RULES: dict[str, Rule] = {**launch.LAUNCHERS, **_OUTSIDE, "torchrun": pythons.torchrun}


def infer(
    text: str,
    asked: Sequence[Component],
    *,
    environment: Mapping[str, str],
    cwd: str,
    home: str,
    root: str = "/",
) -> Inference:
    """Return what the script ``text`` says that it needs.

    ``asked``: the job's components, of `preflight.submit.script.read`; the script runs in the first. ``environment``:
    the user's, at submit; ``cwd`` and ``home`` are absolute. Files are looked at beneath ``root``, as the calling user.
    Raises OptionError for options that sbatch refuses too; nothing in the script or in files makes it fail.
    """
    # bash takes NULs out; a surrogate is what the file's reader made of a byte that is no UTF-8.
    text = text.replace("\r\n", "\n").replace("\0", "").encode("utf-8", "replace").decode()
    collector = Collector(text.split("\n"), gpus.wanted(asked, cwd))
    gpus.counts(collector, asked, cwd)
    first = asked[0].options if asked else {}
    session = Session(collector, Root(root, live=False), environment, home, _RULES, frozenset(_OUTSIDE), engines.other)
    session.directory = cwd
    exports = (one.options["export"].value or "" for one in asked if "export" in one.options)
    session.text = "\n".join((text, *exports))
    directory = first.get("chdir")
    start = directory.value if directory is not None and directory.value else cwd
    start = start if start.startswith("/") else f"{cwd.rstrip('/')}/{start}"
    handed_on = first.get("export")
    submitted = environments.at_submit(environment)
    if submitted and (handed_on is None or not handed_on.value or handed_on.value.upper().startswith("ALL")):
        session.submitted = Active(submitted, False)
    command = Command((Word("sbatch", 1),), "", False, cwd, {})
    inside = _of_options(session, command, first)
    for other in asked[1:]:
        for name in ("container-image", "image", "uenv", "environment", "container"):
            option = other.options.get(name)
            if option is not None and option != first.get(name):
                collector.unread(option.line, f"{option.text}: of a component in which the script itself does not run")
    program = _interpreter(text)
    if len(text) > MAX_SCRIPT:
        collector.unread(1, f"the script is longer than {MAX_SCRIPT >> 20} MiB and is not read")
    elif program is not None:
        pythons.shebang(session, command, program)
        name = program.rpartition("/")[2]
        say = collector.unread if name in _FOREIGN else collector.note
        say(1, f"the script is no shell script ({name}): only its options are read")
    elif not session.parses():
        collector.unread(1, "the script is not read: the Python package tree-sitter or tree-sitter-bash is missing")
    else:
        given = {"HOME": home, "SLURM_SUBMIT_DIR": cwd, "PWD": start}
        if re.match(r"#![^\n]*\s(?:--login\b|-[a-z]*l)", text):
            trees.login(session)
        user = environment.get("USER") or environment.get("LOGNAME")
        session.read(text, given | ({"USER": user} if user else {}), start, inside=inside)
    uses.settle(session)
    compat.settle(session)
    return collector.result()


def _of_options(session: Session, command: Command, options: Mapping[str, Option]) -> bool:
    """Add what sbatch's options for containers need; return whether the script itself runs in one."""
    given = {name: Word(option.value, option.line) for name, option in options.items() if option.value}
    session.shifter = {name: given[name].text for name in ("image", "module") if name in given}
    if "container-image" in given:
        containers.pyxis(session, command, given["container-image"])
    if "container-name" in given:
        launch.named(session, command, given["container-name"], "container-image" in given)
    if "image" in given:
        session.need(command, "container=shifter", given["image"].line, "--image is an option of Shifter's plugin")
    if "uenv" in given:
        runtimes.mounted(session, command, given["uenv"], given["uenv"].line)
    if "environment" in given:
        runtimes.environment(session, command, given["environment"])
    if "container" in given:
        session.collector.unread(given["container"].line, "an OCI bundle (--container), which is not read")
    return not {"container-image", "container-name", "environment", "container"}.isdisjoint(options)


def _interpreter(text: str) -> str | None:
    """Return the interpreter of a script that is not for a POSIX shell, None for one that is, or that names none."""
    found = re.match(r"#![ \t]*(\S+)[ \t]*([^\n]*)", text)
    if found is None:
        return None
    path = found[1]
    if path.rpartition("/")[2] == "env":
        words = [word for word in found[2].split() if not word.startswith("-") and "=" not in word]
        path = words[0] if words else path
    return None if path.rpartition("/")[2] in _SHELLS else path
