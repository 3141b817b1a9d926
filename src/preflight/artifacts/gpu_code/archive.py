"""Archives of objects (ar): GNU's and BSD's names; the members of a thin one are other files."""

from collections.abc import Iterator

from preflight.artifacts.gpu_code.window import Budget, Damaged, Window
from preflight.digits import is_whole

MAGIC, THIN = b"!<arch>\n", b"!<thin>\n"
_HEADER = 60


def members(window: Window, budget: Budget) -> Iterator[tuple[str, Window]]:
    """Yield name and content of each member that is no index; raises Damaged where the archive is."""
    at = len(MAGIC)
    names = b""
    while at + _HEADER <= window.size:
        budget.spend()
        header = window.slice(at, _HEADER)
        size_text = header[48:58].strip()
        if header[58:] != b"`\n" or not is_whole(size_text, 10):
            raise Damaged("a member's header is damaged")
        size = int(size_text)
        name = header[:16].rstrip()
        place = at + _HEADER
        window.check(place, size)
        at = place + size + size % 2
        if name == b"//":
            names = window.slice(place, min(size, 1 << 20))
        elif name.startswith(b"#1/") and is_whole(name[3:], 4) and int(name[3:]) <= size:
            length = int(name[3:])
            yield _shown(window.slice(place, length)), Window(window.data, window.start + place + length, size - length)
        elif name not in (b"/", b"/SYM64/", b"__.SYMDEF"):
            if name.startswith(b"/") and is_whole(name[1:], 9):
                name = names[int(name[1:]) :].partition(b"\n")[0][:4096]
            yield _shown(name), Window(window.data, window.start + place, size)


def _shown(name: bytes) -> str:
    text = name.rstrip(b"\0 ").removesuffix(b"/").decode("utf-8", "replace")[:200]
    return "".join(letter if letter.isprintable() else "?" for letter in text)
