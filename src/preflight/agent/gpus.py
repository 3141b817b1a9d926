"""The GPUs, watched by a child that keeps NVML open: what a prolog reads of them, and every second what must not wait.

The child tells all that a prolog's probe tells (facts/gpu.py), anew when one of the few signals has changed, and
every FULL_S. In memory that both see it leaves the instant of its last look at the signals and the call that it is
in; so a look that finds nothing new wakes nobody, and a call that hangs can be named. A child that hangs is killed,
and no second one is started while it is there."""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time

from preflight import jsonio
from preflight.agent.child import Helper
from preflight.facts.isolate import Outcome
from preflight.facts.nvml import ABSENT, OK
from preflight.facts.nvml_result import NvmlResult
from preflight.files import tolerate

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from _socket import socket as Socket
    from typing import Any

    from preflight.facts.source import Source

LOOK_S = 1.0  # between two looks at the signals
FULL_S = 10.0  # between two readings of everything
CRITICAL_S = 2.0  # no signal of a job's GPU may be older than this
FULL_MAX_S = 30.0  # nor anything else of it older than this
STUCK_S = 5.0  # from which on a call is said to be stuck
KILL_S = 30.0  # from which on the child is ended for it
# Calls of gpu.CALLS that are looked at every second: a lost GPU and one that needs a reset say so in any of them.
PROCESSES = "nvmlDeviceGetComputeRunningProcesses"  # which, not how much memory they have just now
MIG_MODE, MIG_DEVICE = "nvmlDeviceGetMigMode", "nvmlDeviceGetMigDeviceHandleByIndex"
SIGNALS = ("nvmlDeviceGetTotalEccErrors", "nvmlDeviceGetRemappedRows", MIG_MODE, PROCESSES)
AGAIN = b"\n"  # to the child: read everything, and tell it
_TIMES = struct.Struct("dd")  # the last look; the beginning of the call that the child is in, 0 between looks
_CALL = 256
_ROOM = 4096


class _Shared:
    """What the child leaves in memory: `look`, and the call that it is in, with the instant at which it began."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _ROOM)

    def times(self) -> tuple[float, float]:
        look, call = _TIMES.unpack_from(self._memory, 0)
        return float(look), float(call)

    def call(self) -> str:
        return bytes(self._memory[_TIMES.size : _TIMES.size + _CALL]).split(b"\0")[0].decode("utf-8", "replace")

    def looked(self, at: float) -> None:
        _TIMES.pack_into(self._memory, 0, at, 0.0)

    def begins(self, what: str) -> None:
        text = what.encode()[: _CALL - 1]
        self._memory[_TIMES.size : _TIMES.size + len(text) + 1] = text + b"\0"
        struct.pack_into("d", self._memory, 8, time.monotonic())


class GpuWatch:
    """The agent's side: the child, and what it told last."""

    def __init__(self, source: Source, before: GpuWatch | None = None) -> None:
        """``before``: one that was stopped, and whose child may not have ended yet."""
        self._before: Helper | None = before.helper if before else None
        self._shared = _Shared()
        self.helper: Helper = Helper("NVML", lambda theirs: _child(theirs, self._shared, source))
        self._buffer = bytearray()
        self.result: NvmlResult | None = None
        self.taken = 0.0  # time.monotonic() at which the reading began that `result` is of
        self.released_until = 0.0
        self._since = 0.0  # what was read before this instant is not taken
        if before is not None:
            self.released_until = before.released_until

    @property
    def descriptor(self) -> int | None:
        """Return what becomes readable when the child has told something or is gone."""
        return None if self.helper.socket is None else self.helper.socket.fileno()

    def tend(self) -> None:
        """Take leave of a child that ended, end one that is stuck for long, start one where none is."""
        now = time.monotonic()
        if self.helper.ended():
            self._forget()
        if self.helper.pid and not self.helper.killed:
            self.take()
            if self.stuck_s() > KILL_S:
                self.helper.kill()
                self._forget()
        if self._before is not None and (not self._before.pid or self._before.ended()):
            self._before = None
        if not self.helper.pid and self._before is None and now >= self.released_until:
            self._shared.looked(0.0)
            self.helper.start()

    def take(self) -> None:
        """Take what the child has told; never waits."""
        while self.helper.socket is not None:
            try:
                data = self.helper.socket.recv(1 << 20)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.helper.close()
                self._forget()
                return
            self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest)
        for line in lines[-1:]:
            told = jsonio.loads(bytes(line))
            if told["at"] >= self._since:
                self.result, self.taken = NvmlResult(Outcome(told["messages"], True)), told["at"]

    def look(self) -> None:
        """Have everything read anew, and take nothing that was read before."""
        self._since = time.monotonic()
        self._forget()
        if self.stuck_s() > LOOK_S:  # whoever asks for it has put something right: another child may get through
            self.helper.kill()
            self.helper.soon()
        if self.helper.socket is not None:
            with tolerate(OSError):  # full: it has been told, and has not come to it; closed: another is started
                self.helper.socket.send(AGAIN)

    def signal_age(self) -> float:
        """Return the seconds since the signals were found as `result` has them; infinite where they were not."""
        look, _ = self._shared.times()  # first this, then `take`: what was found before the look has been told by then
        self.take()
        return float("inf") if self.result is None or not look else max(0.0, time.monotonic() - look)

    def age(self) -> float:
        """Return the seconds since everything was read, infinite where nothing is known."""
        return float("inf") if self.result is None else max(0.0, time.monotonic() - self.taken)

    def why_not(self) -> str:
        """Return why its facts cannot be used for a job's GPUs now, "" where they can."""
        if self.helper.pid and self.signal_age() <= CRITICAL_S and self.age() <= FULL_MAX_S:
            return ""
        if time.monotonic() < self.released_until:
            return "NVML is released"
        if self.stuck_s() > STUCK_S:
            return f"NVML is stuck in {self._shared.call()}"
        return "the GPUs have not been looked at for a while"

    def stuck_s(self) -> float:
        """Return how long the child has been in its present call, 0 where it is in none."""
        _, call = self._shared.times()
        return max(0.0, time.monotonic() - call) if self.helper.pid and call else 0.0

    def release(self, seconds: float) -> bool:
        """Close NVML for ``seconds``; return whether it is closed: the child may be stuck in a call."""
        self.released_until = time.monotonic() + seconds
        self._forget()
        self.helper.kill()
        limit = time.monotonic() + 1.0
        while self.helper.pid and not self.helper.ended() and time.monotonic() < limit:
            time.sleep(0.005)
        self.helper.soon()
        return not self.helper.pid

    def resume(self) -> None:
        """Open NVML again."""
        self.released_until = 0.0
        self.tend()

    def stop(self) -> None:
        """End the child for good."""
        self.helper.close()
        self.helper.kill()

    def state(self) -> dict[str, Any]:
        """Return what `preflight agent status` says of it."""
        look = self.signal_age()
        return {
            "pid": self.helper.pid or None,
            "signals_age_s": None if look == float("inf") else round(look, 2),
            "age_s": None if self.result is None else round(self.age(), 2),
            "stuck_at": self._shared.call() if self.stuck_s() > STUCK_S else None,
            "stuck_s": round(self.stuck_s(), 1) if self.stuck_s() > STUCK_S else None,
            "released_s": round(max(0.0, self.released_until - time.monotonic()), 1) or None,
        }

    def _forget(self) -> None:
        self.result, self.taken = None, 0.0
        self._buffer.clear()


class _Listener:
    """What gpu.probe tells: its messages, and each call in the shared memory before it is made."""

    def __init__(self, shared: _Shared) -> None:
        self.messages: list[dict[str, Any]] = []
        self.doing = shared.begins

    def tell(self, message: dict[str, Any]) -> None:
        self.messages.append(message)


def _child(theirs: Socket, shared: _Shared, source: Source) -> None:
    """Look every second, tell when something changed, until the agent's end is closed or the library is another."""
    import gc
    from select import POLLIN, poll

    from preflight.facts.gpu import probe
    from preflight.facts.rootfs import Root

    gc.disable()
    root = Root(source.root, source.reads_live, source)
    waiter = poll()
    waiter.register(theirs.fileno(), POLLIN)
    known: Any = None
    told_at, library, opened = 0.0, _library(), False
    while True:
        began = time.monotonic()
        if library[0] and _identity(library[0]) != library[1]:
            shared.looked(0.0)
            return  # it is gone or another: what it says now is of a driver that was
        found = _signals(shared, source.nvml_library)  # what changes from here on, the next look finds
        if not told_at or found != known or began - told_at >= FULL_S:
            listener = _Listener(shared)
            probe(listener, True, root)  # type: ignore[arg-type]
            answers = [message["nvml"] for message in listener.messages if "nvml" in message]
            if opened and answers == [OK]:
                _close(sys.modules["pynvml"])  # the first one is what keeps it open
            opened = opened or answers == [OK]
            shared.begins("telling the agent")
            theirs.sendall(f"{jsonio.dumps({'at': began, 'messages': listener.messages})}\n".encode())
            known, told_at = found, began
            gc.collect()
            gc.freeze()  # what is there by now stays: to look at all of pynvml again costs more than reading eight GPUs
            before, library = library, _library()
            gone = answers != [OK] and (opened or answers[-1:] not in ([one] for one in ABSENT))
            if library[0] and (gone or (before[0] and before != library)):
                shared.looked(0.0)
                return  # it was loaded for a driver that is gone: a new child loads what is there then
        shared.looked(began)
        if waiter.poll(max(0.0, (began + LOOK_S - time.monotonic()) * 1000)):
            if not theirs.recv(64):
                return  # the agent is gone, or wants no more of it
            told_at = 0.0


def _signals(shared: _Shared, library: str) -> Any:
    """Return the signals of all GPUs: values, and errors by name. NVML stays open: opening it again only counts."""
    from preflight.facts.gpu import CALLS
    from preflight.facts.gpu_fields import RECOVERY, fields
    from preflight.facts.nvml import Fault, call, load

    shared.begins("loading libnvidia-ml.so.1")
    try:
        nvml = load(library)
        shared.begins("nvmlInitWithFlags")
        call(nvml, "nvmlInit")
    except Fault as fault:
        return fault.name
    try:
        shared.begins("nvmlDeviceGetCount")
        count = int(call(nvml, "nvmlDeviceGetCount"))
        found: list[Any] = [count]
        for index in range(count):
            try:
                shared.begins(f"gpu {index} nvmlDeviceGetHandleByIndex")
                handle = call(nvml, "nvmlDeviceGetHandleByIndex", index)
            except Fault as fault:
                found.append(fault.name)
                continue
            for name, _, read in CALLS:
                if name in SIGNALS:
                    found.append(_value(shared, index, name, read, nvml, handle))
                    if name == MIG_MODE and isinstance(found[-1], tuple) and found[-1][0]:
                        found.append(_value(shared, index, MIG_DEVICE, _slices, nvml, handle))
            found.append(_value(shared, index, "nvmlDeviceGetFieldValues", fields, nvml, handle, RECOVERY))
        return found
    except Fault as fault:
        return fault.name
    finally:
        _close(nvml)


def _value(shared: _Shared, index: int, name: str, read: Any, *arguments: Any) -> Any:
    from preflight.facts.nvml import Fault

    shared.begins(f"gpu {index} {name}")
    try:
        found = read(*arguments)
    except Fault as fault:
        return fault.name
    return [one["pid"] for one in found[0]] if name == PROCESSES else found


def _slices(nvml: Any, handle: Any) -> list[str]:
    """Return UUID and name, which has the profile, of a GPU's MIG devices: others are made while the mode stays."""
    from preflight.facts.mig import MAX_DEVICES
    from preflight.facts.nvml import Fault, call

    found = []
    for place in range(min(int(call(nvml, "nvmlDeviceGetMaxMigDeviceCount", handle)), MAX_DEVICES)):
        try:
            device = call(nvml, MIG_DEVICE, handle, place)
            found.append(f"{call(nvml, 'nvmlDeviceGetUUID', device)} {call(nvml, 'nvmlDeviceGetName', device)}")
        except Fault as fault:
            found.append(fault.name)
    return found


def _close(nvml: Any) -> None:
    from preflight.facts.nvml import Fault, call

    try:
        call(nvml, "nvmlShutdown")
    except Fault:
        return


def _library() -> tuple[str, tuple[int, ...]]:
    """Return the path of the loaded libnvidia-ml and its file's identity, ("", ()) where none is loaded."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        paths = [line.split(maxsplit=5)[5].strip() for line in file if "libnvidia-ml" in line]
    if not paths:
        return "", ()
    return paths[0], _identity(paths[0])


def _identity(path: str) -> tuple[int, ...]:
    try:
        info = os.stat(path)
    except OSError:
        return ()
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns
