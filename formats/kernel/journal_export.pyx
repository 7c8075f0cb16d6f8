# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Journal entries to stored lines, one after the other, up to the first that is unusual.

This is `formats.journald_export`, and `formats.journald` of JSON (journal_objects.pxd), for entries whose fields are
UTF-8, text or binary, each name once. Their names, their number and their order may differ from entry to entry, as they
do in every journal. A field that is kept is put where it comes; host name, service, message, time and level follow all.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcpy, memset

from formats.kernel.gather cimport begin_columns, drop_columns, finish_columns
from formats.kernel.journal_lengths cimport LENGTH_BYTES, read_length
from formats.kernel.journal_names cimport (
    HOSTNAME,
    IDENTIFIER,
    MESSAGE,
    OWN,
    PRIORITY,
    ROLES,
    TIMESTAMP,
    UNIT,
    Name,
    Names,
    name_at,
    no_names,
)
from formats.kernel.journal_objects cimport put_object
from formats.kernel.journal_records cimport Made, Shared, Value, end_times, put_core, put_value
from formats.kernel.out cimport Out, begin, drop, finish, put, put_byte, reserve, size_of
from formats.kernel.strings cimport put_string
from formats.kernel.summary cimport WIDTH, summed_up
from formats.kernel.text cimport Text
from formats.kernel.utf8 cimport is_utf8


def entries(
    bytes block not None,
    Py_ssize_t start,
    bytes received_at not None,
    bytes service not None,
    tuple tails not None,
    frozenset absent not None,
    bint is_json,
    wanted,
):
    """The entries of `block`, lines of JSON or not, from `start` on, and where it stopped.

    Of the entries `made.MadeFields`, or None if there is none.
    `service` is the one of entries that name none; `tails` end a line behind its level, without and with a host name;
    an entry with one of the fields `absent` is unusual. So is all that the other way does not make a record of.
    """
    cdef Text from_ = <Text>PyBytes_AS_STRING(block)
    cdef Text end = from_ + PyBytes_GET_SIZE(block)
    cdef Text at
    cdef Text following
    cdef Shared shared
    cdef Made made
    cdef Names names
    cdef uint64_t entry = 0
    cdef dict services = {}
    cdef bytes tail, hosted_tail, lines

    if not 0 <= start <= PyBytes_GET_SIZE(block) or PyBytes_GET_SIZE(received_at) != WIDTH:
        return None, start
    tail, hosted_tail = tails
    shared.received_at = <Text>PyBytes_AS_STRING(received_at)
    shared.service.at = <Text>PyBytes_AS_STRING(service)
    shared.service.end = shared.service.at + PyBytes_GET_SIZE(service)
    shared.tail = PyBytes_AS_STRING(tail)
    shared.tail_size = PyBytes_GET_SIZE(tail)
    shared.hosted_tail = PyBytes_AS_STRING(hosted_tail)
    shared.hosted_tail_size = PyBytes_GET_SIZE(hosted_tail)
    memset(&made, 0, sizeof(Made))
    shared.service.is_json = False
    no_names(&names)
    at = from_ + start
    try:
        begin(&made.lines, 2 * (end - at) + 1024)
        begin_columns(&made.columns, wanted, end - at)
        while at < end:
            if at[0] == c"\n":
                at += 1
                continue
            entry += 1
            made.line = size_of(&made.lines)
            if is_json:
                following = put_object(at, end, entry, &made, &names, &shared, services, absent)
            else:
                following = _put_entry(at, end, entry, &made, &names, &shared, services, absent)
            if following is NULL:
                made.lines.at = PyBytes_AS_STRING(<object>made.lines.data) + made.line
                break
            at = following
        if made.summary.records == 0:
            return None, at - from_
        end_times(&made, shared.received_at)
        gathered = finish_columns(&made.columns, PyBytes_AS_STRING(<object>made.lines.data))
        lines = finish(&made.lines)
        return (lines, made.summary.records, summed_up(&made.summary, services), gathered), at - from_
    finally:
        drop(&made.lines)
        drop_columns(&made.columns)


cdef Text _put_entry(
    Text at, Text end, uint64_t entry, Made* made, Names* names, Shared* shared, dict services, frozenset absent
) except? NULL:
    """To the empty line behind the entry, or to the end. NULL: something is unusual; its line is half there."""
    cdef Value values[ROLES]
    cdef Value value
    cdef Name* name
    cdef Out* out = &made.lines
    cdef int number = 0, known
    cdef bint is_line
    value.is_json = False
    memset(values, 0, sizeof(values))
    reserve(out, 1)
    put_byte(out, c"{")
    while at < end and at[0] != c"\n":
        known = names.known
        number = name_at(names, number, at, end, c"=", c"\n")
        if number == 0:
            return NULL
        name = &names.names[number]
        if names.known > known and absent and PyBytes_FromStringAndSize(<char*>name.at, name.size) in absent:
            return NULL
        if name.entry == entry:
            return NULL  # twice
        name.entry = entry
        is_line = at[name.size] == c"="
        at += name.size + 1
        if not is_line:
            at = _pass_length(at, end, &value.end)
            if at is NULL:
                return NULL
        elif name.role == OWN or name.role == PRIORITY or name.role == UNIT:
            value.end = end
        else:
            value.end = <Text>memchr(at, c"\n", end - at)
            if value.end is NULL:
                return NULL
        value.at = at
        if name.role == OWN or name.role == PRIORITY or name.role == UNIT:
            reserve(out, name.size + 4)
            put_byte(out, c'"')
            put(out, name.at, name.size)
            put(out, b'":"', 3)
            out.seen = 0
            value.end = put_string(out, at, value.end, is_line)
            if value.end == end or (out.seen & 0x80 and not is_utf8(at, value.end - at)):
                return NULL
            reserve(out, 2)
            put(out, b'",', 2)
        values[name.role] = value
        at = value.end + 1
    if not put_core(made, values, shared, services):
        return NULL
    return at + 1 if at < end else end


cdef inline Text _pass_length(Text at, Text end, Text* data_end) noexcept nogil:
    """From a length to its data, where all of that is there, and the LF behind it."""
    cdef uint64_t length
    if end - at < LENGTH_BYTES:
        return NULL
    length = read_length(at)
    at += LENGTH_BYTES
    if length >= <uint64_t>(end - at):
        return NULL
    data_end[0] = at + <Py_ssize_t>length
    return at if data_end[0][0] == c"\n" else NULL
