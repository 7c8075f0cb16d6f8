"""A short round of fuzzing, the same every time, and what longer ones have found. `make fuzz` is the long one."""

from pathlib import Path

import pytest

from formats import FORMATS
from tests.formats.harness import DATA
from tests.fuzz import corpus, mutation, trial

_EXECUTIONS = 2_000
_SEED = 20261120
_FOUND = sorted(DATA.glob("*/found/*.bin"))


@pytest.mark.parametrize("name", FORMATS)
def test_short_round(name: str) -> None:
    for input_ in mutation.inputs(name, _EXECUTIONS, _SEED):
        try:
            trial.run(FORMATS[name], input_)
        except Exception as error:  # noqa: BLE001  # each is a find
            pytest.fail(f"{name}: {type(error).__name__}: {error}; input: {input_!r}")


@pytest.mark.parametrize("path", _FOUND, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_what_was_found_stays_mended(path: Path) -> None:
    trial.run(FORMATS[path.parts[-3]], path.read_bytes())


@pytest.mark.parametrize("name", FORMATS)
def test_seeds_and_words(name: str) -> None:
    assert len(corpus.seeds(name)) >= 10
    assert all(len(seed) <= corpus.MAX_BYTES for seed in corpus.seeds(name))
    assert corpus.dictionary(name).count("\n") == len(corpus.words(name))
