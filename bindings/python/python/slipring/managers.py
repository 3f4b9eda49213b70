"""The standard library's `multiprocessing.managers`, which serves slipring as it is."""

import sys
from multiprocessing import managers as _standard
from multiprocessing.managers import *  # noqa: F403  for whoever reads this file instead of running it

sys.modules[__name__] = _standard
