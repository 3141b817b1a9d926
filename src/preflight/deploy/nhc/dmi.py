"""NHC's checks of what dmidecode prints: scripts/lbnl_dmi.nhc of NHC 1.4.3.

`check_dmi_data_match` compares lines that NHC builds, "SECTION: [HEADING: ]LINE"; rows of kind dmi write the kernel's
fields in the same way, all else is asked of dmidecode itself, whose lines stand alone, indented below their section.
"""

from __future__ import annotations

import re

from preflight.deploy.nhc.call import Call, Unturned, mstr, turns
from preflight.deploy.nhc.targets import NoMatch, ere, glob_regex
from preflight.facts.host.dmi import FIELDS

# Sections as dmidecode names them, with their type's number (SMBIOS 3.7, DSP0134).
SECTIONS = {
    "BIOS Information": 0,
    "System Information": 1,
    "Base Board Information": 2,
    "Chassis Information": 3,
    "Processor Information": 4,
    "Cache Information": 7,
    "Port Connector Information": 8,
    "System Slot Information": 9,
    "OEM Strings": 11,
    "System Configuration Options": 12,
    "BIOS Language Information": 13,
    "Physical Memory Array": 16,
    "Memory Device": 17,
    "Memory Array Mapped Address": 19,
    "IPMI Device Information": 38,
    "System Power Supply": 39,
}
# Headings of lists, whose lines stand below them.
LISTS = ("Characteristics", "Flags", "Features", "Header and Data", "Installable Languages", "Contained Object Handles")
BUILT = "NHC compares lines that it builds, SECTION: LINE, and this"


@turns("check_dmi_raw_data_match")
def raw(call: Call) -> None:
    """[!] MATCH: a line of dmidecode matches, or none does."""
    negated = call.args[:1] == ["!"]
    text = " ".join(call.args[negated:])
    _plain(text)
    call.command(["dmidecode"], output=[("!" if negated else "") + mstr(text)])


@turns("check_dmi_data_match")
def data(call: Call) -> None:
    """[-! | -n | !] [-h HANDLE] [-t TYPE] MATCH: a line that NHC builds of dmidecode's matches, or none does."""
    negated, asked = False, ""
    for letter, value in call.options("!h:nt:"):
        if letter in "!n":
            negated = True
        elif letter == "t":
            asked = value
        else:
            raise Unturned(f"-h {value}: handles are numbered anew by each BIOS")
    if call.args[:1] == ["!"]:
        negated, call.args = True, call.args[1:]
    text = " ".join(call.args)
    _plain(text)
    sign = "!" if negated else ""
    regex = len(text) > 1 and text[0] == text[-1] == "/"
    section, rest = _section(text[1:-1] if regex else text, asked, regex)
    label = re.match(r"[*^]?([A-Za-z ]+): ", rest)
    if label and (section, label[1]) in FIELDS.values():
        if regex:
            found = (
                f"/^{section}: .*(?:{_expression(rest)})/"
                if rest[:1] != "^"
                else f"/^{section}: {_expression(rest[1:])}/"
            )
        else:
            found = mstr(f"{section}: {rest}")
        call.row("dmi", match=[sign + found])
        return
    number = SECTIONS.get(section, section)
    call.command(["dmidecode", *(["-t", str(number)] if section else [])], output=[sign + _line(rest, regex)])


def _plain(text: str) -> None:
    if not text:
        raise Unturned("it names nothing to match")
    if text[0] in "!{":
        raise Unturned(f"{text!r} matches what does not match something, which no row says")


def _section(text: str, asked: str, regex: bool) -> tuple[str, str]:
    """Return the section that a match is about, "" for any, and what it asks of a line there."""
    numbers = {str(number): name for name, number in SECTIONS.items()}
    asked = numbers.get(asked, asked)
    if asked and asked not in SECTIONS and not re.fullmatch("[0-9]{1,3}", asked):
        raise Unturned(f"-t {asked}: no section of dmidecode that is known here")
    bare = text.removeprefix("^") if regex else text
    if regex and "|" in re.sub(r"\[[^]]*\]|\([^()]*\)", "", text):
        raise Unturned(f"{BUILT} has alternatives that may be of several sections")
    for name in SECTIONS:
        if bare.startswith(f"{name}: "):
            if asked not in ("", name):
                raise Unturned(f"{BUILT} is of another section than -t {asked}")
            return name, ("^" if regex else "") + bare[len(name) + 2 :]
    begins = text.startswith("^") if regex else not text.startswith("*")
    if begins or any(name in text for name in SECTIONS) or "Information" in text:
        raise Unturned(f"{BUILT} begins with no section that is known here")
    return asked, text


def _line(rest: str, regex: bool) -> str:
    """Return the pattern of a line of dmidecode's."""
    heading = next((one for one in LISTS if rest.lstrip("^*").startswith(f"{one}: ")), "")
    if heading:
        rest = rest.replace(f"{heading}: ", "", 1)
    if regex:
        found = _expression(rest.removeprefix("^"))
        return f"/^\\s*(?:{found})/" if rest.startswith("^") else f"/{found}/"
    if rest.startswith("*"):
        return mstr(rest)
    try:
        return f"/^\\s*{glob_regex(rest)}$/"
    except NoMatch as error:
        raise Unturned(str(error)) from None


def _expression(text: str) -> str:
    try:
        return ere(text)
    except NoMatch as error:
        raise Unturned(str(error)) from None
