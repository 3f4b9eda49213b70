"""Runs tests of one class of CPython's own, and writes what becomes of them into a file.

    cpython_worker.py CLASS EVENTS TEST...

Started by `cpython_suite.py`. Under spawn and forkserver it is the main module of every child that
a test starts, so all above `main` happens there too: the module under test stands in for
multiprocessing in each of these processes.
"""

import functools
import importlib
import json
import multiprocessing
import multiprocessing.context
import os
import signal
import sys
import traceback
import unittest

FACTORIES = [
    "Array",
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Manager",
    "Pipe",
    "Pool",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "Semaphore",
    "SimpleQueue",
    "Value",
]


# The module under test in the place of multiprocessing


def factory(name):
    """A function of multiprocessing that asks the context that is chosen when it is called."""

    def make(*args, **kwargs):
        context = multiprocessing.context._default_context.get_context()
        return getattr(context, name)(*args, **kwargs)

    make.__name__ = make.__qualname__ = name
    return make


def replace_contexts(module):
    """Has `multiprocessing.get_context`, and whoever uses the default context, get the module's."""
    contexts = multiprocessing.context._concrete_contexts
    for method in contexts:
        contexts[method] = module.get_context(method)
    default = multiprocessing.context._default_context
    default._default_context = contexts[default._default_context._name]
    if default._actual_context is not None:
        default._actual_context = contexts[default._actual_context._name]
    for name in FACTORIES:
        setattr(multiprocessing, name, factory(name))


def load_tests(method):
    """The test module, with its classes for the start method put into this one."""
    tests = importlib.import_module("test._test_multiprocessing")
    # It took these from modules, where no context is asked.
    tests.Value = multiprocessing.Value
    tests.close_queue = close_queue
    inside = tests._TestCondition.check_invariant
    tests._TestCondition.check_invariant = functools.partialmethod(check_invariant, inside)
    tests.install_tests_in_module_dict(globals(), method)


def close_queue(queue):
    """In place of the tests' helper, which does it to the standard library's classes only."""
    if hasattr(queue, "join_thread"):
        queue.close()
        queue.join_thread()


def check_invariant(self, inside, condition):
    """In place of the tests' helper, which reads counters that only the standard library's class has."""
    if hasattr(condition, "_sleeping_count"):
        inside(self, condition)


replace_contexts(importlib.import_module(os.environ["CPYTHON_SUITE_MODULE"]))
load_tests(os.environ["CPYTHON_SUITE_METHOD"])


# Running them


class Reporter(unittest.TestResult):
    """Writes one line of JSON when a test starts and one when it ends."""

    def __init__(self, events):
        super().__init__()
        self.events = events
        self.pid = os.getpid()
        self.verdict = ("passed", "")

    def write(self, event, **fields):
        # A test may fork, and its child may come back here.
        if os.getpid() == self.pid:
            self.events.write(json.dumps({"event": event, **fields}) + "\n")

    def startTest(self, test):
        super().startTest(test)
        self.verdict = ("passed", "")
        self.write("start", test=test._testMethodName)

    def stopTest(self, test):
        verdict, why = self.verdict
        self.write("end", test=test._testMethodName, verdict=verdict, why=why)
        super().stopTest(test)

    def fail(self, test, error):
        traceback.print_exception(*error)
        text = "".join(traceback.format_exception_only(error[0], error[1])).strip().splitlines()
        if isinstance(test, unittest.TestCase):
            self.verdict = ("failed", text[0])
        else:
            self.write("fixture", name=f"({test})", why=text[0])

    def addError(self, test, err):
        super().addError(test, err)
        self.fail(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.fail(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.fail(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if self.verdict[0] == "passed":
            self.verdict = ("skipped", reason)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.verdict = ("failed", "passes, and is marked as one that fails")


def main(cls, path, *names):
    # A program in the background of a shell ignores SIGINT, and some tests interrupt themselves.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    suite = unittest.TestSuite(globals()[cls](name) for name in names)
    with open(path, "a", buffering=1, encoding="utf-8") as events:
        reporter = Reporter(events)
        suite.run(reporter)
        reporter.write("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
