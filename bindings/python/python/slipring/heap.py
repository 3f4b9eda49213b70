"""The standard library's `multiprocessing.heap`, which serves slipring as it is."""

import sys
from multiprocessing import heap as _standard
from multiprocessing.heap import *  # noqa: F403  for whoever reads this file instead of running it

sys.modules[__name__] = _standard
