"""What a process that was started afresh does first.

No module imports this one: `popen.Arrival` has its name in a pickle.
"""

from __future__ import annotations

from slipring import context, patching


def arrive(name: str, start_method: str | None, patched: bool) -> str:
    """Makes slipring here what it is in the process that started this one. Returns this process's name."""
    context.force_start_method(start_method)
    if patched:
        patching.patch()
    elif patching.is_patched():
        # The fork server's, from a time when the program was patched.
        patching.unpatch()
    return name
