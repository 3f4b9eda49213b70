"""Children that are forked, and threads, for tests that are slipring's alone."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time

import pytest
from helpers import SOON

fork = multiprocessing.get_context("fork")


def forked(work):
    """Runs `work` in a child, which exits with what it returns."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work() or 0
        finally:
            os._exit(code)
    return pid


def exit_code(pid, patience=SOON):
    """How a child ended: it is killed if it does not."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    pytest.fail("the child did not end")


def in_thread(work):
    """Runs `work` in a thread; the result of joining it is what it returned or raised."""
    outcome = []

    def run():
        try:
            outcome.append(work())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join():
        thread.join(SOON)
        assert outcome, "the thread is still at it"
        return outcome[0]

    return join


def is_asleep(pid_or_tid):
    """Whether a process's thread waits in the kernel."""
    with open(f"/proc/{pid_or_tid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "S"


@contextlib.contextmanager
def forking(work):
    """A child that runs `work` and ends; its exit status is checked."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    try:
        yield pid
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def in_child(run):
    """Whether `run` is true in a forked child."""
    receiver, sender = fork.Pipe(False)

    def child():
        sender.send(bool(run()))

    process = fork.Process(target=child)
    process.start()
    try:
        assert receiver.poll(20), "the child says nothing"
        return receiver.recv()
    finally:
        process.join()


def killed_after(run):
    """Runs `run` in a child, which is killed as soon as it returns."""
    receiver, sender = fork.Pipe(False)

    def child():
        sender.send(run())
        time.sleep(60)

    process = fork.Process(target=child)
    process.start()
    assert receiver.poll(20), "the child says nothing"
    said = receiver.recv()
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return said
