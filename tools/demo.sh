#!/usr/bin/env bash
# The daemon under load, from start to proof: starts it on free ports in a folder of its own, lets loadgen send
# for ten seconds, stops it with SIGTERM, verifies every record that was sent, and says what it cost.
# In a terminal the daemon stays, with its dashboard, until Enter is pressed. Needs .venv (make demo makes it).
# BIN names another folder of commands, SECONDS_OF_LOAD another time; what follows on the command line goes to
# loadgen. The exit code is that of verify; a failure shows the daemon's log.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(realpath "${BIN:-.venv/bin}")
load_s=${SECONDS_OF_LOAD:-10}
start_timeout_s=30
work=$(mktemp -d "${TMPDIR:-/tmp}/ingestd-demo.XXXXXX")
daemon=

finish() {
    local code=$?
    trap - EXIT
    if [[ -n $daemon ]] && kill -TERM "$daemon" 2>/dev/null; then wait "$daemon" || true; fi
    if ((code != 0)) && [[ -s $work/daemon.log ]]; then
        echo "demo: failed; the daemon said:" >&2
        tail -n 20 "$work/daemon.log" >&2
    fi
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A value out of a JSON file: json FILE KEY
json() { "$bin/python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"; }

# CPU time of the daemon and its children so far, in clock ticks (proc_pid_stat(5), fields 14 and 15).
cpu_ticks() {
    local pid
    for pid in "$daemon" $(<"/proc/$daemon/task/$daemon/children"); do
        # The second field is a name in brackets that may hold blanks: count from behind it.
        sed 's/.*) //' "/proc/$pid/stat"
    done | awk '{ ticks += $12 + $13 } END { print ticks }'
}

"$bin/ingestd" certs "$work/certs" >/dev/null
"$bin/ingestd" run -c conf/ingestd.toml \
    --set server.data_dir="$work/data" --set server.state_dir="$work/state" \
    --set listen.tcp.cert="$work/certs/server.crt" --set listen.tcp.key="$work/certs/server.key" \
    --set listen.tcp.port=0 --set listen.udp.port=0 --set http.port=0 \
    </dev/null >"$work/daemon.log" 2>&1 &
daemon=$!

deadline=$((SECONDS + start_timeout_s))
until [[ -s $work/state/ingestd.json ]]; do
    if ! kill -0 "$daemon" 2>/dev/null; then
        echo "demo: the daemon did not start" >&2
        exit 1
    elif ((SECONDS >= deadline)); then
        echo "demo: the daemon was not ready after $start_timeout_s s" >&2
        exit 1
    fi
    sleep 0.05
done
tcp=$(json "$work/state/ingestd.json" tcp)
http=$(json "$work/state/ingestd.json" http)
echo "demo: daemon ready on $tcp (TLS); sending for $load_s s"
echo "demo: dashboard on http://$http/"

before=$(cpu_ticks)
"$bin/loadgen" --tcp-port "${tcp##*:}" --ca "$work/certs/ca.crt" --seconds "$load_s" \
    --report "$work/report.json" --json "$@" </dev/null >"$work/loadgen.json"
after=$(cpu_ticks)

# Where somebody sits in front of it, the dashboard stays until it was looked at.
if [[ -t 0 && -t 1 ]]; then
    read -r -p "demo: sent; look at http://$http/ and press Enter to stop the daemon and verify " _ || true
fi

kill -TERM "$daemon"
code=0
wait "$daemon" || code=$?
daemon=
if ((code != 0)); then
    echo "demo: the daemon stopped with exit code $code" >&2
    exit 1
fi

verified=0
"$bin/loadgen" verify "$work/data" --report "$work/report.json" || verified=$?
"$bin/python" - "$work" "$(((after - before) * 1000000 / $(getconf CLK_TCK)))" <<'PYTHON'
import json
import sys
from pathlib import Path

work, cpu_us = Path(sys.argv[1]), int(sys.argv[2])
sent = json.loads((work / "loadgen.json").read_text())
stored_bytes = sum(path.stat().st_size for path in (work / "data").glob("log_*.jsonl.zst"))
records = max(sent["sent"], 1)
print(f"""
records        {sent["sent"]:,}
rate           {sent["rate"]:,.0f} records/s, {sent["bytes"] / sent["seconds"] / 1e6:,.0f} MB/s
CPU            {cpu_us / records:.2f} us per record (daemon, all processes, user and system)
on disk        {stored_bytes / 1e6:,.1f} MB for {sent["bytes"] / 1e6:,.1f} MB sent, {sent["bytes"] / max(stored_bytes, 1):.1f}:1""")
PYTHON
exit "$verified"
