"""One version everywhere: the scripts, the installed package, this command, and an interpreter that runs it."""

import os
import re
from collections.abc import Iterator

from preflight import __version__
from preflight.deploy.doctor.host import NODE, Host
from preflight.deploy.doctor.places import others_may_change
from preflight.deploy.doctor.processes import run
from preflight.deploy.doctor.result import Result, ok, skip, warn, wrong
from preflight.deploy.layout import HOOKS, OLDEST
from preflight.deploy.versions import bundle_fault, read
from preflight.digits import is_whole
from preflight.files import read_plain

VERSION = re.compile(r"^__version__ = [\"']([^\"']+)[\"']", re.MULTILINE)
ASK = "import sys; print(*sys.version_info[:3]); print(sys.implementation.cache_tag)"
LIMIT_S = 10.0


def look(host: Host) -> Iterator[Result]:
    """Yield the results for versions of package and Python; nothing where the hooks are not run."""
    if not host.installed or not host.has(NODE):
        return
    again = host.again
    missing = [name for name in HOOKS if name not in host.scripts]
    if missing:
        text = f"no script of Preflight's: {', '.join(missing)}"
        yield wrong("scripts", text, host.target.libexec, again)
    mains = {script.main for script in host.scripts.values()}
    if len(mains) > 1:
        text = "they call different versions: an installation was cut off"
        yield wrong("scripts", text, host.target.libexec, again)
    for main in sorted(mains):
        yield _package(os.path.dirname(main), again)
    if host.target.python and host.root and others_may_change(host):
        yield skip("python", "not run by root, since others may change what it runs: see Files")
    elif host.target.python:
        yield from _python(host, again)


def _package(directory: str, again: str) -> Result:
    try:
        found = VERSION.search(read_plain(f"{directory}/__init__.py", 1 << 16).decode(errors="replace"))
    except OSError as error:
        return wrong("version", f"the hooks' package cannot be read: {error.strerror}", directory, again)
    version = found[1] if found else "?"
    if version != __version__:
        text = f"the hooks run {version}, this command is {__version__}"
        return warn("version", text, directory, f"{again} with the one you want, or call PREFIX/bin/preflight doctor")
    place = os.path.dirname(os.path.dirname(directory))
    manifest = read(place)
    try:
        fault = bundle_fault(place, manifest) if manifest else ""
    except OSError as error:
        fault = f"{error.filename}: {error.strerror}"
    if fault:
        return warn("version", f"{version}, and {fault}: each hook takes longer", directory, again)
    return ok("version", version, directory)


def _python(host: Host, again: str) -> Iterator[Result]:
    python = host.target.python
    ended = run([python, "-I", "-S", "-c", ASK], {}, LIMIT_S)
    if not ended.well:
        text = f"it does not run ({ended.why()}): no job is checked, and all run"
        yield wrong("python", text, python, f"{again} --python PATH, where PATH is a Python of this node")
        return
    numbers, tag = [*ended.output.splitlines(), "", ""][:2]
    version = tuple(int(part) for part in numbers.split() if is_whole(part))
    named = ".".join(numbers.split())
    if version < OLDEST:
        yield wrong("python", f"{named}: needs 3.9 or later", python, f"{again} --python PATH")
        return
    yield ok("python", named, python)
    main = next(iter(host.scripts.values())).main
    compiled = f"{os.path.dirname(main)}/hooks/__pycache__/main.{tag}.pyc"
    if not os.path.exists(compiled):
        text = f"the package is not compiled for Python {named}: each hook takes longer; was Python upgraded?"
        yield warn("python", text, os.path.dirname(main), again)
