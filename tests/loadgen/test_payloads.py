"""The bytes: layout, widths, shares, groups, sequences across every carry, and how they compress."""

import json
import re
import time
from collections import Counter
from datetime import UTC, datetime

import pytest
import zstandard

from tools.loadgen.layouts import DATAGRAM_FORMATS
from tools.loadgen.payloads import (
    DATAGRAM_LIMIT_BYTES,
    FIRST_SEQ,
    Pool,
    Renderer,
    build_pool,
    group_of,
)

RUN = "ab12cd34"
NOW_US = 1_795_176_000_123_456
RAW_LINE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (ERROR|WARN|INFO|DEBUG) (\w+): (.+) run=ab12cd34 seq=(\d{10})"
)


@pytest.fixture(scope="module")
def json_pool() -> Pool:
    return build_pool("json", RUN, seed=1, records=4_000)


@pytest.fixture(scope="module")
def raw_pool() -> Pool:
    return build_pool("raw", RUN, seed=1, records=4_000)


def lines(pool: Pool, first_seq: int, records: int, now_us: int = NOW_US) -> list[str]:
    renderer = Renderer(pool, 0, records)
    return bytes(renderer.render(first_seq, records, now_us)).decode().splitlines()


def test_json_records_are_canonical_and_of_the_standard_size(json_pool: Pool) -> None:
    made = lines(json_pool, FIRST_SEQ, 2_000)
    for number, line in enumerate(made):
        record = json.loads(line)
        assert list(record) == ["timestamp", "level", "service", "message", "run", "seq"]
        assert (record["run"], record["seq"]) == (RUN, FIRST_SEQ + number)
        assert line == json.dumps(record, separators=(",", ":"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record["timestamp"])
        assert 150 <= len(line) + 1 <= 180
    shares = Counter(json.loads(line)["level"] for line in lines(json_pool, FIRST_SEQ, 2_400))
    assert 0.04 < shares["ERROR"] / 2_400 < 0.06
    assert 0.08 < shares["WARN"] / 2_400 < 0.12


def test_json_timestamps_count_up_to_now_within_the_second(json_pool: Pool) -> None:
    stamps = [json.loads(line)["timestamp"] for line in lines(json_pool, FIRST_SEQ, 100)]
    now = datetime.fromtimestamp(NOW_US / 1e6, UTC)
    assert stamps[-1] == now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert stamps == sorted(set(stamps))
    early = [
        json.loads(line)["timestamp"] for line in lines(json_pool, FIRST_SEQ, 100, NOW_US // 10**6 * 10**6)
    ]
    assert {stamp[:19] for stamp in early} == {now.strftime("%Y-%m-%dT%H:%M:%S")}


def test_raw_records_have_the_common_shape(raw_pool: Pool) -> None:
    expected = datetime.fromtimestamp(NOW_US / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S,123")
    for number, line in enumerate(lines(raw_pool, FIRST_SEQ, 2_000)):
        match = RAW_LINE.fullmatch(line)
        assert match, line
        assert match[1] == expected
        assert int(match[5]) == FIRST_SEQ + number
        assert len(line) + 1 <= 140


@pytest.mark.parametrize("first", [FIRST_SEQ, 1_000_999_990, 1_999_999_990, 9_999_999_980])
def test_sequences_carry(raw_pool: Pool, first: int) -> None:
    assert [int(line[-10:]) for line in lines(raw_pool, first, 20)] == list(range(first, first + 20))


def test_blocks_follow_each_other_through_the_pool(raw_pool: Pool) -> None:
    renderer = Renderer(raw_pool, 0, 1_000)
    seq, texts = FIRST_SEQ, set()
    for _ in range(10):
        block = bytes(renderer.render(seq, 1_000, NOW_US)).decode().splitlines()
        assert [int(line[-10:]) for line in block] == list(range(seq, seq + 1_000))
        texts.add(block[0].split("run=")[0])
        seq += 1_000
    assert len(texts) > 1


def test_a_seed_gives_the_same_texts() -> None:
    pools = [build_pool("json", RUN, seed, 100).data for seed in (1, 1, 2)]
    assert pools[0] == pools[1] != pools[2]


@pytest.mark.parametrize("format_name", DATAGRAM_FORMATS)
@pytest.mark.parametrize("run_bytes", [1, 2, 8, 15, 16])
def test_whole_records_fill_datagrams_of_one_size(format_name: str, run_bytes: int) -> None:
    run = "r" * run_bytes
    pool = build_pool(format_name, run, seed=1, records=600)
    group = group_of(format_name, run)
    assert group.total_bytes < DATAGRAM_LIMIT_BYTES
    block = bytes(Renderer(pool, 0, 500).render(FIRST_SEQ, 500, NOW_US))
    datagrams = [block[at : at + group.total_bytes] for at in range(0, len(block), group.total_bytes)]
    assert all(datagram.endswith(b"\n") for datagram in datagrams)
    assert [datagram.count(b"\n") for datagram in datagrams[:-1]] == [group.records] * (len(datagrams) - 1)


@pytest.mark.parametrize("run", ["", "a" * 17, "a b", 'a"b', "ä"])
def test_a_bad_run_id_is_refused(run: str) -> None:
    with pytest.raises(ValueError, match="run id"):
        build_pool("json", run, seed=1, records=10)


@pytest.mark.parametrize("format_name", DATAGRAM_FORMATS)
def test_it_compresses_like_real_logs(format_name: str) -> None:
    renderer = Renderer(build_pool(format_name, RUN, seed=1, records=20_000), 0, 1_000)
    data = b"".join(
        bytes(renderer.render(FIRST_SEQ + n * 1_000, 1_000, time.time_ns() // 1000)) for n in range(20)
    )
    ratio = len(data) / len(zstandard.ZstdCompressor(level=1).compress(data))
    assert 5 < ratio < 9
