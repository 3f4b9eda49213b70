"""What child processes of the tests run. It imports little, so that they start at once."""

import ctypes
import itertools
import operator
import os
import select
import signal
import sys
import time


def obey(control, objects, inherited=None):
    """The main function of a peer: calls what it is told, until there are no more orders."""
    if inherited is not None:
        inherited.close()
    objects = dict(objects)
    objects["read"] = lambda path: find(objects, path)
    objects["write"] = lambda path, value: assign(objects, path, value)
    objects["receive"] = lambda path, name: objects.update({name: find(objects, path).recv()})
    objects["readable"] = lambda path: is_readable(find(objects, path))
    objects["send_on"] = lambda path, name: find(objects, path).send(objects[name])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGUSR1, SignalCount.handler)
    objects["signals"] = SignalCount
    control.send(("ready", None))
    while (order := control.recv()) is not None:
        path, args, kwargs = order
        try:
            control.send(("begun", None))
            answer = ("returned", find(objects, path)(*args, **kwargs))
        except BaseException as error:
            answer = ("raised", error.with_traceback(None))
        try:
            control.send(answer)
        except Exception as error:
            control.send(("raised", TypeError(f"{path} gave what can't be sent: {error}")))


def is_readable(what, timeout=0):
    """Whether the descriptor says so."""
    poll = select.poll()
    poll.register(what, select.POLLIN)
    return bool(poll.poll(timeout))


def find(objects, path):
    """What a dotted path names, or a bare attribute of one of the objects."""
    first, _, rest = path.partition(".")
    return operator.attrgetter(rest)(objects[first]) if rest else objects[first]


def assign(objects, path, value):
    owner, _, name = path.rpartition(".")
    setattr(find(objects, owner), name, value)


class SignalCount:
    """How often SIGUSR1 came."""

    count = 0

    @classmethod
    def handler(cls, number, frame):
        cls.count += 1


def increment(lock, counter, times):
    for _ in range(times):
        with lock:
            counter.value += 1


def try_to_acquire(lock, queue):
    queue.put(lock.acquire(False))


def hand_on(module, method, generations, target, *args):
    """Starts a process that does the same, until the last of them calls the target."""
    if generations == 0:
        return target(*args)
    context = __import__(module).get_context(method)
    child = context.Process(target=hand_on, args=(module, method, generations - 1, target, *args))
    child.start()
    child.join()


def wait_for(event):
    event.wait()


def send_bye(conn):
    conn.send("bye")


def send_blocks(conn, mark, times, size):
    """Sends so many messages of so many bytes, all of them the mark."""
    message = bytes([mark]) * size
    for _ in range(times):
        conn.send_bytes(message)


def take_under(lock, reader, results):
    """Takes what there is when the descriptor says so, as a pool's workers do, until it is None."""
    taken = []
    while True:
        if not is_readable(reader, 1000):
            continue
        with lock:
            if not is_readable(reader):
                continue
            item = reader.recv()
        if item is None:
            return results.put(taken)
        taken.append(item)


def receive_all(conn, results):
    """Receives until None comes, and puts the list of what came."""
    results.put(list(iter(conn.recv, None)))


def produce(queue, mark, number):
    for n in range(number):
        queue.put((mark, n))


def consume(queue, results):
    """Gets until None comes, and puts the list of what came."""
    results.put(list(iter(queue.get, None)))


def put_hello(queue):
    queue.put("hello")


def work(queue, done):
    """Does tasks until None comes."""
    while True:
        task = queue.get()
        if task is not None:
            done.put(task)
        queue.task_done()
        if task is None:
            return


def say_done(queue):
    queue.task_done()


def get_and_tell(queue, done):
    """Gets tasks, and says so to whoever says that they are done."""
    while (task := queue.get()) is not None:
        done.put((len(task), task == bytes(len(task))))


def take_places(places, count, end=None):
    for _ in range(count):
        assert places.acquire(timeout=10)
    if end == "fail":
        sys.stderr = None
        raise RuntimeError("on purpose")


def take_and_put(places, items, count):
    for number in range(count):
        places.acquire()
        items.put(number)


def get_and_release(places, items):
    while items.get() is not None:
        places.release()


def exchange(conn, count):
    """Sends numbers and receives as many, each only when the descriptor says that there is nothing to wait for."""
    poll, sent, total, received = select.poll(), 0, 0, 0
    poll.register(conn, select.POLLIN | select.POLLOUT)
    while sent < count or received < count:
        if sent == count:
            poll.modify(conn, select.POLLIN)
        for _, events in poll.poll(10_000):
            if events & select.POLLIN and received < count:
                number, _ = conn.recv()
                total, received = total + number, received + 1
            if events & select.POLLOUT and sent < count:
                conn.send((sent, bytes(300)))
                sent += 1
    return total


def address_space():
    """Bytes of address space that this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


def increment_itself(value, times):
    for _ in range(times):
        with value:
            value.value += 1


def fill(value, array, done):
    value.value = 42
    array[:] = [1.0, 2.0, 3.0]
    done.set()


def set_last(table):
    table[-1][-1] = 5


def exit_with(event, code):
    event.wait()
    sys.exit(code)


def fail():
    raise LookupError("on purpose")


def introduce(module, queue):
    module = __import__(module)
    process, parent = module.current_process(), module.parent_process()
    queue.put((process.name, process.pid, parent.pid, type(process).__name__))


def start_daemon(module, method, queue):
    context = __import__(module).get_context(method)
    event = context.Event()
    child = context.Process(target=wait_for, args=(event,), daemon=True)
    child.start()
    queue.put(child.pid)


def subclass(module, method):
    """A subclass of the context's Process, made once, where pickle finds it."""
    base = __import__(module).get_context(method).Process
    name = f"{module}_{method}"

    class Telling(base):
        def __init__(self, queue):
            super().__init__()
            self.queue = queue

        def run(self):
            self.queue.put("from run")

    Telling.__name__ = Telling.__qualname__ = name
    return globals().setdefault(name, Telling)


def __getattr__(name):
    """In a spawned child, the subclass that its name tells of."""
    module, _, method = name.partition("_")
    if module in ("multiprocessing", "slipring"):
        return subclass(module, method)
    raise AttributeError(name)


def use_manager(numbers, names, queue, lock, n):
    with lock:
        numbers.append(n)
        names[n] = "seen"
    queue.put(n)


# Tasks


def describe(*args, **kwargs):
    return args, kwargs


def echo(data):
    return data


def invert(number):
    return 1 / number


def unpicklable():
    return lambda: 0


def remember(what):
    """Initialises a worker."""
    global remembered
    remembered = what


def recall(_):
    return remembered


def use_remembered(n):
    queue, lock, value = remembered
    with lock:
        value.value += 1
    queue.put(n)


def wait_for_remembered(_):
    return remembered.wait()


# In a child of a process with threads


def report(results, function, *args):
    """Puts what the function gives, or the name of what it raises."""
    try:
        result = function(*args)
    except Exception as error:
        result = type(error).__name__
    results.put(result)


def notify_all(condition):
    with condition:
        condition.notify_all()


def do_one(queue):
    task = queue.get()
    queue.task_done()
    return task


def count_and_put(queue, lock, value, number):
    with lock:
        value.value += 1
    queue.put(number)


# Everything at once


def one_of_each(context):
    return {
        "queue": context.Queue(),
        "joinable": context.JoinableQueue(),
        "simple": context.SimpleQueue(),
        "reader": context.Pipe(False)[0],
        "locks": [context.Lock(), context.RLock(), context.Semaphore(), context.BoundedSemaphore()],
        "condition": context.Condition(),
        "event": context.Event(),
        "barrier": context.Barrier(2),
        "value": context.Value("i", 1),
        "array": context.Array("d", 1000),
    }


def use_all(everything):
    """Uses each of them, says so, and waits for the event."""
    for lock in everything["locks"]:
        lock.acquire()
    everything["joinable"].put(bytes(100_000))
    everything["simple"].put("text")
    with everything["condition"]:
        everything["condition"].notify_all()
    everything["value"].value += 1
    everything["queue"].put("used")
    everything["event"].wait()


def try_all(locks, queue):
    """Puts the places of those that are held."""
    queue.put([place for place, lock in enumerate(locks) if not lock.acquire(False)])


# Those who are killed


def produce_for_ever(queue, mark, payload):
    for n in itertools.count():
        queue.put((mark, n, payload))


def pass_on(queue, results):
    """Gets until None comes, and puts each item where it is counted."""
    for item in iter(queue.get, None):
        results.put(item)


def work_slowly(queue, done):
    while True:
        done.put(queue.get())
        time.sleep(0.002)
        queue.task_done()


def send_for_ever(conn, size):
    for n in itertools.count():
        conn.send_bytes(bytes([n % 250]) * size)


def kill_worker(_):
    os.kill(os.getpid(), signal.SIGKILL)


def kill_worker_if_deadly(argument, _=None):
    if argument == "deadly":
        kill_worker(argument)
    return argument


def say_and_wait(n):
    event, started = remembered
    started.put((n, os.getpid()))
    event.wait()
    return n


def slow_pid(_):
    time.sleep(0.02)
    return os.getpid()
