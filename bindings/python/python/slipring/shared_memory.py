"""The standard library's `multiprocessing.shared_memory`, which serves slipring as it is."""

import sys
from multiprocessing import shared_memory as _standard
from multiprocessing.shared_memory import *  # noqa: F403  for whoever reads this file instead of running it

sys.modules[__name__] = _standard
