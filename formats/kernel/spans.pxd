"""Levels, services and messages of the lines that are made, gathered beside them for who looks for something there.

A message is copied while it is at hand: later its line is not in the cache any more, and to fetch it takes as long as
all the rest.
"""

from libc.stdint cimport int32_t
from libc.string cimport memchr

from formats.kernel.out cimport Out, begin, drop, finish, put, put_byte, reserve, size_of
from formats.kernel.summary cimport Summary

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
    bint are_wanted
    bint is_escaped  # a message, as a JSON string is
    Out kinds
    Out spans
    Out texts  # the messages, with an LF behind each


cdef inline int begin_columns(Columns* columns, bint are_wanted, Py_ssize_t size) except -1:
    """For a block of so many bytes. Whatever happens then, `drop_columns` must be called. Raises MemoryError."""
    columns.are_wanted = are_wanted
    columns.is_escaped = False
    columns.kinds.data = columns.spans.data = columns.texts.data = NULL
    begin(&columns.kinds, (size >> 6) * are_wanted)
    begin(&columns.spans, (size >> 2) * are_wanted)
    begin(&columns.texts, (size >> 1) * are_wanted)
    return 0


cdef inline int add_span(Columns* columns, Span* span, int level, const Summary* summary, const char* message) except -1:
    """Take note of a record that is in the lines, its service the one noted last, its `message` as it stands there.

    Raises MemoryError.
    """
    cdef Py_ssize_t size = span.message_end - span.message_start
    if not columns.are_wanted:
        return 0
    reserve(&columns.texts, size + 1)
    put(&columns.texts, message, size)
    span.text_end = <int32_t>size_of(&columns.texts)
    put_byte(&columns.texts, c"\n")
    columns.is_escaped |= memchr(message, c"\\", size) is not NULL
    reserve(&columns.spans, sizeof(Span))
    put(&columns.spans, span, sizeof(Span))
    reserve(&columns.kinds, sizeof(Kind))
    put_byte(&columns.kinds, <char>level)
    put_byte(&columns.kinds, <char>summary.place)
    return 0


cdef inline tuple finish_columns(Columns* columns):
    """Kinds, spans, texts, and whether any of these has an escape of JSON."""
    return finish(&columns.kinds), finish(&columns.spans), finish(&columns.texts), columns.is_escaped


cdef inline void drop_columns(Columns* columns) noexcept:
    drop(&columns.kinds)
    drop(&columns.spans)
    drop(&columns.texts)
