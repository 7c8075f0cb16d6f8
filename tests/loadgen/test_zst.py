"""Reading frames: whole, skippable, torn at every byte, damaged, and lines across all of them."""

from pathlib import Path

import pytest
import zstandard

from tests.loadgen.segments import frame, skippable
from tools.loadgen import zst
from tools.loadgen.zst import Reading, lines, whole_frames


def read(path: Path) -> tuple[list[bytes], Reading]:
    reading = Reading()
    found = []
    for buffer, size in lines(path, reading):
        found += bytes(buffer[:size]).split(b"\n")[:-1]
    return found, reading


def test_every_cut_ends_at_the_last_whole_frame() -> None:
    parts = [skippable(), frame("a" * 300, "b"), skippable(b""), frame("c")]
    ends = [sum(map(len, parts[:n])) for n in range(len(parts) + 1)]
    data = b"".join(parts)
    for cut in range(len(data) + 1):
        assert whole_frames(data[:cut]) == (max(end for end in ends if end <= cut), ""), cut


@pytest.mark.parametrize("level", [-1, 1, 19])
@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("content_size", [True, False])
def test_every_kind_of_header_is_walked(level: int, checksum: bool, content_size: bool) -> None:
    for data in (b"", b"x", b"x" * 300, b"x" * 70_000, bytes(range(256)) * 2_000):
        compressor = zstandard.ZstdCompressor(
            level=level, write_checksum=checksum, write_content_size=content_size
        )
        made = compressor.compress(data)
        assert whole_frames(made) == (len(made), "")
        assert whole_frames(made[:-1]) == (0, "")


def test_what_is_no_frame_is_said_with_its_place() -> None:
    whole = frame("a")
    assert whole_frames(whole + b"garbage!") == (len(whole), f"no zstd frame at byte {len(whole):,}")


def test_lines_cross_frames_and_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zst, "CHUNK_BYTES", 64)
    texts = [f"{'x' * (number % 200)}{number}" for number in range(500)]
    data = "".join(text + "\n" for text in texts).encode()
    compress = zstandard.ZstdCompressor().compress
    path = tmp_path / "log.jsonl.zst"
    path.write_bytes(b"".join(skippable() + compress(data[at : at + 777]) for at in range(0, len(data), 777)))
    found, reading = read(path)
    assert found == [text.encode() for text in texts]
    assert (reading.torn_bytes, reading.damage) == (0, "")


def test_a_last_line_without_its_end_is_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(b"a\nb"))
    assert read(path)[0] == [b"a", b"b"]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl.zst.open"
    path.touch()
    found, reading = read(path)
    assert (found, reading.damage) == ([], "")


def test_a_torn_frame_is_told_and_the_rest_read(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl.zst.open"
    torn = frame("lost")[:-3]
    path.write_bytes(frame("a", "b") + torn)
    found, reading = read(path)
    assert found == [b"a", b"b"]
    assert (reading.torn_bytes, reading.damage) == (len(torn), "")


def test_a_flipped_bit_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl.zst"
    data = bytearray(frame("a" * 50, "b" * 50, "cdefg"))
    data[-1] ^= 1  # in the checksum
    path.write_bytes(data)
    assert "damaged" in read(path)[1].damage
