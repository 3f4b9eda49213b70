"""Programs under `python -m slipring` whose classes are derived from multiprocessing's, as those of libraries are."""

import pytest

pytest.importorskip("slipring")

METHODS = ("fork", "spawn", "forkserver")


@pytest.fixture(params=METHODS)
def same(request, both):
    """Runs a program, which has the context `CONTEXT`, with `python -m slipring` and without: both print this."""

    def run(program, prints):
        head = f"import multiprocessing\nCONTEXT = multiprocessing.get_context({request.param!r})\n"
        ours, theirs = both("program.py", files={"program.py": head + program})
        assert theirs == (0, prints, "")
        assert ours == theirs

    return run


# Pools

PICKLING_POOL = """
import copyreg, io, pickle
import multiprocessing.pool

class Big:
    def __init__(self, number):
        self.number = number
        self.how = "plain"

def remake(number):
    big = Big(number)
    big.how = "reduced"
    return big

class PicklingQueue:
    def __init__(self, ctx):
        self._reader, self._writer = ctx.Pipe(duplex=False)
        self._rlock, self._wlock = ctx.Lock(), ctx.Lock()

    def get(self):
        with self._rlock:
            return pickle.loads(self._reader.recv_bytes())

    def put(self, x):
        file = io.BytesIO()
        pickler = pickle.Pickler(file, 4)
        pickler.dispatch_table = {**copyreg.dispatch_table, Big: lambda big: (remake, (big.number,))}
        pickler.dump(x)
        with self._wlock:
            self._writer.send_bytes(file.getvalue())

class PicklingPool(multiprocessing.pool.Pool):
    def _setup_queues(self):
        self._inqueue, self._outqueue = PicklingQueue(self._ctx), PicklingQueue(self._ctx)
        self._quick_put, self._quick_get = self._inqueue.put, self._outqueue.get

class Derived(PicklingPool):
    pass

class Mixin:
    _setup_queues = PicklingPool._setup_queues

class Mixed(Mixin, multiprocessing.pool.Pool):
    pass

def look(big):
    return f"{big.how} {big.number}"

if __name__ == "__main__":
    for cls in PicklingPool, Derived, Mixed:
        with cls(2, context=CONTEXT) as pool:
            print(pool.apply(look, (Big(3),)), *pool.imap(look, [Big(4)]))
        with cls(1, context=CONTEXT, maxtasksperchild=1) as pool:
            print(*pool.map(look, [Big(5), Big(6)], chunksize=1))
            pool.close()
            pool.join()
"""


def test_a_pool_with_queues_of_its_own_uses_them(same):
    same(PICKLING_POOL, "reduced 3 reduced 4\nreduced 5 reduced 6\n" * 3)


def test_also_where_slipring_is_imported_by_its_name(both):
    program = "CONTEXT = slipring.get_context('spawn')\n" + PICKLING_POOL.replace("multiprocessing", "slipring")
    _, theirs = both("program.py", files={"program.py": "import slipring\n" + program})
    assert theirs == (0, "reduced 3 reduced 4\nreduced 5 reduced 6\n" * 3, "")


HOOKS = """
import multiprocessing.pool

class Counting(multiprocessing.pool.Pool):
    filled = 0

    def _repopulate_pool(self):
        self.filled += 1
        super()._repopulate_pool()

class Growing(multiprocessing.pool.Pool):
    def grow(self):
        self._processes += 1
        self._repopulate_pool()

if __name__ == "__main__":
    with Counting(2, context=CONTEXT) as pool:
        print(pool.map(abs, [-1, 2]), pool.filled)
    with Growing(1, context=CONTEXT) as pool:
        pool.grow()
        print(pool.map(abs, [-1, 2]), len(pool._pool))
"""


def test_a_pool_whose_inner_methods_are_overridden_or_called_has_them(same):
    same(HOOKS, "[1, 2] 1\n[1, 2] 2\n")


OURS = """
import multiprocessing.pool, os, slipring

class Named(multiprocessing.pool.Pool):
    def __init__(self, name, *args, **options):
        super().__init__(*args, **options)
        self.name = self._name = name
        self._workers = self._thread = 3

    def apply_async(self, function, *args, **options):
        return super().apply_async(function, *args, **options)

    @staticmethod
    def Process(ctx, *args, **options):
        return ctx.Process(*args, **options)

if __name__ == "__main__":
    with Named("pool", 2) as pool:
        try:
            pool.apply(os._exit, (3,))
        except slipring.WorkerDied as died:
            print(died.exitcode, pool.map(abs, [-1, 2]), pool.name)
"""


def test_a_pool_with_nothing_of_that_kind_stays_one_whose_workers_may_be_killed(both):
    ours, _ = both("program.py", files={"program.py": OURS}, control=False)
    assert ours == (0, "3 [1, 2] pool\n", "")


# Queues

REDUCING_QUEUES = """
import multiprocessing.queues
from multiprocessing.context import assert_spawning

class Queue(multiprocessing.queues.Queue):
    def __init__(self, ctx, mark):
        super().__init__(ctx=ctx)
        self.mark = mark

    def __getstate__(self):
        assert_spawning(self)
        return (self._ignore_epipe, self._maxsize, self._reader, self._writer, self.mark, self._rlock, self._wlock,
                self._sem, self._opid)

    def __setstate__(self, state):
        (self._ignore_epipe, self._maxsize, self._reader, self._writer, self.mark, self._rlock, self._wlock,
         self._sem, self._opid) = state
        self._reset() if hasattr(self, "_reset") else self._after_fork()

    def put_marked(self, obj):
        self._sem.acquire()
        with self._wlock:
            self._writer.send((self.mark, obj))

class Derived(Queue):
    def _on_queue_feeder_error(self, error, obj):
        print("not put:", type(error).__name__)

def put(queues):
    for queue in queues:
        queue.put_marked("hello")
        queue.put("there")
        queue.close()
        queue.join_thread()

if __name__ == "__main__":
    queues = [Queue(CONTEXT, "a"), Derived(CONTEXT, "b")]
    process = CONTEXT.Process(target=put, args=(queues,))
    process.start()
    for queue in queues:
        print(queue.get(timeout=20), queue.get(timeout=20), isinstance(queue, multiprocessing.queues.Queue),
              issubclass(type(queue), multiprocessing.queues.Queue), type(queue).__name__)
    process.join()
    queues[1].put(lambda: 1)
    queues[1].put(2)
    print(queues[1].get(timeout=20))
"""


def test_a_queue_written_for_the_insides_of_the_standard_one_has_them(same):
    prints = "('a', 'hello') there True True Queue\n('b', 'hello') there True True Derived\n"
    same(REDUCING_QUEUES, prints + "not put: PicklingError\n2\n")


WAYS = """
import functools
import multiprocessing.queues

def wrapped(function):
    return functools.wraps(function)(lambda self: function(self))

def decorated(function):
    return lambda self: function(self)

class ByName(multiprocessing.queues.Queue):
    def readable(self):
        return getattr(self, "_reader").poll(5)

class InProperty(multiprocessing.queues.JoinableQueue):
    @property
    def readable_now(self):
        return self._reader.poll(5)

    def readable(self):
        return self.readable_now

class Wrapped(multiprocessing.queues.Queue):
    @wrapped
    def readable(self):
        return (lambda: self._reader.poll(5))()

class Decorated(multiprocessing.queues.Queue):
    @decorated
    @decorated
    def readable(self):
        return self._reader.poll(5)

class Cached(multiprocessing.queues.Queue):
    @functools.cached_property
    def readable(self):
        return functools.partial(self._reader.poll, 5)

class Mixin:
    def readable(self):
        return self._reader.poll(5)

class Mixed(Mixin, multiprocessing.queues.Queue):
    pass

class MixedAfter(multiprocessing.queues.Queue, Mixin):
    pass

Made = type("Made", (multiprocessing.queues.Queue,), {"readable": lambda self: self._reader.poll(5)})

if __name__ == "__main__":
    for cls in ByName, InProperty, Wrapped, Decorated, Cached, Mixed, MixedAfter, Made:
        queue = cls(ctx=CONTEXT)
        queue.put(1)
        print(queue.readable(), queue.get(), cls.__name__, cls.__qualname__, cls.__module__)
"""


def test_in_whatever_way_it_names_them(same):
    names = "ByName InProperty Wrapped Decorated Cached Mixed MixedAfter Made".split()
    same(WAYS, "".join(f"True 1 {name} {name} __main__\n" for name in names))


KEPT = """
import multiprocessing.queues
import slipring
from multiprocessing.queues import Queue

class Counted(Queue):
    def __init__(self):
        super().__init__(ctx=multiprocessing.get_context())
        self.count = multiprocessing.Value("i", 0)

    def __getstate__(self):
        return super().__getstate__(), self.count

    def __setstate__(self, state):
        state, self.count = state
        super().__setstate__(state)

    def put(self, obj, block=True, timeout=None):
        super().put(obj, block, timeout)
        self.count.value += 1

    def _on_queue_feeder_error(self, error, obj):
        print(error)

class Derived(Counted):
    pass

assert issubclass(Derived, slipring.queues.Queue)
queue = Derived()
queue.put(1)
print(queue.get(), queue.count.value)
assert not issubclass(slipring.queues.SimpleQueue, Queue) and not isinstance(3, Queue)
try:
    class Late(Derived):
        def _feed(self):
            pass
except TypeError as error:
    print(error)
slipring.unpatch()
assert isinstance(queue, slipring.queues.Queue) and not isinstance(queue, multiprocessing.queues.Queue)
"""


def test_a_queue_that_needs_nothing_of_that_kind_stays_ours(both):
    (code, printed, complaint), _ = both("program.py", files={"program.py": KEPT}, control=False)
    assert (code, complaint) == (0, "")
    assert printed.startswith("1 1\nclass 'Late' uses _feed: ")
    assert "'Derived'" in printed


ABSTRACT = """
import abc
import multiprocessing.queues
import typing

class Talking(abc.ABC):
    @abc.abstractmethod
    def say(self):
        ...

class Public(multiprocessing.queues.Queue, Talking):
    def say(self):
        return self.get(timeout=20)

class Private(Talking, multiprocessing.queues.JoinableQueue, typing.Generic[typing.TypeVar("T")]):
    def say(self):
        assert self._reader.poll(20)
        return self.get(timeout=20)

class Silent(multiprocessing.queues.Queue, Talking):
    pass

if __name__ == "__main__":
    for cls in Public, Private:
        queue = cls(ctx=CONTEXT)
        queue.put(1)
        print(queue.say(), isinstance(queue, Talking), issubclass(cls, multiprocessing.queues.Queue))
    try:
        Silent(ctx=CONTEXT)
    except TypeError as error:
        print("abstract" in str(error))
"""


def test_with_abstract_and_generic_bases(same):
    same(ABSTRACT, "1 True True\n1 True True\nTrue\n")


# Connections, and descriptors through them

CONNECTIONS = """
import multiprocessing.connection

class Counting(multiprocessing.connection.Connection):
    sent = 0

    def _send(self, data, *args):
        type(self).sent += len(data)
        return super()._send(data, *args)

if __name__ == "__main__":
    import socket
    here, there = socket.socketpair()
    sender, receiver = Counting(here.detach()), multiprocessing.connection.Connection(there.detach())
    sender.send_bytes(b"12345")
    print(receiver.recv_bytes(), Counting.sent)
"""


def test_a_connection_written_for_the_insides_of_the_standard_one_has_them(same):
    same(CONNECTIONS, "b'12345' 9\n")


HANDLES = """
import multiprocessing.connection, multiprocessing.reduction, os, socket
from multiprocessing.reduction import DupFd, recv_handle, send_handle

def serve(conn, fd):
    with open(fd.detach(), "w") as file:
        file.write("by argument\\n")
    for _ in range(2):
        with socket.socket(fileno=recv_handle(conn)) as client:
            client.sendall(client.recv(100).upper())
    with open(conn.recv().detach(), "w") as file:
        file.write("by message\\n")

class Argument:
    def __init__(self, fd):
        self.fd = fd

    def __reduce__(self):
        return detached, (DupFd(self.fd),)

def detached(fd):
    return fd

if __name__ == "__main__":
    reader, writer = os.pipe()
    for here, there in CONTEXT.Pipe(), multiprocessing.connection.Pipe():
        argument = Argument(writer) if CONTEXT.get_start_method() != "fork" else DupFd(writer)
        process = CONTEXT.Process(target=serve, args=(there, argument))
        process.start()
        there.close()
        for send in send_handle, multiprocessing.reduction.send_handle:
            ours, theirs = socket.socketpair()
            send(here, theirs.fileno(), process.pid)
            theirs.close()
            ours.sendall(b"hello")
            print(ours.recv(100))
        here.send(DupFd(writer))
        process.join()
        print(os.read(reader, 100))
    # Over a connection that is a socket's, still.
    one, two = socket.socketpair()
    one, two = (multiprocessing.connection.Connection(end.detach()) for end in (one, two))
    send_handle(one, reader, os.getpid())
    print(os.path.sameopenfile(recv_handle(two), reader))
"""


def test_descriptors_go_through_pipes(same):
    once = "b'HELLO'\nb'HELLO'\nb'by argument\\nby message\\n'\n"
    same(HANDLES, once * 2 + "True\n")


WAITED = """
import multiprocessing.connection, socket

if __name__ == "__main__":
    reader, writer = CONTEXT.Pipe(duplex=False)
    ours, theirs = socket.socketpair()
    wait = multiprocessing.connection.wait
    print(wait([reader, ours], 0))
    writer.send(1)
    print(wait([reader, ours]) == [reader])
    theirs.sendall(b"x")
    print(wait([reader, ours]) == [reader, ours], wait([ours.fileno()]) == [ours.fileno()])
"""


def test_what_is_ready_is_told_of_pipes_and_sockets(same):
    same(WAITED, "[]\nTrue\nTrue True\n")
