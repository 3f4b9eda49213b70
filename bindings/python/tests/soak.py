"""Kills and stops processes at random while they use everything that the package has, and checks what must hold.

    python soak.py --seconds 300 --method spawn --seed 7

Ends with exit code 0 and a line of numbers, or with an assertion and the seed that it takes to do it again.
"""

import argparse
import faulthandler
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from queue import Empty

import slipring

#: Seconds after which somebody hangs.
PATIENCE = 30
#: What workers note of a message: who sent it, and its number.
NOTE = struct.Struct("<II")


class Notes:
    """A file of a worker's, in which a note is there or not, whatever kills the worker."""

    def __init__(self, folder):
        self.fd = os.open(Path(folder, str(os.getpid())), os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def add(self, sender, number):
        os.write(self.fd, NOTE.pack(sender, number))


def notes_in(folder):
    """All notes, one list for each worker."""
    return [list(NOTE.iter_unpack(file.read_bytes())) for file in sorted(Path(folder).iterdir())]


class Station:
    """Some processes at one kind of object."""

    #: How many at a time, by role.
    roles = {}

    def __init__(self, ctx, folder):
        self.ctx = ctx
        self.folder = folder
        self.kills = dict.fromkeys(self.roles, 0)
        self.stop = ctx.Event()
        self.make()

    def start(self, role):
        process = self.ctx.Process(target=getattr(self, role), args=self.arguments(role), daemon=True)
        process.start()
        return process

    def arguments(self, role):
        raise NotImplementedError

    def poke(self):
        """Called again and again by the first process."""


class Queues(Station):
    """Each message comes once, but those that a killed consumer had in its hands."""

    roles = {"produce": 2, "consume": 2}

    def make(self):
        self.queue = self.ctx.Queue(64)
        self.senders = 0
        #: What each sender is at, and what it has put.
        self.tried, self.put = self.ctx.RawArray("I", 100_000), self.ctx.RawArray("I", 100_000)

    def arguments(self, role):
        if role == "consume":
            return self.queue, self.folder, self.stop
        self.senders += 1
        return self.queue, self.senders - 1, self.tried, self.put, self.stop

    @staticmethod
    def produce(queue, me, tried, put, stop):
        number = 0
        while not stop.is_set():
            tried[me] = number + 1
            queue.put((me, number, b"x" * (number % 7) ** 6))
            number += 1
            put[me] = number

    @staticmethod
    def consume(queue, folder, stop):
        notes = Notes(folder)
        while True:
            try:
                sender, number, ballast = queue.get(timeout=0.1)
            except Empty:
                if stop.is_set():
                    return
                continue
            assert len(ballast) == (number % 7) ** 6
            notes.add(sender, number)

    def check(self):
        received = notes_in(self.folder)
        while not self.queue.empty():
            received.append([self.queue.get(timeout=PATIENCE)[:2]])
        everything = [note for notes in received for note in notes]
        found = set(everything)
        assert len(found) == len(everything), "some came twice"
        for notes in received:
            last = {}
            for sender, number in notes:
                assert number > last.get(sender, -1), "a sender's messages changed places"
                last[sender] = number
        assert all(number < self.tried[sender] for sender, number in found), "what nobody has put"
        sent = {(sender, number) for sender in range(self.senders) for number in range(self.put[sender])}
        lost = len(sent - found)
        assert lost <= self.kills["consume"], f"{lost} lost by {self.kills['consume']} killed consumers"
        return f"{len(found)} messages, {lost} lost"


class Tasks(Station):
    """Each task is done, and `join` ends."""

    roles = {"work": 3}

    def make(self):
        self.queue = self.ctx.JoinableQueue(max_deliveries=None)
        self.count = 0

    def arguments(self, role):
        return self.queue, self.folder

    def poke(self):
        if self.queue.qsize() < 20:
            self.queue.put_many(range(self.count, self.count + 50))
            self.count += 50

    @staticmethod
    def work(queue, folder):
        notes = Notes(folder)
        while (task := queue.get()) is not None:
            notes.add(0, task)
            queue.task_done()
        queue.task_done()

    def check(self):
        for _ in range(self.roles["work"]):
            self.queue.put(None)
        # Those who are here still; there is nobody to be killed any more.
        assert self.queue._join(PATIENCE), "join does not end"
        done = {task for notes in notes_in(self.folder) for _, task in notes}
        assert done == set(range(self.count)), "some were never done"
        return f"{self.count} tasks"


class Locks(Station):
    """One holder at a time; whoever is killed leaves it to the next."""

    roles = {"hold": 4}

    def make(self):
        self.locks = [self.ctx.Lock(), self.ctx.RLock(), self.ctx.BoundedSemaphore(1)]
        self.holders = self.ctx.RawArray("i", len(self.locks))
        self.turns = self.ctx.RawArray("L", len(self.locks))
        self.seen, self.since = list(self.turns), time.monotonic()

    def arguments(self, role):
        return self.locks, self.holders, self.turns, self.stop

    @staticmethod
    def hold(locks, holders, turns, stop):
        me, numbers = os.getpid(), random.Random(os.getpid())
        while not stop.is_set():
            which = numbers.randrange(len(locks))
            assert locks[which].acquire(timeout=PATIENCE), f"{locks[which]} is not to be had"
            holders[which] = me
            turns[which] += 1
            if turns[which] % 5 == 0:
                time.sleep(0.0002)
            assert holders[which] == me, f"{locks[which]} has two holders"
            locks[which].release()

    def poke(self):
        if all(now > before for now, before in zip(self.turns, self.seen, strict=True)):
            self.seen, self.since = list(self.turns), time.monotonic()
        assert time.monotonic() - self.since < PATIENCE, f"nobody gets {self.locks}"

    def check(self):
        for lock in self.locks:
            assert lock.acquire(timeout=PATIENCE), f"{lock} is not to be had"
            lock.release()
        return f"{sum(self.turns)} turns"


class Waiters(Station):
    """All who wait for a condition hear of each change, and nobody who notifies waits for the dead."""

    roles = {"wait": 3}

    def make(self):
        self.changed, self.value = self.ctx.Condition(), self.ctx.RawValue("L", 0)

    def arguments(self, role):
        return self.changed, self.value, self.stop

    @staticmethod
    def wait(changed, value, stop):
        seen = 0
        while not stop.is_set():
            with changed:
                assert changed.wait_for(lambda seen=seen: value.value != seen, PATIENCE), "no change is heard of"
                seen = value.value

    def poke(self):
        assert self.changed.acquire(timeout=PATIENCE), "the condition's lock is not to be had"
        self.value.value += 1
        self.changed.notify_all()
        self.changed.release()

    def check(self):
        self.poke()
        return f"{self.value.value} changes"


class Pools(Station):
    """Each task of a pool gives its result, or WorkerDied."""

    def make(self):
        self.pool = self.ctx.Pool(2)
        self.open, self.results, self.deaths = [], 0, 0

    def poke(self):
        self.open = [one for one in self.open if not self.is_settled(*one)]
        while len(self.open) < 20:
            number = random.randrange(1 << 20)
            self.open.append((number, self.pool.apply_async(square, (number,)), time.monotonic()))

    def is_settled(self, number, result, since):
        if not result.ready():
            assert time.monotonic() - since < PATIENCE, "a task of a pool does not end"
            return False
        try:
            assert result.get() == number * number
            self.results += 1
        except slipring.WorkerDied as died:
            assert died.task[1] == (number,)
            self.deaths += 1
        return True

    def check(self):
        deadline = time.monotonic() + PATIENCE
        while self.open and time.monotonic() < deadline:
            self.open = [one for one in self.open if not self.is_settled(*one)]
            time.sleep(0.001)
        assert not self.open, "tasks of a pool do not end"
        self.pool.close()
        self.pool.join()
        return f"{self.results} results, {self.deaths} deaths"


def square(number):
    time.sleep(0.001)
    return number * number


def soak(seconds, method, seed):
    """Does it; returns what is to be told."""
    numbers = random.Random(seed)
    ctx = slipring.get_context(method)
    with Waker() as waker, tempfile.TemporaryDirectory() as folder:
        stations = []
        for kind in (Queues, Tasks, Locks, Waiters, Pools):
            place = Path(folder, kind.__name__)
            place.mkdir()
            stations.append(kind(ctx, str(place)))
        kills = kill_at_random(stations, time.monotonic() + seconds, numbers, waker)
        told = [f"{type(station).__name__}: {station.check()}" for station in stations]
    return f"{kills} kills; " + "; ".join(told)


def kill_at_random(stations, end, numbers, waker):
    """Keeps all stations manned until the end; returns how many were killed."""
    people = [
        (station, role, station.start(role))
        for station in stations
        for role, count in station.roles.items()
        for _ in range(count)
    ]
    kills = 0
    while time.monotonic() < end:
        for station in stations:
            station.poke()
        time.sleep(numbers.random() * 0.01)
        is_pools = numbers.random() < 0.15
        if is_pools:
            workers = [worker for worker in stations[-1].pool._pool if worker.is_alive()]
            kills += kill_one(workers, numbers, waker)
            continue
        which = numbers.randrange(len(people))
        station, role, process = people[which]
        assert process.exitcode in (None, -signal.SIGKILL), f"{role} ended with {process.exitcode}"
        if kill_one([process], numbers, waker):
            process.join()
            kills += 1
            station.kills[role] += 1
            people[which] = station, role, station.start(role)
    for station in stations:
        station.stop.set()
    for station, role, process in people:
        if role in ("produce", "hold", "wait", "consume"):
            deadline = time.monotonic() + PATIENCE
            while process.is_alive() and time.monotonic() < deadline:
                station.poke()
                process.join(0.01)
            assert process.exitcode == 0, f"{role} ended with {process.exitcode}"
    return kills


class Waker:
    """A process that has others go on, since this one may have to wait for who stands still."""

    PROGRAM = """
import os, signal, sys, time
for line in sys.stdin:
    pid, seconds = line.split()
    time.sleep(float(seconds))
    try:
        os.kill(int(pid), signal.SIGCONT)
    except ProcessLookupError:
        pass
"""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", self.PROGRAM], stdin=subprocess.PIPE, text=True)
        return self

    def wake(self, pid, seconds):
        self.process.stdin.write(f"{pid} {seconds}\n")
        self.process.stdin.flush()

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()


def kill_one(processes, numbers, waker):
    """Kills one of them, or has it stand still for a moment; whether it was killed."""
    if not processes:
        return 0
    process = numbers.choice(processes)
    try:
        if numbers.random() < 0.7:
            os.kill(process.pid, signal.SIGKILL)
            return 1
        os.kill(process.pid, signal.SIGSTOP)
        waker.wake(process.pid, numbers.random() * 0.05)
    except ProcessLookupError:
        pass
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--method", choices=["fork", "spawn", "forkserver"], default="fork")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    faulthandler.dump_traceback_later(options.seconds + 3 * PATIENCE, exit=True)
    print(f"seed {seed}", flush=True)
    print(soak(options.seconds, options.method, seed))


if __name__ == "__main__":
    main()
