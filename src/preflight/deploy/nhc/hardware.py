"""NHC's checks of hardware and the network: scripts/lbnl_hw.nhc, lbnl_net.nhc of NHC 1.4.3."""

from __future__ import annotations

import re

from preflight.deploy.nhc.braces import Unread
from preflight.deploy.nhc.call import REASONS, Call, Unturned, amount, mstr, size, turns, whole

ROCE = 'NHC takes RoCE for InfiniBand, too: where that is meant, layer = "any"'

MOST_ECHOES = 20
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
    if not re.fullmatch(r"[\w.-]*", name):
        raise Unturned(f"NHC compares {name!r} as it stands, and no device is named so")
    keys: dict[str, object] = {"device": name or None, "port": whole(port, "port") if port else None}
    if rate and not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", rate):
        raise Unturned(f"{rate!r} is no rate in Gb/s")
    number = float(rate) if rate else None
    keys["rate_min"] = keys["rate_max"] = int(number) if number is not None and number.is_integer() else number
    if device:
        keys["layer"] = "any"
    if not device:
        call.notes.append(ROCE)
        one_port(call)
    elif not port:
        call.harmless = True
        call.notes.append("NHC knows ports as DEVICE:PORT, and fails without one; the row judges each, and only warns")
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
    if call.args[0][0] in "!/{":
        raise Unturned(f"NHC takes {call.args[0]!r} for a glob, which no interface's name matches")
    call.row("ethernet", device=mstr(call.args[0]), state="any")


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


@turns("check_net_ping")
def ping(call: Call) -> None:
    """[-c COUNT] [-w DEADLINE] [-W TIMEOUT] … HOST…: COUNT answers of each host within DEADLINE seconds."""
    counts = {"c": 1, "w": 1}
    for letter, value in call.options("I:W:c:i:s:t:w:"):
        if letter in counts:
            counts[letter] = whole(value, f"-{letter}")
        else:
            call.left_out(f"-{letter} {value}", "a row has no key for it")
    asked, sent = counts["c"], max(counts.values())  # one in each second until the deadline
    if not any(call.args):
        raise Unturned("it names no host")
    if sent > MOST_ECHOES or not asked:
        raise Unturned(f"a row sends 1 to {MOST_ECHOES} echoes, one in a second")
    call.notes.append("NHC reaches hosts two hops away at most (-t 2); the row reaches all")
    for host in (one for one in call.args if one):
        call.row("ping", host=host, count=sent, answers_min=asked if asked > 1 else None)


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
        elif letter == "l" and re.fullmatch(r"(\*|[0-9.]+|\[?[0-9a-fA-F:*]*\]?):[0-9]{1,5}", value):
            address, _, port = value.rpartition(":")
            keys["port"] = int(port)
            if address != "*":
                keys["address"] = address.strip("[]")
        elif letter == "d":
            call.left_out(f"-d {value}", "a row does not look at whose socket it is")
        elif letter in "eE":
            call.acts(letter, f"runs {value!r}")
        else:
            raise Unturned(f"-{letter} {value}".rstrip() + ": a row cannot say it")
    if call.args:
        raise Unturned(f"NHC itself refuses it: {' '.join(call.args)!r} behind its options")
    if "port" not in keys:
        raise Unturned("it names no local port (-l ADDRESS:PORT)")
    if "state" not in keys and keys.get("proto") != "udp":
        call.harmless = True
        call.notes.append("without -s NHC takes a socket in any state, the row one that listens, and so only warns")
    call.row("socket", **keys)
