"""Mutation without coverage: for a short round that needs nothing but Python and gives the same inputs every time."""

import random
from collections.abc import Iterator

from tests.fuzz import corpus, trial

_MANY = 24  # copies of a piece, for what only happens to many records


def inputs(format: str, number: int, seed: int) -> Iterator[bytes]:
    """So many inputs of `trial.run`, made of the seeds of the corpus."""
    rng = random.Random(f"{format} {seed}")
    seeds, words = corpus.seeds(format), corpus.words(format)
    for _ in range(number):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(6)):
            _change(data, rng, seeds, words)
        yield bytes(data[: corpus.MAX_BYTES]) + rng.randbytes(trial.CONTROL_BYTES)


def _change(data: bytearray, rng: random.Random, seeds: list[bytes], words: list[bytes]) -> None:
    start = rng.randrange(len(data) + 1)
    end = min(start + 1 + int(rng.expovariate(1 / 8)), len(data))
    match rng.randrange(8):
        case 0:
            data[start:end] = b""
        case 1:
            data[start:start] = data[start:end] * rng.randrange(1, _MANY)
        case 2:
            data[start:end] = rng.randbytes(end - start)
        case 3:
            data[start:start] = rng.choice(words)
        case 4:
            data[start:end] = rng.choice(words)
        case 5 if start < end:
            data[start] ^= 1 << rng.randrange(8)
        case 6:
            other = rng.choice(seeds)
            at = rng.randrange(len(other) + 1)
            data[start:start] = other[at : at + rng.randrange(200)]
        case _:
            data[start:end] = rng.choice((b"\n", b"\0", b"\xff", b"\r\n", b"9" * 20, b"[" * 50))
