"""What each seed program has to print: the document's words, or every legal outcome.

Lines lie in the order in which they were printed, whichever process printed them (see seed_site),
so that an order between processes is asserted wherever the program makes one.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import time
from collections.abc import Callable, Iterable

from seed_runner import Outcome, Seed

Check = Callable[[Outcome], None]


def found(outcome: Outcome, pattern: str) -> list[tuple[str, ...]]:
    """The groups of the lines that match `pattern` as a whole, in order."""
    matches = (re.fullmatch(pattern, line) for line in outcome.lines)
    return [match.groups() for match in matches if match]


def series(pairs: Iterable[tuple[str, ...]]) -> dict[str, list[str]]:
    """The second parts by the first ones, in order."""
    result: dict[str, list[str]] = {}
    for key, value in pairs:
        result.setdefault(key, []).append(value)
    return result


def only(mapping: dict[str, list[str]]) -> tuple[str, list[str]]:
    """The one entry."""
    assert len(mapping) == 1, mapping
    return next(iter(mapping.items()))


def numbers(values: Iterable[str]) -> list[int]:
    return [int(value) for value in values]


def exactly(*lines: object) -> Check:
    def check(outcome: Outcome) -> None:
        assert outcome.lines == [str(line) for line in lines]

    return check


def in_any_order(*lines: object) -> Check:
    def check(outcome: Outcome) -> None:
        assert sorted(outcome.lines) == sorted(str(line) for line in lines)

    return check


def before(outcome: Outcome, first: str, second: str) -> None:
    """`first` was printed before `second`."""
    assert outcome.lines.index(first) < outcome.lines.index(second)


def at_least(pattern: str, count: int) -> Callable[[list[str]], bool]:
    """Holds once so many lines match."""
    return lambda lines: sum(bool(re.fullmatch(pattern, line)) for line in lines) >= count


# ---- document 000


def semaphore(outcome: Outcome) -> None:
    *users, last = outcome.lines
    assert sorted(users) == sorted(f"user{i} 占到一个茅坑" for i in range(13))
    assert last == "============》"


def buns(main: str, items: range) -> Check:
    """One process made the buns in order, another ate them in order."""

    def check(outcome: Outcome) -> None:
        names = [f"包子{i}" for i in items]
        producer, made = only(series(found(outcome, r"(\d+) 生产了 (\S+)")))
        consumer, eaten = only(series(found(outcome, r"(\d+) 吃 (\S+)")))
        assert (made, eaten) == (names, names)
        assert producer != consumer
        assert outcome.lines.count(main) == 1
        assert len(outcome.lines) == 2 * len(names) + 1

    return check


SELLER = ["小贩:生产...", "小贩:售卖...", "小贩:等待就餐", "小贩:谢谢光临"]
GUEST = ["顾客:准备买早餐", "顾客:买到早餐", "顾客:享受美食", "顾客:付款,真好吃..."]


def breakfast(outcome: Outcome) -> None:
    """Each side waits for a `set` that the other may have done and taken back already.

    So one or both may wait for ever. What does not depend on that: each prints its words in order,
    and none goes on from its wait before the other has set the event.
    """
    lines = outcome.lines
    seller = [line for line in lines if line.startswith("小贩")]
    guest = [line for line in lines if line.startswith("顾客")]
    assert len(lines) == len(seller) + len(guest)
    assert seller in (SELLER[:3], SELLER)
    assert guest in (GUEST[:1], GUEST)
    if guest == GUEST:
        before(outcome, "小贩:等待就餐", "顾客:买到早餐")
    if seller == SELLER:
        before(outcome, "顾客:准备买早餐", "小贩:谢谢光临")
    assert outcome.ended == (seller == SELLER and guest == GUEST)


# ---- document 001


def runs(outcome: Outcome) -> None:
    """Five processes each began and ended once."""
    began = found(outcome, r"(\d): (\d+) is running")
    done = found(outcome, r"(\d):(\d+) is done")
    assert sorted(began) == sorted(done)
    assert sorted(n for n, _pid in began) == list("01234")
    assert len({pid for _n, pid in began}) == 5
    for n, pid in began:
        before(outcome, f"{n}: {pid} is running", f"{n}:{pid} is done")
    assert len(outcome.lines) == 10


def locked_runs(outcome: Outcome) -> None:
    """The lock keeps one process's two lines together."""
    runs(outcome)
    for first, second in zip(outcome.lines[::2], outcome.lines[1::2], strict=True):
        assert first.replace(": ", ":").replace("is running", "is done") == second


def tickets(outcome: Outcome) -> tuple[int, int, int]:
    """How many bought, came too late, read the file while it was being written."""
    left = found(outcome, r"剩余票数([01])")
    bought = outcome.lines.count("购票成功")
    late = outcome.lines.count("sorry,没票了亲!")
    torn = len(re.findall(r"(?m)^json\.decoder\.JSONDecodeError", outcome.errors))
    assert len(outcome.lines) == len(left) + bought + late
    assert len(left) <= 3 <= len(left) + torn
    assert outcome.errors.count("Traceback") == torn
    assert json.loads(outcome.files["db"]) == {"count": 0}
    return bought, late, torn


def tickets_without_lock(outcome: Outcome) -> None:
    """Up to three buy the one ticket; whoever comes after the sale is silent."""
    bought, late, _torn = tickets(outcome)
    assert 1 <= bought <= 3 and late == 0


def tickets_with_lock(outcome: Outcome) -> None:
    """One buys it. (The look at the file is outside the lock: it may fall into the writing.)"""
    bought, late, torn = tickets(outcome)
    assert (bought, late) == (1, 2 - torn)


def queue_size(outcome: Outcome) -> None:
    """The child and the parent each get one of the two messages."""
    lines = outcome.lines
    assert len(found(outcome, "([012])")) == 2
    messages = [line for line in lines if line in ("小鬼", "姑娘,多少钱~")]
    assert sorted(messages) == ["姑娘,多少钱~", "小鬼"]
    assert lines.count("》》》》》》》》") == 1 and len(lines) == 5
    assert lines.index("》》》》》》》》") < lines.index(messages[1])


def put_and_get(outcome: Outcome) -> None:
    """Nine put, ten get: nine messages arrive and the tenth process waits for ever."""
    rows = found(outcome, r"(\d+)\(get\):(\d+)\(put\):(.*)")
    assert len(rows) == len(outcome.lines) == 9
    getters, putters, times = map(set, zip(*rows, strict=True))
    assert len(getters) == len(putters) == 9 and not getters & putters
    for text in times:
        time.strptime(text)


def two_consumers(outcome: Outcome) -> None:
    """Each meal is made in order and then eaten by one of the two, who each eat in order."""
    names = [f"泔水{i}" for i in range(1, 10)]
    assert [name for (name,) in found(outcome, r"taibai生产了(\S+)")] == names
    eaten = series(found(outcome, r"(\S+) 吃了 (\S+)"))
    assert set(eaten) <= {"alex", "wusir"}
    assert sorted(sum(eaten.values(), [])) == names
    for consumer, meals in eaten.items():
        assert meals == sorted(meals)
        for meal in meals:
            before(outcome, f"taibai生产了{meal}", f"{consumer} 吃了 {meal}")
    assert len(outcome.lines) == 18


def three_producers(outcome: Outcome) -> None:
    """Each datum of three producers reaches one of four consumers, who then each have an end."""
    data = [f"data  {i}" for i in range(1, 7)]
    made = series(found(outcome, r"生产者 (\S+) 生产了数据: (.*)"))
    assert made == {name: data for name in ("alex", "wusir", "wang")}
    got = series(found(outcome, r"消费者 (\S+) 收到数据: (.*)"))
    assert sorted(sum(got.values(), [])) == sorted(3 * data)
    ends = [name for (name,) in found(outcome, r" (\S+) 消费完了 ")]
    assert sorted(ends) == ["aaa", "bb", "c", "ddd"] and set(got) <= set(ends)
    for name, values in got.items():
        last = f"消费者 {name} 收到数据: {values[-1]}"
        assert last not in outcome.lines[outcome.lines.index(f" {name} 消费完了 ") :]
    assert len(outcome.lines) == 18 + 18 + 4


def joinable(outcome: Outcome) -> None:
    """A producer's join returns after all it made was eaten; the main process ends last."""
    made = series(found(outcome, r"(\d+) 生产了 (\S+)"))
    assert sorted(made.values()) == sorted([f"{name}{i}" for i in range(10)] for name in ("包子", "骨头", "泔水"))
    eaten = series(found(outcome, r"(\d+) 吃 (\S+)"))
    assert len(eaten) <= 2 and not set(eaten) & set(made)
    assert sorted(sum(eaten.values(), [])) == sorted(sum(made.values(), []))
    for meals in eaten.values():
        for name in ("包子", "骨头", "泔水"):
            own = [meal for meal in meals if meal.startswith(name)]
            assert own == sorted(own)
    for consumer, meals in eaten.items():
        for meal in meals:
            before(outcome, f"{consumer} 吃 {meal}", f"{meal[:-1]}生产结束~~~~~~")
    for name in ("包子", "骨头", "泔水"):
        before(outcome, f"{name}生产结束", f"{name}生产结束~~~~~~")
    assert outcome.lines[-1] == "主" and len(outcome.lines) == 30 + 30 + 6 + 1


# ---- document 002


def two_children(outcome: Outcome) -> None:
    """Two children begin and end between the parent's lines."""
    first, *middle, last = outcome.lines
    began = series(found(outcome, r"current process:(\w+) in (\d+) start"))
    ended = series(found(outcome, r"process (\w+) in (\d+) ends"))
    assert began == ended and set(began) == {"haibo", "lina"} and len(middle) == 4
    for name, (pid,) in began.items():
        before(outcome, f"current process:{name} in {pid} start", f"process {name} in {pid} ends")
    parent = re.fullmatch(r"Parent process:(\d+) start", first)
    assert parent and last == f"Parent process:{parent[1]} end"
    assert len({parent[1], *began["haibo"], *began["lina"]}) == 3


def pool(outcome: Outcome) -> None:
    """One task more than processors: each is done by one worker, which has one at a time."""
    first, *middle, last = outcome.lines
    parent = re.fullmatch(r"Parent process:(\d+) start", first)
    assert parent and last == f"Parent process:{parent[1]} end"
    processors = multiprocessing.cpu_count()
    by_worker: dict[str, list[str]] = {}
    for line in middle:
        match = re.fullmatch(r"(?:current )?process:? ?(\d+) in (\d+) (?:start|ends)", line)
        assert match, line
        by_worker.setdefault(match[2], []).append(line)
    assert len(by_worker) <= processors and parent[1] not in by_worker
    tasks = []
    for worker, lines in by_worker.items():
        for begin, end in zip(lines[::2], lines[1::2], strict=True):
            task = begin.split()[1].removeprefix("process:")
            assert begin == f"current process:{task} in {worker} start"
            assert end == f"process {task} in {worker} ends"
            tasks.append(int(task))
    assert sorted(tasks) == list(range(processors + 1))


def pool_in_turn(outcome: Outcome) -> None:
    """`apply` begins a task when the one before has ended."""
    pool(outcome)
    names = [re.findall(r"(\d+) in", line)[0] for line in outcome.lines[1:-1]]
    assert names == [str(i) for i in range(multiprocessing.cpu_count() + 1) for _ in range(2)]


def queue_timeout(outcome: Outcome) -> None:
    """Five numbers go through, then the consumer's `get` times out, which ends it with Empty."""
    producer, put = only(series(found(outcome, r"process (\d+) Put data (\d) to Queue")))
    consumer, got = only(series(found(outcome, r"process (\d+) Get data (\d) from Queue")))
    assert put == got == list("01234") and producer != consumer
    for i in put:
        before(
            outcome,
            f"process {producer} Put data {i} to Queue",
            f"process {consumer} Get data {i} from Queue",
        )
    assert outcome.lines[-1] == "main function ends" and len(outcome.lines) == 11
    assert re.fullmatch(r"Process Process-2:\nTraceback .*\n_queue\.Empty\n", outcome.errors, re.DOTALL)


def pipe_for_ever(outcome: Outcome) -> None:
    """One process's numbers arrive in the other one, in order and none before it was sent."""
    sender, sent = only(series(found(outcome, r"process (\d+) send data (\d+)")))
    receiver, received = only(series(found(outcome, r"process (\d+) receive data (\d+)")))
    assert sender != receiver
    assert numbers(sent) == list(range(len(sent))) and len(received) >= 4
    assert numbers(received) == list(range(len(received)))
    for i in received:
        before(outcome, f"process {sender} send data {i}", f"process {receiver} receive data {i}")


# ---- document 003


def thread_queue(outcome: Outcome) -> None:
    assert numbers(i for (i,) in found(outcome, r"Produced (\d)")) == list(range(5))
    assert numbers(i for (i,) in found(outcome, r"Consumed (\d)")) == list(range(5))
    assert len(outcome.lines) == 10


def thread_lock_names(outcome: Outcome) -> None:
    names = [f"Thread-{i} (function_with_lock)" for i in (1, 2)]
    acquired, released = (f"{{}} has {verb} the lock.".format for verb in ("acquired", "released"))
    in_any_order(*map(acquired, names), *map(released, names))(outcome)
    for name in names:
        before(outcome, acquired(name), released(name))


def thread_semaphore(outcome: Outcome) -> None:
    """Never more than three are between having the resource and being about to release it."""
    inside = 0
    for line in outcome.lines:
        inside += ("has accessed" in line) - ("is releasing" in line)
        assert 0 <= inside <= 3
    steps = [f"Thread {{}} {step} the resource." for step in ("is trying to access", "has accessed", "is releasing")]
    in_any_order(*(step.format(i) for step in steps for i in range(5)))(outcome)
    for i in range(5):
        before(outcome, steps[0].format(i), steps[1].format(i))
        before(outcome, steps[1].format(i), steps[2].format(i))


def thread_pool(outcome: Outcome) -> None:
    assert outcome.lines[:2] == ["Processing 2", "Task 2 completed"]
    rest = outcome.lines[2:]
    assert sorted(line for line in rest if "Proc" in line) == [f"Processing {i}" for i in (1, 2, 3)]
    assert [line for line in rest if "Task" in line] == [f"Task {i} completed" for i in (1, 3, 2)]
    assert len(rest) == 6


# ---- document 004


def barrier(outcome: Outcome) -> None:
    """The two processes get 0 and 1; who gets 0 says that it has passed."""
    in_any_order(0, 1, "passed the barrier")(outcome)
    before(outcome, "0", "passed the barrier")


def one_number(outcome: Outcome) -> None:
    (line,) = outcome.lines
    assert int(line) in range(10)


def event(outcome: Outcome) -> None:
    """One waits until the event is set, the other gives up before."""
    in_any_order(
        "main: waiting before calling Event.set()",
        "wait_for_event: starting",
        "wait_for_event_timeout: starting",
        "wait_for_event_timeout: e.is_set()-> False",
        "main: event is set",
        "wait_for_event: e.is_set()-> True",
    )(outcome)
    before(outcome, "wait_for_event_timeout: starting", "wait_for_event_timeout: e.is_set()-> False")
    before(outcome, "wait_for_event_timeout: e.is_set()-> False", "main: event is set")
    before(outcome, "main: waiting before calling Event.set()", "main: event is set")
    before(outcome, "wait_for_event_timeout: e.is_set()-> False", "wait_for_event: e.is_set()-> True")


# ---- the programs

COUNT_TO_TEN = range(1, 11)
ONE_TICKET = {"db": '{"count":1}'}
SHARED_NUMBERS = exactly(3.1415927, [0, -1, -2, -3, -4, -5, -6, -7, -8, -9])
SHARED_OBJECTS = exactly({1: "1", "2": 2, 0.25: None}, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
LEVEL = "Recursion level {}, Thread-1 (recursive_locking) has {} the lock."

SEEDS = [
    Seed("000_pipe", exactly(*(f"c1 收到包子:{i}" for i in range(10)), "进程间通信-管道-主进程")),
    Seed("000_queue", buns("进程间通信-队列-主进程", range(10)), unjoined=True),
    Seed(
        "000_manager_counter",
        exactly(*(f"计数器减一,当前为:{i}" for i in range(20, 0, -1)), {"count": 0}),
    ),
    Seed("000_semaphore", semaphore),
    Seed("000_event", breakfast, ends=None, limit=3, unjoined=True),
    Seed("001_print_without_lock", runs),
    Seed("001_print_with_lock", locked_runs, unjoined=True),
    # Their sleeps decide the race between reading and writing the file: they are kept.
    Seed("001_tickets_without_lock", tickets_without_lock, sleep=1, files=ONE_TICKET, complains=True),
    Seed(
        "001_tickets_with_lock",
        tickets_with_lock,
        sleep=1,
        files=ONE_TICKET,
        complains=True,
        unjoined=True,
    ),
    Seed("001_queue_methods", exactly("队列已经满了", True, 3, 2, 1, "队列已经空了", True)),
    Seed("001_queue_qsize", queue_size, sleep=0.5, unjoined=True),
    Seed("001_queue_put_get", put_and_get, ends=False, until=at_least(r".*\(get\).*", 9)),
    Seed(
        "001_producer_consumer_endless",
        buns("主", range(1, 10)),
        ends=False,
        until=at_least(r"\d+ 吃 .*", 9),
        unjoined=True,
    ),
    Seed("001_producer_consumer_none", buns("主", range(1, 5)), unjoined=True),
    Seed("001_producer_two_consumers", two_consumers, unjoined=True),
    Seed("001_producers_consumers", three_producers, unjoined=True),
    Seed("001_joinable_queue", joinable),
    Seed("001_pipe_hello", exactly("Hello 妹妹")),
    Seed("001_pipe_open_end", exactly("hello"), ends=False, until=at_least("hello", 1)),
    Seed("001_pipe_eof", exactly("hello")),
    Seed("002_process", two_children),
    Seed("002_pool_apply_async", pool),
    Seed("002_pool_apply", pool_in_turn),
    Seed("002_pool_map", pool),
    Seed(
        "002_queue_timeout",
        queue_timeout,
        adapt=(("timeout=3", "timeout=1"),),
        complains=True,
    ),
    Seed("002_pipe", pipe_for_ever, ends=False, until=at_least(".*receive data.*", 4), grace=0),
    Seed("002_value_array", SHARED_NUMBERS),
    Seed("002_manager", SHARED_OBJECTS),
    Seed("003_process", in_any_order(*(f"Worker {i} is working." for i in range(5)))),
    Seed("003_queue_hello", exactly("Received message: Hello from sender!")),
    Seed("003_pool", exactly([0, 1, 4, 9, 16, 25, 36, 49, 64, 81])),
    Seed(
        "003_queue_data",
        in_any_order("Data Hello put into queue", "Data Hello received from queue"),
    ),
    Seed("003_pipe", exactly("Received message: Hello from sender")),
    Seed("003_manager", SHARED_OBJECTS),
    Seed("004_pipe", exactly(1)),
    Seed("004_queue", exactly(1)),
    Seed("004_barrier", barrier),
    # Each process has a list of its own: the one that waits for an item waits for ever.
    Seed("004_condition", exactly(), ends=False, until=lambda lines: True, grace=1),
    Seed("004_condition_shared", one_number),
    # The time to give up is shortened more than the sleep: a process may be slow to start.
    Seed("004_event", event, sleep=0.5, adapt=(("args=(e, 2)", "args=(e, 0.4)"),), unjoined=True),
    Seed("004_value_array", SHARED_NUMBERS),
]

THREAD_SEEDS = [
    Seed("003_thread_function", exactly(*COUNT_TO_TEN, "Finished all threads"), processes=False),
    Seed("003_thread_class", exactly(*COUNT_TO_TEN, "Finished all threads"), processes=False),
    Seed(
        "003_thread_lock",
        exactly(*COUNT_TO_TEN, *COUNT_TO_TEN, "Finished all threads"),
        processes=False,
    ),
    Seed("003_thread_shared_variable", exactly([1, 2]), processes=False),
    # The consumer never ends, and neither does the main thread that joins it.
    Seed(
        "003_thread_queue",
        thread_queue,
        ends=False,
        until=at_least(r"Consumed \d", 5),
        processes=False,
    ),
    Seed("003_thread_lock_names", thread_lock_names, processes=False),
    Seed(
        "003_thread_rlock",
        exactly(
            *(LEVEL.format(n, "acquired") for n in (1, 2, 3)),
            *(LEVEL.format(n, "released") for n in (3, 2, 1)),
        ),
        processes=False,
    ),
    Seed(
        "003_thread_condition",
        exactly(
            "Consumer is waiting for data...",
            "Producer is producing data...",
            "Producer added data to buffer.",
            "Consumer consumed Data.",
        ),
        sleep=0.25,
        processes=False,
    ),
    Seed("003_thread_semaphore", thread_semaphore, processes=False),
    Seed("003_thread_pool", thread_pool, processes=False),
]
