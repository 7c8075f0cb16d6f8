#!/usr/bin/env bash
# The tests of the formats with their kernels compiled under AddressSanitizer: a read or a write outside a buffer, by one
# byte, ends the run and says where. In a copy of the sources, so that the kernels that are in use stay as they are.
# Needs .venv with the extra `test` (make sanitize makes it). What follows on the command line goes to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

python=$PWD/.venv/bin/python
work=$(mktemp -d "${TMPDIR:-/tmp}/ingestd-sanitize.XXXXXX")
trap 'rm -rf "$work"' EXIT
copy=$work/ingestd
mkdir "$copy"
cp -R benchmarks docs formats ingestd tests tools setup.py setup.cfg pyproject.toml "$copy"
[[ ! -d ../shared ]] || ln -s "$(realpath ../shared)" "$work/shared" # vectors that tests use where they are there
cd "$copy"
rm -f formats/kernel/*.so
CFLAGS="-fsanitize=address -O1 -fno-omit-frame-pointer" "$python" setup.py -q build_ext --inplace >build.log 2>&1 || {
    cat build.log >&2
    exit 1
}
library=$(gcc -print-file-name=libasan.so)
# Python's own allocator would hide what lies between two objects; its captured output would hide the report.
export LD_PRELOAD=$library PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=$copy
"$python" -m pytest -p no:xdist -p no:cacheprovider --capture=no --timeout=1200 -q \
    "${@:-tests/formats}"
