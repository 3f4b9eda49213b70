"""Queues in asyncio programs."""

import asyncio
import contextlib
import gc
import weakref

import pytest
from forks import forking
from slipring.queues import Queue


def test_aget_and_aput_take_turns_with_other_coroutines():
    async def main():
        q, got = Queue(maxsize=2), []

        async def consume():
            while (item := await q.aget()) is not None:
                got.append(item)

        consumers = [asyncio.create_task(consume()) for _ in range(3)]
        for i in range(300):
            await q.aput(i)
        for _ in consumers:
            await q.aput(None)
        await asyncio.wait_for(asyncio.gather(*consumers), 20)
        assert sorted(got) == list(range(300))

    asyncio.run(main())


def test_aget_sees_what_another_process_puts():
    q, go = Queue(), Queue()

    def work():
        go.get()
        for i in range(50):
            q.put(i)

    async def main():
        waiting = asyncio.create_task(q.aget())
        await asyncio.sleep(0.05)
        go.put(None)
        got = [await asyncio.wait_for(waiting, 20)]
        got += [await asyncio.wait_for(q.aget(), 20) for _ in range(49)]
        assert got == list(range(50))

    with forking(work):
        asyncio.run(main())


def test_a_cancelled_aget_takes_nothing():
    async def main():
        q, got, begun = Queue(), [], 300
        for i in range(begun):
            tasks = [asyncio.create_task(q.aget()) for _ in range(2)]
            for _ in range(i % 4):
                await asyncio.sleep(0)
            q.put(i)
            for _ in range(i % 3):
                await asyncio.sleep(0)
            tasks[0].cancel()
            got.append(await asyncio.wait_for(tasks[1], 20) if i % 2 else None)
            done = await asyncio.gather(*tasks, return_exceptions=True) if i % 2 else None
            if done and not isinstance(done[0], asyncio.CancelledError):
                pytest.fail("one item and two takers")
            if not i % 2:
                tasks[1].cancel()
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    if not isinstance(result, asyncio.CancelledError):
                        got[-1] = result
                if got[-1] is None:
                    got[-1] = q.get_nowait()
            assert got[-1] == i and q.empty()

    asyncio.run(main())


def test_a_cancelled_aput_puts_nothing():
    async def main():
        q = Queue(maxsize=1)
        q.put(0)
        task = asyncio.create_task(q.aput(1))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await q.aget() == 0 and q.empty()

    asyncio.run(main())


def test_closing_ends_those_who_await():
    async def main():
        q, full = Queue(), Queue(1)
        full.put(0)
        tasks = [asyncio.create_task(q.aget()), asyncio.create_task(full.aput(1))]
        await asyncio.sleep(0.02)
        q.close()
        full.close()
        for result in await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20):
            assert isinstance(result, ValueError)

    asyncio.run(main())


def test_aput_puts_an_object_as_it_was():
    async def main():
        q, one, two = Queue(1), [1], b"two"
        q.put(0)
        tasks = [asyncio.create_task(q.aput(one)), asyncio.create_task(q.aput(two))]
        await asyncio.sleep(0.02)
        one.append(2)
        assert [await q.aget() for _ in range(3)] in ([0, [1], b"two"], [0, b"two", [1]])
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_an_awaited_queue_ends_with_its_last_reference():
    async def main():
        q = Queue()
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(q.aget(), 0.01)
        return weakref.ref(q)

    gc.disable()
    try:
        assert asyncio.run(main())() is None
    finally:
        gc.enable()
