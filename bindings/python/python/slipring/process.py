"""The standard library's `multiprocessing.process`, which serves slipring as it is."""

import sys
from multiprocessing import process as _standard
from multiprocessing.process import *  # noqa: F403  for whoever reads this file instead of running it

sys.modules[__name__] = _standard
