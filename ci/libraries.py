#!/usr/bin/env python3
"""Runs libraries' own tests with slipring in the place of multiprocessing. `ci/libraries.sh` installs them first.

What passes without slipring must pass with it, but for the tests that ci/library_tests/known.txt names with a reason.
"""

import argparse
import collections
import contextlib
import fnmatch
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).absolute().parent
OWN = HERE / "library_tests"

#: Seconds that one test may take.
PATIENCE = 120
#: A test that has failed is tried so often again, alone: some measure times, on a machine that does other things too.
AGAIN = 2


@dataclass
class Part:
    """Some tests of a library, which one pytest runs."""

    library: str
    name: str
    #: What pytest is to run, in the folder of the library's sources.
    tests: list[str]
    #: Seconds after which something is wrong.
    limit: int = 1500


def pebble(name):
    return Part("pebble", name, [f"test/test_{name}.py"])


def loky(name):
    return Part("loky", name, [f"tests/test_{name}.py", "--skip-high-memory"])


SKLEARN = ["sklearn.utils.tests.test_parallel", "sklearn.ensemble.tests.test_bagging"]

FULL = [
    Part("joblib", "parallel", ["--pyargs", "joblib.test.test_parallel"]),
    Part("joblib", "memmapping", ["--pyargs", "joblib.test.test_memmapping"]),
    *(
        pebble(f"{what}_{method}")
        for method in ("fork", "spawn", "forkserver")
        for what in ("concurrent_process", "asynchronous_process", "process_pool")
    ),
    *map(loky, ["loky_backend", "loky_module", "synchronize", "resource_tracker", "worker_timeout"]),
    *map(loky, ["process_executor_loky", "process_executor_spawn", "process_executor_forkserver", "reusable_executor"]),
    Part("mpire", "of ours", [str(OWN / "test_mpire.py")]),
    Part("mpire", "of its repository", ["tests"]),
    Part("pynisher", "of ours", [str(OWN / "test_pynisher.py")]),
    # What it does to scikit-learn ends that with a crash, here and there.
    Part("pynisher", "of its repository", ["test", "--ignore", "test/test_sklearn"]),
    Part("scikit-learn", "n_jobs", ["--pyargs", *SKLEARN, "-k", "parallel or n_jobs"]),
]

#: What takes less than a minute, and has each kind of subclass that these libraries make.
SHORT = [
    Part("joblib", "memmapping", ["--pyargs", "joblib.test.test_memmapping", "-k", "pool_with_memmap"]),
    Part("joblib", "parallel", ["--pyargs", "joblib.test.test_parallel", "-k", "simple_parallel or nested_loop_error"]),
    pebble("concurrent_process_fork"),
    Part("loky", "backend", ["tests/test_loky_backend.py", "-k", "queue or connection or process"]),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("libraries", nargs="*", help="run the tests of these alone")
    parser.add_argument("--short", action="store_true", help="a choice of them, in less than a minute")
    parser.add_argument("--sources", type=Path, required=True, help="the folder that has the libraries' sources")
    options = parser.parse_args()
    # Whatever runs is ended with this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parts = [part for part in (SHORT if options.short else FULL) if part.library in (options.libraries or libraries())]
    for name in options.libraries:
        if name not in libraries():
            parser.error(f"there is no library {name!r}: {', '.join(libraries())}")
    known = read_known()
    rows = []
    for number, part in enumerate(parts, 1):
        print(f"-- {number} of {len(parts)}: {part.library} {part.name}", flush=True)
        if "repository" in part.name and not (options.sources / part.library / part.tests[0]).exists():
            print("   NOT RUN: the repository could not be had, see the head of ci/libraries.sh", flush=True)
            continue
        rows.append(judge(part, options, known))
    print_table(rows)
    wrong = [f"passes with multiprocessing alone: {row.part.library} {test}" for row in rows for test in row.wrong]
    wrong += [f"no test has passed: {row.part.library} {row.part.name}" for row in rows if not row.passed]
    wrong += [] if rows else ["nothing was run"]
    for line in wrong:
        print(f"error: {line}")
    sys.exit(bool(wrong))


def libraries():
    return list(dict.fromkeys(part.library for part in FULL))


# Comparing


@dataclass
class Row:
    """What has come out of one part."""

    part: Part
    passed: int = 0
    skipped: int = 0
    fails_anyway: int = 0
    known: int = 0
    later: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def judge(part, options, known):
    """Runs a part with slipring and without it; a short one only if something has failed."""
    start = time.monotonic()
    folder = options.sources.absolute() / part.library
    folder.mkdir(exist_ok=True)
    outcomes, at_the_end = run(part, folder, patched=True)
    counts = collections.Counter(outcomes.values())
    row = Row(part, counts["passed"], counts["skipped"])
    without = {}
    if counts["failed"] or not at_the_end or not options.short:
        print(f"   {counts['passed']} passed, {counts['failed']} failed; now without slipring", flush=True)
        without, _ = run(part, folder, patched=False)
    failed = [test for test, outcome in outcomes.items() if outcome == "failed"]
    # What was skipped, or never begun.
    failed += [test for test in without if without[test] == "passed" and outcomes.get(test) not in ("passed", "failed")]
    for test in failed:
        reasons = [reason for library, pattern, reason in known if library == part.library and matches(test, pattern)]
        if reasons:
            row.known += 1
            print(f"   known: {test}: {reasons[0]}", flush=True)
        elif without.get(test) != "passed" and not passes(part, folder, test, patched=False):
            row.fails_anyway += 1
            print(f"   fails without slipring, too: {test}", flush=True)
        elif any(passes(part, folder, test, patched=True) for _ in range(AGAIN)):
            row.later += 1
            print(f"   passes alone: {test}", flush=True)
        else:
            row.wrong.append(test)
            print(f"   FAILS WITH SLIPRING: {test}", flush=True)
    row.seconds = time.monotonic() - start
    return row


def passes(part, folder, test, patched):
    return run(part, folder, patched, only=test)[0].get(test) == "passed"


def matches(test, pattern):
    """Whether a test is meant, with whatever parameters it has."""
    return fnmatch.fnmatchcase(test.partition("[")[0], pattern)


def read_known():
    lines = [line for line in (OWN / "known.txt").read_text().splitlines() if line and not line.startswith("#")]
    known = [re.split(r"\s{2,}", line) for line in lines]
    for line, fields in zip(lines, known, strict=True):
        if len(fields) != 3:
            sys.exit(f"error: known.txt: library, test and reason, with two spaces between them: {line!r}")
    return known


# Running


def run(part, folder, patched, only=""):
    """Runs the tests of a part, or one of them. What came out of each, and whether pytest came to its end.

    It is passed, skipped, or failed: also for what never ended.
    """
    record, log = folder / "outcomes", folder / "log"
    record.unlink(missing_ok=True)
    command = [sys.executable, *(["-m", "slipring"] if patched else []), "-m", "pytest", "-q", *part.tests]
    command += ["-p", "record", "-p", "no:cacheprovider", "--timeout", str(PATIENCE)]
    env = dict(os.environ, SLIPRING_RECORD=str(record), SLIPRING_ONLY=only, PYTHONPATH=str(OWN))
    with log.open("wb") as output:
        # In a session of its own: what the tests leave running is ended with it.
        child = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            child.wait(part.limit)
        except subprocess.TimeoutExpired:
            print(f"   not done after {part.limit} s: ended", flush=True)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    lines = record.read_text().splitlines() if record.exists() else []
    outcomes = {
        test: "failed" if outcome == "started" else outcome for outcome, test in (line.split(" ", 1) for line in lines)
    }
    if not outcomes:
        print("   no test was run:\n   " + "\n   ".join(log.read_text(errors="replace").splitlines()[-15:]), flush=True)
    # All have passed, or some have failed.
    return outcomes, child.returncode in (0, 1)


def print_table(rows):
    heads = ["passed", "skipped", "fail anyway", "known", "pass alone", "WRONG", "seconds"]
    print("\n" + "library".ljust(14) + "tests".ljust(30) + "".join(head.rjust(len(head) + 2) for head in heads))
    for row in rows:
        numbers = [row.passed, row.skipped, row.fails_anyway, row.known, row.later, len(row.wrong), round(row.seconds)]
        cells = "".join(str(number).rjust(len(head) + 2) for number, head in zip(numbers, heads, strict=True))
        print(row.part.library.ljust(14) + row.part.name.ljust(30) + cells)


if __name__ == "__main__":
    main()
