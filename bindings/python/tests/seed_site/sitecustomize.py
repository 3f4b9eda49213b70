"""Loaded by every interpreter of a seed program's run: its folder is on PYTHONPATH.

Three things that let a program be run as it stands:

* its sleeps are multiplied by SEEDS_SLEEP. Only the program's own calls of `time.sleep` are: those
  made from the main module, which a spawned child calls `__mp_main__`;
* each printed line reaches the output in one write, so that lines of several processes are never
  torn and lie in the order in which they were printed;
* SEEDS_METHOD, if set, is made the start method of the module SEEDS_MODULE. It is taken out of the
  environment: the children have to learn the method in the ordinary way.
"""

import importlib
import os
import sys
import time

_sleep = time.sleep
_factor = float(os.environ["SEEDS_SLEEP"])


def sleep(seconds):
    caller = sys._getframe(1).f_globals.get("__name__")
    _sleep(seconds * _factor if caller in ("__main__", "__mp_main__") else seconds)


time.sleep = sleep
sys.stdout.reconfigure(line_buffering=True)
_method = os.environ.pop("SEEDS_METHOD", None)
if _method is not None:
    importlib.import_module(os.environ["SEEDS_MODULE"]).set_start_method(_method)
