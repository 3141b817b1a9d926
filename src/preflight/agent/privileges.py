"""A child of the agent gives up what it does not need before it begins: capabilities(7), for good."""

from __future__ import annotations

CHOWN, DAC_OVERRIDE, FOWNER = 0, 1, 3  # linux/capability.h
USERS_COPIES = (CHOWN, DAC_OVERRIDE, FOWNER)  # what root needs to write into a user's directory
_VERSION_3 = 0x20080522
_NO_NEW_PRIVS = 38  # prctl(2)


def keep_only(capabilities: tuple[int, ...] = ()) -> None:
    """Keep of root's privileges only ``capabilities``, here and in what is run from here; raises OSError.

    It stays root's user: it reads root's files. no_new_privs has execve(2) give nothing back.
    """
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS) failed")
    bits = sum(1 << one for one in capabilities)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    held = _held(library, header) & bits
    data = (ctypes.c_uint32 * 6)(held, held, 0, 0, 0, 0)  # twice effective, permitted, inheritable: 32 bits each
    if library.capset(header, data):
        raise OSError(ctypes.get_errno(), "capset failed")


def _held(library: object, header: object) -> int:
    """Return what is permitted now, of the first 32 capabilities."""
    import ctypes

    data = (ctypes.c_uint32 * 6)()
    if library.capget(header, data):  # type: ignore[attr-defined]
        raise OSError(ctypes.get_errno(), "capget failed")
    return int(data[1])
