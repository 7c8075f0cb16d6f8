# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Levels, services and messages of the lines that are made, gathered beside them for who looks for something there.

What of a line is going to be looked at is copied while it is at hand: later the line is not in the cache any more, and
to fetch it takes as long as all the rest. Of records that are asked for by their level and service the line itself is
copied, so that the others need not be held; of those that are only counted it is one of each service, as a sample. What
is searched for in all messages is so at once, some of them at a time; those without a pair of bytes that is in all that
can be found are passed over (pairs.pxd).
"""

from cpython.buffer cimport PyBUF_READ
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy, memset

from formats.kernel.out cimport Out, begin, drop, finish, put, reserve, size_of
from formats.kernel.pairs cimport Pairs, may_have, set_pairs
from formats.kernel.plain cimport put_plain
from formats.kernel.spans cimport Counts, Span
from formats.kernel.summary cimport MOST_SERVICES, NO_PLACE

cdef enum:
    MOST_AT_ONCE = 64  # bytes of a message that are copied so

cdef char* _room = NULL


cdef char* _borrow_room() except NULL:
    global _room
    cdef char* room = _room
    _room = NULL  # another thread that comes now gets one of its own
    if room is NULL:
        room = <char*>malloc(SEARCHED_BYTES)
        if room is NULL:
            raise MemoryError
    return room


cdef void _return_room(char* room) noexcept:
    global _room
    if _room is NULL:
        _room = room
    else:
        free(room)


cdef int begin_columns(Columns* columns, wanted, Py_ssize_t size) except -1:
    """For a block of so many bytes. Whatever happens then, `drop_columns` must be called. Raises MemoryError.

    `wanted`, a `formats.cores.Wanted`, must live until then.
    """
    cdef int likely, of_some = 0  # levels of which records are kept if they are of some service
    columns.lines.data = columns.spans.data = NULL
    columns.messages = NULL
    of_services, of_likely = wanted[1], wanted[5]
    columns.last.end = columns.messages_size = columns.counts_size = 0
    columns.levels = wanted[0]
    columns.counted = 0 if columns.levels == ALL_LEVELS else wanted[2]
    likely = of_likely.get(b"", 0)
    for bits in of_services.values():
        of_some |= bits
    for bits in of_likely.values():
        of_some |= bits
    columns.of_services = <PyObject*>of_services
    columns.of_likely = <PyObject*>of_likely
    memset(columns.kept, NOT_MET if of_services or of_likely else columns.levels, NO_PLACE)
    memset(columns.likely, likely, NO_PLACE)
    columns.kept[NO_PLACE] = <unsigned char>(columns.levels | of_some | columns.counted)
    if of_likely:
        pairs = wanted[6]
        set_pairs(&columns.likely_pairs, pairs, len(pairs))
    if columns.counted:
        memset(columns.counts, 0, sizeof(columns.counts))
    columns.are_lines = columns.kept[NO_PLACE] != 0 and columns.levels != ALL_LEVELS
    if columns.are_lines:
        begin(&columns.lines, size >> 3)  # these are mostly few
        begin(&columns.spans, size >> 6)
    elif columns.levels:
        begin(&columns.spans, size >> 2)
    search = wanted[3]
    columns.search = NULL if search is None else <PyObject*>search
    if columns.search is not NULL:
        columns.messages = _borrow_room()
        pairs = wanted[4]
        set_pairs(&columns.pairs, pairs, len(pairs))
    columns.noted = columns.kept[NO_PLACE]
    columns.is_any = columns.noted != 0 or columns.search is not NULL
    return 0


cdef int gather_last(Columns* columns, const char* lines, Py_ssize_t end) except -1:
    cdef Noted* last = &columns.last
    if last.end == 0:
        return 0
    if columns.search is not NULL and _may_have(&columns.pairs, lines, &last.span, end):
        _put_message(columns, lines, last)
    if _is_kept(columns, &last.span, lines, end):
        if columns.are_lines:
            _keep_line(&columns.lines, lines, last)
        reserve(&columns.spans, sizeof(Span))
        put(&columns.spans, &last.span, sizeof(Span))
    return 0


cdef inline bint _is_kept(Columns* columns, const Span* span, const char* lines, Py_ssize_t end) except -1:
    """Whether a record is wanted, or the first of those that are counted together; it is counted."""
    cdef int place = span.place, level = span.level
    cdef int32_t* count
    cdef bint is_first = False
    if columns.kept[place] == NOT_MET:
        _meet_service(columns, span, lines)
    if columns.counted >> level & 1 and place < NO_PLACE:
        count = &columns.counts[place][level]
        is_first = count[0] == 0
        count[0] += 1
        columns.counts_size = max(columns.counts_size, (place + 1) * <Py_ssize_t>sizeof(Counts))
    if is_first or columns.kept[place] >> level & 1:
        return True
    return columns.likely[place] >> level & 1 and _may_have(&columns.likely_pairs, lines, span, end)


cdef inline bint _may_have(const Pairs* pairs, const char* lines, const Span* span, Py_ssize_t end) noexcept:
    """Whether the message may have one of the pairs."""
    return may_have(
        pairs, lines + span.message_start, span.message_end - span.message_start, end - span.message_start
    )


cdef inline int _put_message(Columns* columns, const char* lines, const Noted* noted) except -1:
    """Put a message where it will be searched."""
    cdef const char* message = lines + noted.span.message_start
    cdef Py_ssize_t size = noted.span.message_end - noted.span.message_start
    cdef char* at
    if columns.messages_size + size + MOST_AT_ONCE > SEARCHED_BYTES:
        _search(columns, columns.messages, columns.messages_size)
        columns.messages_size = 0
        if size + MOST_AT_ONCE > SEARCHED_BYTES:
            long_one = message[:size] + b"\n"
            _search(columns, PyBytes_AS_STRING(long_one), size + 1)
            return 0
    at = columns.messages + columns.messages_size
    if size <= MOST_AT_ONCE <= noted.end - noted.span.message_start:
        memcpy(at, message, MOST_AT_ONCE)  # of a fixed size: a few instructions
    else:
        memcpy(at, message, size)
    at[size] = c"\n"
    columns.messages_size += size + 1
    return 0


cdef inline int _keep_line(Out* kept, const char* lines, Noted* noted) except -1:
    cdef Span* span = &noted.span
    cdef int32_t moved = <int32_t>(size_of(kept) - noted.start)
    reserve(kept, noted.end - noted.start)
    put(kept, lines + noted.start, noted.end - noted.start)
    span.service_start += moved
    span.service_end += moved
    span.message_start += moved
    span.message_end += moved
    return 0


cdef int _meet_service(Columns* columns, const Span* span, const char* lines) except -1:
    """Learn of which levels the records of a service are kept."""
    name = PyBytes_FromStringAndSize(lines + span.service_start, span.service_end - span.service_start)
    columns.kept[span.place] = <unsigned char>(columns.levels | <int>(<object>columns.of_services).get(name, 0))
    columns.likely[span.place] |= <unsigned char><int>(<object>columns.of_likely).get(name, 0)
    return 0


cdef int _search(Columns* columns, char* messages, Py_ssize_t size) except -1:
    """Search in these, unless something was found before."""
    if columns.search is NULL or size == 0:
        return 0
    if memchr(messages, c"\\", size) is not NULL:
        texts = memoryview(_unescaped(messages, size))
    else:
        texts = PyMemoryView_FromMemory(messages, size, PyBUF_READ)
    if (<object>columns.search)(texts):
        columns.search = NULL
    texts.release()  # nobody looks at it any more: BufferError
    return 0


cdef tuple finish_columns(Columns* columns, const char* lines):
    """The fields of `made.Gathered`."""
    gather_last(columns, lines, columns.last.end)
    _search(columns, columns.messages, columns.messages_size)
    return (
        columns.search is not NULL,
        None if columns.lines.data is NULL else finish(&columns.lines),
        None if columns.spans.data is NULL else finish(&columns.spans),
        PyBytes_FromStringAndSize(<char*>columns.counts, columns.counts_size) if columns.counted else None,
    )


cdef void drop_columns(Columns* columns) noexcept:
    drop(&columns.lines)
    drop(&columns.spans)
    if columns.messages is not NULL:
        _return_room(columns.messages)
        columns.messages = NULL


cdef bytes _unescaped(const char* texts, Py_ssize_t size):
    """Texts as they stand in JSON strings, an LF behind each, as they are meant."""
    cdef const char* at = texts
    cdef const char* end = texts + size
    cdef const char* stop
    cdef Out out
    begin(&out, end - at)
    try:
        while at < end:
            stop = <const char*>memchr(at, c"\n", end - at)
            put_plain(&out, at, stop - at)
            at = stop + 1
        return finish(&out)
    finally:
        drop(&out)
