"""Fuzzing by coverage, with atheris (libFuzzer): one target for each name in FORMATS.

    python -m tests.fuzz.fuzz_format [--runs N] [--folder DIR] [format …]        or: make fuzz FORMAT=… RUNS=…

DIR/<format>/ keeps the corpus from run to run. An input that breaks something is written to DIR/<format>-crash-…, and
runs again alone by `--input FILE <format>`; mended, it belongs in tests/data/<format>/found/.

Executions are done by processes of so many each, since atheris loses the result of every comparison of arrays.
"""

import argparse
import subprocess
import sys
import time
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
_RUNS_OF_A_PROCESS = 50_000
_SLOW_S = 5  # of one input; a few milliseconds are usual
_SHOWN_CHARACTERS = 3_000  # of what libFuzzer says at last
_FOLDER = Path(".fuzz")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "formats", nargs="*", metavar="format", help=f"of {', '.join(FORMATS)}; all if none is named"
    )
    parser.add_argument("--runs", type=int, default=20_000, help="executions of each format")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="of corpora and finds")
    parser.add_argument("--input", type=Path, help="run this one")
    parser.add_argument("--process", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.formats) - FORMATS.keys()
    if unknown:
        parser.error(f"no format: {', '.join(sorted(unknown))}; there are {', '.join(FORMATS)}")
    names = options.formats or list(FORMATS)
    if options.input:
        for name in names:
            trial.run(FORMATS[name], options.input.read_bytes())
        return 0
    if options.process:
        _fuzz(names[0], options.runs, options.folder)
    broken = [name for name in names if not _holds(name, options.runs, options.folder)]
    return 1 if broken else 0


def _holds(name: str, runs: int, folder: Path) -> bool:
    """Run one format, process after process; whether nothing was found."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.dict").write_text(corpus.dictionary(name))
    for number, data in enumerate(corpus.seeds(name)):
        for index, control in enumerate(_CONTROL):
            (folder / name / f"seed-{number}-{index}").write_bytes(data + control)
    start = time.monotonic()
    done = 0
    while done < runs:
        number = min(runs - done, _RUNS_OF_A_PROCESS)
        command = [
            sys.executable,
            "-m",
            __spec__.name,
            "--process",
            "--folder",
            folder,
            "--runs",
            str(number),
            name,
        ]
        process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if process.returncode:
            print(process.stdout.decode(errors="replace")[-_SHOWN_CHARACTERS:])
            print(f"{name}: found something after {done} to {done + number} executions")
            return False
        done += number
        print(f"{name}: {done} executions, {time.monotonic() - start:.0f} s, nothing found", flush=True)
    return True


def _fuzz(name: str, runs: int, folder: Path) -> None:
    """Does not return: libFuzzer ends the process."""
    format_ = FORMATS[name]
    arguments = [
        sys.argv[0],
        f"-runs={runs}",
        f"-max_len={corpus.MAX_BYTES + trial.CONTROL_BYTES}",
        f"-timeout={_SLOW_S}",
        f"-dict={folder / name}.dict",
        f"-artifact_prefix={folder / name}-",
        "-rss_limit_mb=2048",
        str(folder / name),
    ]
    atheris.Setup(arguments, lambda data: trial.run(format_, data))
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
