"""`python -m slipring SCRIPT [ARGS]`: runs a script with slipring in the place of multiprocessing."""

from __future__ import annotations

import argparse
import io
import os
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
    if options.module:
        sys.argv = [options.script, *options.args]
        sys.path[0] = os.getcwd()
        runpy.run_module(options.script, run_name="__main__", alter_sys=True)
    else:
        if not os.path.isfile(options.script):
            parser.error(f"there is no file {options.script!r}")
        sys.argv = [options.script, *options.args]
        sys.path[0] = os.path.dirname(os.path.abspath(options.script))
        run(options.script)


def run(path: str) -> None:
    """Runs a file as the main module, which it stays: threads and exit handlers find it when it has ended."""
    main = types.ModuleType("__main__")
    main.__file__ = path
    with io.open_code(path) as file:
        code = compile(file.read(), path, "exec")
    sys.modules["__main__"] = main
    exec(code, vars(main))


if __name__ == "__main__":
    main()
