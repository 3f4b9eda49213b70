"""The standard library's `multiprocessing.resource_sharer`, which serves slipring as it is."""

import sys
from multiprocessing import resource_sharer as _standard
from multiprocessing.resource_sharer import *  # noqa: F403  for whoever reads this file instead of running it

sys.modules[__name__] = _standard
