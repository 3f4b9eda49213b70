"""What modules need to know of `context` and `patching`, which stand above them and set it here.

Whoever imports a module of slipring imports `slipring` first, and with it both: at every call it is set.
"""

from __future__ import annotations

import os
from typing import Any

#: The default context. Set by `context`.
context: Any = None

#: Whether slipring is in the place of multiprocessing. Set by `patching`.
patched = False

#: The folder that slipring is in.
FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
