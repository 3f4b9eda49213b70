"""The standard library's `multiprocessing.dummy`, which serves slipring as it is."""

import sys
from multiprocessing import dummy as _standard
from multiprocessing.dummy import *  # noqa: F403  for whoever reads this file instead of running it

sys.modules[__name__] = _standard
