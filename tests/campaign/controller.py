#!/usr/bin/env python3
"""A stand-in for slurmctld and its commands, with a state, that can fail in every way at any command.

Run as squeue, sinfo, scontrol or scancel by the name of its file; its place is the directory above it, which holds

    state.json   nodes, jobs and how many commands came so far; one command at a time (lock)
    fault.json   {"at": 3, "on": false, "how": "hang", "seed": 1}: what befalls command 3 (and those after it: "on")
    calls        one line a command

Standard library only, and few modules of it: a move is twenty of these.
"""

import fcntl
import json
import os
import random
import re
import signal
import sys
import time

PLACE = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0])))
REFUSED = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
BEFORE = (
    "kill-before",
    "fail",
    "silent",
    "hang",
    "crash",
    "denied",
    "nothing",
    "success-late",
    "wrong-words",
    "missing-library",
    "stop",
)
HOWS = (
    *BEFORE,
    "kill-after",
    "fail-after",
    "hang-after",
    "crash-after",
    "late",
    "slow",
    "slower",
    "empty",
    "cut",
    "garbled",
    "nul",
    "huge",
    "noise",
    "other",
    "twice",
    "binary",
    "holds-pipe",
)


COLUMNS = {"AdminComment": "admin_comment", "ExcNodeList": "excluded", "Priority": "priority", "Prefer": "prefer"}


class Refused(Exception):
    """What Slurm says where a command fails."""


def main() -> int:
    """Do what the command does, or what the fault makes of it; return the exit status."""
    name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
    with open(f"{PLACE}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = load("state.json")
        state["calls"] += 1
        number = state["calls"]
        save(state)
        with open(f"{PLACE}/calls", "a") as file:
            file.write(f"{name} {' '.join(arguments)}\n")
        how = befalls(number)
    if how in BEFORE:
        return before(how)
    if how in ("slow", "slower"):
        time.sleep(0.4 if how == "slow" else 1.1)
    if how == "late":
        return late(name, arguments)
    status, out, errors = carry_out(name, arguments)
    if how:
        status, out = spoil(how, number, status, out)
    sys.stderr.write(errors)
    sys.stdout.buffer.write(out)
    sys.stdout.flush()
    return status


def load(name):
    """Return what a file of the place holds."""
    with open(f"{PLACE}/{name}") as file:
        return json.load(file)


def save(state) -> None:
    """Write the state at once."""
    with open(f"{PLACE}/.state", "w") as file:
        json.dump(state, file)
    os.rename(f"{PLACE}/.state", f"{PLACE}/state.json")


def befalls(number: int) -> str:
    """Return the fault of this command, "" for none."""
    try:
        fault = load("fault.json")
    except OSError:
        return ""
    first = fault["at"]
    return fault["how"] if number == first or (fault["on"] and number > first) else ""


def before(how: str) -> int:
    """Fail without having done anything."""
    if how == "kill-before":
        os.kill(os.getppid(), signal.SIGKILL)
        return 1
    if how == "hang":
        time.sleep(600)
    if how == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "nothing":  # success is said, nothing is done
        return 0
    if how == "success-late":  # success is said, and it is done when nobody looks
        later()
        return 0
    if how == "wrong-words":
        sys.stdout.write("slurm_load: this is not the slurmctld that you are looking for\n" * 3)
        return 0
    said = {"fail": REFUSED, "denied": "slurm_update error: Access/permission denied", "silent": ""}
    missing = "error while loading shared libraries: libslurmfull.so: cannot open shared object file"
    sys.stderr.write(said.get(how, missing) + "\n" if how != "silent" else "")
    return 127 if how == "missing-library" else 1


def late(name: str, arguments) -> int:
    """Hang, and carry it out seconds after its caller has given it up, as from the queue of a stopped slurmctld."""
    later()
    time.sleep(600)
    return 1


def later() -> None:
    """Carry the command out in six seconds."""
    if os.fork() == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        time.sleep(6)
        carry_out(os.path.basename(sys.argv[0]), sys.argv[1:])
        os._exit(0)


def spoil(how: str, number: int, status: int, out: bytes):
    """Return (status, output) as the fault leaves them, after the command was carried out."""
    chance = random.Random(f"{how} {number}")
    if how == "kill-after":
        os.kill(os.getppid(), signal.SIGKILL)
    elif how == "fail-after":
        sys.stderr.write("slurm_update error: Socket timed out on send/recv operation\n")
        return 1, out
    elif how == "hang-after":
        time.sleep(600)
    elif how == "crash-after":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif how == "empty":
        return status, b""
    elif how == "cut":
        return status, out[: len(out) // 2]
    elif how == "garbled":
        return status, bytes(chance.randrange(256) if chance.random() < 0.2 else one for one in out)
    elif how == "nul":
        return status, b"\0" * max(1, len(out))
    elif how == "binary":
        return status, chance.randbytes(4096)
    elif how == "huge":
        return status, out + b"x" * (80 << 20)
    elif how == "noise":
        return status, b"sinfo: error: resolve_ctls_from_dns_srv: res_nsearch error\n" + out
    elif how == "twice":
        return status, out + out
    elif how == "other":
        return status, out.replace(b"n1", b"n2").replace(b"7", b"8")
    elif how == "holds-pipe" and os.fork() == 0:  # a child keeps stdout open
        os.setsid()
        time.sleep(600)
        os._exit(0)
    return status, out


def carry_out(name: str, arguments):
    """Do what the command does; return (exit status, stdout, stderr)."""
    with open(f"{PLACE}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = load("state.json")
        try:
            out = {"squeue": squeue, "sinfo": sinfo, "scontrol": scontrol, "scancel": scancel}[name](state, arguments)
        except Refused as error:
            return 1, b"", f"{error}\n"
        save(state)
        return 0, out.encode(), ""


def option(arguments, *names: str) -> str:
    """Return the value of an option, "" where it is not given."""
    for at, one in enumerate(arguments):
        if one in names and at + 1 < len(arguments):
            return arguments[at + 1]
        for name in names:
            if one.startswith(f"{name}=") or (len(name) == 2 and one.startswith(name) and one != name):
                return one[len(name) :].removeprefix("=")
    return ""


def fields(form: str):
    """Yield (name, width, suffix) of each field of a format for -O."""
    for one in form.split(","):
        name, _, rest = one.partition(":")
        width = re.match(r"[0-9]*", rest).group()
        yield name, int(width or 20), rest[len(width) :]


def row(form: str, values, long: bool) -> str:
    """Return one row of squeue or sinfo."""
    if not long:
        return re.sub(r"%[-.0-9]*([A-Za-z])", lambda found: str(values.get(found[1], "N/A")), form)
    parts = []
    for name, width, suffix in fields(form):
        value = str(values.get(name.lower(), "N/A"))
        parts.append(value + suffix if width == 0 else f"{value[:width]:<{width}}")
    return "".join(parts)


def jobs_named(state, names: str):
    """Return the jobs that a command's argument means."""
    wanted = names.split(",")
    found = []
    for job in state["jobs"].values():
        whole = f"{job['array']}_{job['task']}" if job["task"] != "" else str(job["id"])
        if str(job["id"]) in wanted or whole in wanted or str(job["array"]) in wanted:
            found.append((whole, job))
    if not found:
        raise Refused("slurm_load_jobs error: Invalid job id specified")
    return found


def job_values(whole: str, job, state):
    """Return what squeue prints of a job, by letter and by long name in lower case."""
    held = "JobHeldUser" if job["priority"] == 0 else "None"
    reason = "job requeued in held state" if job["requeued_held"] else held
    letters = {
        "A": job["id"],
        "F": job["array"],
        "K": job["task"] if job["task"] != "" else "N/A",
        "i": whole,
        "T": job["state"],
        "n": job["required"],
        "x": job["excluded"],
        "Q": job["priority"],
        "P": job["partition"],
        "U": job["uid"],
        "r": reason.replace(" ", "_") if job["requeued_held"] else held,
        "N": job["nodes"],
        "D": job["count"],
        "u": "alice",
        "v": "(null)",
    }
    long = {
        "jobarrayid": whole,
        "jobid": job["id"],
        "arrayjobid": job["array"],
        "arraytaskid": letters["K"],
        "batchflag": job["batch"],
        "requeue": job["requeue"],
        "restartcnt": job["restarts"],
        "numnodes": job["count"],
        "admin_comment": job["admin_comment"],
        "admincomment": job["admin_comment"],
        "prefer": job["prefer"],
        "reqnodes": job["required"],
        "excnodes": job["excluded"],
        "statecomplete": job["state"],
        "state": job["state"],
        "priorityint": job["priority"],
        "prioritylong": job["priority"],
        "partition": job["partition"],
        "userid": job["uid"],
        "reason": letters["r"],
        "nodelist": job["nodes"],
        "hetjobid": "N/A",
        "comment": "",
    }
    return {**letters, **long}


def squeue(state, arguments) -> str:
    """Return what squeue prints."""
    found = jobs_named(state, option(arguments, "-j", "--jobs"))
    form, long = option(arguments, "-o", "--format"), option(arguments, "-O", "--Format")
    return "".join(row(long or form, job_values(whole, job, state), bool(long)) + "\n" for whole, job in found)


def sinfo(state, arguments) -> str:
    """Return what sinfo prints, a row for each node."""
    wanted = option(arguments, "-n", "--nodes")
    form, long = option(arguments, "-o", "--format"), option(arguments, "-O", "--Format")
    rows = []
    for name, node in state["nodes"].items():
        if wanted and name not in wanted.split(","):
            continue
        letters = {"N": name, "G": "gpu:2", "f": "ubuntu", "P": "main", "T": node["state"]}
        words = {"nodelist": name, "nodehost": name, "statecomplete": node["state"], "reason": node["reason"]}
        more = {"user": node["user"], "timestamp": node["time"], "gres": "gpu:2", "extra": "(null)"}
        rows.append(row(long or form, {**letters, **words, **more}, bool(long)) + "\n")
    return "".join(rows)


def scontrol(state, arguments) -> str:
    """Do what scontrol does."""
    verb, *rest = [one for one in arguments if not one.startswith("-")]
    if verb == "update":
        pairs = dict(one.split("=", 1) for one in rest)
        if "NodeName" in pairs:
            update_node(state, pairs)
        else:
            for _, job in jobs_named(state, pairs.pop("JobId")):
                update_job(job, pairs)
    elif verb in ("requeuehold", "release", "uhold", "hold", "requeue"):
        for _, job in jobs_named(state, rest[0]):
            move_job(verb, job)
    elif verb == "show" and rest[:1] == ["config"]:
        return "PriorityType            = priority/basic\nSlurmUser               = slurm(64030)\n"
    elif verb == "ping":
        return "Slurmctld(primary) at here is UP\n"
    elif verb == "notify":
        jobs_named(state, rest[0])
    else:
        raise Refused(f"scontrol: invalid command {verb}")
    return ""


def update_node(state, pairs) -> None:
    """Drain or resume a node, as root."""
    node = state["nodes"].get(pairs["NodeName"])
    if node is None:
        raise Refused("slurm_update error: Invalid node name specified")
    words = node["state"].split("+")
    if pairs.get("State", "").upper() == "DRAIN":
        node["state"] = "+".join([*(one for one in words if one != "drain"), "drain"])
        node.update(reason=pairs["Reason"], user="root", time=time.strftime("%Y-%m-%dT%H:%M:%S"))
        state["drains"].append([pairs["NodeName"], pairs["Reason"]])
    elif pairs.get("State", "").upper() == "RESUME":
        node["state"] = "+".join(one for one in words if one not in ("drain", "down"))
        node.update(reason="none", user="Unknown", time="Unknown")


def update_job(job, pairs) -> None:
    """Set fields of a job."""
    for key, value in pairs.items():
        name = {"AdminComment": "admin_comment", "ExcNodeList": "excluded", "Priority": "priority", "Prefer": "prefer"}[
            key
        ]
        job[name] = int(value) if name == "priority" else value
    if job["priority"]:
        job["requeued_held"] = False


def move_job(verb: str, job) -> None:
    """Requeue, hold or release a job."""
    if verb in ("requeuehold", "requeue"):
        if job["state"] == "PENDING":
            raise Refused("Job is pending execution")
        if not job["requeue"] or not job["batch"]:
            raise Refused("Requested operation is presently disabled")
        job.update(state="PENDING", restarts=job["restarts"] + 1, nodes="", requeued_held=verb == "requeuehold")
        job["priority"] = 0 if verb == "requeuehold" else 4294901700
    elif verb == "release":
        job.update(priority=4294901700, requeued_held=False)
    else:
        job.update(priority=0, requeued_held=False)


def scancel(state, arguments) -> str:
    """Cancel jobs."""
    for _, job in jobs_named(state, arguments[-1]):
        job["state"] = "CANCELLED"
    return ""


if __name__ == "__main__":
    sys.exit(main())
