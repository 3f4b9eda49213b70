"""multiprocessing's queues, pipes and locks in shared memory."""

from slipring import _native

__version__ = _native.version()
