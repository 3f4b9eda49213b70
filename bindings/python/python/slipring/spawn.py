"""The standard library's `multiprocessing.spawn`, which serves slipring as it is."""

import sys
from multiprocessing import spawn as _standard
from multiprocessing.spawn import *  # noqa: F403  for whoever reads this file instead of running it

sys.modules[__name__] = _standard
