"""NHC's variables: what a policy has for each (README.md and nhc of NHC 1.4.3, "Supported Variables")."""

from __future__ import annotations

from typing import NamedTuple

OTHER_MANAGER = "it is another resource manager's"
OWN_WAY = "Preflight drains and resumes by its own hand ([drain] in the policy)"
READS_ITSELF = "Preflight reads the kernel, and runs no such program"
# Those whose purpose a policy serves as it stands.
MET = {
    "DETACHED_MODE": "nothing that hangs holds up a hook: it runs in a process of its own",
    "NHC_CHECK_ALL": "all checks are always judged, and all findings are in the report",
    "NHC_CHECK_FORKED": "what can hang runs in a process of its own",
    "FORCE_SETSID": "what can hang runs in a session of its own",
    "HOSTNAME": "nodes have Slurm's names for them",
    "HOSTNAME_S": "nodes have Slurm's names for them",
    "MARK_OFFLINE": "",
    "NHC_RM": "",
    "TIMEOUT": "a hook has [hook] deadline_s seconds; what is late is unknown, and drains nothing",
}
# Those that checks of the file read; the checks themselves say what they make of them.
READ = {
    "MCELOG_MAX_CORRECTED_RATE": ("check_hw_mcelog",),
    "MCELOG_MAX_UNCORRECTED_RATE": ("check_hw_mcelog",),
    "MAX_SYS_UID": ("check_ps_unauth_users",),
    "NHC_AUTH_USERS": ("check_ps_unauth_users",),
}
NAMED = {
    "DF_CMD": READS_ITSELF,
    "DFI_CMD": READS_ITSELF,
    "DF_FLAGS": "rows name the file systems, and no other is asked",
    "DFI_FLAGS": "rows name the file systems, and no other is asked",
    "STAT_CMD": READS_ITSELF,
    "STAT_FMT_ARGS": READS_ITSELF,
    "MCELOG": READS_ITSELF,
    "MCELOG_ARGS": READS_ITSELF,
    "NVIDIA_HEALTHMON": READS_ITSELF,
    "NVIDIA_HEALTHMON_ARGS": READS_ITSELF,
    "NVIDIA_SMI_HEALTHMON": READS_ITSELF,
    "NVIDIA_SMI_HEALTHMON_ARGS": READS_ITSELF,
    "DETACHED_MODE_FAIL_NODATA": "a check that told nothing yet is unknown, and drains nothing",
    "RM_DAEMON_MATCH": "rows look for slurmstepd among a process's parents",
    "PASSWD_DATA_SRC": "users are asked of the system (NSS)",
    "LOGIN_DEFS_SRC": "[[host]] users has uid_min",
    "JOBFILE_PATH": "Slurm is asked for a node's jobs",
    "PATH": "programs of [[command]] rows get a PATH of their own: write them with their whole paths",
    "CONFDIR": "it is NHC's own",
    "CONFFILE": "it is NHC's own",
    "INCDIR": "scripts with checks of the site become [[command]] rows or files in checks.d (docs/site-checks.md)",
    "HELPERDIR": OWN_WAY,
    "NAME": "it is NHC's own",
    "OFFLINE_NODE": OWN_WAY,
    "ONLINE_NODE": OWN_WAY,
    "IGNORE_EMPTY_NOTE": OWN_WAY,
    "SLURM_SC_OFFLINE_ARGS": OWN_WAY,
    "SLURM_SC_ONLINE_ARGS": OWN_WAY,
    "SLURM_SCONTROL": "[hook] slurm_bin names the directory of Slurm's commands",
    "SLURM_SINFO": "[hook] slurm_bin names the directory of Slurm's commands",
    "SQUEUE_CMD": "[hook] slurm_bin names the directory of Slurm's commands",
    "SLURM_SERVER_HOME": "it is not read",
    "LOGFILE": "hooks write to syslog and to [report] spool",
    "RESULTFILE": "hooks write to syslog and to [report] spool",
    "DEBUG": "preflight check --phase health --timings shows what is done",
    "VERBOSE": "preflight check --phase health --timings shows what is done",
    "SILENT": "hooks write one line to syslog",
    "TS": "reports have their times",
    "EVAL_LINE": "it is NHC's own",
    "NHC_MCHECK_DELIM": "targets that a program decides have no counterpart",
    "NHC_MCHECK_COMMAND": "targets that a program decides have no counterpart",
    "SHELL": "no check runs a shell",
}
_PREFIXES = {
    "PBS": OTHER_MANAGER,
    "LSF_": OTHER_MANAGER,
    "SGE_": OTHER_MANAGER,
    "MOAB": OTHER_MANAGER,
    "MDIAG": OTHER_MANAGER,
}


class Meaning(NamedTuple):
    """What becomes of a setting: ``met`` says why nothing needs to be done, ``named`` why nothing can be.

    Neither is of a variable that lines below may use.
    """

    met: str = ""
    named: str = ""


def meaning(name: str, value: str | None, everywhere: bool) -> Meaning:
    """Return what becomes of the setting ``name``; ``value`` None is known on the node only."""
    if name == "NHC_RM":
        if value in ("slurm", None):
            return Meaning(met="Preflight is Slurm's")
        return Meaning(named=f"{value} is another resource manager; Preflight is Slurm's")
    if name == "MARK_OFFLINE":
        if value is None:
            return Meaning(named="whether NHC drains is known on the node only; the policy observes")
        if value == "1":
            return Meaning(met='NHC drains: so does this policy, once it says mode = "enforce"')
        if not everywhere:
            return Meaning(named='a policy observes on all nodes or on none; give these a policy with mode = "observe"')
        return Meaning(met='NHC drains nothing: mode = "observe" it is')
    if name in MET:
        return Meaning(met=MET[name])
    if name in NAMED:
        return Meaning(named=NAMED[name])
    for prefix, why in _PREFIXES.items():
        if name.startswith(prefix):
            return Meaning(named=why)
    return Meaning()
