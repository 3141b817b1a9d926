"""NVML without pynvml: the calls that a prolog makes, under the binding's own names and with its answers.

Importing pynvml costs a prolog more than all that NVML is asked. This reads the same functions through _ctypes, the C
part of ctypes, into plain buffers. A test holds names, symbols, layouts and answers equal to pynvml's (nvidia-ml-py),
and a test of each scenario of the simulated driver runs on both. Whatever lives longer than a prolog uses pynvml.
"""

from __future__ import annotations

import _ctypes
from _struct import pack_into, unpack_from

from preflight.facts.nvml import Fault
from preflight.facts.nvml_direct.tables import (
    GIVEN,
    LAYOUTS,
    MEMORY_V2,
    NUMBERS,
    POINTER,
    PROCESSES,
    RECORDS,
    TEXTS,
    VALUE_AT,
    VALUES,
    VERSIONS,
)
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SONAME = "libnvidia-ml.so.1"
SUCCESS, UNINITIALIZED, INSUFFICIENT_SIZE, LIBRARY_NOT_FOUND, FUNCTION_NOT_FOUND = 0, 1, 7, 12, 13
NOT_AVAILABLE = 0xFFFFFFFFFFFFFFFF  # NVML_VALUE_NOT_AVAILABLE of 64 bits


class NVMLError(Exception):
    """A call that NVML refused; ``value`` is its nvmlReturn_t."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value


class _Int(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class _Pointer(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "P"


class _Byte(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class _Function(_ctypes.CFuncPtr):
    _flags_ = _ctypes.FUNCFLAG_CDECL
    _restype_ = _Int


class _Library:
    """What _ctypes takes for a library: an object with the handle of dlopen(3). Raises OSError."""

    def __init__(self, name: str) -> None:
        self._handle = _ctypes.dlopen(name, 0)


def _room(size: int) -> Any:
    """Return a buffer of so many zeroed bytes; the functions get its address."""
    return (_Byte * size)()


def _text(data: bytes) -> str:
    """Return the text before the first NUL; raises UnicodeDecodeError."""
    return data.partition(b"\0")[0].decode()


class Record:
    """A structure that NVML filled in: its fields in LAYOUTS as attributes."""

    def __init__(self, kind: str, room: Any = None, at: int = 0) -> None:
        size, self._fields = LAYOUTS[kind]
        self._room = _room(size) if room is None else room
        self._at = at
        if kind in VERSIONS:
            self.put("version", VERSIONS[kind])

    def __getattr__(self, name: str) -> Any:
        try:
            offset, form = self._fields[name]
        except KeyError:
            raise AttributeError(name) from None
        (value,) = unpack_from(form, self._room, self._at + offset)
        return _text(value) if isinstance(value, bytes) else value

    def put(self, name: str, value: int) -> None:
        """Set a field before the call."""
        offset, form = self._fields[name]
        pack_into(form, self._room, self._at + offset, value)

    def pointer(self) -> Any:
        """Return what a function takes for the structure's address."""
        return _ctypes.byref(self._room, self._at)


class Value:
    """The union of a field's value: its members as attributes."""

    def __init__(self, room: Any, at: int) -> None:
        self._room, self._at = room, at

    def __getattr__(self, name: str) -> Any:
        if name not in VALUES:
            raise AttributeError(name)
        return unpack_from(VALUES[name], self._room, self._at)[0]


class FieldValue(Record):
    """One field's answer: ``nvmlReturn``, ``valueType`` and ``value``."""

    @property
    def value(self) -> Value:
        """Return the union."""
        return Value(self._room, self._at + VALUE_AT)


class Excluded(NamedTuple):
    """A GPU that the administrator excluded; ``pci`` has its ``busId``."""

    pci: Record


class Process(NamedTuple):
    """A process on a GPU; ``usedGpuMemory`` in bytes, None where NVML does not say."""

    pid: int
    usedGpuMemory: int | None
    gpuInstanceId: int
    computeInstanceId: int


class Direct:
    """In pynvml's place for `preflight.facts.nvml.call`: its functions as attributes, those of tables.py."""

    NVMLError = NVMLError
    nvmlMemory_v2 = MEMORY_V2

    def __init__(self, library: str = "") -> None:
        """Load libnvidia-ml, by its path ``library`` where the loader does not find it; raises Fault."""
        self._library: _Library | None = None
        self._functions: dict[str, Any] = {}
        try:
            self._kept = _Library(library or SONAME)  # loaded first, it answers by its SONAME
        except OSError:
            raise Fault("LibraryNotFound") from None

    def __getattr__(self, name: str) -> Any:
        if name in NUMBERS:
            return self._numbers(*NUMBERS[name])
        if name in TEXTS:
            return self._texts(name, TEXTS[name])
        if name in RECORDS:
            return self._records(*RECORDS[name])
        if name in PROCESSES:
            return self._processes(PROCESSES[name])
        if name in GIVEN:
            return lambda *arguments: self._call(GIVEN[name], *arguments)
        if name in LAYOUTS:
            return lambda: Record(name)
        raise AttributeError(name)

    @staticmethod
    def byref(record: Record) -> Any:
        """Return what a function takes for the structure's address, as ctypes.byref does of its own."""
        return record.pointer()

    def nvmlInit(self) -> None:
        """Initialize NVML; raises NVMLError."""
        try:
            self._library = _Library(SONAME)
        except OSError:
            raise NVMLError(LIBRARY_NOT_FOUND) from None
        self._call("nvmlInitWithFlags", 0)

    def nvmlDeviceGetMemoryInfo(self, handle: Any, version: int = 0) -> Record:
        """Return the memory, by the structure of ``version`` where one is given; raises NVMLError."""
        record = Record("c_nvmlMemory_v2_t" if version else "c_nvmlMemory_t")
        if version:
            record.put("version", version)
        self._call("nvmlDeviceGetMemoryInfo_v2" if version else "nvmlDeviceGetMemoryInfo", handle, record.pointer())
        return record

    def nvmlDeviceGetFieldValues(self, handle: Any, wanted: list[Any]) -> list[FieldValue]:
        """Return the answer to each field, an id or (id, scope); raises NVMLError where the call is refused."""
        size = LAYOUTS["c_nvmlFieldValue_t"][0]
        room = _room(size * len(wanted))
        found = [FieldValue("c_nvmlFieldValue_t", room, size * at) for at in range(len(wanted))]
        for record, one in zip(found, wanted):
            field, scope = (one, 0) if isinstance(one, int) else one
            record.put("fieldId", field)
            record.put("scopeId", scope)
        self._call("nvmlDeviceGetFieldValues", handle, len(wanted), room)
        return found

    def nvmlGetExcludedDeviceInfoByIndex(self, index: int) -> Excluded:
        """Return what is known of an excluded GPU; raises NVMLError."""
        room = _room(LAYOUTS["c_nvmlExcludedDeviceInfo_t"][0])
        self._call("nvmlGetExcludedDeviceInfoByIndex", index, room)
        return Excluded(Record("nvmlPciInfo_t", room))

    def _numbers(self, symbol: str, formats: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            room = _room(8 * len(formats))
            self._call(symbol, *arguments, *(_ctypes.byref(room, 8 * at) for at in range(len(formats))))
            found = [unpack_from(one, room, 8 * at)[0] for at, one in enumerate(formats)]
            return _Pointer(found[0]) if formats == POINTER else found[0] if len(found) == 1 else found

        return call

    def _texts(self, symbol: str, size: int) -> Callable[..., str]:
        def call(*arguments: Any) -> str:
            room = _room(size)
            self._call(symbol, *arguments, room, size)
            return _text(room.raw)

        return call

    def _records(self, symbol: str, kind: str) -> Callable[[Any], Record]:
        def call(handle: Any) -> Record:
            record = Record(kind)
            self._call(symbol, handle, record.pointer())
            return record

        return call

    def _processes(self, symbol: str) -> Callable[[Any], list[Process]]:
        """Return a function that asks how many there are, and then for those and some that began meanwhile."""

        def call(handle: Any) -> list[Process]:
            counted = _room(4)
            code = self._code(symbol, handle, counted, None)
            if code == SUCCESS:
                return []
            if code != INSUFFICIENT_SIZE:
                raise NVMLError(code)
            size = LAYOUTS["c_nvmlProcessInfo_v2_t"][0]
            most = (unpack_from("I", counted)[0] * 2 + 5) & 0xFFFFFFFF
            room = _room(size * most)
            pack_into("I", counted, 0, most)
            self._call(symbol, handle, counted, room)
            number = unpack_from("I", counted)[0]
            if number > most:
                raise IndexError(number)
            return [_process(Record("c_nvmlProcessInfo_v2_t", room, size * at)) for at in range(number)]

        return call

    def _call(self, symbol: str, *arguments: Any) -> int:
        code = self._code(symbol, *arguments)
        if code != SUCCESS:
            raise NVMLError(code)
        return code

    def _code(self, symbol: str, *arguments: Any) -> int:
        """Return what the library's function answers; raises NVMLError where it is not there."""
        function = self._functions.get(symbol)
        if function is None:
            if self._library is None:
                raise NVMLError(UNINITIALIZED)
            try:
                function = self._functions[symbol] = _Function((symbol, self._library))  # type: ignore[arg-type]
            except AttributeError:
                raise NVMLError(FUNCTION_NOT_FOUND) from None
        return int(function(*arguments))


def _process(told: Record) -> Process:
    memory = told.usedGpuMemory
    used = None if memory == NOT_AVAILABLE else memory
    return Process(told.pid, used, told.gpuInstanceId, told.computeInstanceId)
