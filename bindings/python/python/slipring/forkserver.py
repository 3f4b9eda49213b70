"""The standard library's `multiprocessing.forkserver`, which serves slipring as it is."""

import sys
from multiprocessing import forkserver as _standard
from multiprocessing.forkserver import *  # noqa: F403  for whoever reads this file instead of running it

sys.modules[__name__] = _standard
