"""What is written is true: docstrings with their examples, `help`, and the programs of the documents."""

import doctest
import importlib
import inspect
import os
import pkgutil
import pydoc
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import slipring
from slipring import _native

ROOT = Path(__file__).parents[3]
DOCUMENTS = ("README.md", "bindings/python/README.md", "docs/guide/src/python.md", "docs/guide/src/tour.md")
# A program of a document, and what it prints, if the next block says so.
PROGRAM = re.compile(r"^```(python|diff)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def modules():
    """Those of slipring's modules that are its own; the others stand for one of the standard library."""
    names = [module.name for module in pkgutil.iter_modules(slipring.__path__, "slipring.")]
    found = [importlib.import_module(name) for name in ["slipring", *names] if not name.endswith("__main__")]
    return [module for module in found if module.__name__.startswith("slipring")]


MODULES = modules()
NAMES = [module.__name__ for module in MODULES]


# Docstrings


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_the_examples_of_docstrings_are_true(module, capfd):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in doctest.DocTestFinder().find(module, module.__name__):
        runner.run(test)
    assert runner.failures == 0, capfd.readouterr().out


def test_there_are_examples_where_they_help():
    finder = doctest.DocTestFinder()
    with_examples = {test.name for module in MODULES for test in finder.find(module) if test.examples}
    missing = {
        f"slipring.{name}"
        for name in (
            "queues.Queue queues.JoinableQueue simple.SimpleQueue connection.Connection connection.Pipe "
            "connection.wait pool.Pool synchronize.Lock synchronize.RLock synchronize.Semaphore "
            "synchronize.BoundedSemaphore synchronize.Event synchronize.Condition synchronize.Barrier "
            "sharedctypes.RawValue sharedctypes.RawArray queues.Queue.aget queues.Queue.loan_array"
        ).split()
    } - with_examples
    assert missing == set()


def public(module):
    """The public names of a module that are its own, and of its classes: `(where, object)`."""
    for name, value in vars(module).items():
        if name.startswith("_") or not getattr(value, "__module__", "slipring").startswith("slipring"):
            continue
        if inspect.isclass(value):
            yield f"{module.__name__}.{name}", value
            for member, descriptor in vars(value).items():
                function = getattr(descriptor, "__func__", descriptor)
                if not member.startswith("_") and (inspect.isroutine(function) or inspect.isdatadescriptor(function)):
                    yield f"{module.__name__}.{name}.{member}", function
        elif inspect.isroutine(value):
            yield f"{module.__name__}.{name}", value


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_every_public_name_has_a_docstring(module):
    assert module.__doc__
    assert [where for where, value in public(module) if not (inspect.getdoc(value) or "").strip()] == []


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_every_public_function_shows_its_signature(module):
    without = []
    for where, value in public(module):
        if inspect.isroutine(value) and callable(value) and not inspect.isclass(value):
            try:
                inspect.signature(value)
            except ValueError:
                without.append(where)
    assert without == []


@pytest.mark.parametrize(
    "name",
    """Queue Lock Pool Value queues.Queue queues.JoinableQueue queues.SimpleQueue connection.Connection pool.Pool
    pool.WorkerDied synchronize.Lock synchronize.RLock synchronize.Semaphore synchronize.BoundedSemaphore
    synchronize.Event synchronize.Condition synchronize.Barrier sharedctypes.Synchronized SegmentError""".split(),
)
def test_help_reads_well(name):
    importlib.import_module(f"slipring.{name.rpartition('.')[0]}".rstrip("."))
    value = slipring
    for part in name.split("."):
        value = getattr(value, part)
    text = pydoc.render_doc(value, renderer=pydoc.plaintext)
    assert "ellipsis" not in text.lower() and "pyo3" not in text.lower() and "=..." not in text
    assert inspect.getdoc(value).splitlines()[0] in text


def test_help_of_the_package_names_what_there_is():
    text = slipring.__doc__
    for name in ("Queue", "Pipe", "Lock", "Pool", "WorkerDied", "Value", "get_context", "patch"):
        assert name in text
    assert str(_native.version()) == slipring.__version__


# The programs of the documents


def programs():
    for document in DOCUMENTS:
        for number, match in enumerate(PROGRAM.finditer((ROOT / document).read_text(encoding="utf-8")), 1):
            kind, text, printed = match.groups()
            if kind == "python":
                yield pytest.param(text, printed, id=f"{document}-{number}")
            else:
                # Before and after the change.
                for sign in "-+":
                    lines = [line[1:] for line in text.splitlines(keepends=True) if line[0] in f" {sign}\n"]
                    lines = [line or "\n" for line in lines]
                    yield pytest.param("".join(lines), printed, id=f"{document}-{number}{sign}")


@pytest.fixture
def folder(tmp_path):
    """A folder to run a program in; names are its own, and it finds the program `slipring`."""
    names = tempfile.mkdtemp(dir="/dev/shm")
    # The one of this tree alone: another one may have another layout.
    built = [p for kind in ("debug", "release") if (p := ROOT / "target" / kind / "slipring").exists()]
    path = f"{max(built, key=os.path.getmtime).parent}:{os.environ['PATH']}" if built else os.environ["PATH"]
    yield tmp_path, os.environ | {"SLIPRING_DIR": names, "PATH": path}
    shutil.rmtree(names)


@pytest.mark.parametrize("text, printed", list(programs()))
def test_a_program_of_a_document_does_what_it_says(text, printed, folder):
    if "import numpy" in text or "loan_array" in text:
        pytest.importorskip("numpy")
    path, env = folder
    if '"slipring",' in text and not shutil.which("slipring", path=env["PATH"]):
        pytest.skip("the program slipring was not built")
    (path / "program.py").write_text(text)
    done = subprocess.run([sys.executable, "program.py"], cwd=path, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    if printed is not None:
        assert done.stdout == printed


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_has_programs(document):
    assert PROGRAM.search((ROOT / document).read_text(encoding="utf-8"))


@pytest.mark.parametrize("chapter", ["python.md", "python-differences.md"])
def test_the_summary_of_the_guide_has_the_chapter(chapter):
    assert f"({chapter})" in (ROOT / "docs/guide/src/SUMMARY.md").read_text(encoding="utf-8")
