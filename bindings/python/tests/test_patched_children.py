"""`patch(children=True)` and `python -m slipring --children`: interpreters that a program starts are patched, too."""

import subprocess
import sys

import pytest

pytest.importorskip("slipring")

SEEN = """
import multiprocessing.queues, os, sys
print(multiprocessing.queues.Queue.__module__, os.environ.get("HIDDEN"), [p for p in sys.path if "_children" in p])
"""
OURS = "slipring.queues None []\n"
THEIRS = "multiprocessing.queues None []\n"


def start(*options, **env):
    """Text of a program that starts an interpreter with the program `SEEN`."""
    return (
        f"import os, subprocess, sys\n"
        f"subprocess.run([sys.executable, *{options!r}, '-c', {SEEN!r}], check=True, env=os.environ | {env!r})\n"
    )


@pytest.fixture
def printed(both):
    """What a program prints that is run with `python -m slipring` and such options."""

    def run(text, *options, files=(), args=()):
        (code, printed, complaint), _ = both(
            *args, "program.py", files={"program.py": text, **dict(files)}, options=options, control=False
        )
        assert (code, complaint) == (0, "")
        return printed

    return run


def test_interpreters_that_a_program_starts_are_patched_if_it_asks_for_it(printed):
    assert printed(start(), "--children") == OURS
    assert printed(start()) == THEIRS
    assert printed("import slipring; slipring.patch(children=True)\n" + start()) == OURS
    # Through a shell, and an interpreter between.
    shell = "import os, sys\nos.system(sys.executable + ' child.py')"
    assert printed(shell, "--children", files={"child.py": start()}) == OURS


def test_those_that_are_told_to_ignore_the_environment_are_not(printed):
    for option in ("-I", "-E", "-S"):
        text = SEEN.replace("sys.path", "[]")
        text = f"import subprocess, sys\nsubprocess.run([sys.executable, {option!r}, '-c', {text!r}], check=True)\n"
        assert printed(text, "--children") == THEIRS
    assert printed(start(SLIPRING_PATCH=""), "--children") == THEIRS
    assert printed(start(PYTHONPATH=""), "--children") == THEIRS


def test_unpatch_puts_the_environment_back(printed):
    text = "import os, slipring\nbefore = dict(os.environ)\nslipring.unpatch()\n"
    text += "slipring.patch(children=True)\nslipring.patch(children=True)\nslipring.unpatch()\n"
    assert (
        printed(text + "print(before == os.environ, 'SLIPRING_PATCH' in os.environ)\n" + start())
        == "True False\n" + THEIRS
    )


def test_what_stood_on_the_path_stays_there_and_another_sitecustomize_is_run(both, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text("import os\nos.environ['HIDDEN'] = 'found'\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    text = "import os, slipring\nos.environ.pop('HIDDEN', None)\n" + start()
    text += "slipring.unpatch()\nprint(os.environ['PYTHONPATH'])\n"
    (code, printed, complaint), _ = both(
        "program.py", files={"program.py": text}, options=["--children"], control=False
    )
    assert (code, complaint) == (0, "")
    assert printed == OURS.replace("None", "found") + str(tmp_path / "site") + "\n"


def test_an_error_in_the_other_sitecustomize_is_told_as_ever(both, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("raise ValueError('boom')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (code, printed, complaint), _ = both(
        "program.py", files={"program.py": start()}, options=["--children"], control=False
    )
    assert (code, printed) == (0, OURS)
    # Of the program itself, and of what it starts.
    assert complaint.count("ValueError: boom") == 2


def test_an_interpreter_that_has_not_the_package_finds_it(both, tmp_path):
    # One without site-packages: as another environment's.
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    text = f"import subprocess\nsubprocess.run([{str(bare / 'bin/python')!r}, '-c', {SEEN!r}], check=True)\n"
    (code, printed, complaint), _ = both(
        "program.py", files={"program.py": text}, options=["--children"], control=False
    )
    assert (code, printed, complaint) == (0, OURS, "")


def test_one_that_cannot_have_it_says_so(both, tmp_path):
    files = {"elsewhere/slipring.py": "raise ImportError('not for this machine')", "program.py": start()}
    text = "import os\nos.environ['PYTHONPATH'] += os.pathsep + os.path.abspath('elsewhere')\n" + files["program.py"]
    (code, printed, complaint), _ = both(
        "program.py", files={**files, "program.py": text}, options=["--children"], control=False
    )
    assert (code, printed) == (0, THEIRS)
    assert "slipring cannot be put in the place of multiprocessing in " in complaint
    assert "not for this machine" in complaint


PROCESSES = """
import multiprocessing, os, sys

def work(queue):
    queue.put(type(queue).__module__)

if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        process = context.Process(target=work, args=(queue,))
        process.start()
        print(queue.get(timeout=20))
        process.join()
"""


def test_they_start_processes_as_ever(printed):
    text = "import subprocess, sys\nsubprocess.run([sys.executable, 'child.py'], check=True)\n"
    assert printed(text, "--children", files={"child.py": PROCESSES}) == "slipring.queues\n" * 3


PRELOADED = """
import multiprocessing, preloaded, slipring

def work(conn):
    classes = preloaded.Queue, preloaded.Mine.__mro__[1], multiprocessing.queues.Queue
    conn.send([cls.__module__ for cls in classes])

if __name__ == "__main__":
    multiprocessing.set_forkserver_preload(["preloaded"])
    context = multiprocessing.get_context("forkserver")
    for unpatch in False, True:
        if unpatch:
            slipring.unpatch()
        here, there = context.Pipe()
        process = context.Process(target=work, args=(there,))
        process.start()
        print(*here.recv())
        process.join()
"""


@pytest.mark.parametrize("options", [[], ["--children"]])
def test_modules_that_the_fork_server_imports_find_it(printed, options):
    files = {"preloaded.py": "from multiprocessing.queues import Queue\nclass Mine(Queue):\n    pass\n"}
    # They keep what they have found.
    expected = (
        "slipring.queues slipring.queues slipring.queues\nslipring.queues slipring.queues multiprocessing.queues\n"
    )
    assert printed(PRELOADED, *options, files=files) == expected


def test_workers_of_xdist_are_patched(both):
    pytest.importorskip("xdist")
    text = (
        "import multiprocessing.queues\ndef test():\n    assert 'slipring' in multiprocessing.queues.Queue.__module__\n"
    )
    (code, printed, _), _ = both(
        "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", "test_it.py",
        files={"test_it.py": text}, options=["--children"], control=False,
    )  # fmt: skip
    assert code == 0, printed
    assert "1 passed" in printed
