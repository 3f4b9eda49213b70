"""What the behaviour tests have in common."""

import contextlib
import multiprocessing.connection
import os
import threading
import time
from pathlib import Path

import children

# Seconds in which anything that a test waits for has happened.
SOON = 20


class UnderTest:
    """A module under test and a start method; its attributes are those of the module's context."""

    def __init__(self, module, method):
        self.module = module
        self.name = module.__name__
        self.method = method
        self.ours = self.name == "slipring"
        self.context = module.get_context(method)
        self._started = []

    def __getattr__(self, name):
        return getattr(self.context, name)

    def __repr__(self):
        return f"{self.name}-{self.method}"

    def submodule(self, name):
        """`multiprocessing.connection` of the module under test, and so on."""
        return __import__(f"{self.name}.{name}", fromlist=[name])

    def wait(self, objects, timeout=None):
        return self.submodule("connection").wait(objects, timeout)

    def peer(self, **objects):
        """Another process that was given these objects, and does with them what it is told."""
        peer = Peer(self.context, objects)
        self._started.append(peer.process)
        return peer

    def start(self, target, *args, **kwargs):
        """Starts a process."""
        process = self.context.Process(target=target, args=args, kwargs=kwargs)
        process.start()
        self._started.append(process)
        return process

    def end_peers(self):
        for process in self._started:
            with contextlib.suppress(ValueError):
                process.kill()
                process.join()


def differs(mp, why):
    """Whether the package under test is ours: for what differs from multiprocessing on purpose."""
    assert why
    return mp.ours


class Peer:
    """Drives a process: `peer.lock.acquire(False)` is done in it, and the result comes back.

    What an attribute's call raises there is raised here. `begin` does not wait for the result.
    """

    def __init__(self, context, objects):
        # Not the package's own: what is tested must not carry the orders.
        self.control, theirs = multiprocessing.Pipe()
        inherited = self.control if context.get_start_method() == "fork" else None
        self.process = context.Process(target=children.obey, args=(theirs, objects, inherited))
        self.process.start()
        self.pid = self.process.pid
        theirs.close()
        assert self._receive() == ("ready", None)

    def __getattr__(self, name):
        return Remote(self, name)

    def begin(self, path, *args, **kwargs):
        """Has the peer call what the path names, and returns once it is about to."""
        self.control.send((path, args, kwargs))
        assert self._receive() == ("begun", None)
        return Pending(self, path)

    def blocked(self, path, *args, **kwargs):
        """The same, and returns once the peer is asleep in the call."""
        pending = self.begin(path, *args, **kwargs)
        until_asleep(self.pid)
        assert not pending.done(), f"{path} did not block"
        return pending

    def call(self, path, *args, **kwargs):
        return self.begin(path, *args, **kwargs).result()

    def receive(self, path, name):
        """Has the peer call `recv` of what the path names, and keep under the name what comes."""
        return self.call("receive", path, name)

    def read(self, path):
        return self.begin("read", path).result()

    def write(self, path, value):
        return self.begin("write", path, value).result()

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """SIGKILL; returns when the process is gone."""
        self.process.kill()
        self.process.join()

    def end(self):
        """Lets the process come to its end; returns its exit code."""
        self.control.send(None)
        self.process.join(SOON)
        return self.process.exitcode

    def _receive(self, timeout=SOON):
        assert self.control.poll(timeout), "no answer from the peer"
        return self.control.recv()


class Remote:
    """A path of attributes in a peer."""

    def __init__(self, peer, path):
        self._peer, self._path = peer, path

    def __getattr__(self, name):
        return Remote(self._peer, f"{self._path}.{name}")

    def __call__(self, *args, **kwargs):
        return self._peer.begin(self._path, *args, **kwargs).result()


class Pending:
    """A call under way in a peer."""

    def __init__(self, peer, path):
        self.peer, self.path = peer, path

    def done(self):
        return self.peer.control.poll()

    def result(self, timeout=SOON):
        assert self.peer.control.poll(timeout), f"{self.path} does not return"
        kind, value = self.peer.control.recv()
        if kind == "raised":
            raise value
        return value


class Worker(threading.Thread):
    """Runs a function in a thread; `result` gives what it returned, or raises what it raised."""

    def __init__(self, function, *args, **kwargs):
        super().__init__(daemon=True)
        self._call = (function, args, kwargs)
        self._value = self._error = None
        self.start()

    def run(self):
        function, args, kwargs = self._call
        try:
            self._value = function(*args, **kwargs)
        except BaseException as error:
            self._error = error

    def blocked(self):
        """Waits until the thread is asleep in its call; returns the worker."""
        until_asleep(os.getpid(), self.native_id)
        assert self.is_alive(), "the call did not block"
        return self

    def result(self, timeout=SOON):
        self.join(timeout)
        assert not self.is_alive(), "the call does not return"
        if self._error is not None:
            raise self._error
        return self._value


# Waiting


def eventually(predicate, timeout=SOON):
    """Waits until the predicate holds; returns what it gave."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.002)
    return value


def until_asleep(pid, thread=None):
    """Waits until the process's thread (the first, if none is named) sleeps, and stays asleep."""
    stat = Path(f"/proc/{pid}/task/{thread or pid}/stat")
    asleep = 0

    def settled():
        nonlocal asleep
        state = stat.read_text().rpartition(")")[2].split()[0]
        asleep = asleep + 1 if state == "S" else 0
        return asleep >= 10

    eventually(settled)


@contextlib.contextmanager
def takes(at_least, at_most=SOON):
    """Checks how long the block takes, in seconds."""
    start = time.monotonic()
    yield
    seconds = time.monotonic() - start
    assert at_least * 0.95 <= seconds <= at_most, f"took {seconds:.3f} s"
