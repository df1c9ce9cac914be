"""Processes that do the work: one that takes too long, or too much memory, is ended and another takes its place."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

MEMORY = 4 * 2**30
"""The bytes of addresses that a worker may use, where the system can limit them."""


class BusyError(Exception):
    """No worker was free in time."""


class EndedError(Exception):
    """The worker was ended, or ended itself, before it had answered."""


class Workers:
    """So many processes, started before the first request. Safe to use from several threads."""

    def __init__(self, count: int, seconds: float, patience: float) -> None:
        """``seconds`` is what one piece of work may take, ``patience`` how long a request waits for a free process."""
        self.seconds, self.patience = seconds, patience
        self._context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self._free: queue.Queue[_Worker] = queue.Queue()
        self._all: set[_Worker] = set()
        self._closed = False
        for _ in range(count):
            self._start()

    def _start(self) -> None:
        worker = _Worker(self._context)
        self._all.add(worker)
        self._free.put(worker)

    def work(self, name: str, text: str) -> dict[str, Any]:
        """Return what `outputs.answer` does, worked in a process. Raises BusyError or EndedError."""
        try:
            worker = self._free.get(timeout=self.patience)
        except queue.Empty:
            raise BusyError from None
        try:
            found = worker.answer(name, text, self.seconds)
        except BaseException:
            worker.end()
            self._all.discard(worker)
            if not self._closed:
                self._start()
            raise
        self._free.put(worker)
        return found

    def close(self) -> None:
        """End all of them."""
        self._closed = True
        for worker in list(self._all):
            worker.end()


class _Worker:
    def __init__(self, context: Any) -> None:
        self.connection, inner = context.Pipe()
        self.process = context.Process(target=_work, args=(inner,), daemon=True)
        self.process.start()
        inner.close()

    def answer(self, name: str, text: str, seconds: float) -> dict[str, Any]:
        try:
            self.connection.send((name, text))
            if not self.connection.poll(seconds):
                raise EndedError(f"it took more than {seconds:g} s")
            found: dict[str, Any] = self.connection.recv()
        except (EOFError, OSError):
            raise EndedError("it took too much memory, or its process ended") from None
        return found

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _work(connection: Connection) -> None:
    """The life of a worker: it answers until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    from symbackprop.models import builtin_text
    from symbackprop.serving.outputs import answer

    answer("page", builtin_text("d2l_mlp"))  # so that what is imported late, and the letters, are there for the first request
    with suppress(EOFError, OSError):
        while True:
            name, text = connection.recv()
            try:
                found = answer(name, text)
            except MemoryError:
                return
            except Exception as problem:  # an error of ours: said as one, and the worker goes on
                found = {"error": {"message": f"internal error: {type(problem).__name__}", "hint": "please report it", **_NOWHERE}}
            connection.send(found)


_NOWHERE = {"line": 0, "column": 0, "length": 0}
