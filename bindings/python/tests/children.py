"""What child processes of the tests run. It imports little, so that they start at once."""

import operator
import signal


def obey(control, objects, inherited=None):
    """The main function of a peer: calls what it is told, until there are no more orders."""
    if inherited is not None:
        inherited.close()
    objects = dict(objects)
    objects["read"] = lambda path: find(objects, path)
    objects["write"] = lambda path, value: assign(objects, path, value)
    objects["receive"] = lambda path, name: objects.update({name: find(objects, path).recv()})
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
    child = context.Process(
        target=hand_on, args=(module, method, generations - 1, target, *args)
    )
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


def receive_all(conn, results):
    """Receives until None comes, and puts the list of what came."""
    results.put(list(iter(conn.recv, None)))
