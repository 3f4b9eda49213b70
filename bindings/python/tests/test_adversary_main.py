"""Programs that `python -m slipring` runs, compared with what the interpreter makes of them."""

import zipfile

import pytest

pytest.importorskip("slipring")


EXECUTOR = """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    def square(x):
        return x * x

    if __name__ == "__main__":
        for method in ("fork", "spawn", "forkserver"):
            context = multiprocessing.get_context(method)
            with ProcessPoolExecutor(2, mp_context=context) as executor:
                print(list(executor.map(square, range(5))))
"""


def test_executors_run(both):
    ours, theirs = both("program.py", files={"program.py": EXECUTOR})
    assert ours == theirs
    assert ours[0] == 0


THREADS = """
    import multiprocessing.dummy
    from multiprocessing.pool import ThreadPool

    for pool in multiprocessing.dummy.Pool(2), ThreadPool(2):
        with pool:
            print(pool.map(abs, [-1, 2, -3]))
"""


def test_pools_of_threads_run(both):
    ours, theirs = both("program.py", files={"program.py": THREADS})
    assert ours == theirs
    assert ours[0] == 0


MADE_BEFORE = """
    import multiprocessing
    import multiprocessing.pool
    import multiprocessing.queues

    def put(queue):
        queue.put("hello")

    if __name__ == "__main__":
        old = multiprocessing.Queue, multiprocessing.JoinableQueue, multiprocessing.pool.Pool
        before = [make() for make in old[:2]]
        {patch}
        before.append(old[0]())
        for queue in before:
            process = multiprocessing.get_context("fork").Process(target=put, args=(queue,))
            process.start()
            print(queue.get())
            process.join()
        before[1].task_done()
        before[1].join()
        with old[2](2) as pool:
            print(pool.map(abs, [-1, 2]))
"""


@pytest.mark.parametrize("then", ["", "slipring.unpatch()", "slipring.patch()", "slipring.unpatch(); slipring.patch()"])
def test_what_was_made_before_goes_on_working(both, then):
    text = MADE_BEFORE.format(patch=f"import slipring; slipring.patch(); {then}")
    _, patched = both("program.py", files={"program.py": text})
    assert patched == (0, "hello\nhello\nhello\n[1, 2]\n", "")


SHOWN = """
    import multiprocessing, multiprocessing.queues, multiprocessing.pool, slipring
    old = multiprocessing.queues.Queue
    slipring.patch()
    from multiprocessing.queues import Queue, JoinableQueue
    assert Queue is slipring.queues.Queue is multiprocessing.queues.Queue
    multiprocessing.queues.Queue = dict
    assert multiprocessing.queues.Queue is dict
    slipring.unpatch()
    slipring.unpatch()
    assert multiprocessing.queues.Queue is old
"""


def test_names_are_replaced_and_put_back(both):
    _, (code, _, complaint) = both("program.py", files={"program.py": SHOWN})
    assert (code, complaint) == (0, "")


LOOKS = """
    import os, sys, sibling
    print(sys.argv, __name__, __file__, __package__, sys.path[0], type(__builtins__), getattr(__loader__, 'path', None))
    print(sorted(vars().keys() - {{'__annotations__'}}))
    print(sys.modules["__main__"].__dict__ is globals())
    raise {error}
"""


@pytest.mark.parametrize(
    "error", ["ValueError('boom')", "SystemExit(3)", "SystemExit('why')", "KeyboardInterrupt", "1"]
)
def test_a_script_finds_what_it_would_find_and_ends_as_it_would(both, error):
    text = LOOKS.format(error=error)
    files = {"folder/program.py": text, "folder/sibling.py": ""}
    ours, theirs = both("folder/program.py", "--version", "-m", "--", "-h", files=files)
    assert ours == theirs


def test_a_module_too(both):
    files = {"a/__init__.py": "", "a/b.py": LOOKS.format(error="ValueError"), "sibling.py": ""}
    ours, theirs = both("-m", "a.b", "-x", files=files)
    assert ours == theirs


def test_what_cannot_be_run_is_told_as_ever(both):
    files = {"wrong.py": "x = (", "a/__init__.py": ""}
    for args in (["wrong.py"], ["-m", "a"], ["-m", "nosuch"]):
        ours, theirs = both(*args, files=files)
        assert ours == theirs


def test_folders_and_archives_are_run(both, tmp_path):
    files = {"folder/__main__.py": LOOKS.format(error="SystemExit(4)"), "folder/sibling.py": ""}
    ours, theirs = both("folder", "x", files=files)
    assert ours == theirs
    assert ours[0] == 4
    with zipfile.ZipFile(tmp_path / "program.pyz", "w") as archive:
        for name in files:
            archive.write(tmp_path / name, name.partition("/")[2])
    ours, theirs = both("program.pyz", "x", files={})
    assert ours == theirs
    assert ours[0] == 4


AFTERWARDS = """
    import multiprocessing, threading

    def say():
        print("hello")

    def later():
        threading.main_thread().join()
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=say)
        process.start()
        process.join()

    if __name__ == "__main__":
        threading.Thread(target=later).start()
"""


@pytest.mark.parametrize("args", [["program.py"], ["-m", "program"]])
def test_a_thread_that_outlives_the_script_starts_processes(both, args):
    # With multiprocessing a script, unlike a module, is not found any more by then.
    ours, _ = both(*args, files={"program.py": AFTERWARDS})
    assert ours == (0, "hello\n", "")
