"""A plugin of pytest for `ci/libraries.py`.

It writes each test's outcome to a file at once, so that they are known even where pytest itself does not come to its
end. With SLIPRING_ONLY it runs one test.
"""

import os

PATH = os.environ["SLIPRING_RECORD"]
ONLY = os.environ["SLIPRING_ONLY"]
#: The tests are started by this process, and not by one that it has forked.
PID = os.getpid()


def pytest_collection_modifyitems(items):
    if ONLY:
        items[:] = [item for item in items if item.nodeid == ONLY]


def pytest_runtest_logstart(nodeid):
    write("started", nodeid)


def pytest_runtest_logreport(report):
    if report.failed or report.skipped or report.when == "call":
        write(report.outcome, report.nodeid)


def write(outcome, test):
    if os.getpid() == PID:
        with open(PATH, "a") as file:
            file.write(f"{outcome} {test}\n")
