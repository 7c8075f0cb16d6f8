from __future__ import annotations

import pytest

from benchmarks import anatomy, perf
from benchmarks.errors import UnavailableError
from benchmarks.perf import Stack
from tests.benchmarks.made import load

UVLOOP = "__pyx_f_6uvloop_4loop (/site-packages/uvloop/loop.cpython-311-x86_64-linux-gnu.so)"
EVAL = "_PyEval_EvalFrameDefault (/lib/libpython3.11.so.1.0)"
COMPRESS = "ZSTD_compressBlock_fast (/site-packages/zstandard/backend_c.cpython-311-x86_64-linux-gnu.so)"

STACKS = [
    Stack(11, ["aes_gcm_dec (/lib/libcrypto.so.3)", EVAL, UVLOOP, EVAL]),
    Stack(11, ["copy_to_user ([kernel.kallsyms])", "tcp_recvmsg ([kernel.kallsyms])", UVLOOP, EVAL]),
    Stack(11, ["_sre_match (/lib/libpython3.11.so.1.0)", EVAL, UVLOOP, EVAL]),
    Stack(11, ["epoll_wait (/lib/libc.so.6)", UVLOOP, EVAL]),
    Stack(12, [COMPRESS, EVAL]),
]

_LOOP = "thread (11): MainThread;run (ingestd/worker.py:85);Connection._feed (ingestd/net/connection.py:80)"
_FEED = f"{_LOOP};Door.feed (ingestd/pipeline.py:118)"
_TAKE = f"{_FEED};Pipeline.take (ingestd/pipeline.py:48)"
SPIED = [
    f"{_LOOP} 5",
    f"{_FEED};Frames.feed (formats/syslog_framing.py:63);flatnonzero (numpy/_core/numeric.py:718) 1",
    f"{_TAKE};encode (formats/syslog.py:75);cut (formats/syslog_5424.py:90) 4",
    f"{_TAKE};encode (formats/syslog.py:75);tally (formats/record.py:120) 2",
    f"{_TAKE};RecordRules.check (ingestd/schema/record.py:66);extend (formats/record.py:150) 3",
    f"{_TAKE};SegmentWriter.append (ingestd/store/writer.py:90) 1",
    "thread (12): writer;Compressor.compress (ingestd/store/segment.py:91) 7",
]


def test_each_sample_has_one_stage() -> None:
    seen = anatomy.looked(STACKS, {11}, SPIED)
    assert seen.native == {
        perf.TLS: 1,
        perf.RECEIVE: 1,
        anatomy.ENCODE: 1,
        anatomy.LOOP: 1,
        perf.COMPRESS: 1,
    }
    assert seen.python == {
        anatomy.FRAMING: 1,
        anatomy.ENCODE: 4,
        anatomy.METADATA: 2,
        anatomy.VALIDATION: 3,
        anatomy.QUEUE: 1,
    }
    assert seen.functions == {
        "Frames.feed (syslog_framing.py)": 1,
        "cut (syslog_5424.py)": 4,
        "tally (record.py)": 2,
        "extend (record.py)": 3,
    }


def test_the_stages_sum_to_what_the_threads_used() -> None:
    made = anatomy.anatomy(load(loop_us=0.8, writer_us=0.3), anatomy.looked(STACKS, {11}, SPIED))
    assert sum(made.stages.values()) == pytest.approx(1100)
    assert made.stages[perf.COMPRESS] == pytest.approx(300)
    assert made.stages[perf.TLS] == pytest.approx(200)
    assert made.stages[anatomy.ENCODE] == pytest.approx(200 * 4 / 11)
    assert next(iter(made.functions)) == "cut (syslog_5424.py)"


def test_nothing_is_made_up_when_a_sampler_saw_nothing() -> None:
    with pytest.raises(UnavailableError):
        anatomy.anatomy(load(), anatomy.looked(STACKS, {11}, []))
