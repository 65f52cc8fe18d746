"""Free TCP ports, without two stacks on one machine choosing the same."""

import random
import socket
import sys

from services.cli.failures import Failure

# Below the ports from which systems take those of outgoing connections: one of these
# could otherwise be in the way of a process that is restarted.
_ANY = range(20_000, 32_000)
_ATTEMPTS = 200


class Ports:
    """Chooses ports, and keeps other `vitrina up` from choosing them until `close`."""

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []

    def wanted(self, host: str, port: int, *, option: str) -> int:
        """Return the port, or any free one for 0; raise Failure if it is taken."""
        if port == 0:
            return self._any(host)
        problem = self._problem(host, port)
        if problem:
            raise Failure(
                f"port {port} of {host} {problem}",
                hint=f"choose another with {option}, or {option} 0 for any free one",
            )
        return port

    def preferred(self, host: str, port: int) -> int:
        """Return the port, or any free one if it is taken."""
        return self._any(host) if self._problem(host, port) else port

    def close(self) -> None:
        """Let others choose the ports."""
        for claim in self._claims:
            claim.close()

    def _any(self, host: str) -> int:
        for port in random.sample(_ANY, _ATTEMPTS):
            if not self._problem(host, port):
                return port
        raise Failure(f"no free port found on {host}")

    def _problem(self, host: str, port: int) -> str:
        """Claim a port that is free, and return nothing; else return what is wrong."""
        claim = _claim(port)
        if claim is None:
            return "is taken by another vitrina"
        problem = _bind_problem(host, port)
        if problem:
            claim.close()
        else:
            self._claims.append(claim)
        return problem


def _claim(port: int) -> socket.socket | None:
    """Return a mark that this port is chosen; None when another process has it.

    The name is that of an abstract socket: it belongs to the network namespace,
    as ports do, and ends with the process. Elsewhere than on Linux it is no mark.
    """
    claim = socket.socket(socket.AF_UNIX)
    if sys.platform == "linux":
        try:
            claim.bind(f"\0vitrina-port-{port}")
        except OSError:
            claim.close()
            return None
    return claim


def _bind_problem(host: str, port: int) -> str:
    bare = host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do, so that connections that linger do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except socket.gaierror:
        return "cannot be taken: no such host"
    except OSError as error:
        taken = "is taken" if error.errno == 98 or "in use" in str(error) else ""
        return taken or f"cannot be taken: {(error.strerror or str(error)).lower()}"
    return ""
