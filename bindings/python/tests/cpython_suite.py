"""Runs CPython's own tests of multiprocessing against this package.

    python cpython_suite.py                              all that is listed, under every start method
    python cpython_suite.py --method spawn TestWait      what has TestWait in its name, under spawn
    python cpython_suite.py --module multiprocessing     the same tests against the standard library

The tests are those of the interpreter that runs this program (`test._test_multiprocessing`): they
are loaded when it runs, and none is kept here. `cpython_known.txt` lists the ones to pass. Each
class of tests runs in a process of its own, which `cpython_worker.py` is the main program of; a
test that shows no progress within the time limit fails, whatever it started is killed, and the
rest of its class goes on in a fresh process.

The last line is `N passed, N failed, N skipped`. The exit status is 0, or 1 if a test failed or
none passed, or 2 if none could run.
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
WORKER = HERE / "cpython_worker.py"
KNOWN = HERE / "cpython_known.txt"
METHODS = ("fork", "spawn", "forkserver")
LINE = re.compile(r"(?P<out>- )?(?P<cls>\w+)\.(?P<test>\w+)(?P<methods>( \w+)*)(\s+# (?P<reason>\S.*))?")


class CannotRun(Exception):
    """Nothing could be run; the text says why."""


# What to run


class Known(NamedTuple):
    """A line of the list: a test, and the start methods under which it is left out."""

    cls: str
    test: str
    left_out: tuple[str, ...]


def read_known(path: Path) -> list[Known]:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [read_line(line) for line in lines if line and not line.startswith("#")]


def read_line(line: str) -> Known:
    match = LINE.fullmatch(line)
    if match is None or bool(match["out"]) != bool(match["reason"]):
        raise CannotRun(f"the list of tests: cannot read {line!r}")
    methods = tuple(match["methods"].split())
    if set(methods) - set(METHODS) or (methods and not match["out"]):
        raise CannotRun(f"the list of tests: start methods in {line!r}")
    return Known(match["cls"], match["test"], (methods or METHODS) if match["out"] else ())


def choose(known: list[Known], method: str, names: list[str]) -> list[Outcome]:
    """What to run under a start method: the known tests with one of the names in theirs, or all if there are none."""
    classes: dict[str, list[str]] = collections.defaultdict(list)
    for cls, test, left_out in known:
        if method not in left_out and (not names or any(name in f"{cls}.{test}" for name in names)):
            classes[cls].append(test)
    return [Outcome(method, cls, tests) for cls, tests in classes.items()]


def check_interpreter(module: str) -> None:
    """Raises CannotRun if the tests, or what they are to be run against, are not there."""
    if importlib.util.find_spec("test") is None or (importlib.util.find_spec("test._test_multiprocessing") is None):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise CannotRun(
            f"{sys.executable} comes without the standard library's tests: "
            f"install them (Debian, Ubuntu: apt-get install libpython{version}-testsuite), "
            "or run this program with an interpreter that has them"
        )
    if importlib.util.find_spec(module) is None:
        raise CannotRun(f"no module named {module}: build and install the package first")


# One class


class Outcome:
    """What became of the tests of one class under one start method."""

    def __init__(self, method: str, cls: str, tests: list[str]) -> None:
        self.method, self.cls, self.tests = method, cls, tests
        self.verdicts: dict[str, tuple[str, str]] = {}
        self.failures: list[tuple[str, str]] = []
        self.output = b""
        self.seconds = 0.0

    def left(self) -> list[str]:
        return [test for test in self.tests if test not in self.verdicts]

    def fail(self, what: str, why: str) -> None:
        """A failure of a test, or of what is around the tests."""
        if what in self.tests:
            self.verdicts[what] = ("failed", why)
        else:
            self.failures.append((what, why))

    def count(self, verdict: str) -> int:
        own = sum(v == verdict for v, _ in self.verdicts.values())
        return own + len(self.failures) if verdict == "failed" else own

    def failed(self) -> list[tuple[str, str]]:
        tests = [(t, why) for t, (verdict, why) in self.verdicts.items() if verdict == "failed"]
        return tests + self.failures


def run_class(outcome: Outcome, module: str, limit: float) -> Outcome:
    """Runs the tests of one class, in as many processes as it takes."""
    start = time.monotonic()
    while left := outcome.left():
        run_worker(outcome, left, module, limit)
        if outcome.left() == left:
            for test in left:
                outcome.fail(test, "did not run")
    outcome.seconds = time.monotonic() - start
    return outcome


def run_worker(outcome: Outcome, tests: list[str], module: str, limit: float) -> None:
    # The name is short, for addresses of sockets are made below it.
    with tempfile.TemporaryDirectory(prefix="cps", ignore_cleanup_errors=True) as folder:
        events = Path(folder, "events")
        log = Path(folder, "log")
        events.touch()
        env = os.environ | {
            "TMPDIR": folder,
            "PYTHONDONTWRITEBYTECODE": "1",
            "CPYTHON_SUITE_MODULE": module,
            "CPYTHON_SUITE_METHOD": outcome.method,
        }
        command = [
            sys.executable,
            "-X",
            "faulthandler",
            str(WORKER),
            outcome.cls,
            str(events),
            *tests,
        ]
        with log.open("wb") as out:
            worker = subprocess.Popen(
                command,
                env=env,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        hung = not ends_by_itself(worker, events, limit)
        if hung:
            # Has the interpreter say in which line every thread is.
            worker.send_signal(signal.SIGABRT)
            time.sleep(0.5)
        kill_session(worker)
        outcome.output += log.read_bytes()
        read_events(outcome, events, f"no progress in {limit:g} s" if hung else ending(worker))


def ends_by_itself(worker: subprocess.Popen, events: Path, limit: float) -> bool:
    """Waits for the worker as long as it writes events."""
    size, since = 0, time.monotonic()
    while worker.poll() is None:
        now, grown = time.monotonic(), events.stat().st_size
        if grown != size:
            size, since = grown, now
        elif now - since > limit:
            return False
        time.sleep(0.02)
    return True


def kill_session(worker: subprocess.Popen) -> None:
    """Ends the worker, and what it left behind."""
    try:
        os.killpg(worker.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    worker.wait()


def ending(worker: subprocess.Popen) -> str:
    """What is wrong with how the worker ended; empty if nothing is."""
    code = worker.returncode
    if code == 0:
        return ""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def read_events(outcome: Outcome, events: Path, trouble: str) -> None:
    """Takes over what the worker reported, and blames the trouble on what was under way."""
    under_way = "(start)"
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        match event["event"]:
            case "start":
                under_way = event["test"]
            case "end":
                outcome.verdicts[event["test"]] = (event["verdict"], event["why"])
                under_way = "(between tests)"
            case "fixture":
                outcome.fail(event["name"], event["why"])
            case "done":
                under_way = "(exit)"
    if trouble:
        outcome.fail(under_way, trouble)


# All of it


def report(outcome: Outcome) -> None:
    """A line for the class; with failures, one for each and the end of what was printed."""
    counts = ", ".join(f"{outcome.count(v)} {v}" for v in ("passed", "failed", "skipped") if outcome.count(v))
    lines = [f"{outcome.method:10} {outcome.cls}: {counts} ({outcome.seconds:.1f} s)"]
    failed = outcome.failed()
    lines += [f"FAILED {outcome.method} {outcome.cls}.{what}: {why}" for what, why in failed]
    if failed:
        text = outcome.output.decode(errors="replace").splitlines()[-60:]
        lines += [f"    | {line}" for line in text]
    print("\n".join(lines), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="run what has this in Class.test")
    parser.add_argument("--module", default="slipring", help="what is tested (slipring)")
    parser.add_argument("--method", default="all", choices=(*METHODS, "all"), help="start method (all)")
    parser.add_argument("--known", type=Path, default=KNOWN, help="list of the tests to run")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds a test may take (60)")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="classes at a time (2)")
    return parser.parse_args()


def run(args: argparse.Namespace) -> int:
    check_interpreter(args.module)
    known = read_known(args.known)
    methods = METHODS if args.method == "all" else (args.method,)
    outcomes = [outcome for method in methods for outcome in choose(known, method, args.names)]
    left_out = sum(method in line.left_out for line in known for method in methods)

    def one(outcome: Outcome) -> None:
        report(run_class(outcome, args.module, args.timeout))

    start = time.monotonic()
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(one, outcomes))

    passed, failed, skipped = (sum(outcome.count(v) for outcome in outcomes) for v in ("passed", "failed", "skipped"))
    version = ".".join(map(str, sys.version_info[:3]))
    took = time.monotonic() - start
    print(f"Python {version}, {args.module}: {took:.0f} s, {left_out} left out by name")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or passed == 0 else 0


def main() -> int:
    try:
        return run(arguments())
    except CannotRun as error:
        print(f"cpython_suite: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
