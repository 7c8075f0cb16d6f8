"""Kernels: for each format, what most senders send taken from bytes to stored lines in one compiled pass (Cython).

A kernel is a shortcut and decides nothing: it takes a block only where the format's way in Python would make the same
of it, and says None to anything unusual, down to an escape where there is mostly none. So a format works, slower, where
there was no C compiler when it was installed (`COMPILED` is False), and the tests compare both ways.

How they are written: no pointer leaves its buffer. Text is passed over up to the NUL that ends each `bytes` (text.pxd);
what has lengths is compared with its end. What a kernel makes has a size that is reckoned before, or grows (out.pxd).
"""

from __future__ import annotations

try:
    from formats.kernel import avro_lines as _avro_lines
    from formats.kernel import delimited as _delimited
    from formats.kernel import journal_export as _journal_export
    from formats.kernel import journal_frames as _journal_frames
    from formats.kernel import json_lines as _json_lines
    from formats.kernel import line_kinds as _line_kinds
    from formats.kernel import log_entries as _log_entries
    from formats.kernel import raw_lines as _raw_lines
    from formats.kernel import spans as _spans
    from formats.kernel import syslog_clock as _syslog_clock
    from formats.kernel import syslog_frames as _syslog_frames
    from formats.kernel import syslog_lines as _syslog_lines
except ImportError:
    COMPILED = False
else:
    COMPILED = None not in (
        _avro_lines,
        _delimited,
        _journal_export,
        _journal_frames,
        _json_lines,
        _line_kinds,
        _log_entries,
        _raw_lines,
        _spans,
        _syslog_clock,
        _syslog_frames,
        _syslog_lines,
    )
