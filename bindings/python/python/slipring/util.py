"""The standard library's `multiprocessing.util`, which serves slipring as it is."""

import sys
from multiprocessing import util as _standard
from multiprocessing.util import *  # noqa: F403  for whoever reads this file instead of running it

sys.modules[__name__] = _standard
