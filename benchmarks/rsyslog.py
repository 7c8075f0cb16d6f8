"""rsyslog from Debian's package, as a peer: JSON to JSON, and RFC 5424 to JSON.

What is fair is hard to say, so doubts go in its favour: its ruleset has no queue of its own, its buffers are large, it
syncs nothing.

JSON. Its output is spliced as ours is (the constant fields, then the message from its second byte). Medians of four
rounds in turns, 600,000 records, TCP to plain text, a busy machine, in us per record: so 2.7; with the default queue
2.9; with a FixedArray queue of one thread 4.1; rendered from the parsed tree, as its manual shows it, 4.6, and that
with the default queue 5.9. So a common configuration costs about twice what stands in our table. It does check that
each line is JSON (mmjsonparse) and drops what is not, and adds the same fields.

Syslog. Its own parser of RFC 5424 and a template of the fields that ours has, escaped as JSON (`format="json"`); its
severity is a word, not one of our levels.

It does not check levels or timestamps, count by level and service, describe what it wrote, or acknowledge. Two settings
of each: TCP to plain text, and, nearer to what ingestd does, TLS to gzip level 1.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers import Program, Setting

_GLOBAL: Final = """\
global(workDirectory="{folder}" maxMessageSize="64k"
       defaultNetstreamDriverCAFile="{certs}/ca.crt"
       defaultNetstreamDriverCertFile="{certs}/server.crt" defaultNetstreamDriverKeyFile="{certs}/server.key")
"""

_JSON_RULES: Final = r"""
module(load="mmjsonparse")
template(name="record" type="list") {{
    constant(value="{{\"hostname\":\"{host}\",\"environment\":\"production\",\"app_version\":\"1.0.0\"")
    constant(value=",\"source_ip\":\"")
    property(name="fromhost-ip")
    constant(value="\",\"format\":\"json\",\"received_at\":\"")
    property(name="timegenerated" dateFormat="rfc3339" date.inUTC="on")
    constant(value="\",")
    property(name="rawmsg" position.from="2")
    constant(value="\n")
}}
ruleset(name="records" queue.type="Direct" parser=["rsyslog.rfc3164"]) {{
    action(type="mmjsonparse" cookie="" useRawMsg="on")
    if $parsesuccess == "OK" then {{
        OUTPUT
    }}
}}
"""

_SYSLOG_RULES: Final = r"""
template(name="record" type="list") {{
    constant(value="{{\"timestamp\":\"")
    property(name="timereported" dateFormat="rfc3339" date.inUTC="on")
    constant(value="\",\"level\":\"")
    property(name="syslogseverity-text")
    constant(value="\",\"facility\":\"")
    property(name="syslogfacility-text")
    constant(value="\",\"service\":\"")
    property(name="app-name" format="json")
    constant(value="\",\"hostname\":\"")
    property(name="hostname" format="json")
    constant(value="\",\"environment\":\"production\",\"app_version\":\"1.0.0\",\"source_ip\":\"")
    property(name="fromhost-ip")
    constant(value="\",\"format\":\"syslog\",\"received_at\":\"")
    property(name="timegenerated" dateFormat="rfc3339" date.inUTC="on")
    constant(value="\",\"message\":\"")
    property(name="msg" format="json")
    constant(value="\"}}\n")
}}
ruleset(name="records" queue.type="Direct" parser=["rsyslog.rfc5424"]) {{
    OUTPUT
}}
"""

_OUTPUT: Final = (
    'action(type="omfile" file="{folder}/records" template="record" ioBufferSize="256k" flushOnTXEnd="off"'
)
_INPUT: Final = ' address="127.0.0.1" port="{port}" ruleset="records" supportOctetCountedFraming="off")\n'
_PLAIN_INPUT: Final = 'module(load="imptcp" threads="2")\ninput(type="imptcp"' + _INPUT
_TLS_INPUT: Final = (
    'module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")\n'
    'input(type="imtcp"' + _INPUT
)


def _settings(format_: str, rules: str) -> tuple[Setting, Setting]:
    plain, zipped = (rules.replace("OUTPUT", _OUTPUT + end) for end in (")", ' zipLevel="1")'))
    return (
        Setting(
            "rsyslog, TCP, plain text",
            "no TLS, no compression",
            format_,
            "tcp",
            _GLOBAL + _PLAIN_INPUT + plain,
        ),
        Setting(
            "rsyslog, TLS, gzip 1",
            "TLS (OpenSSL), gzip level 1",
            format_,
            "tls",
            _GLOBAL + _TLS_INPUT + zipped,
            zipped=True,
        ),
    )


PROGRAM: Final = Program(
    name="rsyslog",
    packages=("rsyslog", "rsyslog-openssl", "libestr0", "libfastjson4", "liblognorm5"),
    libraries=("usr/lib/*-linux-gnu*",),
    modules="rsyslog",
    binary="usr/sbin/rsyslogd",
    options=("-n", "-f", "{folder}/config", "-i", "{folder}/pid", "-M", "{modules}"),
    version_option="-v",
    version=lambda said: said.split()[1],
    settings=(*_settings("json", _JSON_RULES), *_settings("syslog", _SYSLOG_RULES)),
)
