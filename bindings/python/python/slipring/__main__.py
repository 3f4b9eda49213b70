"""`python -m slipring SCRIPT [ARGS]`: runs a program with slipring in the place of multiprocessing."""

from __future__ import annotations

import argparse
import builtins
import code
import functools
import importlib.machinery
import io
import os
import pkgutil
import runpy
import sys
import textwrap
import types
from collections.abc import Callable

import slipring
from slipring import patching

EXAMPLES = """\
examples:
  python -m slipring server.py --port 8080
  python -m slipring -m pytest -x tests
  python -m slipring --start-method spawn -c 'import multiprocessing; print(multiprocessing.Queue())'
  python -m slipring - < program.py
  python -m slipring --children -m pytest -n 4

Options of the interpreter stand before -m slipring: python -X dev -m slipring server.py
"""


def main() -> None:
    """Runs what the command line says."""
    parser = arguments()
    own, program = split(sys.argv[1:])
    options = parser.parse_args(own)
    if not program:
        parser.error("what is to be run? SCRIPT, -m MODULE, -c CODE, or - for the standard input")
    run = runner(parser, program)
    patching.patch(children=options.children)
    if options.start_method:
        import multiprocessing

        multiprocessing.set_start_method(options.start_method)
    try:
        run()
    except BaseException:
        if sys.excepthook is sys.__excepthook__:
            sys.excepthook = report
        raise


def arguments() -> argparse.ArgumentParser:
    """The options that stand before the program, and `--help`."""
    parser = argparse.ArgumentParser(
        prog="python -m slipring",
        usage="python -m slipring [OPTIONS] (SCRIPT | -m MODULE | -c CODE | -) [ARGS]",
        description="Runs a Python program with slipring in the place of multiprocessing. Its queues, pipes, locks\n"
        "and pools are in shared memory then, and so are those of the processes that it starts. The program need not\n"
        "be changed, and is started as `python` would start it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"slipring {slipring.__version__}")
    parser.add_argument(
        "--start-method",
        choices=["fork", "spawn", "forkserver"],
        help="how the program's processes are started, unless it chooses itself",
    )
    parser.add_argument(
        "--children",
        action="store_true",
        help="also in interpreters that the program starts otherwise, by subprocess say (sets PYTHONPATH)",
    )
    # For `--help` alone: `split` has taken them away.
    program = parser.add_argument_group("the program, and all that comes after it is its own")
    program.add_argument("SCRIPT", nargs="?", help="a file; or a folder or an archive with a __main__.py")
    program.add_argument("-m", metavar="MODULE", help="a module; or a package with a __main__.py")
    program.add_argument("-c", metavar="CODE", help="code")
    program.add_argument("-", action="store_true", dest="typed", help="code from the standard input")
    return parser


def split(args: list[str]) -> tuple[list[str], list[str]]:
    """What is for us, and the program with its arguments."""
    at = 0
    while at < len(args) and (args[at] == "-h" or args[at].startswith("--")):
        at += 2 if args[at] == "--start-method" else 1
    return args[:at], args[at:]


def runner(parser: argparse.ArgumentParser, program: list[str]) -> Callable[[], None]:
    """Prepares `sys.argv` and `sys.path` for a program, and returns what runs it."""
    first, *rest = program
    if first == "-":
        sys.argv = program
        look_first_in("")
        return run_typed
    if first[:2] in ("-m", "-c"):
        # As the interpreter takes them: -m MODULE and -mMODULE.
        what, *rest = [first[2:], *rest] if first[2:] else rest or [""]
        if not what:
            parser.error(f"argument expected for the {first} option")
        sys.argv = [first[:2], *rest]
        if first.startswith("-m"):
            return functools.partial(run_module, what)
        look_first_in("")
        return functools.partial(run_code, what)
    if first.startswith("-"):
        parser.error(f"unrecognized option {first!r}; options of the interpreter stand before -m slipring")
    sys.argv = program
    if pkgutil.get_importer(first) is not None:
        look_first_in(os.path.abspath(first), always=True)
        return functools.partial(run_module, "__main__")
    if not os.path.exists(first):
        parser.error(f"there is no file {first!r}")
    look_first_in(os.path.dirname(os.path.realpath(first)))
    return functools.partial(run_file, first)


def look_first_in(path: str, always: bool = False) -> None:
    """Has modules looked for here first, and no more where `-m slipring` was called."""
    if not sys.flags.safe_path:
        sys.path[0] = path
    elif always:
        sys.path.insert(0, path)


def run_file(path: str) -> None:
    """Runs a file as the main module, which it stays: threads and exit handlers find it when it has ended."""
    path = os.path.abspath(path)
    main = main_module(path)
    main.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
    with io.open_code(path) as file:
        text = file.read()
    compiled = pkgutil.read_code(io.BytesIO(text))  # type: ignore[attr-defined]
    if compiled is not None:
        main.__loader__ = importlib.machinery.SourcelessFileLoader("__main__", path)
    exec(compiled or compile(text, path, "exec", dont_inherit=True), vars(main))


def run_module(name: str) -> None:
    """Runs a module as the main module, as the interpreter does: not by `runpy.run_module`, for the same reason."""
    main_module()
    runpy._run_module_as_main(name, alter_argv=name != "__main__")  # type: ignore[attr-defined]


def run_code(text: str) -> None:
    """Runs the code of `-c`."""
    if sys.version_info >= (3, 14):
        text = textwrap.dedent(text)
    exec(compile(text, "<string>", "exec", dont_inherit=True), vars(main_module()))


def run_typed() -> None:
    """Runs what comes from the standard input: all of it, or from a terminal line by line."""
    main = main_module("<stdin>")
    if sys.stdin.isatty():
        code.interact(local=vars(main), exitmsg="")
    else:
        exec(compile(sys.stdin.buffer.read(), "<stdin>", "exec", dont_inherit=True), vars(main))


def main_module(file: str | None = None) -> types.ModuleType:
    """A main module with nothing in it yet, under both of its names: classes of it come back from other processes."""
    main = types.ModuleType("__main__")
    main.__builtins__ = builtins  # type: ignore[attr-defined]
    main.__loader__ = importlib.machinery.BuiltinImporter
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    if file is not None:
        main.__file__ = file
        main.__cached__ = None  # type: ignore[attr-defined]
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main
    return main


def report(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    """Shows an exception of the program as the interpreter does, without what is here."""
    at = trace
    while at is not None:
        if at.tb_frame.f_code.co_filename == __file__:
            trace = at.tb_next
        at = at.tb_next
    sys.__excepthook__(kind, error.with_traceback(trace), trace)


if __name__ == "__main__":
    main()
