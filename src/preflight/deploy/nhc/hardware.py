"""NHC's checks of hardware, DMI and the network: scripts/lbnl_hw.nhc, lbnl_dmi.nhc, lbnl_net.nhc of NHC 1.4.3."""

from __future__ import annotations

import re

from preflight.deploy.nhc.call import REASONS, Call, Unturned, amount, duration, mstr, size, turns, whole
from preflight.deploy.nhc.words import Unread

ROCE = "NHC takes RoCE for InfiniBand, too: a port whose link layer is Ethernet is a row of kind ethernet"
# What the kernel keeps of SMBIOS by type number, which rows of kind dmi compare; the rest only dmidecode reads.
SECTIONS = ("BIOS Information", "System Information", "Base Board Information", "Chassis Information")
TYPES = {"Processor Information": "4", "Cache Information": "7", "Physical Memory Array": "16", "Memory Device": "17"}
REASONS["check_hw_gm"] = "Myrinet's GM driver is no longer made; Preflight has no check of it"


@turns("check_hw_cpuinfo")
def cpuinfo(call: Call) -> None:
    """SOCKETS CORES THREADS, of the whole node; an empty one is not compared."""
    keys = dict(zip(("sockets", "cores", "threads"), call.args))
    if not any(keys.values()):
        raise Unturned("it names no number")
    call.row("cpu", **{key: whole(text, key) for key, text in keys.items() if text})


@turns("check_hw_physmem", "check_hw_swap", "check_hw_mem")
def memory(call: Call) -> None:
    """MIN MAX [FUDGE]."""
    what = {"check_hw_physmem": "physical", "check_hw_swap": "swap", "check_hw_mem": "total"}[call.name]
    low, high, fudge = [*call.args, "", "", ""][:3]
    if not low and not high:
        raise Unturned("it names no size")
    if not high:
        call.notes.append("without a MAX, NHC fails this check on every node; the MIN is kept")
    keys = {f"{what}_min": size(low) if low else None, f"{what}_max": size(high) if high else None}
    call.row("memory", **keys, fudge=amount(fudge) if fudge else None)


@turns("check_hw_physmem_free", "check_hw_swap_free", "check_hw_mem_free")
def memory_free(call: Call) -> None:
    """MIN."""
    what = {"check_hw_physmem_free": "physical", "check_hw_swap_free": "swap", "check_hw_mem_free": "total"}[call.name]
    if not call.args or not call.args[0]:
        raise Unturned("it names no size")
    call.row("memory", **{f"{what}_free_min": size(call.args[0])})


@turns("check_hw_ib")
def infiniband(call: Call) -> None:
    """RATE [DEVICE:PORT]: one port that is ACTIVE and LinkUp has the rate, in Gb/s."""
    rate, device = [*call.args, "", ""][:2]
    name, _, port = device.partition(":")
    keys: dict[str, object] = {"device": name or None, "port": whole(port, "port") if port else None}
    if rate and not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", rate):
        raise Unturned(f"{rate!r} is no rate in Gb/s")
    number = float(rate) if rate else None
    keys["rate_min"] = int(number) if number is not None and number.is_integer() else number
    call.notes.append(ROCE)
    if not device:
        one_port(call)
    call.row("infiniband", **keys)


def one_port(call: Call) -> None:
    """Soften a row that names no device: NHC is content with one port, a row judges each."""
    call.harmless = True
    call.notes.append("NHC is content with one such port, the row judges each, and so only warns: name device and port")


@turns("check_hw_eth")
def ethernet(call: Call) -> None:
    """DEVICE: the kernel has an interface of that name, up or not."""
    if not call.args or not call.args[0]:
        raise Unturned("it names no interface")
    call.row("ethernet", device=call.args[0], state="any")


@turns("check_hw_mcelog")
def mcelog(call: Call) -> None:
    """Memory errors in a day, of which MCELOG_MAX_CORRECTED_RATE and MCELOG_MAX_UNCORRECTED_RATE are borne."""
    rates = {"corrected_max": "MCELOG_MAX_CORRECTED_RATE", "uncorrected_max": "MCELOG_MAX_UNCORRECTED_RATE"}
    keys = {}
    for key, name in rates.items():
        try:
            keys[key] = whole(call.setting(name), name)
        except Unread:
            keys[key] = 9 if key == "corrected_max" else 0
    call.row("edac", **keys, window="1d")


@turns("check_dmi_data_match", "check_dmi_raw_data_match")
def dmi(call: Call) -> None:
    """[-! | -n | !] [-h HANDLE] [-t TYPE] MATCH: a line of dmidecode matches, or none does."""
    negated, section = False, ""
    if call.name == "check_dmi_data_match":
        for letter, value in call.options("!h:nt:"):
            if letter in "!n":
                negated = True
            elif letter == "t":
                section = value
            else:
                raise Unturned(f"-h {value}: handles are numbered anew by each BIOS")
    if call.args[:1] == ["!"]:
        negated, call.args = True, call.args[1:]
    text = " ".join(call.args)
    if not text:
        raise Unturned("it names nothing to match")
    sign = "!" if negated else ""
    of_kernel = any(one in text or section in (one, str(at)) for at, one in enumerate(SECTIONS))
    if call.name == "check_dmi_data_match" and of_kernel:
        if section and not text.lstrip("!/^*").startswith(SECTIONS):
            call.notes.append(f"-t {section}: the row looks at BIOS, system, board and chassis together")
        call.row("dmi", match=[sign + mstr(text)])
        return
    if call.name == "check_dmi_data_match" and not text.startswith(("/", "*", "!")):
        call.notes.append("NHC puts the section before each line; rows compare the lines as dmidecode prints them")
        text = f"*{text.rpartition(': ')[0].rpartition(': ')[2]}: {text.rpartition(': ')[2]}"
    number = TYPES.get(section, section if section.isdigit() and section.isascii() else "")
    call.command(["dmidecode", *(["-t", number] if number else [])], output=[sign + mstr(text)])


@turns("check_net_ping")
def ping(call: Call) -> None:
    """[-c COUNT] [-w DEADLINE] [-W TIMEOUT] … HOST…: each host answers."""
    asked: dict[str, object] = {}
    for letter, value in call.options("I:W:c:i:s:t:w:"):
        if letter == "c":
            asked["count"] = whole(value, "-c")
        elif letter in "wW":
            asked["timeout"] = duration(value, f"-{letter}")
        else:
            call.left_out(f"-{letter} {value}", "a row has no key for it")
    if not any(call.args):
        raise Unturned("it names no host")
    for host in (one for one in call.args if one):
        call.row("ping", host=host, **asked)


@turns("check_net_socket")
def socket(call: Call) -> None:
    """[-0] [-a] [-!] [-n NAME] [-p PROTO] [-s STATE] [-l ADDR[:PORT]] [-r …] [-t …] [-u …] [-d …] [-e …] [-E …]."""
    keys: dict[str, object] = {}
    for letter, value in call.options("!0ad:l:n:p:r:s:t:u:e:E:"):
        if letter == "0":
            call.harmless = True
        elif letter in "an":
            continue  # whether NHC counts them all, and what it calls them
        elif letter == "p" and value.rstrip("6") in ("tcp", "udp", "unix"):
            keys["proto"] = value.rstrip("6")
        elif letter == "s" and value.upper() in ("LISTEN", "LISTENING", "ESTABLISHED", "ESTAB"):
            keys["state"] = "listening" if value.upper().startswith("LISTEN") else "connected"
        elif letter == "l" and re.fullmatch(r"[^:]*:[0-9]{1,5}", value):
            address, _, port = value.partition(":")
            keys["port"] = int(port)
            if address not in ("*", "", "0.0.0.0"):
                keys["address"] = address
        elif letter == "d":
            call.left_out(f"-d {value}", "a row does not look at whose socket it is")
        elif letter in "eE":
            call.acts(letter, f"runs {value!r}")
        else:
            raise Unturned(f"-{letter} {value}".rstrip() + ": a row cannot say it")
    if "port" not in keys:
        raise Unturned("it names no local port (-l ADDRESS:PORT)")
    call.row("socket", **keys)
