"""`preflight code`: which GPUs the code inside a file, a wheel or an environment runs on."""

from __future__ import annotations

import json
from typing import Any

import click

from preflight.artifacts.gpu_code import CodeError
from preflight.artifacts.gpu_code.kept import kept_survey
from preflight.artifacts.gpu_code.runs import gpu
from preflight.artifacts.gpu_code.survey import Survey
from preflight.catalog import gpus, versions
from preflight.catalog.targets import TEGRA
from preflight.cli import completion
from preflight.cli.code_answer import Question, answers, fits
from preflight.cli.code_document import document
from preflight.cli.code_page import page
from preflight.cli.common import config_option, fail, policy_for, write_out
from preflight.report.clean import clean, clean_tree
from preflight.submit.image.code import is_image, survey_image


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, shell_complete=completion.files)
@click.option("--gpu", "names", metavar="NAME", multiple=True, help="Ask for a GPU: h100, a100, 9.0; may be repeated.")
@click.option("--driver", metavar="VERSION", help="With this NVIDIA driver, such as 550.54.15.")
@click.option("--nodes", is_flag=True, help="Ask for this cluster's nodes, as they have published their GPUs.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print an object, format preflight.code/1.")
def code(
    paths: tuple[str, ...],
    names: tuple[str, ...],
    driver: str | None,
    nodes: bool,
    config: str | None,
    as_json: bool,
) -> None:
    """Say which GPUs code runs on, by package, and what it asks of the system.

    PATH is a program, a library, an object, an archive, a cubin, a fatbin, PTX, a wheel, a directory, a Python or
    conda environment, or a container image (squashfs, SIF, OCI layout, docker save; PATH:TAG of several). It is read
    as you; nothing in it is run, loaded or imported.

    With --gpu or --nodes it exits with 0 where all of the code runs there, with 3 where some does not, or cannot be
    told, as of nodes that have not published their GPUs.
    """
    if driver is not None and not 1 <= len(versions.parse(driver)) <= 4:
        fail(f"--driver {clean(driver, 40)} is no version; write one such as 550.54.15")
    asked = [question(name, driver) for name in names]
    notes: list[str] = []
    if nodes:
        from preflight.cli.code_nodes import read

        more, notes = read(policy_for(config))
        asked += more
        for note in notes:
            click.echo(f"preflight: {note}", err=True)
    found: list[Survey] = []
    for path in paths:
        try:
            found.append(survey_image(path) if is_image(path) else kept_survey(path))
        except CodeError as error:
            fail(clean(str(error), 1000))
    answered = [answers(one, asked) for one in found]
    if as_json:
        value: dict[str, Any] = {
            "format": "preflight.code/1",
            "places": [document(one, each, driver) for one, each in zip(found, answered)],
            "notes": notes,
        }
        write_out(json.dumps(clean_tree(value, 4096), indent=2))
    else:
        pages = ["\n".join(page(one, each, driver)) for one, each in zip(found, answered)]
        write_out("\n\n".join(pages))
    if nodes and not asked:
        fail("--nodes: no node has published its GPUs")
    if asked and (notes or not all(fits(each) for each in answered)):
        raise SystemExit(3)


def question(name: str, driver: str | None) -> Question:
    """Return what is asked of a GPU by its name or its compute capability; ends with exit code 2 where it is none."""
    capability, machine = gpus.capability_of(name), ""
    shown = name
    if capability is None:
        known = gpus.look_up(clean(name, 80))
        if known.capability is None:
            why = gpus.with_toolkit(known, "12.4").why if any(map(str.isalnum, name)) else "it names no GPU"
            fail(f"--gpu {clean(name, 40)}: {clean(why, 200)}; write a product (h100) or a compute capability (9.0)")
        capability, shown = known.capability, known.model or name.upper()
        machine = "aarch64" if known.kind in gpus.ARM_HOSTS else ""
    if gpu(capability).sm in TEGRA:  # Jetson and DRIVE
        machine = "aarch64"
    return Question(clean(shown, 40), capability, driver, gpu(capability, driver), machine)
