"""Commands that hand a text to a shell elsewhere: on another host, in a session that goes on by itself, in a terminal.

What the text asks is unread, as it is not known where it runs, or for how long; in a terminal of script's it runs here.
Sources: ssh(1), rsh(1), pdsh(1), clush(1), pssh(1), tmux(1), script(1), flock(1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from preflight.digits import is_whole
from preflight.submit.infer import programs, unknown
from preflight.submit.infer.launch import UNCLEAR
from preflight.submit.infer.model import Command
from preflight.submit.infer.session import Session
from preflight.submit.infer.words import Arguments, Word, arguments, names, permuted

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
_COMMAND = re.compile(r"-[A-Za-z]*c$|--com")
_FLOCK = names("-w --wait --timeout -E --conflict-exit-code")
_PERHAPS = "is run by script only where that takes a command behind its file"


def _text(session: Session, command: Command, words: Sequence[Word], doubt: str) -> None:
    """Read words as the text of a shell that knows nothing of this one's."""
    if not words:
        return
    text = Word(" ".join(word.text for word in words), words[0].line, None, True)
    if len(words) == 1:
        text = words[0]
    bare = command._replace(doubt=command.doubt or doubt, cwd=None, exported={}, environment=None)
    session.script(bare, text)


def _behind(given: Arguments, operands: int) -> list[tuple[Word, ...]]:
    """Return what may be the command behind a number of operands: where a word among the options may be one of them
    or hold several words, it is that or options, if the next word says no more."""
    if not given.vague or given.vague > operands:
        return [given.rest[operands if given.clear else 0 :]]
    surely = programs.known(given.rest[0].name) if given.rest else True
    return [given.rest[skipped:] for skipped in range(1 if surely else operands + 1)]


def _remote(valued: frozenset[str], hosts: int = 0) -> Callable[[Session, Command], Command | None]:
    """Return a reader for a program that runs a text on other hosts, behind ``hosts`` words that name one."""

    def read(session: Session, command: Command) -> Command | None:
        name, line = command.words[0].name, command.words[0].line
        given = arguments(command.words[1:], valued)
        if hosts and given.clear and given.rest:  # options may follow the host
            further = arguments(given.rest[hosts:], valued)
            given = Arguments(given.options, (*given.rest[:hosts], *further.rest), 0)
            if further.vague:
                session.unresolved(command, line)
        if given.vague > hosts:
            session.unresolved(command, line)
        found = [one for one in _behind(given, hosts) if one]
        if command.stdin and not found:
            session.collector.unread(line, f"the commands that {name} reads from {command.stdin}")
        elif not given.has(*_COPIES) and not unknown.explain(session, command):
            for one in found:
                _text(session, command, one, f"is run by {name} on other hosts")
        return None

    return read


def tmux(session: Session, command: Command) -> None:
    """`tmux new-session -d 'COMMAND'`, and what `tmux send-keys` types."""
    rest = arguments(command.words[1:], _TMUX_GLOBAL).rest
    action = rest[0].text if rest else ""
    given = arguments(rest[1:], _TMUX)
    words = given.rest
    if action in ("send-keys", "send"):
        words = tuple(word for word in words if word.text not in _KEYS)
    elif action not in _SESSIONS:
        return
    if not given.clear:
        session.unresolved(command, command.words[0].line)
    if not unknown.explain(session, command):
        _text(session, command, words, "is run by tmux, beside the script")


def script(session: Session, command: Command) -> Command | None:
    """`script FILE -c 'COMMAND'`: it runs here, in a terminal of its own. Options may follow the file."""
    words = command.words[1:]
    given = permuted(words, _SCRIPT)
    text = given.value("-c", "--command")
    if text is not None:
        session.script(command, text)
    elif not given.clear or any(_COMMAND.match(word.text) for word in words):
        session.unresolved(command, command.words[0].line)
    elif len(given.rest) > 1:  # of BSD's, and of util-linux' from 2.41 on
        return command._replace(doubt=command.doubt or _PERHAPS).rest(given.rest[1:])
    return None


def flock(session: Session, command: Command) -> Command | None:
    """`flock FILE COMMAND`, `flock FILE -c 'TEXT'`; with the number of a descriptor alone it starts nothing."""
    given = arguments(command.words[1:], _FLOCK)
    if given.has("-n", "--nb", "--nonblock", "-w", "--wait", "--timeout"):
        command = command._replace(doubt=command.doubt or "runs only if flock gets its lock")
    if given.vague > 1:
        session.unresolved(command, command.words[0].line)
    if given.has("-c", "--command") and given.rest:  # behind a file that is computed
        session.script(command._replace(doubt=command.doubt or UNCLEAR), given.rest[0])
        return None
    for words in _behind(given, 1):
        own = command if given.clear else command._replace(doubt=command.doubt or UNCLEAR)
        if len(words) > 1 and words[0].text in ("-c", "--command"):
            session.script(own, words[1])
        elif words and not words[0].text.startswith("-") and (len(words) > 1 or not is_whole(words[0].text)):
            session.run(own._replace(words=words))
    return None


RULES: dict[str, Callable[[Session, Command], Command | None]] = {
    **dict.fromkeys(("ssh", "rsh", "remsh"), _remote(_SSH, 1)),
    **dict.fromkeys(("pdsh", "dsh"), _remote(_PDSH)),
    "clush": _remote(_CLUSH),
    **dict.fromkeys(("pssh", "parallel-ssh"), _remote(_PSSH)),
    "tmux": unknown.acts(tmux),
    "script": script,
    "flock": flock,
}
