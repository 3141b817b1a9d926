"""The requirement language: text to a Requirement and back, and to and from JSON.

    requirement := clause ("," clause)*            every clause must hold
    clause      := predicate ("|" predicate)*      one of them must hold
    predicate   := ["!"] name [op value]
    op          := "=" | "==" | "!=" | ">=" | ">" | "<=" | "<" | "~="
    name        := letter (letter | digit | "_" | "." | "-")*
    value       := text up to "," or "|", trimmed, or "quoted" with \\" and \\\\
"""

from __future__ import annotations

from preflight.requirements import hints, names
from preflight.requirements.row import Row
from preflight.requirements.text import safe, window
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

MAX_LENGTH = 4096
MAX_PREDICATES = 64

# Longest first: ">=" before ">".
_OPERATORS = ("==", "!=", ">=", "<=", "~=", "=", ">", "<")


class RequirementError(ValueError):
    """A mistake in a requirement: ``message`` (one line), and ``position`` (0-based) in ``text``.

    str() gives the message, the text around the position, and a caret under it; all of it is printable ASCII,
    and the text fits 80 columns.
    """

    def __init__(self, message: str, text: str, position: int) -> None:
        super().__init__(message, text, position)
        self.message = message
        self.text = text
        self.position = position

    def __str__(self) -> str:
        if not self.text.strip():
            return self.message
        shown, column = window(self.text, self.position)
        return f"{self.message}\n  {shown}\n  {' ' * column}^"


class Predicate(NamedTuple):
    """One comparison. ``op`` is canonical ("=" for "=="); op and value are None for a bare name."""

    name: str
    op: str | None
    value: str | None
    negated: bool

    def text(self) -> str:
        """Return the predicate as it may be written."""
        sign = "!" if self.negated else ""
        return f"{sign}{self.name}{self.op or ''}{'' if self.value is None else quoted(self.value)}"


class Clause(NamedTuple):
    """Predicates of which one must hold; ``text`` as it was written."""

    predicates: tuple[Predicate, ...]
    text: str


class Requirement(NamedTuple):
    """Clauses that must all hold."""

    clauses: tuple[Clause, ...]

    def text(self) -> str:
        """Return the requirement as text; parsing it gives an equal requirement."""
        return ", ".join(clause.text for clause in self.clauses)


def quoted(value: str) -> str:
    """Return a value as it may be written: in quotes where the grammar needs them."""
    if value and all(char.isalnum() or char in "._-/+:@%" for char in value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse(text: str) -> Requirement:
    """Return the requirement that ``text`` states; raise RequirementError where it is mistaken."""
    return _Parser(text).requirement()


class _Parser:
    """Reads one text from left to right; ``at`` is the position."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.predicates = 0

    def error(self, message: str, position: int | None = None) -> RequirementError:
        return RequirementError(message, self.text, self.at if position is None else position)

    def requirement(self) -> Requirement:
        if len(self.text) > MAX_LENGTH:
            raise self.error(f"the requirement is longer than {MAX_LENGTH} characters", MAX_LENGTH)
        for position, char in enumerate(self.text):
            if not char.isprintable():
                raise self.error("a control or invisible character is not allowed: retype the text here", position)
        if not self.text.strip():
            raise self.error('the requirement is empty: write a clause such as "cuda>=12.4"', 0)
        clauses = [self.clause()]
        while self.take(","):
            clauses.append(self.clause())
        return Requirement(tuple(clauses))

    def clause(self) -> Clause:
        self.blanks()
        start = self.at
        predicates = [self.predicate()]
        while self.take("|"):
            predicates.append(self.predicate())
        return Clause(tuple(predicates), self.text[start : self.at].strip())

    def predicate(self) -> Predicate:
        self.blanks()
        if self.at >= len(self.text) or self.text[self.at] in ",|":
            raise self.error("a clause is empty here: remove the separator or write a clause such as cuda>=12.4")
        self.predicates += 1
        if self.predicates > MAX_PREDICATES:
            raise self.error(f"the requirement has more than {MAX_PREDICATES} comparisons")
        negated = self.take("!")
        self.blanks()
        row, name = self.name()
        self.blanks()
        start = self.at
        op = self.operator()
        if op is None:
            self.end_of_bare(row, name)
            return Predicate(name, None, None, negated)
        if op == "!=" and negated:
            raise self.error(f'"!" before "!=" says no twice: write {name}= to ask for it', start)
        if op not in row.kind.operators:
            raise self.error(f"{name}{op}: {row.kind.operator_error(op)}", start)
        return Predicate(name, op, self.value(row, name, op, start), negated)

    def name(self) -> tuple[Row, str]:
        start = self.at
        if not (self.at < len(self.text) and _is_letter(self.text[self.at])):
            raise self.error("a name is expected here, such as cuda, ubuntu or gpu.count")
        while self.at < len(self.text) and (_is_letter(self.text[self.at]) or self.text[self.at] in "0123456789_.-"):
            self.at += 1
        name = self.text[start : self.at]
        row = names.find(name)
        if row is None:
            raise self.error(f'unknown name "{safe(name, 40)}": {self.hint(name)}', start)
        return row, name

    def hint(self, name: str) -> str:
        """Say what an unknown name, read just now, is likely to mean."""
        bare = self.text[self.at :].lstrip(" ")[:1] in ("", ",", "|")
        clause = hints.clause(name) if bare else None
        if clause:
            return f"write {clause}"
        close = names.nearest(name)
        return f'did you mean "{close}"?' if close else "see 'preflight require --help' for the names"

    def operator(self) -> str | None:
        for op in _OPERATORS:
            if self.text.startswith(op, self.at):
                self.at += len(op)
                return "=" if op == "==" else op
        return None

    def end_of_bare(self, row: Row, name: str) -> None:
        """Check that a bare name may stand so, and that the clause ends after it."""
        if self.at < len(self.text) and self.text[self.at] not in ",|":
            if not row.kind.operators:
                raise self.error(f'"," or "|" is expected after {name}')
            raise self.error(f"an operator is expected after {name}: {' '.join(row.kind.operators)}")
        if not row.kind.bare:
            raise self.error(
                f"{name} needs an operator and {row.kind.value_help}; in a shell, quote the requirement: "
                f'--require="{row.example}" (unquoted, ">" makes a file and the job asks only for {name})',
                self.at - 1 if self.at == len(self.text) else self.at,
            )

    def value(self, row: Row, name: str, op: str, operator_at: int) -> str:
        self.blanks()
        start = self.at
        value = self.quoted_value() if self.text.startswith('"', self.at) else self.plain_value(row)
        if not value:
            raise self.error(f"a value is missing after {name}{op}: {row.kind.value_help}", start)
        try:
            asked = row.kind.parse(value)
        except ValueError as error:
            raise self.error(f'{name}: "{safe(value, 40)}" {error}', start) from None
        try:
            row.kind.check(op, asked)
        except ValueError as error:
            raise self.error(f"{name}: {error}", operator_at) from None
        return value

    def plain_value(self, row: Row) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in ",|":
            self.at += 1
        value = self.text[start : self.at].strip(" ")
        if value[:1] in ("=", "<", ">"):
            raise self.error("an operator ends here: use one of = != >= > <= < ~=, or quote the value", start)
        self.missing_comma(value, start)
        if not row.kind.any_words:
            self.name_behind(value, start)
        self.stray_letter(value, start)
        return value

    def stray_letter(self, value: str, start: int) -> None:
        """Refuse "gpu=h100 x": of all GPUs only a Titan's name ends with a letter alone; quote it if yours does."""
        words = value.split(" ")
        if len(words) > 1 and len(words[-1]) == 1 and words[-1].isalpha() and words[-2].casefold() != "titan":
            at = start + len(value) - 1
            raise self.error(f'"," or "|" is missing before {words[-1]}; quote a value that holds it', at)

    def name_behind(self, value: str, start: int) -> None:
        """Refuse "gpu=h100 nvlink": no GPU's name, module or runtime holds such a word; a directory's may."""
        words = value.split(" ")
        place = hints.forgotten(words)
        if place is not None:
            at = start + len(" ".join(words[:place])) + 1
            raise self.error(f'"," or "|" is missing before {words[place]}; quote a value that holds it', at)

    def missing_comma(self, value: str, start: int) -> None:
        """Refuse "gpu=h100 driver>=550": to the letter, that GPU is on no node, and the job would wait forever."""
        offset = 0
        for word in value.split(" ")[:-1]:
            offset += len(word) + 1
            rest = value[offset:].lstrip("!")
            end = 0
            while end < len(rest) and (_is_letter(rest[end]) or rest[end] in "0123456789_.-"):
                end += 1
            if names.find(rest[:end]) and rest[end:].lstrip(" ").startswith(_OPERATORS):
                raise self.error(
                    f'"," or "|" is missing before {rest[:end]}; quote a value that holds it', start + offset
                )

    def quoted_value(self) -> str:
        opening = self.at
        self.at += 1
        chars: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == '"':
                self.at += 1
                self.blanks()
                if self.at < len(self.text) and self.text[self.at] not in ",|":
                    raise self.error('"," or "|" is expected after a quoted value')
                return "".join(chars)
            if char == "\\":
                self.at += 1
                char = self.text[self.at : self.at + 1]
                if char not in ('"', "\\"):
                    raise self.error('in quotes, a backslash stands before " or \\ only', self.at - 1)
            chars.append(char)
            self.at += 1
        raise self.error("the closing quote is missing", opening)

    def take(self, char: str) -> bool:
        """Skip blanks, then ``char`` if it stands there; tell whether it did."""
        self.blanks()
        if not self.text.startswith(char, self.at):
            return False
        self.at += 1
        return True

    def blanks(self) -> None:
        while self.text.startswith(" ", self.at):
            self.at += 1


def _is_letter(char: str) -> bool:
    return "a" <= char <= "z" or "A" <= char <= "Z"


def to_json(requirement: Requirement) -> list[list[dict[str, Any]]]:
    """Return a list of clauses, each a list of {"name", "op", "value", "negated"}."""
    return [[predicate._asdict() for predicate in clause.predicates] for clause in requirement.clauses]


def from_json(data: Any) -> Requirement:
    """Return the requirement that ``to_json`` wrote; raise RequirementError where it holds anything else."""
    try:
        text = ", ".join("|".join(_predicate_text(item) for item in clause) for clause in data)
    except (TypeError, KeyError, AttributeError) as error:
        raise RequirementError("the stored requirement is not one that preflight wrote", "", 0) from error
    return parse(text)


def _predicate_text(item: Any) -> str:
    name, op, value, negated = item["name"], item["op"], item["value"], item["negated"]
    known = isinstance(name, str) and names.find(name) is not None
    paired = (op is None) == (value is None) and (op is None or (op in _OPERATORS and isinstance(value, str)))
    if not (known and paired and isinstance(negated, bool)):
        raise TypeError(item)
    return Predicate(name, op, value, negated).text()


def from_comment(comment: str) -> str | None:
    """Return the requirement in a job's comment: what follows "require:" up to ";" or the end of the line.

    The key's case does not matter; before it stands nothing, a blank, ";" or a line's end. Several all apply, so
    they are joined by ",". None where there is none; "" where nothing follows the key, which parses as an error.
    """
    found = []
    for part in comment.replace("\r", ";").replace("\n", ";").split(";"):
        colon = part.find(":")
        while colon >= 0:
            start = colon - len("require")
            # Slices of seven characters: a comment may be long and hold nothing but colons.
            word = start >= 0 and part[start:colon].lower() == "require"
            if word and (start == 0 or part[start - 1].isspace()):
                found.append(part[colon + 1 :].strip())
                break
            colon = part.find(":", colon + 1)
    return ", ".join(found) if found else None
