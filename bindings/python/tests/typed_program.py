"""What a type checker has to understand: `mypy --strict` passes it, see test_typing.py. It runs, too."""

from __future__ import annotations

import asyncio
from queue import Empty
from typing import assert_type

import slipring
from slipring import JoinableQueue, Lock, Pipe, Pool, Process, Queue, SimpleQueue, WorkerDied
from slipring.connection import Connection
from slipring.connection import wait as wait_for
from slipring.pool import Pool as PoolClass
from slipring.queues import JoinableQueue as JoinableQueueClass
from slipring.queues import Queue as QueueClass
from slipring.queues import SimpleQueue as SimpleQueueClass
from slipring.synchronize import Lock as LockClass


class Worker(Process):
    def __init__(self, numbers: QueueClass[int | None], sums: SimpleQueueClass[int]) -> None:
        super().__init__(name="worker")
        self.numbers = numbers
        self.sums = sums

    def run(self) -> None:
        total = 0
        while (number := self.numbers.get(timeout=20)) is not None:
            assert_type(number, int)
            total += number
        self.sums.put(total)


def say(there: Connection, lock: LockClass) -> None:
    with lock:
        there.send("hello")
    there.close()


def add() -> None:
    numbers: QueueClass[int | None] = Queue(maxsize=10)
    sums: SimpleQueueClass[int] = SimpleQueue()
    worker = Worker(numbers, sums)
    worker.start()
    assert_type(numbers.put_many([1, 2, 3]), int)
    numbers.put(None)
    assert_type(sums.get(), int)
    worker.join()
    assert_type(worker.exitcode, int | None)
    try:
        numbers.get_nowait()
    except Empty:
        assert_type(numbers.get_many(10, block=False) if not numbers.empty() else [], list[int | None])


def greet() -> None:
    here, there = Pipe(duplex=False)
    assert_type(here, Connection)
    lock = Lock()
    assert_type(lock, LockClass)
    context = slipring.get_context("spawn")
    process = context.Process(target=say, args=(there, lock))
    process.start()
    there.close()
    for ready in wait_for([here], timeout=20):
        print(ready.recv())
    process.join()


def compute() -> None:
    with Pool(2) as pool:
        assert_type(pool, PoolClass)
        try:
            print(pool.map(abs, [1, -2]))
        except WorkerDied as died:
            function, arguments, named = died.task
            print(function, arguments, named, died.exitcode)


def share() -> None:
    counter = slipring.Value("i", 7)
    with counter.get_lock():
        counter.value += 1
    letters = slipring.Array("c", b"abc")
    assert_type(letters.value, bytes)
    jobs: JoinableQueueClass[str] = JoinableQueue(max_deliveries=3)
    jobs.put("one")
    assert_type(jobs.get(), str)
    jobs.task_done()
    jobs.join()
    seats = slipring.BoundedSemaphore(2)
    with seats, slipring.Condition() as is_locked:
        assert_type(is_locked, bool)
    slipring.Barrier(1, action=lambda: print("all here")).wait()
    event = slipring.Event()
    event.set()
    assert_type(event.wait(1.5), bool)


async def converse() -> None:
    words: QueueClass[str] = Queue()
    await words.aput("later")
    assert_type(await words.aget(), str)


if __name__ == "__main__":
    add()
    greet()
    compute()
    share()
    asyncio.run(converse())
