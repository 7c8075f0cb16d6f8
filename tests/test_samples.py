"""The cells that show a recent record of each format."""

from __future__ import annotations

from ingestd.samples import INTERVAL_S, SAMPLE_BYTES, Sampler, Samples

SECOND_NS = int(INTERVAL_S * 1e9)


def test_the_first_record_of_a_block_is_kept_once_an_interval() -> None:
    samples = Samples(2)
    sampler = Sampler(samples, 1)
    sampler.offer("json", [b'{"a":', b"1}\n", b'{"b":2}\n'], SECOND_NS)
    assert samples.read() == {"json": '{"a":1}'}
    sampler.offer("json", [b'{"c":3}\n'], SECOND_NS + 1)
    assert samples.read() == {"json": '{"a":1}'}
    sampler.offer("json", [b'{"c":3}\n'], 2 * SECOND_NS)
    assert samples.read() == {"json": '{"c":3}'}


def test_formats_and_workers_have_cells_of_their_own() -> None:
    samples = Samples(2)
    Sampler(samples, 0).offer("json", [b'{"worker":0}\n'], SECOND_NS)
    Sampler(samples, 1).offer("raw", [b'{"worker":1}\n'], SECOND_NS)
    assert samples.read() == {"json": '{"worker":0}', "raw": '{"worker":1}'}


def test_of_several_workers_the_latest_is_shown() -> None:
    samples = Samples(2)
    for seconds, worker in ((2, 0), (3, 1), (4, 0), (5, 0), (6, 1)):
        Sampler(samples, worker).offer("json", [b"%d\n" % seconds], seconds * SECOND_NS)
        assert samples.read() == {"json": str(seconds)}


def test_a_long_record_is_cut_and_a_shorter_one_leaves_nothing_of_it() -> None:
    samples = Samples(1)
    sampler = Sampler(samples, 0)
    sampler.offer("raw", [b"x" * 3 * SAMPLE_BYTES + b"\n"], SECOND_NS)
    assert samples.read() == {"raw": "x" * SAMPLE_BYTES}
    sampler.offer("raw", [b"short\n"], 2 * SECOND_NS)
    assert samples.read() == {"raw": "short"}


def test_a_cell_that_its_writer_left_half_written_is_passed_over() -> None:
    samples = Samples(2)
    Sampler(samples, 1).offer("json", [b"whole\n"], SECOND_NS)
    samples._map[0] = 1  # worker 0 died while it wrote its first cell
    assert samples.read() == {"json": "whole"}
    Sampler(samples, 0).offer("json", [b"successor\n"], 2 * SECOND_NS)
    assert samples.read() == {"json": "successor"}
