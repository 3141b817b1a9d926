"""NHC's checks that run a program: scripts/lbnl_cmd.nhc of NHC 1.4.3. Programs that act on the node are named only."""

from __future__ import annotations

import re

from preflight.deploy.nhc.call import ACTS, REASONS, Call, Unturned, mstr, turns, whole
from preflight.facts.host.match import matches as satisfied

MOAB = "Moab and TORQUE are other resource managers; Preflight looks at Slurm's own nodes"
REASONS.update(dict.fromkeys(("check_moab_sched", "check_moab_rm", "check_moab_torque"), MOAB))
# Programs that change the node by their nature.
ACTING = frozenset(
    """kill pkill killall killall5 skill snice renice nice reboot shutdown poweroff halt init telinit kexec rm rmdir
    unlink mv cp ln dd mkdir touch truncate install shred chmod chown chgrp setfacl mount umount mount.nfs fusermount
    swapon swapoff modprobe insmod rmmod depmod ifup ifdown ifenslave dhclient iptables nft wipefs mkfs parted
    fdisk lvchange vgchange hdparm yum dnf apt apt-get zypper pip ansible ansible-playbook puppet useradd
    userdel usermod chpasswd at logger wall write mail mailx sendmail tee nhc node-mark-offline
    node-mark-online srun sbatch salloc scancel sbcast rsync scp sftp su runuser systemd-run make ldconfig opensm
    mmmount mmumount mmstartup mmshutdown nvidia-persistenced nvidia-cuda-mps-control stress stress-ng fio ior
    ib_write_bw ib_read_bw ib_send_bw gpu_burn gpu-burn nvbandwidth""".split()  # noqa: SIM905 - reads better
)
# Programs that change it with some words: program -> words that only read.
READING = {
    "systemctl": {"status", "is-active", "is-enabled", "is-failed", "is-system-running", "show", "list-units", "cat"},
    "service": {"status"},
    "scontrol": {"show", "ping", "version"},
    "nvidia-smi": {"-q", "-L", "topo", "nvlink", "--query", "--query-gpu", "--list-gpus"},
    "ip": {"addr", "link", "route", "a", "l", "r", "address", "show", "neigh", "-o", "-4", "-6", "-s", "-br"},
    "chronyc": {"tracking", "sources", "sourcestats", "waitsync"},
    "timedatectl": {"status", "show", ""},
    "mmgetstate": {""},
    "ethtool": {"-i", "-S", ""},
    "rpm": {"-q", "-qa", "-qi", "-ql", "-qf", "-V", "-Va", "--verify", "--query"},
    "dpkg": {"-l", "-s", "-L", "-S", "-V", "--status", "--list", "--verify"},
    "sysctl": {"-n", "-a"},
    "mdadm": {"--detail", "-D", "--examine", "-E"},
    "ipmitool": {"sel", "sdr", "sensor", "fru", "chassis", "mc", "power"},
    "crontab": {"-l"},
    "docker": {"ps", "info", "images", "inspect", "version"},
    "podman": {"ps", "info", "images", "inspect", "version"},
    "loginctl": {"list-sessions", "list-users", "show-session", "show-user", ""},
    "exportfs": {""},
    "lfs": {"df", "check", "getstripe", "osts", "mdts", "quota", "path2fid"},
    "lctl": {"ping", "list_nids", "dl", "device_list", "get_param", "which_nid"},
    "cvmfs_config": {"probe", "stat", "status", "chksetup", "showconfig"},
    "dcgmi": {"discovery", "health", "topo", "nvlink"},
    "git": {"status", "log", "rev-parse", "diff", "describe"},
    "cpupower": {"frequency-info", "idle-info", "info"},
    "wget": {"--spider"},
    "sed": {"-n", "-e", "-E", "-r"},
    "tar": {"t", "tf", "-t", "-tf", "tzf", "-tzf"},
    "ssh": set(),
    "sudo": set(),
    "env": set(),
    "eval": set(),
    "exec": set(),
    "xargs": set(),
    "find": set(),
}
# Words with which such a program changes something whatever else stands there.
CHANGES = {
    "nvidia-smi": re.compile(
        r"-(r|e|p|c|pm|pl|ac|rac|lgc|rgc|lmc|rmc|mig|am|caa|acp|cc|dm|fdm|gom|[cd]gi|[cd]ci)(=.*)?"
    ),
    "sed": re.compile(r"-[nErs]*i.*|--in-place.*"),
    "curl": re.compile(r"-[XdFToO].*|--(request|data|form|upload-file|output|remote-name).*"),
    "rpm": re.compile(r"-[eiUF].*|--(erase|install|upgrade|import|initdb|rebuilddb).*"),
    "dcgmi": re.compile(r"-s|--set|--clear"),
}
SHELLS = {"bash", "sh", "dash", "ksh", "zsh", "csh", "tcsh"}
# Programs that run a text among their arguments: the words before such a text.
CODE = re.compile(r"-[a-zA-Z]*[ceE]|--(eval|command|execute).*")
INTERPRETERS = re.compile(r"(python|perl|ruby|node|lua|tclsh|expect|php|Rscript|R)[0-9.]*")
AWK = re.compile(r"system\s*\(|[|>]|getline")
WRAPPERS = {"timeout", "nohup", "setsid", "stdbuf", "ionice", "chrt", "taskset", "nsenter", "chroot"}
CHANGING = re.compile(
    r"(^|[^\w-])(start|stop|restart|reload|try-restart|kill|enable|disable|mask|unmask|reboot|drain|resume|undrain|up|down"
    r"|remount|mount|umount|pkill|killall|rm|delete|del|add|set|flush|reset|clear|on|off|cycle|--gpu-reset|-delete|-exec)($|[^\w-])"
)
# Of bash's own, what is seldom or never a program, too ([, echo, false, kill, printf, pwd, test and true are).
SHELLS_OWN = frozenset(
    """! . : [[ alias bg bind builtin caller cd command compgen complete compopt declare dirs disown enable eval exec
    exit export fg getopts hash help history if jobs let local logout mapfile popd pushd read readarray readonly return
    set shift shopt source suspend time times trap type typeset ulimit umask unalias unset wait while for case function
    { (""".split()  # noqa: SIM905 - reads better
)
BUILTINS = ("true", ":", "die", "exit", "return", "log", "syslog", "dbg", "vlog", "set", "shopt", "trap", "source", ".")


def acting(run: list[str]) -> str:
    """Return why a program may change the node, "" where it looks as if it only reads."""
    words = list(run)
    while words and words[0].rpartition("/")[2] in WRAPPERS:
        words = [one for one in words[1:] if not re.fullmatch(r"-.*|[0-9.]+[smhd]?", one)] or [""]
    name = words[0].rpartition("/")[2] if words else ""
    rest = words[1:]
    if name in ACTING:
        return f"{' '.join(words)[:60]}: {ACTS}"
    changing = CHANGES.get(name)
    if changing and any(changing.fullmatch(one) for one in rest):
        return f"{name} may change the node: {ACTS}"
    runs = INTERPRETERS.fullmatch(name) or name in SHELLS
    if (runs and any(CODE.fullmatch(one) for one in rest)) or (name.endswith("awk") and any(map(AWK.search, rest))):
        return f"what the text does that {name} runs is not known, and it may change the node: write it as [[command]]"
    if runs and not rest:
        return f"{name} runs what it reads"
    if name in READING:
        first = next((one for one in rest if one.split("=")[0] in READING[name]), None)
        reads = first is not None or (not rest and "" in READING[name])
        return "" if reads and not CHANGING.search(" ".join(rest)) else f"{name} may change the node: {ACTS}"
    return f"{' '.join(words)[:60]}: {ACTS}" if _changes(rest) else ""


def _changes(words: list[str]) -> bool:
    """Return whether one of the words asks a program to start, stop or change something."""
    return any(CHANGING.fullmatch(one) for one in words)


@turns("check_cmd_output", "check_cmd_dmesg")
def output(call: Call) -> None:
    """[-t SECONDS] [-r STATUS] [-m MATCH]… [-e COMMAND | COMMAND…]: lines of what a program writes."""
    run: list[str] = []
    matches: list[str] = []
    status, seconds = 0, 5
    known = "M:e:m:r:t:" if call.name == "check_cmd_dmesg" else "C:M:O:e:m:r:t:"
    for letter, value in call.options(known):
        if letter == "e":
            run = value.split()  # bash splits it at blanks; quotes inside it are characters
        elif letter == "m":
            found = mstr(value)
            if not satisfied(found.removeprefix("!"), ""):
                matches.append(found)
            elif found.startswith("!"):
                raise Unturned(f"NHC looks at an empty line behind the output, so that -m {value} always fails")
            else:
                call.notes.append(f"NHC looks at an empty line behind the output, so that -m {value} always holds")
        elif letter == "r":
            status = whole(value, "-r")
        elif letter == "t":
            seconds = whole(value, "-t")
    run = run or (["dmesg"] if call.name == "check_cmd_dmesg" else list(call.args))
    if run and run[0] in SHELLS_OWN:
        raise Unturned(f"{run[0]} is the shell's own, and NHC finds no program of the name")
    words = [one for one in run if one in ("|", ">", "<", ";", "&&", "||", "&")]
    if words:
        call.notes.append(f"neither NHC nor the row runs a shell: the program is given {words[0]!r} as a word")
    _add(call, run, status, seconds, matches)


@turns("check_cmd_status")
def status(call: Call) -> None:
    """[-t SECONDS] [-r STATUS] COMMAND…: how a program ends."""
    wanted, seconds = 0, 5
    for letter, value in call.options("C:r:t:"):
        if letter == "r":
            wanted = whole(value, "-r")
        elif letter == "t":
            seconds = whole(value, "-t")
    name = call.args[0] if call.args else ""
    if name in SHELLS_OWN or name.startswith(("check_", "nhc_", "mcheck")):
        raise Unturned(f"{name} is the shell's or NHC's own, and no program: a row cannot run it")
    _add(call, list(call.args), wanted, seconds, [])


def _add(call: Call, run: list[str], wanted: int, seconds: int, matches: list[str]) -> None:
    if not run or not run[0]:
        raise Unturned("it names no command")
    if len(run) == 1 and " " in run[0]:
        raise Unturned(f"NHC takes {run[0]!r} for the name of one program, and finds none: write it without quotes")
    why = acting(run)
    if why:
        raise Unturned(why)
    keys: dict[str, object] = {"status": wanted or None, "output": matches or None}
    if seconds != 5:
        keys["timeout"] = f"{max(1, seconds)}s"
    call.command(run, **keys)
