#!/usr/bin/env python3
"""slipring beside multiprocessing and faster-fifo, interleaved in one run: ratios, not absolute claims.

    python benches/python/compare.py                 # everything, 5 rounds
    python benches/python/compare.py --only queue    # rows whose name has this in it
    python benches/python/compare.py --rounds 1 --quick --no-faster-fifo

Each round measures every row with every library, one after the other, so that what the machine does meanwhile hits
all of them; a figure is the median of its rounds. Before and after each sample two processes bounce a cache line; a
sample is *near* if both trips were short, *far* otherwise (two CPUs of this kind of machine are now close to each other
and now not, and that decides everything). Where there are near samples, only they count.

Build slipring with optimisations first: `./ci/venv.sh --release` or `maturin develop --release`.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import mmap
import multiprocessing
import os
import platform
import statistics
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

STANDARD = "multiprocessing"
OURS = "slipring"
FIFO = "faster-fifo"

#: A trip of a cache line between two interpreters is near if it is at most so many times the shortest one seen.
NEAR = 1.6


@dataclass
class Row:
    """One line of the table."""

    name: str
    #: What the figure is in, and whether more is better.
    unit: str
    more_is_better: bool
    #: How many times better than multiprocessing slipring is asked to be.
    target: float
    #: For each library what measures it once: takes whether to be quick, gives the figure.
    measures: dict[str, Callable[[bool], float]]
    samples: dict[str, list[tuple[bool, float]]] = field(default_factory=dict)

    def figure(self, library: str) -> tuple[float, int, int] | None:
        """The median, how many samples it is of, and how many there are."""
        samples = self.samples.get(library)
        if not samples:
            return None
        near = [value for is_near, value in samples if is_near]
        counted = near or [value for _, value in samples]
        return statistics.median(counted), len(near), len(samples)

    def ratio(self, library: str) -> float | None:
        """How many times better than multiprocessing."""
        one, other = self.figure(library), self.figure(STANDARD)
        if one is None or other is None:
            return None
        return one[0] / other[0] if self.more_is_better else other[0] / one[0]


def fork(target: Callable[..., None], *args: Any) -> int:
    """Starts a process that does this and nothing else."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        target(*args)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def join(pids: list[int]) -> None:
    """Waits for processes, all of which must have done well."""
    for pid in pids:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status != 0:
            raise SystemExit(f"a process of the benchmark ended with {status}")


def trip(rounds: int = 3000) -> float:
    """Seconds for which a cache line takes to another process and back, both spinning: the median."""
    line = mmap.mmap(-1, 4096)
    view = memoryview(line)

    def answer() -> None:
        for n in range(1, rounds + 1):
            want = n & 0xFF
            while view[0] != want:
                pass
            view[64] = want

    pid = fork(answer)
    times = []
    for n in range(1, rounds + 1):
        want = n & 0xFF
        start = time.perf_counter_ns()
        view[0] = want
        while view[64] != want:
            pass
        times.append(time.perf_counter_ns() - start)
    join([pid])
    return statistics.median(times) / 1e9


class Line:
    """Where processes wait until all are there, and write down when they were done."""

    def __init__(self, count: int):
        self.count = count
        self.memory = mmap.mmap(-1, 4096)

    def arrive(self, index: int) -> None:
        """Waits for all others. Each has a byte of its own."""
        self.memory[index] = 1
        while sum(self.memory[: self.count]) < self.count:
            time.sleep(0)
        self._write(index, 0, time.perf_counter_ns())

    def finish(self, index: int) -> None:
        """Notes that it is done."""
        self._write(index, 1, time.perf_counter_ns())

    def seconds(self, indexes: range) -> float:
        """From the moment when the last one had arrived to the one when the last of `indexes` was done."""
        start = max(self._read(index, 0) for index in range(self.count))
        return (max(self._read(index, 1) for index in indexes) - start) / 1e9

    def _write(self, index: int, which: int, value: int) -> None:
        struct.pack_into("q", self.memory, 64 + 16 * index + 8 * which, value)

    def _read(self, index: int, which: int) -> int:
        return struct.unpack_from("q", self.memory, 64 + 16 * index + 8 * which)[0]


def stream(
    make: Callable[[], tuple[Callable[[Any], Any], Callable[[], Any]]],
    item: Any,
    count: int,
    producers: int = 1,
    consumers: int = 1,
) -> float:
    """Items a second from producers to consumers, as the consumers see it."""
    put, get = make()
    line = Line(producers + consumers)

    def produce(index: int) -> None:
        for _ in range(200):
            put(item)
        line.arrive(index)
        for _ in range(count // producers):
            put(item)
        # Queues with feeder threads have not sent everything yet.
        finish = getattr(put, "finish", None)
        if finish:
            finish()

    def consume(index: int) -> None:
        warm = 200 * producers // consumers
        for _ in range(warm):
            get()
        line.arrive(index)
        for _ in range(count // consumers):
            get()
        line.finish(index)

    pids = [fork(produce, index) for index in range(producers)]
    pids += [fork(consume, producers + index) for index in range(consumers)]
    join(pids)
    return count / line.seconds(range(producers, producers + consumers))


class Put:
    """`put` of a queue with a feeder thread, which has to be joined before its process ends."""

    def __init__(self, queue: Any):
        self.queue = queue
        self.put = queue.put

    def __call__(self, item: Any) -> None:
        self.put(item)

    def finish(self) -> None:
        self.queue.close()
        self.queue.join_thread()


#: As many large objects are in a queue at most, so that all libraries use their memory again.
FEW = 8


def queue_of(library: str, most: int = 0) -> Callable[[], tuple[Any, Any]]:
    """What makes a queue of so many objects at most, or of any number: its put and its get."""

    def make() -> tuple[Any, Any]:
        if library == FIFO:
            queue = importlib.import_module("faster_fifo").Queue(64 << 20)
            return queue.put, queue.get
        queue = importlib.import_module(library).get_context("fork").Queue(most)
        if library == OURS:
            return queue.put, queue.get
        return Put(queue), queue.get

    return make


def pipe_of(library: str) -> Callable[[], tuple[Any, Any]]:
    """What makes a pipe: its send and its recv."""

    def make() -> tuple[Any, Any]:
        reader, writer = importlib.import_module(library).get_context("fork").Pipe(False)
        return writer.send, reader.recv

    return make


def batches(library: str, count: int, size: int = 100) -> float:
    """Items a second with put_many and get_many; multiprocessing has neither."""
    if library == FIFO:
        queue = importlib.import_module("faster_fifo").Queue(64 << 20)
        put_many = queue.put_many

        def get_many() -> list[Any]:
            return queue.get_many(max_messages_to_get=size)
    else:
        queue = importlib.import_module(library).get_context("fork").Queue()
        put_many = queue.put_many

        def get_many() -> list[Any]:
            return queue.get_many(size)

    line = Line(2)

    def produce() -> None:
        items = list(range(size))
        line.arrive(0)
        for _ in range(count // size):
            put_many(items)

    def consume() -> None:
        line.arrive(1)
        got = 0
        while got < count // size * size:
            got += len(get_many())
        line.finish(1)

    join([fork(produce), fork(consume)])
    return count / line.seconds(range(1, 2))


def round_trip(library: str, count: int) -> float:
    """Microseconds for a question and its answer through two queues, both sides blocking in get: the median."""
    if library == FIFO:
        make = importlib.import_module("faster_fifo").Queue
        there, back = make(1 << 20), make(1 << 20)
    else:
        context = importlib.import_module(library).get_context("fork")
        there, back = context.Queue(), context.Queue()

    def answer() -> None:
        for _ in range(count):
            back.put(there.get())
        if library == STANDARD:
            back.close()
            back.join_thread()

    pid = fork(answer)
    times = []
    for n in range(count):
        start = time.perf_counter_ns()
        there.put(n)
        back.get()
        times.append(time.perf_counter_ns() - start)
    join([pid])
    return statistics.median(times[count // 10 :]) / 1e3


def repeated(call: Callable[[], Any], count: int) -> float:
    """Microseconds a call takes in a loop, the loop itself taken off."""
    rounds = range(count)
    start = time.perf_counter_ns()
    for _ in rounds:
        call()
    mid = time.perf_counter_ns()
    for _ in rounds:
        pass
    end = time.perf_counter_ns()
    return (mid - start - (end - mid)) / count / 1e3


def lock_pair(library: str, count: int) -> float:
    """Microseconds for acquire and release of a free lock."""
    lock = importlib.import_module(library).get_context("fork").Lock()
    acquire, release = lock.acquire, lock.release
    rounds = range(count)
    start = time.perf_counter_ns()
    for _ in rounds:
        acquire()
        release()
    mid = time.perf_counter_ns()
    for _ in rounds:
        pass
    return (mid - start - (time.perf_counter_ns() - mid)) / count / 1e3


def event_set(library: str, count: int) -> float:
    """Microseconds for Event.set that nobody waits for."""
    return repeated(importlib.import_module(library).get_context("fork").Event().set, count)


def condition_notify(library: str, count: int) -> float:
    """Microseconds for Condition.notify that nobody waits for, under its lock."""
    condition = importlib.import_module(library).get_context("fork").Condition()
    with condition:
        return repeated(condition.notify, count)


def value_add(library: str, count: int) -> float:
    """Microseconds for `value.value += 1` under its lock, which is taken and given back each time."""
    value = importlib.import_module(library).get_context("fork").Value("q", 0)
    rounds = range(count)
    start = time.perf_counter_ns()
    for _ in rounds:
        with value.get_lock():
            value.value += 1
    mid = time.perf_counter_ns()
    for _ in rounds:
        pass
    took = (mid - start - (time.perf_counter_ns() - mid)) / count / 1e3
    assert value.value == count
    return took


def pool_map(library: str, count: int) -> float:
    """Tasks a second through Pool.map with chunks of one, two workers."""
    with importlib.import_module(library).get_context("fork").Pool(2) as pool:
        pool.map(abs, range(200), chunksize=1)
        start = time.perf_counter()
        pool.map(abs, range(count), chunksize=1)
        return count / (time.perf_counter() - start)


def rows(libraries: list[str]) -> list[Row]:
    """All that is compared."""

    def each(measure: Callable[[str, bool], float], but: tuple[str, ...] = ()) -> dict[str, Any]:
        def bound(library: str) -> Callable[[bool], float]:
            return lambda quick: measure(library, quick)

        return {library: bound(library) for library in libraries if library not in but}

    def queue(item: Any, count: int, sides: int = 1, scale: float = 1, most: int = 0) -> dict[str, Any]:
        def measure(library: str, quick: bool) -> float:
            few = 10 if quick else 1
            number = count // few // (1 if library != STANDARD else 4)
            number = max(number // (sides * 4) * sides * 4, sides * 4)
            return stream(queue_of(library, most), item, number, sides, sides) * scale

        return each(measure)

    def pipe(library: str, quick: bool) -> float:
        return stream(pipe_of(library), 7, 20_000 if quick else 200_000)

    def many(library: str, quick: bool) -> float:
        if library == STANDARD:
            return stream(queue_of(library), 7, 5_000 if quick else 40_000)
        return batches(library, 50_000 if quick else 500_000)

    fields = {"id": 12345, "name": "sensor-7", "value": 3.25, "ok": True}
    mib = 1 << 20
    table = [
        Row("queue, small int, 1p1c", "k/s", True, 10, queue(7, 200_000, scale=1e-3)),
        Row("queue, small int, put_many and get_many", "/s", True, 25, each(many)),
        Row("queue, dict of 4", "k/s", True, 5, queue(fields, 100_000, scale=1e-3)),
        Row("queue, small int, 2p2c", "k/s", True, 10, queue(7, 200_000, 2, 1e-3)),
        Row("queue, small int, 4p4c", "k/s", True, 10, queue(7, 200_000, 4, 1e-3)),
        Row("queue, 1 MiB of bytes", "GB/s", True, 12, queue(bytes(mib), 1200, scale=mib / 1e9, most=FEW)),
        Row("pipe, small int", "/s", True, 6, each(pipe, (FIFO,))),
        Row(
            "round trip through queues",
            "us",
            False,
            1 / 0.75,
            each(lambda library, quick: round_trip(library, 500 if quick else 3000)),
        ),
    ]
    try:
        numpy = importlib.import_module("numpy")
    except ImportError:
        print("numpy is not installed: the row of arrays is left out", file=sys.stderr)
    else:
        array = numpy.arange(mib, dtype="float64")
        arrays = queue(array, 160, scale=8 * mib / 1e9, most=FEW)
        table.append(Row("queue, 8 MiB array of float64", "GB/s", True, 20, arrays))
    for name, measure, target in [
        ("Event.set", event_set, 3.0),
        ("Condition.notify", condition_notify, 3.0),
        ("Value += 1 under its lock", value_add, 3.0),
        ("Lock, acquire and release", lock_pair, 1.0),
    ]:
        count = 300_000

        def timed(library: str, quick: bool, measure: Any = measure, count: int = count) -> float:
            return measure(library, count // 10 if quick else count)

        table.append(Row(name, "us", False, target, each(timed, (FIFO,))))

    def pool(library: str, quick: bool) -> float:
        return pool_map(library, 2_000 if quick else 20_000)

    table.append(Row("Pool.map, chunks of one", "/s", True, 1.5, each(pool, (FIFO,))))
    return table


def show(table: list[Row], libraries: list[str]) -> None:
    """The table, as Markdown."""
    print("| what | unit | " + " | ".join(libraries) + " | slipring : multiprocessing | asked for | near |")
    print("|---|---|" + "---|" * (len(libraries) + 3))
    for row in table:
        cells = []
        for library in libraries:
            figure = row.figure(library)
            cells.append("" if figure is None else f"{figure[0]:.3g}")
        ratio, figure = row.ratio(OURS), row.figure(OURS)
        near = "" if figure is None else f"{figure[1]} / {figure[2]}"
        verdict = "" if ratio is None else f"{ratio:.2f}" + ("" if ratio >= row.target else " (missed)")
        print(f"| {row.name} | {row.unit} | " + " | ".join(cells) + f" | {verdict} | {row.target:.2f} | {near} |")


def main() -> int:
    """Measures what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="samples of each figure (5)")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name has TEXT in it")
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages: for a look, not for figures")
    parser.add_argument(
        "--no-faster-fifo", action="store_true", help="without faster-fifo, which need not be installed"
    )
    options = parser.parse_args()
    libraries = [STANDARD, OURS] if options.no_faster_fifo else [STANDARD, OURS, FIFO]
    for library in libraries:
        try:
            importlib.import_module(library.replace("-", "_"))
        except ImportError as error:
            print(f"error: {library} is not installed: {error}", file=sys.stderr)
            return 2

    table = [row for row in rows(libraries) if options.only.lower() in row.name.lower()]
    if not table:
        print(f"error: no row has {options.only!r} in its name", file=sys.stderr)
        return 2
    shortest = min(trip() for _ in range(5))
    total = options.rounds * sum(len(row.measures) for row in table)
    done = 0
    for _ in range(options.rounds):
        for row in table:
            for library, measure in row.measures.items():
                gc.collect()
                before = trip()
                value = measure(options.quick)
                after = trip()
                shortest = min(shortest, before, after)
                is_near = max(before, after) <= NEAR * shortest
                row.samples.setdefault(library, []).append((is_near, value))
                done += 1
                if sys.stderr.isatty():
                    print(f"\r{done} of {total}: {row.name:45} {library:16}", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r" + " " * 80, end="\r", file=sys.stderr)
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} CPUs, Linux {platform.release()}, "
        f"{options.rounds} rounds,"
    )
    print(
        f"medians of near samples where there are any; a near trip takes {shortest * 1e6:.2f} us between interpreters\n"
    )
    show(table, libraries)
    return 0


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    sys.exit(main())
