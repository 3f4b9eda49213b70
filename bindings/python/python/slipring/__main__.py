"""`python -m slipring SCRIPT [ARGS]`: runs a script with slipring in the place of multiprocessing."""

from __future__ import annotations

import argparse
import builtins
import importlib.machinery
import io
import os
import pkgutil
import runpy
import sys
import types

import slipring
from slipring import patching


def main() -> None:
    """Runs what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m slipring",
        description="Runs a Python program with slipring in the place of multiprocessing: its queues, pipes, locks and "
        "pools are in shared memory then, and those of the processes that it starts. The program need not be changed.",
        epilog="examples:\n"
        "  python -m slipring server.py --port 8080\n"
        "  python -m slipring -m package.module\n"
        "  python -m slipring --start-method spawn server.py\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"slipring {slipring.__version__}")
    parser.add_argument(
        "--start-method",
        choices=["fork", "spawn", "forkserver"],
        help="how the program's processes are started, unless it chooses itself",
    )
    parser.add_argument("-m", dest="module", action="store_true", help="SCRIPT is a module's name")
    parser.add_argument("script", metavar="SCRIPT", help="a file, or with -m a module")
    parser.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="its arguments")
    options = parser.parse_args()

    patching.patch()
    if options.start_method:
        import multiprocessing

        multiprocessing.set_start_method(options.start_method)
    sys.argv = [options.script, *options.args]
    sys.excepthook = report
    if options.module:
        sys.path[0] = os.getcwd()
        run_module(options.script)
    elif pkgutil.get_importer(options.script) is not None:
        # A folder or an archive, with a `__main__.py`.
        sys.path[0] = os.path.abspath(options.script)
        run_module("__main__")
    elif os.path.isfile(options.script):
        sys.path[0] = os.path.dirname(os.path.realpath(options.script))
        run(options.script)
    else:
        parser.error(f"there is no file {options.script!r}")


def run(path: str) -> None:
    """Runs a file as the main module, which it stays: threads and exit handlers find it when it has ended."""
    path = os.path.abspath(path)
    main = main_module()
    main.__file__ = path
    main.__cached__ = None  # type: ignore[attr-defined]
    main.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
    with io.open_code(path) as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    exec(code, vars(main))


def run_module(name: str) -> None:
    """Runs a module as the main module, as the interpreter does: not by `runpy.run_module`, for the same reason."""
    main_module()
    runpy._run_module_as_main(name, alter_argv=name != "__main__")  # type: ignore[attr-defined]


def main_module() -> types.ModuleType:
    """A main module with nothing in it yet."""
    main = types.ModuleType("__main__")
    main.__builtins__ = builtins  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    return main


def report(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    """Shows an exception of the script as the interpreter does, without what is here."""
    at = trace
    while at is not None:
        if at.tb_frame.f_code.co_filename == __file__:
            trace = at.tb_next
        at = at.tb_next
    sys.__excepthook__(kind, error.with_traceback(trace), trace)


if __name__ == "__main__":
    main()
