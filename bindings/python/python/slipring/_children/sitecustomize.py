"""Puts slipring in the place of multiprocessing in an interpreter that a program has started.

`slipring.patch(children=True)` has this folder stand first on PYTHONPATH. Interpreters import `sitecustomize` when they
start. There may be another one, which this one hides: it is run, too.
"""

import importlib.machinery
import importlib.util
import os
import sys


def run_the_hidden_one(here):
    """Imports the `sitecustomize` that there would be without this one."""
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize")
    if spec is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def patch(here):
    """Patches this interpreter, or says why that cannot be done."""
    # The standard library's helper has nothing to do with the program's objects.
    if not os.environ.get("SLIPRING_PATCH") or any("multiprocessing.resource_tracker" in arg for arg in sys.orig_argv):
        return
    try:
        if importlib.util.find_spec("slipring") is None:
            sys.path.append(os.path.dirname(os.path.dirname(here)))
        import slipring

        slipring.patch(children=True)
    except Exception as error:
        print(f"slipring cannot be put in the place of multiprocessing in {sys.executable}: {error!r}", file=sys.stderr)


here = os.path.dirname(os.path.abspath(__file__))
try:
    run_the_hidden_one(here)
finally:
    patch(here)
