"""The processes of a pool: they are started, replaced when they exit, and given up when they never become ready."""

from __future__ import annotations

import collections
import queue
import time
from multiprocessing import util
from typing import Any

from slipring._pool_errors import PoolBroken, WorkerDied, how_it_ended, sealed_error, submitted
from slipring._worker import STARTING, Unreadable, seal, tell, unseal, work
from slipring.queues import JoinableQueue, Queue
from slipring.sharedctypes import RawArray

#: How many tasks wait in shared memory at most; the rest wait where they are.
_WAITING_TASKS = 1024
#: Seconds after which a thread of the pool that waits looks whether the pool has ended, and for tasks of the dead.
PATIENCE = 0.2
#: After so many workers in succession that ended before they were ready the pool hesitates to start more: so many that
#: ended by themselves, or so many that were killed, which may be chance.
_FAILED, _KILLED = 3, 20
#: Seconds between new workers then, as long as others work.
_PAUSE = 5.0


class Workers:
    """The processes of a pool, and the two queues that they work at."""

    def __init__(self, pool: Any):
        self.ctx = pool._ctx
        self.count = pool._processes
        self.new = pool.Process
        self.rest = (
            pool._initializer,
            pool._initargs,
            pool._maxtasksperchild,
            pool._wrap_exception,
        )
        self.all: list[Any] = []
        #: Those that exited last: what each was at, its exit code and process id.
        self.dead: collections.deque[tuple[tuple[int, int], int | None, int]] = collections.deque(
            maxlen=64 + 4 * self.count
        )
        self.tasks = JoinableQueue(_WAITING_TASKS, max_deliveries=1, ctx=self.ctx)
        self.results = Queue(ctx=self.ctx)
        #: What exceptions of the initializer say, on their way and by process id.
        self.failures = None if pool._initializer is None else Queue(ctx=self.ctx)
        self.told: dict[int, tuple[str, str]] = {}
        self.working_at = RawArray("q", [STARTING] * (2 * self.count))
        self.unready = Unready()

    def fill(self, most: int | None = None) -> None:
        """Starts as many as are missing, or not more than that."""
        taken = {worker._slipring_seat for worker in self.all}
        missing = [seat for seat in range(self.count) if seat not in taken]
        for seat in missing[:most]:
            self.working_at[2 * seat] = STARTING
            args = (self.tasks, self.results, self.failures, self.working_at, seat, *self.rest)
            worker = self.new(self.ctx, target=work, args=args)
            worker._slipring_seat = seat
            worker._slipring_trial = self.unready.are_too_many()
            worker.name = worker.name.replace("Process", "PoolWorker")
            worker.daemon = True
            worker.start()
            self.all.append(worker)
            util.debug("added worker")

    def replace_exited(self) -> None:
        """Cleans up after those that have exited, fails what they were at, and starts new ones."""
        exited = [worker for worker in self.all if worker.exitcode is not None]
        self._hear_failures()
        for worker in exited:
            util.debug(f"cleaning up worker {worker.name}")
            worker.join()
            self.all.remove(worker)
            # The next one in its seat notes there what it is at.
            at = self._at(worker)
            self.dead.append((at, worker.exitcode, worker.pid))
            self.unready.note(at[0] != STARTING, worker.exitcode, worker.pid, self.told.pop(worker.pid, None))
        if self.dead:
            self._fail_what_came_back()
        for worker in self.all:
            if worker._slipring_trial and self._at(worker)[0] != STARTING:
                # There is hope again.
                worker._slipring_trial = False
                self.unready.forget()
        if not self.unready.are_too_many():
            self.fill()
        elif self.all and self.unready.is_time():
            self.fill(1)

    def _hear_failures(self) -> None:
        """Takes what the initializer has raised: a worker says it before it exits."""
        while self.failures is not None:
            try:
                self.told.update([self.failures.get_nowait()])
            except queue.Empty:
                break

    def are_broken(self) -> bool:
        """Whether there are none, and no more are started."""
        return not self.all and self.unready.are_too_many()

    def fail_a_task(self) -> None:
        """What is done with tasks when there are no workers. Waits for one, for a moment."""
        try:
            task = self.tasks.get(timeout=PATIENCE)
        except queue.Empty:
            return
        if task is not None:
            job, i, _ = task
            self.results.put((job, i, -1, False, seal(PoolBroken(str(self.unready))), self.unready.told))
        self.tasks.task_done()

    def _at(self, worker: Any) -> tuple[int, int]:
        """The job and the task that a worker is at."""
        seat = 2 * worker._slipring_seat
        return self.working_at[seat], self.working_at[seat + 1]

    def _fail_what_came_back(self) -> None:
        for task, _ in self.tasks.dead_letters():
            if task is None:
                continue
            job, i, sealed = task
            call = unseal(sealed)
            call = (None, (), {}) if isinstance(call, Unreadable) else call
            error = WorkerDied(submitted(call), *self._end_of_who_was_at(job, i))
            # Behind what the worker may have sent: if that was the result, this comes too late.
            self.results.put((job, i, -1, False, sealed_error(error), tell(error)))

    def _end_of_who_was_at(self, job: int, i: int) -> tuple[int | None, int]:
        """The exit code and the process id of the worker that was at a task."""
        for at, exitcode, pid in self.dead:
            if at == (job, i):
                return exitcode, pid
        for worker in self.all:
            if self._at(worker) == (job, i):
                # One whose end was not reported yet is as dead as the others: its task came back.
                worker.join(PATIENCE)
                return worker.exitcode, worker.pid
        # It had just taken the task. Which of several that was is not known.
        ends = [(exitcode, pid) for _, exitcode, pid in reversed(self.dead)]
        return next((end for end in ends if end[0]), ends[0])

    def terminate(self) -> None:
        """Ends all that run."""
        for worker in self.all:
            if worker.exitcode is None:
                worker.terminate()
        for worker in self.all:
            if worker.is_alive():
                worker.join()


class Unready:
    """How many workers in succession were never ready for tasks, and how the last one of them ended."""

    def __init__(self) -> None:
        self.failed = self.killed = 0
        self.end: tuple[int | None, int] = (None, 0)
        #: What the initializer's exception said, and its traceback.
        self.told: tuple[str, str] | None = None
        self.next_start = 0.0

    def note(self, was_ready: bool, exitcode: int | None, pid: int, told: tuple[str, str] | None) -> None:
        """Notes that a worker has ended."""
        if was_ready:
            self.forget()
            return
        if exitcode is not None and exitcode < 0:
            self.killed += 1
        else:
            self.failed += 1
        self.end, self.told = (exitcode, pid), told

    def forget(self) -> None:
        """Begins to count anew."""
        self.failed = self.killed = 0

    def are_too_many(self) -> bool:
        """Whether there is little hope for the next one."""
        return self.failed >= _FAILED or self.killed >= _KILLED

    def is_time(self) -> bool:
        """Whether another one may be started nevertheless, once in a while."""
        now = time.monotonic()
        if now < self.next_start:
            return False
        self.next_start = now + _PAUSE
        return True

    def __str__(self) -> str:
        exitcode, pid = self.end
        if self.told is not None:
            why = f"the initializer raised {self.told[0]}"
        else:
            why = f"the last one (pid {pid}) {how_it_ended(exitcode)}"
        count = self.failed + self.killed
        return f"{count} workers of the pool ended before they were ready for tasks, so no more are started: {why}"
