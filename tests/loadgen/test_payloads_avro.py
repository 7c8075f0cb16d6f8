"""Avro: an object container file, read by fastavro."""

import io
from typing import Any

import fastavro
import pytest

from tests.loadgen.rendered import CARRIES, NOW, RUN, rendered
from tools.loadgen.layouts import LAYOUTS
from tools.loadgen.payloads import FIRST_SEQ, Renderer, build_pool


def records(blocks: bytes) -> list[dict[str, Any]]:
    """All records of a container whose blocks these are."""
    found: list[Any] = list(fastavro.reader(io.BytesIO(LAYOUTS["avro"].preamble + blocks)))
    return found


def test_every_field_is_there() -> None:
    made = records(rendered("avro", FIRST_SEQ, 600))
    assert [record["seq"] for record in made] == list(range(FIRST_SEQ, FIRST_SEQ + 600))
    assert {record["run"] for record in made} == {RUN}
    assert {record["level"] for record in made} == {"ERROR", "WARN", "INFO", "DEBUG"}
    assert made[-1]["timestamp"] == NOW
    assert list(made[0]) == ["timestamp", "level", "service", "message", "run", "seq"]


def test_each_block_of_the_renderer_is_one_of_the_container() -> None:
    data = LAYOUTS["avro"].preamble + rendered("avro", FIRST_SEQ, 100, calls=3)
    blocks = list(fastavro.block_reader(io.BytesIO(data)))
    assert [block.num_records for block in blocks] == [100] * 3
    assert [record["seq"] for record in records(rendered("avro", FIRST_SEQ, 100, calls=3))] == list(
        range(FIRST_SEQ, FIRST_SEQ + 300)
    )


def test_blocks_have_about_the_size_that_writers_give_them() -> None:
    renderer = Renderer(build_pool("avro", RUN, seed=1, records=3_000), 0, 2_400)
    size_bytes = len(renderer.render(FIRST_SEQ, renderer.block_records, 0))
    assert 48_000 < size_bytes < 72_000


@pytest.mark.parametrize("count", [1, 63, 64, 600])
def test_counts_of_every_width(count: int) -> None:
    assert len(records(rendered("avro", FIRST_SEQ, count))) == count


@pytest.mark.parametrize("first", [*CARRIES, (1 << 20) * 1_000 - 7])
def test_sequences_carry(first: int) -> None:
    found = [record["seq"] for record in records(rendered("avro", first, 20))]
    assert found == list(range(first, first + 20))


@pytest.mark.parametrize("run", ["r", "sixteen-letters-"])
def test_runs_of_every_length(run: str) -> None:
    assert {record["run"] for record in records(rendered("avro", FIRST_SEQ, 500, run))} == {run}
