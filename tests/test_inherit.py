"""What one program leaves to the next in the same process."""

from __future__ import annotations

import os

import msgspec
import pytest

from ingestd import inherit
from ingestd.inherit import Life, Will


def will(**changes: object) -> Will:
    made = Will(
        pid=os.getpid(),
        instance="run-1",
        started_ns=5,
        data_dir=("/var/lib/ingestd", 2049, 131),
        strays={"log_7_20261120_120000.jsonl.zst.open": 1},
        config={"server": {"workers": 2}},
        slots=[0, 1],
        board_slots=8,
        slot_width=64,
        layout={"pid": 1},
        sequences_layout=1,
        memory={},
        lock=0,
        http=0,
        tcp=[[0], [0]],
        udp=[[0], [0]],
        inboxes=[],
        outboxes=[],
        kernel_drops={3: 17},
        serving=[Life("worker 0", 100, 1.5, slot=0, position=0)],
        leaving=[],
        sidecars=[Life("sidecar", 102, 1.5)],
        observations=[0, 0],
    )
    return msgspec.structs.replace(made, **changes)


def left(made: Will) -> dict[str, str]:
    """The environment of the next program."""
    return {inherit.VARIABLE: str(inherit.write(made)), "HOME": "/"}


def test_all_of_it_arrives_and_the_environment_is_clean() -> None:
    environ = left(will())
    assert inherit.take(environ) == will()
    assert environ == {"HOME": "/"}
    assert inherit.take(environ) is None


def test_what_comes_down_from_another_process_is_no_inheritance() -> None:
    environ = left(will(pid=1))
    assert inherit.take(environ) is None
    assert environ == {"HOME": "/"}


def test_descriptors_are_kept_for_one_program_only() -> None:
    reader, writer = os.pipe()
    try:
        made = will(tcp=[[reader]], memory={"board": writer})
        inherit.keep({reader, writer}, kept=True)
        assert os.get_inheritable(reader)
        assert set(made.descriptors()) == {0, reader, writer}
        taken = inherit.take(left(will(tcp=[[reader]], udp=[[writer]])))
        assert taken is not None
        assert not os.get_inheritable(reader)
        assert not os.get_inheritable(writer)
    finally:
        os.close(reader)
        os.close(writer)
        os.set_inheritable(0, True)


def test_another_version_may_know_more() -> None:
    text = msgspec.json.encode(msgspec.to_builtins(will()) | {"what_we_do_not_know": [1]})
    fd = os.memfd_create("test")
    os.write(fd, text)
    try:
        assert inherit.read(fd) == will()
    finally:
        os.close(fd)


def test_what_is_not_understood_is_an_error() -> None:
    fd = os.memfd_create("test")
    os.write(fd, b'{"pid":1}')
    try:
        with pytest.raises(msgspec.ValidationError, match="instance"):
            inherit.read(fd)
    finally:
        os.close(fd)


def test_a_version_before_observations_leaves_none() -> None:
    left_out = msgspec.to_builtins(will())
    del left_out["observations"]
    fd = os.memfd_create("test")
    os.write(fd, msgspec.json.encode(left_out))
    try:
        assert inherit.read(fd).observations == []
    finally:
        os.close(fd)
