"""Process, Manager and the contexts: the standard library's, over ours."""

import importlib
import multiprocessing
import os
import signal

import children
import pytest
from helpers import SOON, differs, eventually

METHODS = pytest.mark.methods("fork", "spawn", "forkserver")


@METHODS
def test_a_process_ends_with_an_exit_code(mp):
    event = mp.Event()
    process = mp.Process(target=children.exit_with, args=(event, 7), name="named")
    assert (process.name, process.exitcode, process.pid) == ("named", None, None)
    process.start()
    assert process.is_alive() is True
    assert process in mp.active_children()
    assert mp.wait([process.sentinel], 0) == []
    process.join(0.01)
    assert process.exitcode is None
    event.set()
    process.join(SOON)
    assert (process.exitcode, process.is_alive()) == (7, False)
    assert mp.wait([process.sentinel], SOON) == [process.sentinel]
    process.close()
    with pytest.raises(ValueError):
        process.is_alive()


@METHODS
@pytest.mark.parametrize("how", ("terminate", "kill"))
def test_a_process_is_ended_in_any_wait(mp, how):
    event = mp.Event()
    peer = mp.peer(event=event)
    peer.blocked("event.wait")
    getattr(peer.process, how)()
    peer.process.join(SOON)
    number = {"terminate": signal.SIGTERM, "kill": signal.SIGKILL}[how]
    assert peer.process.exitcode == -number


@METHODS
def test_an_error_in_a_process_is_exit_code_one(mp, capfd):
    process = mp.start(children.fail)
    process.join(SOON)
    assert process.exitcode == 1
    # The forkserver's standard error is the one it was started with.
    if mp.method != "forkserver":
        assert "LookupError: on purpose" in capfd.readouterr().err


@METHODS
def test_a_process_knows_itself_and_its_parent(mp):
    q = mp.SimpleQueue()
    process = mp.Process(target=children.introduce, args=(mp.name, q), name="child")
    process.start()
    name, pid, parent, method_process = q.get()
    assert (name, pid, parent) == ("child", process.pid, os.getpid())
    assert method_process == type(process).__name__
    process.join(SOON)


@METHODS
def test_a_daemon_goes_with_its_parent(mp):
    q = mp.SimpleQueue()
    process = mp.start(children.start_daemon, mp.name, mp.method, q)
    pid = q.get()
    process.join(SOON)
    assert process.exitcode == 0
    eventually(lambda: not os.path.exists(f"/proc/{pid}") or state(pid) == "Z")


def state(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


@METHODS
def test_a_subclass_of_process_takes_its_attributes_along(mp):
    q = mp.SimpleQueue()
    process = children.subclass(mp.name, mp.method)(q)
    process.start()
    assert q.get() == "from run"
    process.join(SOON)
    assert process.exitcode == 0


@METHODS
def test_a_manager_shares_what_it_has_with_processes(mp):
    with mp.Manager() as manager:
        numbers, names = manager.list([1]), manager.dict()
        q, lock = manager.Queue(2), manager.Lock()
        processes = [mp.start(children.use_manager, numbers, names, q, lock, n) for n in range(2)]
        assert sorted(q.get(timeout=SOON) for _ in processes) == [0, 1]
        for process in processes:
            process.join(SOON)
            assert process.exitcode == 0
        assert sorted(numbers) == [0, 1, 1]
        assert dict(names) == {0: "seen", 1: "seen"}


@METHODS
def test_all_kinds_of_objects_go_into_one_process(mp):
    everything = {
        "lock": mp.Lock(),
        "rlock": mp.RLock(),
        "semaphore": mp.Semaphore(2),
        "bounded": mp.BoundedSemaphore(2),
        "condition": mp.Condition(),
        "event": mp.Event(),
        "barrier": mp.Barrier(2),
        "queue": mp.Queue(3),
        "joinable": mp.JoinableQueue(),
        "simple": mp.SimpleQueue(),
        "conn": mp.Pipe()[0],
        "value": mp.Value("i", 5),
        "array": mp.Array("c", b"abc"),
    }
    peer = mp.peer(**everything, again=list(everything.values()))
    assert peer.lock.acquire() is True
    assert everything["lock"].acquire(False) is False
    assert peer.bounded.get_value() == 2
    assert peer.read("value.value") == 5
    assert peer.read("array.value") == b"abc"
    assert peer.queue.qsize() == 0
    peer.event.set()
    assert everything["event"].is_set() is True
    assert peer.read("barrier.parties") == 2


# Contexts


def test_a_context_gives_contexts(mp):
    assert mp.get_start_method() == mp.method
    assert mp.get_context() is mp.context
    for method in ("fork", "spawn", "forkserver"):
        context = mp.get_context(method)
        assert context.get_start_method() == method
        assert type(context.Lock()) is type(mp.Lock())
    with pytest.raises(ValueError):
        mp.get_context("thread")
    with pytest.raises(ValueError):
        mp.context.set_start_method("spawn")


def test_objects_of_one_context_go_to_processes_of_another(mp):
    """Locks of multiprocessing's fork context can't be given to spawned processes."""
    if not differs(mp, "an object of any context goes to a process of any other"):
        return
    queue, lock = mp.get_context("fork").Queue(), mp.get_context("forkserver").Lock()
    lock.acquire()
    process = mp.get_context("spawn").Process(target=children.try_to_acquire, args=(lock, queue))
    process.start()
    assert queue.get(timeout=SOON) is False
    process.join(SOON)
    assert process.exitcode == 0


def test_the_module_has_the_names_of_multiprocessing(mp):
    missing = [name for name in multiprocessing.__all__ if not hasattr(mp.module, name)]
    assert missing == []
    submodules = (
        "connection context dummy heap managers pool process queues reduction resource_sharer resource_tracker "
        "shared_memory sharedctypes spawn synchronize util"
    )
    for name in submodules.split():
        theirs = importlib.import_module(f"multiprocessing.{name}")
        ours = mp.submodule(name)
        missing = [public for public in getattr(theirs, "__all__", ()) if not hasattr(ours, public)]
        assert missing == []


def test_the_modules_own_functions_use_its_start_method(mp):
    made = mp.module.Queue()
    assert type(made).__module__.partition(".")[0] == mp.name
    assert type(mp.module.Pipe()[0]).__module__.partition(".")[0] == mp.name
    assert mp.module.get_start_method() in mp.module.get_all_start_methods()
    assert set(mp.module.get_all_start_methods()) == {"fork", "spawn", "forkserver"}
    with pytest.raises(RuntimeError, match="context has already been set"):
        mp.module.set_start_method("spawn")
