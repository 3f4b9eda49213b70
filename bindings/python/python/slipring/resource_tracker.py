"""The standard library's `multiprocessing.resource_tracker`, which serves slipring as it is."""

import sys
from multiprocessing import resource_tracker as _standard
from multiprocessing.resource_tracker import *  # noqa: F403  for whoever reads this file instead of running it

sys.modules[__name__] = _standard
