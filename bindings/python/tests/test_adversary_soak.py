"""A few seconds of what `soak.py` does for hours."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("slipring")


@pytest.mark.parametrize(("method", "seconds"), [("fork", 3), ("spawn", 2)])
def test_what_must_hold_holds_whoever_is_killed(method, seconds):
    program = [sys.executable, str(Path(__file__).with_name("soak.py"))]
    program += ["--seconds", str(seconds), "--method", method]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
