"""Programs as people write them for multiprocessing run unchanged but for the one import.

Each program of `seeds/` (see its README.md) runs as a process of its own with each start method,
once with `multiprocessing` itself, which shows that the expectation is right, and once with
`slipring`; and once, the file as it is, by `python -m slipring program.py`.

    pytest test_seeds.py -k multiprocessing      the control alone
    pytest test_seeds.py -k "not multiprocessing"
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace

import pytest

pytest.register_assert_rewrite("seed_expectations")

import seed_runner  # noqa: E402
from seed_expectations import SEEDS, THREAD_SEEDS  # noqa: E402
from seed_runner import Outcome, Seed, run  # noqa: E402

METHODS = ("fork", "spawn", "forkserver")


def by_name(seed: Seed) -> str:
    return seed.name


@pytest.fixture
def slipring() -> str:
    """The package's name. With SLIPRING_REQUIRED=1 its absence is a failure, else a skip."""
    if importlib.util.find_spec("slipring") is None:
        if os.environ.get("SLIPRING_REQUIRED") == "1":
            pytest.fail("slipring cannot be imported")
        pytest.skip("slipring cannot be imported")
    return "slipring"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", SEEDS, ids=by_name)
def test_multiprocessing_runs_it(seed: Seed, method: str) -> None:
    # What its resource tracker says of semaphores that are left is not the program's affair.
    judge(replace(seed, complains=True), run(seed, "multiprocessing", method))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", SEEDS, ids=by_name)
def test_slipring_runs_it_with_one_import_changed(seed: Seed, method: str, slipring: str) -> None:
    judge(seed, run(seed, slipring, method))


@pytest.mark.parametrize("seed", SEEDS + THREAD_SEEDS, ids=by_name)
def test_the_launcher_runs_it_unchanged(seed: Seed, slipring: str) -> None:
    judge(seed, run(seed, "multiprocessing", None, "-m", slipring))


@pytest.mark.parametrize("seed", THREAD_SEEDS, ids=by_name)
def test_multiprocessing_is_not_needed_by_it(seed: Seed) -> None:
    judge(seed, run(seed, "multiprocessing", None))


def test_every_program_is_run() -> None:
    files = {path.stem for path in seed_runner.SEEDS.glob("*.py")}
    assert files == {seed.name for seed in SEEDS + THREAD_SEEDS}


def judge(seed: Seed, outcome: Outcome) -> None:
    # Shown where an assertion fails.
    print(*outcome.lines, "-- errors:", outcome.errors, "-- status:", outcome.status, sep="\n")
    seed.check(outcome)
    if seed.ends is not None:
        assert outcome.ended == seed.ends
    assert outcome.status in (0, None)
    assert not outcome.left, "processes outlived the program"
    if not seed.complains and outcome.ended:
        assert outcome.errors == ""
