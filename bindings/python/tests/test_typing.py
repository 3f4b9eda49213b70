"""Types: the stub of the native half is true, a typed program passes, and every name is there for type checkers."""

import ast
import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest
import slipring

HERE = Path(__file__).parent
PACKAGE = Path(slipring.__file__).parent

# `python -m mypy.stubtest` passes a private module that it does not find: this looks whether it did.
STUBTEST = """
import sys
from mypy import stubtest
status = stubtest.test_stubs(stubtest.parse_options(sys.argv[1:]))
sys.exit(status or (0 if stubtest.get_stub("slipring._native") else "the stub was not found"))
"""


def run(*args, cwd):
    done = subprocess.run([sys.executable, *args], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def path(monkeypatch):
    monkeypatch.setenv("MYPYPATH", str(PACKAGE.parent))
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE.parent))


def test_the_stub_is_true_of_the_native_module(path, tmp_path):
    pytest.importorskip("mypy")
    allowlist = HERE / "stubtest_allowlist.txt"
    options = ["--concise", "--ignore-disjoint-bases", "--ignore-unused-allowlist", "--allowlist", allowlist]
    run("-c", STUBTEST, "slipring._native", *options, cwd=tmp_path)


def test_a_typed_program_passes_in_strict_mode(tmp_path):
    pytest.importorskip("mypy")
    # It finds the package as it is installed.
    (tmp_path / "program.py").write_text((HERE / "typed_program.py").read_text())
    assert "Success" in run("-m", "mypy", "--strict", "program.py", cwd=tmp_path)


def test_a_typed_program_with_an_error_does_not_pass(tmp_path):
    pytest.importorskip("mypy")
    program = "import slipring\nslipring.Queue().get_many('ten')\nslipring.Nonsense\nslipring.Lock(nme='x')\n"
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "program.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert [line.split(":")[1] for line in done.stdout.splitlines() if " error: " in line] == ["2", "3", "4"]


def test_the_typed_program_runs():
    assert run(HERE / "typed_program.py", cwd=HERE).splitlines() == ["hello", "[1, 2]", "all here"]


def test_the_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").exists()


def test_everything_that_multiprocessing_exports_is_here():
    assert set(multiprocessing.__all__) - set(slipring.__all__) == set()
    assert [name for name in slipring.__all__ if not hasattr(slipring, name)] == []
    # And what `import *` leaves out, but programs use.
    assert {"SUBDEBUG", "SUBWARNING", "process", "reduction", "context"} <= set(dir(slipring))


def test_every_export_is_written_down_for_type_checkers():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    written = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            written.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            written.update(target.id for target in node.targets if isinstance(target, ast.Name))
    assert set(slipring.__all__) - written == set()
