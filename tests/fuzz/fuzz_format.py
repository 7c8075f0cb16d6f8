"""Fuzzing by coverage, with atheris (libFuzzer): one target for each name in FORMATS.

    python -m tests.fuzz.fuzz_format [--runs N] [--folder DIR] [--seed N] [format …]        or: make fuzz

Each format runs in a process of its own, in turn. DIR/<format>/ keeps the corpus from run to run. An input that breaks
something is written to DIR/<format>-crash-…, and runs again alone by `--input FILE <format>`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["formats"]):
    from formats import FORMATS
    from tests.fuzz import corpus, trial

_CONTROL = (
    b"\0\0\0\x0f",
    b"\x20\x80\xc0\x06",
    b"\0\0\0\xff",
)  # whole; three cuts, at most 1 KiB; small pieces
_SLOW_S = 5  # of one input; a few milliseconds are usual


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "formats", nargs="*", metavar="format", help=f"of {', '.join(FORMATS)}; all if none is named"
    )
    parser.add_argument("--runs", type=int, default=20_000, help="executions of each format")
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"), help="of corpora and finds")
    parser.add_argument("--seed", type=int, default=0, help="other than 0: run as before")
    parser.add_argument("--input", type=Path, help="run this one")
    options = parser.parse_args()
    unknown = set(options.formats) - FORMATS.keys()
    if unknown:
        parser.error(f"no format: {', '.join(sorted(unknown))}; there are {', '.join(FORMATS)}")
    names = options.formats or list(FORMATS)
    if options.input:
        for name in names:
            trial.run(FORMATS[name], options.input.read_bytes())
        return 0
    if len(names) == 1:
        _fuzz(names[0], options.runs, options.folder, options.seed)
    options_ = ["--runs", str(options.runs), "--folder", str(options.folder), "--seed", str(options.seed)]
    failed = [
        name
        for name in names
        if subprocess.run([sys.executable, "-m", __spec__.name, *options_, name]).returncode
    ]
    print(f"found something in: {', '.join(failed)}" if failed else f"found nothing in: {', '.join(names)}")
    return 1 if failed else 0


def _fuzz(name: str, runs: int, folder: Path, seed: int) -> None:
    """Does not return: libFuzzer ends the process."""
    kept = folder / name
    kept.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(corpus.seeds(name)):
        for index, control in enumerate(_CONTROL):
            (kept / f"seed-{number}-{index}").write_bytes(data + control)
    words = folder / f"{name}.dict"
    words.write_text(corpus.dictionary(name))
    format_ = FORMATS[name]
    arguments = [
        sys.argv[0],
        f"-runs={runs}",
        f"-max_len={corpus.MAX_BYTES + trial.CONTROL_BYTES}",
        f"-timeout={_SLOW_S}",
        f"-dict={words}",
        f"-artifact_prefix={folder / name}-",
        f"-seed={seed}",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        str(kept),
    ]
    atheris.Setup(arguments, lambda data: trial.run(format_, data))
    print(f"{name}: {runs} executions")
    sys.stdout.flush()
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
