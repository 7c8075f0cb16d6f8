from __future__ import annotations

from benchmarks import perf

SCRIPT = """\
   11
\t    1 __memmove_avx (/lib/libc.so.6)
\t    2 stringlib_bytes_join (/lib/libpython3.11.so.1.0)
\t    3 pattern_subx (/lib/libpython3.11.so.1.0)

   11
\tffffffff8 exc_page_fault ([kernel.kallsyms])
\t    2 enrich (/ingestd/formats/kernel/json_lines.cpython-311-x86_64-linux-gnu.so)

python    12
\t    1 ZSTD_compressBlock_fast (/site-packages/zstandard/backend_c.cpython-311-x86_64-linux-gnu.so)

   12
\tffffffff8 copy_folio ([kernel.kallsyms])
\tffffffff8 ksys_write ([kernel.kallsyms])
""".splitlines()


def test_a_script_falls_into_samples_of_a_thread_and_its_frames() -> None:
    samples = list(perf.stacks(SCRIPT))
    assert [tid for tid, _ in samples] == [11, 11, 12, 12]
    assert samples[0][1][2] == "pattern_subx (/lib/libpython3.11.so.1.0)"


def test_every_sample_has_the_stage_that_asked_for_it() -> None:
    sampled = perf.classify(perf.stacks(SCRIPT), loop_tids={11})
    assert dict(sampled.stages) == {perf.ENCODE: 2, perf.COMPRESS: 1, perf.WRITE: 1}
    assert sampled.page_faults == 1


def test_a_stack_that_says_nothing_belongs_to_its_thread() -> None:
    unknown = [perf.Stack(tid, ["[unknown] ([unknown])"]) for tid in (1, 2)]
    assert dict(perf.classify(unknown, {1}).stages) == {perf.LOOP: 1, perf.WRITER: 1}
