"""Programs that `python -m slipring` runs, compared with what the interpreter makes of them."""

import py_compile
import signal
import textwrap
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
    assert sys.excepthook is sys.__excepthook__
    assert sys.modules.get("__mp_main__") is sys.modules["__main__"] or "slipring" not in sys.modules
    print(sys.argv, __name__, __file__, __package__, sys.path[0], type(__builtins__), getattr(__loader__, 'path', None))
    print(sorted(vars()), vars().get("__cached__"), getattr(__spec__, "name", None))
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


def without_lines(done):
    """What a program printed, without the lines of code in tracebacks: from Python 3.13 on those of `-c` have them."""
    code, printed, complaint = done
    return code, printed, [line for line in complaint.splitlines() if not line.startswith("    ")]


@pytest.mark.parametrize("error", ["ValueError('boom')", "SystemExit(3)", "KeyboardInterrupt"])
@pytest.mark.parametrize("how", ["-c", "-ccode", "-"])
def test_code_and_the_standard_input_too(both, error, how):
    text = textwrap.dedent(LOOKS.format(error=error)).replace("__file__", "vars().get('__file__')")
    args, typed = {"-c": (["-c", text], None), "-ccode": ([f"-c{text}"], None), "-": (["-"], text)}[how]
    ours, theirs = both(*args, "--help", "-m", files={"sibling.py": ""}, typed=typed)
    assert without_lines(ours) == without_lines(theirs)
    assert theirs[0] in (1, 3, -signal.SIGINT)


@pytest.mark.parametrize("python", [["-P"], ["-O", "-W", "error::UserWarning"], ["-X", "utf8=0"]])
def test_options_of_the_interpreter_mean_what_they_mean(both, python):
    text = "import sys; print(sys.path[0], __debug__, sys.flags, sys.warnoptions, sys._xoptions); 1 / 0"
    files = {"folder/program.py": text, "a/__main__.py": text, "module.py": text}
    for args in (["folder/program.py"], ["-c", text], ["-", "x"], ["a"]):
        ours, theirs = both(*args, files=files, python=python, typed=text)
        assert without_lines(ours) == without_lines(theirs)


def test_files_of_other_kinds_are_run(both, tmp_path):
    text = "print(__name__, __file__, type(__loader__).__name__, __spec__)"
    both("program.py", files={"program.py": text})
    py_compile.compile(str(tmp_path / "program.py"), str(tmp_path / "compiled.pyc"))
    ours, theirs = both("compiled.pyc", files={})
    assert ours == theirs
    assert theirs[0] == 0
    ours, theirs = both("/dev/stdin", files={}, typed=text)
    assert ours == theirs
    assert theirs[0] == 0


def test_the_help_teaches(both):
    for options in (["--help"], ["-h"]):
        (code, printed, _), _ = both("program.py", files={}, options=options, control=False)
        assert code == 0
        for what in ("-m MODULE", "-c CODE", "standard input", "--start-method", "examples:"):
            assert what in printed
    for args in ([], ["-m"], ["-c"], ["-x", "program.py"], ["nosuch.py"], ["--start", "spawn", "program.py"]):
        (code, _, complaint), _ = both(*args, files={"program.py": ""}, control=False)
        assert code == 2
        assert "usage: python -m slipring" in complaint
        assert "error: " in complaint


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


CLASSES = """
    import collections, concurrent.futures, dataclasses, enum, multiprocessing

    @dataclasses.dataclass
    class Result:
        number: int

    class Colour(enum.Enum):
        RED = 1

    class Refused(Exception):
        pass

    Point = collections.namedtuple("Point", "x y")

    def things():
        return [Result(1), Colour.RED, Point(1, 2), Refused("no")]

    def work(queue, conn):
        queue.put(things())
        conn.send(things())

    def refuse(x):
        raise Refused(x)

    def same(got):
        return got[:3] == things()[:3] and isinstance(got[3], Refused)

    def main():
        for method in ("fork", "spawn", "forkserver"):
            context = multiprocessing.get_context(method)
            queue, (here, there) = context.Queue(), context.Pipe(False)
            process = context.Process(target=work, args=(queue, there))
            process.start()
            print(method, same(queue.get(timeout=20)), same(here.recv()))
            process.join()
            with context.Pool(1) as pool:
                print(pool.apply(Result, (3,)) == Result(3))
                try:
                    pool.apply(refuse, (3,))
                except Refused as error:
                    print(error)
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
                print(executor.submit(Result, 5).result() == Result(5))

    if __name__ == "__main__":
        main()
"""


@pytest.mark.parametrize(
    "args", [["program.py"], ["-m", "program"], ["-m", "package.program"], ["-"], ["-m", "package"]]
)
def test_classes_of_the_program_come_back_from_its_processes(both, args):
    files = {"program.py": CLASSES, "package/__init__.py": "", "package/program.py": CLASSES}
    files["package/__main__.py"] = "from package.program import main\nif __name__ == '__main__':\n    main()\n"
    typed = None
    if args == ["-"]:
        # A program that was typed is not there for a new interpreter.
        typed = textwrap.dedent(CLASSES).replace('("fork", "spawn", "forkserver")', '("fork",)')
    ours, theirs = both(*args, files=files, typed=typed)
    assert ours == theirs
    assert (theirs[0], theirs[2]) == (0, "")
