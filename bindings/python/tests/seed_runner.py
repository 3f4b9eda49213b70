"""Runs one seed program as a process of its own and says what came of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

SEEDS = Path(__file__).parent / "seeds"
SITE = Path(__file__).parent / "seed_site"

#: A program that has not ended by itself after so many seconds is stopped.
LIMIT = 60.0

_COLOUR = re.compile(r"\033\[[0-9;]*m")


@dataclass
class Outcome:
    """What a program left: its lines without colours, its error output, its files."""

    lines: list[str]
    errors: str
    #: The exit status, or None if the program had to be stopped.
    status: int | None
    files: dict[str, str]
    #: Command lines of processes that outlived the program.
    left: list[str]

    @property
    def ended(self) -> bool:
        return self.status is not None


#: The imports that are changed, and to what.
IMPORTS = (
    ("from multiprocessing import", "from {} import"),
    ("import multiprocessing as", "import {} as"),
    ("import multiprocessing$", "import {} as multiprocessing"),
)

#: What a main process that does not join its children lacks.
JOINS = """
if __name__ == '__main__':
    import multiprocessing
    for child in multiprocessing.active_children():
        child.join()
"""


@dataclass(frozen=True)
class Seed:
    """A program and what is to come of it."""

    name: str
    #: Asserts that the outcome is what the document says.
    check: Callable[[Outcome], None]
    #: What its sleeps are multiplied with.
    sleep: float = 0.02
    #: Whether it ends by itself; None: either is legal.
    ends: bool | None = True
    #: A program that does not end is stopped when this holds for its lines …
    until: Callable[[list[str]], bool] = lambda lines: False
    #: … and it has still been running for so many seconds.
    grace: float = 0.3
    #: Seconds after which it is stopped at the latest.
    limit: float = LIMIT
    #: Texts to replace when it is run, beside the import and the start method.
    adapt: tuple[tuple[str, str], ...] = ()
    #: Whether it writes to its error output.
    complains: bool = False
    #: Whether its main process may end while a child has yet to take over what it was given.
    unjoined: bool = False
    #: Files it needs.
    files: dict[str, str] = field(default_factory=dict)
    #: Whether it starts processes (some start threads only).
    processes: bool = True


def source(seed: Seed, module: str, method: str | None) -> str:
    """The program's text with its one import changed, and its own choice of a start method."""
    text = (SEEDS / f"{seed.name}.py").read_text(encoding="utf-8")
    for old, new in seed.adapt:
        assert old in text, f"{seed.name} has no {old!r}"
        text = text.replace(old, new)
    if method is not None:
        text = text.replace("set_start_method('fork'", f"set_start_method({method!r}")
    if module == "multiprocessing":
        # Its main process, when it ends, unlinks locks that a child has yet to open.
        return text + JOINS if seed.unjoined and method not in (None, "fork") else text
    for old, new in IMPORTS:
        text = re.sub(f"(?m)^{old}", new.format(module), text)
    return text


def run(seed: Seed, module: str, method: str | None, *arguments: str) -> Outcome:
    """Runs `python ARGUMENTS program.py` with `module` in the place of multiprocessing.

    `method` None leaves the start method to the program.
    """
    # Sockets of managers lie below: their paths have to be short.
    with tempfile.TemporaryDirectory(prefix="seed-") as name:
        folder = Path(name)
        text = source(seed, module, method)
        (folder / "program.py").write_text(text, encoding="utf-8")
        for file, content in seed.files.items():
            (folder / file).write_text(content, encoding="utf-8")
        environment = dict(os.environ)
        environment.pop("PYTHONUNBUFFERED", None)
        environment.update(
            PYTHONPATH=os.pathsep.join(filter(None, [str(SITE), os.environ.get("PYTHONPATH")])),
            PYTHONUTF8="1",
            SEEDS_SLEEP=str(seed.sleep),
            TMPDIR=name,
        )
        # A second choice is refused unless it is forced.
        if method is not None and not re.search(r"set_start_method\('\w+'\)", text):
            environment.update(SEEDS_MODULE=module, SEEDS_METHOD=method)
        with (folder / "out").open("ab") as out, (folder / "err").open("ab") as err:
            process = subprocess.Popen(
                [sys.executable, *arguments, "program.py"],
                cwd=name,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        try:
            status = _wait(process, seed, folder / "out")
            left = _leftovers(process.pid, seconds=10) if status is not None else []
        finally:
            _stop(process)
        return Outcome(
            lines=_lines(folder / "out"),
            errors=(folder / "err").read_text(encoding="utf-8"),
            status=status,
            files={file: (folder / file).read_text(encoding="utf-8") for file in seed.files},
            left=left,
        )


def _wait(process: subprocess.Popen[bytes], seed: Seed, out: Path) -> int | None:
    """Its exit status, or None once it is time to stop it."""
    end = time.monotonic() + seed.limit
    while time.monotonic() < end:
        if seed.until(_lines(out)):
            end = min(end, time.monotonic() + seed.grace)
        try:
            return process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    return None


def _lines(out: Path) -> list[str]:
    return _COLOUR.sub("", out.read_text(encoding="utf-8", errors="replace")).splitlines()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and all that it started.

    First by SIGTERM: the standard library's resource tracker ignores it and tidies up.
    """
    for end_by in (signal.SIGTERM, signal.SIGKILL):
        if not _leftovers(process.pid, seconds=0):
            break
        try:
            os.killpg(process.pid, end_by)
        except ProcessLookupError:
            break
        process.poll()
        _leftovers(process.pid, seconds=5)
    process.wait()


def _leftovers(group: int, seconds: float) -> list[str]:
    """The command lines of the group's processes that live on for more than `seconds`."""
    end = time.monotonic() + seconds
    while True:
        living = [text for text in map(_command, _members(group)) if text]
        if not living or time.monotonic() >= end:
            return living
        time.sleep(0.01)


def _members(group: int) -> list[str]:
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and _group_of_living(pid) == group]


def _group_of_living(pid: str) -> int | None:
    try:
        state, _parent, group = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:3]
    except OSError:
        return None
    return None if state in "ZX" else int(group)


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""
