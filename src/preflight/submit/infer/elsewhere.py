"""Commands that hand a text to a shell elsewhere: on another host, in a session that goes on by itself, in a terminal.

What the text asks is unread, as it is not known where it runs, or for how long; in a terminal of script's it runs here.
Sources: ssh(1), rsh(1), pdsh(1), clush(1), pssh(1), tmux(1), script(1), flock(1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from preflight.submit.infer import unknown
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import Session
from preflight.submit.infer.words import Word, arguments, names

_SSH = names("-B -b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -Q -R -S -W -w")
_PDSH = names("-w -x -l -t -u -f -R -M -g -X -P -K -O")
_CLUSH = names(
    "-w --hostfile --machinefile -x -g --group -X --pick -l --user -o --options -O --option -t --connect_timeout -u "
    "--command_timeout -R --worker -f --fanout -m --mode --topology --outdir --errdir --groupsconf --conf --maxrc "
    "--remote --tree -s --groupsource --gateway --dest --rcopy -c --copy"
)
_PSSH = names(
    "-h --hosts -H --host -l --user -p --par -o --outdir -e --errdir -t --timeout -O --option -x --extra-args"
)
_COPIES = ("-c", "--copy", "--rcopy")  # clush then copies files
_SESSIONS = ("new-session", "new", "new-window", "neww", "split-window", "splitw", "respawn-pane")
_TMUX_GLOBAL = names("-c -f -L -S -T")
_TMUX = names("-c -e -F -f -n -s -t -x -y -l -p")
_KEYS = ("Enter", "C-m", "C-j", "KPEnter", "Space", "Escape", "C-c", "C-d")
_SCRIPT = names("-c --command -I --log-in -O --log-out -B --log-io -T --log-timing -o --output-limit -E --echo -m")


def _text(session: Session, command: Command, words: Sequence[Word], doubt: str) -> None:
    """Read words as the text of a shell that knows nothing of this one's."""
    if not words:
        return
    text = Word(" ".join(word.text for word in words), words[0].line, None, True)
    if len(words) == 1:
        text = words[0]
    bare = command._replace(doubt=command.doubt or doubt, cwd=None, exported={}, environment=None)
    session.script(bare, text)


def _remote(valued: frozenset[str], hosts: int = 0) -> Callable[[Session, Command], Command | None]:
    """Return a reader for a program that runs a text on other hosts, behind ``hosts`` words that name one."""

    def read(session: Session, command: Command) -> Command | None:
        name = command.words[0].name
        given = arguments(command.words[1:], valued)
        rest = given.rest[hosts:]
        if command.stdin and not rest:
            session.collector.unread(command.words[0].line, f"the commands that {name} reads from {command.stdin}")
        elif not given.has(*_COPIES) and not unknown.explain(session, command):
            _text(session, command, rest, f"is run by {name} on other hosts")
        return None

    return read


def tmux(session: Session, command: Command) -> None:
    """`tmux new-session -d 'COMMAND'`, and what `tmux send-keys` types."""
    rest = arguments(command.words[1:], _TMUX_GLOBAL).rest
    action = rest[0].text if rest else ""
    words = arguments(rest[1:], _TMUX).rest
    if action in ("send-keys", "send"):
        words = tuple(word for word in words if word.text not in _KEYS)
    elif action not in _SESSIONS:
        return
    if not unknown.explain(session, command):
        _text(session, command, words, "is run by tmux, beside the script")


def script(session: Session, command: Command) -> None:
    """`script -c 'COMMAND' FILE`: it runs here, in a terminal of its own."""
    text = arguments(command.words[1:], _SCRIPT).value("-c", "--command")
    if text is not None:
        session.script(command, text)


def flock(session: Session, command: Command) -> Command | None:
    """`flock FILE COMMAND`, `flock FILE -c 'TEXT'`; with the number of a descriptor alone it starts nothing."""
    given = arguments(command.words[1:], names("-w --wait --timeout -E --conflict-exit-code"))
    rest = given.rest[1:]
    if given.has("-n", "--nb", "--nonblock", "-w", "--wait", "--timeout"):
        command = command._replace(doubt=command.doubt or "runs only if flock gets its lock")
    if rest and rest[0].text in ("-c", "--command"):
        if len(rest) > 1:
            session.script(command, rest[1])
        return None
    return command.rest(rest)


RULES: dict[str, Callable[[Session, Command], Command | None]] = {
    **dict.fromkeys(("ssh", "rsh", "remsh"), _remote(_SSH, 1)),
    **dict.fromkeys(("pdsh", "dsh"), _remote(_PDSH)),
    "clush": _remote(_CLUSH),
    **dict.fromkeys(("pssh", "parallel-ssh"), _remote(_PSSH)),
    "tmux": tmux,
    "script": script,
    "flock": flock,
}
