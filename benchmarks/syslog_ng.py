"""syslog-ng from Debian's package syslog-ng-core, as a peer: RFC 5424 to JSON.

Doubts go in its favour: its windows and batches are large, host names are not resolved, statistics are off, it syncs
nothing and compresses nothing. Its own parser of RFC 5424 and `$(format-json)` with the fields that ours has; its
severity is a word, not one of our levels. It does not check timestamps, count by level and service, describe what it
wrote, or acknowledge. The package conflicts with rsyslog's; unpacked, they stand side by side.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers import Program, Setting

_CONFIG: Final = r"""@version: 3.38
options {{ keep-hostname(yes); use-dns(no); dns-cache(no); stats-freq(0); flush-lines(1000); log-fifo-size(400000); }};
source senders {{
    network(ip("127.0.0.1") port({port}) TRANSPORT flags(syslog-protocol)
            max-connections(10) log-iw-size(100000) log-fetch-limit(1000));
}};
destination records {{
    file("{folder}/records" template("$(format-json --pair timestamp=$ISODATE --pair level=$LEVEL
        --pair facility=$FACILITY --pair service=$PROGRAM --pair hostname=$HOST --pair environment=production
        --pair app_version=1.0.0 --pair source_ip=$SOURCEIP --pair format=syslog --pair received_at=$R_ISODATE
        --pair message=$MESSAGE)\n") frac-digits(6) time-zone("UTC"));
}};
log {{ source(senders); destination(records); flags(flow-control); }};
"""

_TLS: Final = (
    'transport("tls") tls(key-file("{certs}/server.key") cert-file("{certs}/server.crt")'
    " peer-verify(optional-untrusted))"
)


def _setting(name: str, does: str, transport: str, how: str) -> Setting:
    return Setting(name, does, "syslog", transport, _CONFIG.replace("TRANSPORT", how))


PROGRAM: Final = Program(
    name="syslog-ng",
    packages=("syslog-ng-core", "libivykis0", "libnet1", "libwrap0", "libpcre3", "libjson-c5"),
    libraries=("usr/lib/syslog-ng", "usr/lib/*-linux-gnu*", "lib/*-linux-gnu*"),
    modules="3.38",
    binary="usr/sbin/syslog-ng",
    options=(
        "--foreground",
        "--no-caps",
        "--cfgfile={folder}/config",
        "--module-path={modules}",
        "--persist-file={folder}/persist",
        "--pidfile={folder}/pid",
        "--control={folder}/control",
    ),
    version_option="--version",
    version=lambda said: said.partition("(")[2].partition(")")[0],
    settings=(
        _setting("syslog-ng, TCP, plain text", "no TLS, no compression", "tcp", 'transport("tcp")'),
        _setting("syslog-ng, TLS, plain text", "TLS (OpenSSL), no compression", "tls", _TLS),
    ),
)
