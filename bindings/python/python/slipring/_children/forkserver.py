"""Puts slipring in the place of multiprocessing in the fork server, before that imports the program's modules."""

from slipring import patching

patching.patch()
