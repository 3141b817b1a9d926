"""`preflight report`: one job's report, all its nodes, runs and phases merged."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable

import click

from preflight.cli import completion
from preflight.cli.report_store import store_url, with_store
from preflight.policy.load import PolicyError, load_policy
from preflight.report.clean import clean
from preflight.report.find import ReportPlaces, Wanted, find, parse_job
from preflight.report.found import Found, Keep, with_copies

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.report.view import View

FORMATS = ("text", "html", "json", "markdown")
ASK_S = 4.0  # for Slurm in all: the report is there without its answer


@click.command()
@click.argument("jobid", shell_complete=completion.jobs)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", help="What to write; text by default.")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of the terminal.")
@click.option("--config", metavar="FILE", help="The site's policy, where it is not /etc/preflight/preflight.toml.")
def report(jobid: str, form: str, output: str | None, config: str | None) -> None:
    """Show what was checked, found and done for job JOBID (123, or 123_4 for task 4 of an array).

    Exits with 0, or with 2 where there is no report or something is mistaken.
    """
    try:
        wanted = parse_job(jobid)
        places = _places(config)
    except ValueError as error:
        raise _stop(str(error)) from None
    if form == "json":
        from preflight.report.aside import Aside, document

        aside = Aside()
        try:
            found = _found(places, wanted, aside.keep)
        except OSError as error:
            raise _stop(f"{error.strerror} where temporary files go; set TMPDIR to a place with room") from None
        _write(document(str(wanted), found.entries, aside, found.notes), output)
        return
    from preflight.report.condense import Condenser

    condenser = Condenser()
    found = _found(places, wanted, lambda report, _: condenser.condense(report))
    _write([_rendered(found, wanted, form, config)], output)


def _found(places: ReportPlaces, wanted: Wanted, keep: Keep) -> Found:
    """Return the job's reports, with what is left out said on stderr; exits with 2 where there is none."""
    found = find(places, wanted, keep=keep)
    if url := store_url(places.store):
        found = with_store(found, wanted, url, keep)
    found = _as_owners(found, places, wanted, keep)
    for note in found.notes:
        click.echo(f"preflight report: {note}", err=True)
    if not found.entries:
        raise _stop(_nothing(found, wanted))
    return found


def _rendered(found: Found, wanted: Wanted, form: str, config: str | None) -> str:
    from preflight.report.merge import view_of
    from preflight.report.render import render

    view = view_of(str(wanted), found.reports)
    return render(_with_ending(view, wanted, config), form)


def _with_ending(view: View, wanted: Wanted, config: str | None) -> View:
    """Return the view with the job's name, state and run time, where this host has a Slurm that knows them."""
    from preflight.deploy.doctor.conf import conf_path
    from preflight.slurm.accounting import ending
    from preflight.slurm.commands import Slurm

    hook = load_policy(config).hook
    conf = conf_path(hook.slurm_conf or os.environ.get("SLURM_CONF", ""))
    if not conf:  # without a slurm.conf its commands look for one in DNS
        return view
    known = ending(Slurm(hook.slurm_bin, conf, time.monotonic() + ASK_S, each_s=ASK_S / 2), str(wanted))
    if known is None:
        return view
    state = known.state.lower().replace("_", " ")
    ended = f"{state}, {known.exit}" if known.exit else state
    return view._replace(name=clean(known.name, 80), ended=clean(ended), ran=_span(known.seconds))


def _span(seconds: int | None) -> str:
    """Return a time as Slurm writes it, 1-02:03:04."""
    if seconds is None:
        return ""
    days, rest = divmod(seconds, 86400)
    return f"{f'{days}-' if days else ''}{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"


def _as_owners(found: Found, places: ReportPlaces, wanted: Wanted, keep: Keep) -> Found:
    """Return what was found, for root with what the job's user can read: by a child that has become that user."""
    if not found.owners:
        return found
    from preflight.report.as_owner import read_as

    read = {uid: read_as(uid, places, wanted, keep) for uid in found.owners}
    more = with_copies(found, [entry for copies in read.values() for entry in copies.entries])
    notes = more.notes
    added = len(more.entries) - len(found.entries)
    if added:
        notes = [note for note in notes if "users' copies" not in note]
        whose = ", ".join(map(_user, found.owners))
        notes.append(f"{added} of the reports are read as {whose}, from copies that this user may have changed")
    for uid in (uid for uid, copies in read.items() if copies.cut):
        run = f"sudo -u {_user(uid)} preflight report {wanted}"
        notes.append(f"not all copies of {_user(uid)} were read, they are too many or their place is slow: {run}")
    return more._replace(notes=notes)


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _places(config: str | None) -> ReportPlaces:
    try:
        policy = load_policy(config)
    except PolicyError as error:
        more = f" (and {len(error.lines) - 1} more: preflight config check)" if len(error.lines) > 1 else ""
        raise ValueError(f"{error.lines[0]}{more}") from error
    return ReportPlaces(policy.report.spool, policy.report.dir, policy.report.search, policy.report.store)


def _nothing(found: Found, wanted: Wanted) -> str:
    """Return why there is nothing to show, and what to do about it."""
    if not found.looked:
        return "nowhere to look for reports: set [report] dir or search in preflight.toml, or name it with --config"
    looked = ", ".join(found.looked[:5]) + (f" and {len(found.looked) - 5} more" if len(found.looked) > 5 else "")
    if wanted.task is not None:
        return (
            f"no report of job {wanted} in {looked}; reports carry job ids: "
            f"take the one that sacct -X -n -o JobIDRaw -j {wanted} prints"
        )
    return f"no report of job {wanted} in {looked}; has it started, and is it your job? (preflight why {wanted})"


def _write(texts: Iterable[str], output: str | None) -> None:
    """Write what belongs together, piece by piece; exits with 2 where a file cannot be written."""
    if output is None or output == "-":
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        for text in texts:
            click.echo(text.encode(encoding, "backslashreplace").decode(encoding), nl=False)
        return
    try:
        with open(output, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(texts)
    except OSError as error:
        raise _stop(f"{output}: cannot be written: {error.strerror}; name another file with -o") from None


def _stop(line: str) -> SystemExit:
    click.echo(f"preflight report: {line}", err=True)
    return SystemExit(2)
