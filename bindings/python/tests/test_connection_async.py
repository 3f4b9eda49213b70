"""Connections in asyncio programs."""

import asyncio
import os
import signal
import threading
import time

import pytest
from slipring.connection import Pipe

SOON = 20


def run(coroutine):
    async def in_time():
        return await asyncio.wait_for(coroutine, SOON)

    return asyncio.run(in_time())


async def turns(number=5):
    """Lets the others of this loop run."""
    for _ in range(number):
        await asyncio.sleep(0.001)


def forked(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def fill(writer):
    """Sends until there is no room: what it sent."""
    sent = []
    for message in (bytes(3000), None):
        while writer._try_send(message):
            sent.append(message)
    return sent


def test_objects_are_awaited_while_others_run():
    reader, writer = Pipe(False)

    async def program():
        receiving = asyncio.create_task(reader.arecv())
        await turns()
        assert not receiving.done()
        await writer.asend({"a": [1]})
        return await receiving

    assert run(program()) == {"a": [1]}


def test_a_stream_between_processes_comes_in_order_and_ends():
    reader, writer = Pipe(False)
    child = forked(lambda: (reader.close(), [writer.send((number, bytes(number % 7000))) for number in range(2000)]))
    writer.close()

    async def program():
        seen = []
        with pytest.raises(EOFError):
            while True:
                seen.append(await reader.arecv())
        return seen

    assert [number for number, _ in run(program())] == list(range(2000))
    os.waitpid(child, 0)


def test_a_cancelled_receive_takes_nothing():
    reader, writer = Pipe(False)

    async def program():
        for number in range(200):
            receiving = asyncio.create_task(reader.arecv())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            # The message comes, and the cancellation, in either order and before the task runs.
            if number % 2:
                writer.send(number)
                receiving.cancel()
            else:
                receiving.cancel()
                writer.send(number)
            try:
                found = await receiving
            except asyncio.CancelledError:
                found = await reader.arecv()
            assert found == number
        assert not reader.poll()

    run(program())


def test_a_message_that_woke_a_receiver_which_is_cancelled_then_goes_to_the_next_one():
    reader, writer = Pipe(False)

    async def program():
        tasks = [asyncio.create_task(reader.arecv()) for _ in range(3)]
        await turns()
        writer.send("for whoever is left")
        # The first one has been woken when the loop has looked once, and has not run yet.
        await asyncio.sleep(0)
        tasks[0].cancel()
        done, rest = await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED, timeout=SOON)
        found = [task.result() for task in done]
        if not found:
            found = [tasks[0].result()]
        for task in rest:
            task.cancel()
        return found

    assert run(program()) == ["for whoever is left"]


def test_several_receivers_of_one_loop_get_each_message_once():
    reader, writer = Pipe(False)

    async def program():
        tasks = [asyncio.create_task(reader.arecv()) for _ in range(10)]
        await turns()
        for number in range(10):
            await writer.asend(number)
        return sorted(await asyncio.gather(*tasks))

    assert run(program()) == list(range(10))


def test_a_send_waits_for_room_while_others_run():
    reader, writer = Pipe(False)
    sent = fill(writer)

    async def program():
        obj = ["as it was when it was sent"]
        sending = asyncio.create_task(writer.asend(obj))
        await turns()
        assert not sending.done()
        obj.append("changed since")
        for message in sent:
            assert await reader.arecv() == message
        await sending
        return await reader.arecv()

    assert run(program()) == ["as it was when it was sent"]


def test_a_send_hears_of_room_that_another_process_makes():
    reader, writer = Pipe(False)
    sent = fill(writer)

    def work():
        writer.close()
        time.sleep(0.1)
        for _ in sent:
            reader.recv()
        assert reader.recv() == "at last"

    child = forked(work)
    run(writer.asend("at last"))
    assert os.waitpid(child, 0)[1] == 0


def test_a_cancelled_send_sends_nothing():
    reader, writer = Pipe(False)
    sent = fill(writer)

    async def program():
        sending = asyncio.create_task(writer.asend("never"))
        await turns()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    run(program())
    assert [reader.recv() for _ in sent] == sent
    assert not reader.poll()


@pytest.mark.parametrize("how", ["close", "kill"])
def test_the_end_is_heard_of_while_awaited(how):
    reader, writer = Pipe()
    child = forked(lambda: (reader.close(), signal.pause()))
    if how == "close":
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    else:
        writer.close()
    fill(reader)

    async def program():
        receiving, sending = asyncio.create_task(reader.arecv()), asyncio.create_task(reader.asend("no room"))
        await turns()
        assert not receiving.done() and not sending.done()
        writer.close() if how == "close" else os.kill(child, signal.SIGKILL)
        with pytest.raises(EOFError):
            await receiving
        with pytest.raises(BrokenPipeError):
            await sending

    run(program())
    if how == "kill":
        os.waitpid(child, 0)


@pytest.mark.parametrize("where", ["here", "another thread"])
def test_closing_ends_those_who_await(where):
    one, two = Pipe()
    fill(one)

    async def program():
        tasks = [asyncio.create_task(one.arecv()), asyncio.create_task(one.asend(1))]
        await turns()
        if where == "here":
            one.close()
        else:
            thread = threading.Thread(target=one.close)
            thread.start()
            while thread.is_alive():
                await turns(1)
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = run(program())
    assert [type(outcome) for outcome in outcomes] == [OSError] * 2
    assert all("closed" in str(outcome) for outcome in outcomes)


def test_connections_are_awaited_in_one_loop_after_another_and_in_a_child():
    one, two = Pipe()

    async def wait_a_little():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(one.arecv(), 0.02)

    run(wait_a_little())
    child = forked(lambda: run(one.asend(("from the child", run(one.arecv())))))
    two.send(7)
    assert two.recv() == ("from the child", 7)
    os.waitpid(child, 0)
    run(wait_a_little())
    two.send("and back")
    assert run(one.arecv()) == "and back"


def test_what_was_awaited_is_closed_with_the_last_reference():
    reader, writer = Pipe(False)
    fill(writer)

    async def program(end):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(end.asend(1), 0.02)

    run(program(writer))
    del writer
    while reader.poll():
        try:
            reader.recv()
        except EOFError:
            return
    pytest.fail("somebody keeps the writer")
