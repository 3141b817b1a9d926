"""Asking the agent, from a command; the hooks ask by client/prolog.c."""

from __future__ import annotations

import time

from preflight import __version__, jsonio
from preflight.agent import wire

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any


PATIENCE_S = 5.0


class AgentError(Exception):
    """No answer: one line, what is wrong and what to do."""


def ask(run_dir: str, operation: str, values: dict[str, str] | None = None, path: str = "") -> dict[str, Any]:
    """Return the agent's answer; raises AgentError. ``path``: another socket than that of the node's agent."""
    import socket

    place = path or wire.alias_path(run_dir)
    until = time.monotonic() + PATIENCE_S
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE_S)
        try:
            connection.connect(place)
            if wire.peer(connection)[1] != 0:
                raise AgentError(f"{place}: who listens there is not root")
            connection.sendall(wire.request(__version__, operation, until, values or {}))
            data = b""
            while not data.endswith(b"\n") and len(data) < wire.ANSWER_MAX:
                part = connection.recv(1 << 16)
                if not part:
                    break
                data = (data + part).removeprefix(wire.WAIT)  # others came at the same time
        except PermissionError:
            raise AgentError(f"{place}: only root may ask the agent") from None
        except FileNotFoundError:
            raise AgentError(f"{place}: no agent runs here (systemctl start preflight-agent)") from None
        except ConnectionRefusedError:
            raise AgentError(f"{place}: the agent has ended (systemctl restart preflight-agent)") from None
        except TimeoutError:
            raise AgentError(f"{place}: the agent does not answer within {PATIENCE_S:g} s") from None
        except OSError as error:
            raise AgentError(f"{place}: {error.strerror or error}") from None
    try:
        answer = jsonio.loads(data)
    except ValueError:
        raise AgentError(f"{place}: the agent gave no answer; is it of this version?") from None
    if not isinstance(answer, dict):
        raise AgentError(f"{place}: the agent's answer is none")
    if "error" in answer:
        raise AgentError(str(answer["error"]))
    return answer
