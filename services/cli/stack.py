"""The processes of one machine: their ports, their environment, and their one data folder."""

import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.cli.child import Process
from services.cli.failures import Failure
from services.cli.ports import Ports
from services.cli.readiness import grpc_probe, http_probe

LOOPBACK = "127.0.0.1"
# In the order of calls: a later one calls those before it.
# Below the ports of outgoing connections: a client that calls for a process just killed could get
# its port from the system, and would keep it from starting for a minute.
INTERNAL_PORTS = {"catalog": 20053, "embedder": 20051, "index": 20052}
_AFTER = {
    "index": ("catalog", "embedder"),
    "gateway": ("catalog", "embedder"),
    "rest": ("catalog", "embedder"),
}
_LOCK = "up.lock"
# Of rest: the kernel gives each connection to one of the gateways by chance.
_CONNECTIONS_PER_GATEWAY = 4


@dataclass(frozen=True)
class Stack:
    """Where each process answers. `grpc` and `http` are for callers outside."""

    data_dir: Path
    host: str
    listen: Mapping[str, str]
    # Gateways on one port.
    gateway_workers: int = 1

    @property
    def grpc(self) -> str:
        """The address of the gateway for callers on this machine."""
        return _reachable(self.listen["gateway"])

    @property
    def http(self) -> str:
        """The URL of rest for callers on this machine."""
        return f"http://{_reachable(self.listen['rest'])}"

    def processes(self, inherited: Mapping[str, str]) -> list[Process]:
        """Return what to run, with `inherited` as the environment around it."""
        environment = {
            **inherited,
            "VITRINA_DATA_DIR": str(self.data_dir),
            "VITRINA_SUPERVISED": "1",
            "VITRINA_HTTP_LISTEN": self.listen["rest"],
        }
        for name, address in self.listen.items():
            if name != "rest":
                environment[f"VITRINA_{name.upper()}_LISTEN"] = address
                environment[f"VITRINA_{name.upper()}_ADDRESS"] = _reachable(address)
        if self.gateway_workers > 1:
            environment["VITRINA_GATEWAY_SHARES_PORT"] = "1"
            connections = str(_CONNECTIONS_PER_GATEWAY * self.gateway_workers)
            environment.setdefault("VITRINA_GATEWAY_CONNECTIONS", connections)
        return [
            self._process(name, kind, environment)
            for kind in self.listen
            for name in (self._gateways if kind == "gateway" else [kind])
        ]

    @property
    def _gateways(self) -> list[str]:
        others = (f"gateway-{number}" for number in range(2, self.gateway_workers + 1))
        return ["gateway", *others]

    def _process(self, name: str, kind: str, environment: Mapping[str, str]) -> Process:
        address = _reachable(self.listen[kind])
        return Process(
            name=name,
            # -P: a folder "services" where the user stands is not ours.
            command=(sys.executable, "-P", "-m", _MODULES[kind]),
            environment=environment,
            address=address,
            after=_AFTER.get(kind, ()),
            probe=(http_probe if kind == "rest" else grpc_probe)(address),
        )


_MODULES = {
    "catalog": "services.catalog",
    "embedder": "services.embedder",
    "index": "services.index",
    "gateway": "services.gateway",
    "rest": "services.gateway.rest",
}


def plan(
    ports: Ports,
    *,
    data_dir: Path,
    host: str,
    grpc_port: int,
    http_port: int,
    gateway_workers: int = 1,
) -> Stack:
    """Choose the ports. Those for callers must be free; inner ones give way."""
    outer = f"[{host}]" if ":" in host and not host.startswith("[") else host
    grpc_port = ports.wanted(host, grpc_port, option="--grpc-port")
    http_port = ports.wanted(host, http_port, option="--http-port")
    listen = {
        name: f"{LOOPBACK}:{ports.preferred(LOOPBACK, port)}"
        for name, port in INTERNAL_PORTS.items()
    }
    listen["gateway"] = f"{outer}:{grpc_port}"
    listen["rest"] = f"{outer}:{http_port}"
    return Stack(data_dir, outer, listen, gateway_workers)


def _reachable(address: str) -> str:
    """Return an address to call for one to listen on."""
    host, _, port = address.rpartition(":")
    return f"{ {'0.0.0.0': LOOPBACK, '[::]': '[::1]'}.get(host, host) }:{port}"  # noqa: S104


@contextmanager
def locked(data_dir: Path) -> Iterator[int]:
    """Hold the data folder, made if needed; give the lock's file descriptor.

    Processes that inherit the descriptor hold the folder too, until the last is gone.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(data_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise Failure(
            f"{data_dir}: {(error.strerror or str(error)).lower()}",
            hint="choose another folder with --data-dir or VITRINA_DATA_DIR",
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            raise Failure(
                f"{data_dir}: in use by another `vitrina up`"
                + (f" (process {holder}), or what is left of it" if holder else ""),
                hint="stop that one first, or choose another folder with --data-dir",
            ) from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)
