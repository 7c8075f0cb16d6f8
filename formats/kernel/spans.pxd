"""Levels, services and messages of the lines that are made, gathered beside them for who looks for something there.

What of a line is going to be looked at is copied while it is at hand: later the line is not in the cache any more, and
to fetch it takes as long as all the rest. Of records that are asked for by their levels the line itself is copied, so
that the others need not be held.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int32_t

from formats.kernel.out cimport Out, begin, drop, finish, put, put_byte, reserve, size_of
from formats.kernel.summary cimport LEVELS, Summary

cdef enum:  # what is wanted, as in formats.cores: a bit for each level, and one more
    ALL_LEVELS = (1 << LEVELS) - 1
    MESSAGES = 1 << LEVELS

cdef struct Span:  # of a record: where in the lines its service and its message stand, and in the texts its message ends
    int32_t service_start
    int32_t service_end
    int32_t message_start
    int32_t message_end
    int32_t text_end

cdef struct Kind:  # of a record, apart since these are looked through
    unsigned char level  # which of formats.levels.LEVELS
    unsigned char place  # of the service, as `Summary.place`

cdef struct Columns:
    int wanted
    Out lines  # of the records of the levels that are wanted; none if these are all
    Out kinds
    Out spans
    Out texts  # their messages, with an LF behind each
    Out messages  # and so those of all records; none if their levels are wanted


cdef inline int begin_columns(Columns* columns, int wanted, Py_ssize_t size) except -1:
    """For a block of so many bytes. Whatever happens then, `drop_columns` must be called. Raises MemoryError."""
    cdef int levels = wanted & ALL_LEVELS
    cdef int rare = 3 if levels != ALL_LEVELS else 0  # records of some levels only are mostly few
    columns.wanted = levels if levels == ALL_LEVELS else wanted
    columns.lines.data = columns.kinds.data = columns.spans.data = columns.texts.data = columns.messages.data = NULL
    begin(&columns.lines, (size >> 1) * (levels != 0 and levels != ALL_LEVELS))
    begin(&columns.kinds, (size >> 6 >> rare) * (levels != 0))
    begin(&columns.spans, (size >> 2 >> rare) * (levels != 0))
    begin(&columns.texts, (size >> 1 >> rare) * (levels != 0))
    begin(&columns.messages, (size >> 1) * ((columns.wanted & MESSAGES) != 0))
    return 0


cdef inline int add_span(
    Columns* columns, Span* span, int level, const Summary* summary, const char* lines, Py_ssize_t start, Py_ssize_t end
) except -1:
    """Take note of the record whose line stands in the lines from `start` to `end`, its service the one noted last.

    Raises MemoryError.
    """
    if columns.wanted & MESSAGES:
        _put_text(&columns.messages, lines, span)
    if columns.wanted >> level & 1:
        if columns.wanted & ALL_LEVELS != ALL_LEVELS:
            _keep_line(&columns.lines, span, lines, start, end)
            lines = PyBytes_AS_STRING(<object>columns.lines.data)
        _put_text(&columns.texts, lines, span)
        span.text_end = <int32_t>size_of(&columns.texts) - 1
        reserve(&columns.spans, sizeof(Span))
        put(&columns.spans, span, sizeof(Span))
        reserve(&columns.kinds, sizeof(Kind))
        put_byte(&columns.kinds, <char>level)
        put_byte(&columns.kinds, <char>summary.place)
    return 0


cdef inline int _put_text(Out* out, const char* lines, const Span* span) except -1:
    cdef Py_ssize_t size = span.message_end - span.message_start
    reserve(out, size + 1)
    put(out, lines + span.message_start, size)
    put_byte(out, c"\n")
    return 0


cdef inline int _keep_line(Out* kept, Span* span, const char* lines, Py_ssize_t start, Py_ssize_t end) except -1:
    cdef int32_t moved = <int32_t>(size_of(kept) - start)
    reserve(kept, end - start)
    put(kept, lines + start, end - start)
    span.service_start += moved
    span.service_end += moved
    span.message_start += moved
    span.message_end += moved
    return 0


cdef inline tuple finish_columns(Columns* columns):
    """What was wanted, lines, kinds, spans, texts, messages."""
    return (
        columns.wanted,
        finish(&columns.lines),
        finish(&columns.kinds),
        finish(&columns.spans),
        finish(&columns.texts),
        finish(&columns.messages),
    )


cdef inline void drop_columns(Columns* columns) noexcept:
    drop(&columns.lines)
    drop(&columns.kinds)
    drop(&columns.spans)
    drop(&columns.texts)
    drop(&columns.messages)
