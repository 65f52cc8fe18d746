"""Several processes as one: started together, drained in order, none left behind."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence

from services.cli.child import Child, Process, RestartPolicy
from services.cli.logs import Log

_PROBE_EVERY_SECONDS = 0.1
# Processes can do without one another; going in turns only keeps their first minute quiet.
_LONGEST_TURN_SECONDS = 5.0
_REMIND_EVERY_SECONDS = 15.0
_DEFAULT_POLICY = RestartPolicy()


class Supervisor:
    """Runs processes, given in the order of calls: a later one calls earlier ones.

    `run` starts each as soon as those that it is `after` are ready. `drain`
    stops them from the last to the first, each with up to `grace_seconds`.
    `kill` ends them at once.
    """

    def __init__(
        self,
        processes: Sequence[Process],
        log: Log,
        *,
        grace_seconds: float,
        policy: RestartPolicy = _DEFAULT_POLICY,
        inherited: Sequence[int] = (),
    ) -> None:
        self._log = log
        self._grace_seconds = grace_seconds
        self._stdin, self._held_open = os.pipe()
        self.children = [
            Child(process, log, policy, stdin=self._stdin, inherited=inherited)
            for process in processes
        ]
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Ask for the end; `run` returns when all have stopped."""
        self._draining.set()

    def kill(self) -> None:
        """End all processes now."""
        self._draining.set()
        for child in self.children:
            child.kill()

    async def run(self, on_ready: Callable[[float], None]) -> None:
        """Run until `drain`. Raise Failure when a process cannot come up.

        `on_ready` is called once, with the seconds that it took.
        """
        keeping = {child: asyncio.ensure_future(child.keep_running()) for child in self.children}
        asked = asyncio.ensure_future(self._draining.wait())
        watching = asyncio.ensure_future(self._until_ready(on_ready))
        try:
            pending: set[asyncio.Future[object]] = {asked, watching, *keeping.values()}  # type: ignore[arg-type]
            while not asked.done():
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            watching.cancel()
            asked.cancel()
            for child in reversed(self.children):
                await self._stop(child, keeping[child])
            await asyncio.gather(watching, asked, *keeping.values(), return_exceptions=True)
            os.close(self._held_open)
            os.close(self._stdin)

    async def _until_ready(self, on_ready: Callable[[float], None]) -> None:
        started = time.monotonic()
        reminded = started
        waiting = list(self.children)
        ready: set[str] = set()
        while waiting:
            for child in list(waiting):
                waited = time.monotonic() - started
                if not ready.issuperset(child.process.after) and waited < _LONGEST_TURN_SECONDS:
                    continue
                child.let_start()
                pid = child.pid
                # What answers at its address is the process only while it lives.
                if pid is not None and await child.process.probe() and child.pid == pid:
                    child.is_proven = True
                    ready.add(child.process.name)
                    waiting.remove(child)
            if time.monotonic() - reminded > _REMIND_EVERY_SECONDS:
                reminded = time.monotonic()
                names = [child.process.name for child in waiting]
                self._log.event("info", "not ready yet", waiting_for=names)
            await asyncio.sleep(_PROBE_EVERY_SECONDS)
        on_ready(time.monotonic() - started)

    async def _stop(self, child: Child, keeping: "asyncio.Future[None]") -> None:
        if child.pid is not None:
            self._log.event("info", "stopping", name=child.process.name)
        child.ask_to_stop()
        _, late = await asyncio.wait((keeping,), timeout=self._grace_seconds)
        if late:
            self._log.event(
                "warning",
                "killing",
                name=child.process.name,
                grace_seconds=self._grace_seconds,
            )
            child.kill()
            await asyncio.wait((keeping,))
