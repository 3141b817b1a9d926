"""Text that came from elsewhere, made fit for a message: printable ASCII, and short."""


def safe(text: object, limit: int = 80) -> str:
    """Return ``text`` with everything but printable ASCII escaped, cut to ``limit`` characters."""
    shown = str(text)[: limit + 1]
    if not (shown.isascii() and shown.isprintable()):
        shown = "".join(map(escaped, shown))
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def escaped(char: str) -> str:
    r"""Return one character as it may be printed: itself, or \xNN, \uNNNN, \UNNNNNNNN."""
    return char if " " <= char <= "~" else ascii(char)[1:-1]


def window(text: str, position: int, width: int = 78) -> tuple[str, int]:
    """Return the part of ``text`` around ``position`` that fits ``width`` columns, escaped, and the caret's column."""
    position = min(position, len(text))
    start = end = position
    room = width - len("......")
    # Grow to both sides by turns, so that the caret stands in the middle of a long text.
    growing = True
    while growing:
        growing = False
        if end < len(text) and len(escaped(text[end])) <= room:
            room -= len(escaped(text[end]))
            end += 1
            growing = True
        if start > 0 and len(escaped(text[start - 1])) <= room:
            start -= 1
            room -= len(escaped(text[start]))
            growing = True
    before = "..." * (start > 0) + "".join(escaped(char) for char in text[start:position])
    after = "".join(escaped(char) for char in text[position:end]) + "..." * (end < len(text))
    return before + after, len(before)
