"""A line of `journalctl -o json` to the first half of a stored line: an object of strings, each name once.

An escape stays as it is where msgspec would write the same. What is looked into must have none.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t
from libc.string cimport memset

from formats.kernel.journal_names cimport HOSTNAME, MESSAGE, OWN, PRIORITY, ROLES, UNIT, Name, Names, name_at
from formats.kernel.journal_records cimport Made, Shared, Value, put_core
from formats.kernel.out cimport Out, put, put_byte, reserve
from formats.kernel.strings cimport put_escaped
from formats.kernel.text cimport Text, pass_blanks, pass_plain, pass_string
from formats.kernel.utf8 cimport is_utf8


cdef inline Text put_object(
    Text at, Text end, uint64_t entry, Made* made, Names* names, Shared* shared, dict services, frozenset absent
) except? NULL:
    """To behind the line, or to the end. NULL: something is unusual; its line is half there."""
    cdef Value values[ROLES]
    cdef Value value
    cdef Name* name
    cdef Out* out = &made.lines
    cdef int number = 0, known
    if at[0] != c"{":
        return NULL
    memset(values, 0, sizeof(values))
    reserve(out, 1)
    put_byte(out, c"{")
    while True:
        at = pass_blanks(at + 1)
        if at[0] != c'"':
            return NULL
        at += 1
        known = names.known
        number = name_at(names, number, at, end, c'"', c'"')
        if number == 0:
            return NULL
        name = &names.names[number]
        if names.known > known and absent and PyBytes_FromStringAndSize(<char*>name.at, name.size) in absent:
            return NULL
        if name.entry == entry:
            return NULL  # twice
        name.entry = entry
        at = pass_blanks(at + name.size + 1)
        if at[0] != c":":
            return NULL
        at = pass_blanks(at + 1)
        if at[0] != c'"':
            return NULL
        at += 1
        value.at = at
        value.is_json = True
        if name.role == MESSAGE or name.role == HOSTNAME:
            at = pass_string(at)
            if at is NULL:
                return NULL
            value.end = at - 1
        elif name.role != OWN:
            value.end = pass_plain(at)
            if value.end[0] != c'"':
                return NULL
        if name.role == OWN or name.role == PRIORITY or name.role == UNIT:
            reserve(out, name.size + 4)
            put_byte(out, c'"')
            put(out, name.at, name.size)
            put(out, b'":"', 3)
            out.seen = 0
            value.end = put_escaped(out, value.at, end)
            if value.end is NULL or (out.seen & 0x80 and not is_utf8(value.at, value.end - value.at)):
                return NULL
            reserve(out, 2)
            put(out, b'",', 2)
        values[name.role] = value
        at = pass_blanks(value.end + 1)
        if at[0] == c"}":
            break
        if at[0] != c",":
            return NULL
    at += 1
    if (at < end and at[0] != c"\n") or not put_core(made, values, shared, services):
        return NULL
    return at + 1 if at < end else end
