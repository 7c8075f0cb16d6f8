"""Messages of formats/schemas/log_entry.proto, taken apart.

    tag: number << 3 | type | value        a varint where the type is 0, eight bytes 1, text behind its length 2, four bytes 5
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memset

from formats.kernel.text cimport Text, equals
from formats.kernel.varints cimport pass_short

cdef enum:
    TIMESTAMP = 1
    LEVEL = 2
    SERVICE = 3
    MESSAGE = 4
    ATTRIBUTE = 5
    RUN = 6
    SEQ = 7
    UNKNOWN = 8  # and above: later additions to the schema

    MOST_ATTRIBUTES = 32

cdef struct Piece:
    Text data
    Py_ssize_t size

cdef struct Attribute:
    Piece name
    Piece value

cdef struct Entry:
    Piece texts[RUN + 1]  # by number of the field; empty: not sent
    uint64_t seq
    int attributes_sent
    Attribute attributes[MOST_ATTRIBUTES]  # by name, no two the same


cdef inline bint read_entry(Text at, Text end, Entry* entry) noexcept:
    """Take the message between `at` and `end` apart. False: it is none, or has a field twice or something unusual."""
    cdef uint64_t tag = 0
    cdef int number, found = 0
    memset(entry.texts, 0, sizeof(entry.texts))
    entry.seq = 0
    entry.attributes_sent = 0
    while at < end:
        at = pass_short(at, end, &tag)
        if at is NULL or tag >> 32:
            return False
        if tag >= UNKNOWN << 3:
            at = _pass_value(at, end, tag & 7)
            if at is NULL:
                return False
            continue
        number = <int>(tag >> 3)
        if tag == (SEQ << 3):
            at = pass_short(at, end, &entry.seq)
        elif tag & 7 != 2 or number == 0 or number > RUN:
            return False
        elif number == ATTRIBUTE:
            at = _read_attribute(at, end, entry)
            number = 0  # which may come again
        else:
            at = read_text(at, end, &entry.texts[number])
        if at is NULL or (found >> number) & 1:
            return False
        found |= (1 << number) & ~1
    return True


cdef inline Text read_text(Text at, Text end, Piece* text) noexcept nogil:
    """A length, and so many bytes."""
    cdef uint64_t size = 0
    at = pass_short(at, end, &size)
    if at is NULL or size > <uint64_t>(end - at):
        return NULL
    text.data = at
    text.size = <Py_ssize_t>size
    return at + size


cdef inline Text _pass_value(Text at, Text end, int type) noexcept nogil:
    cdef uint64_t value = 0
    cdef Piece text
    cdef Py_ssize_t size
    if type == 0:
        return pass_short(at, end, &value)
    if type == 2:
        return read_text(at, end, &text)
    if type != 1 and type != 5:
        return NULL
    size = 8 if type == 1 else 4
    if size > end - at:
        return NULL
    return at + size


cdef inline Text _read_attribute(Text at, Text end, Entry* entry) noexcept:
    """An entry of the map: a message whose fields are 1, the name, and 2, the value."""
    cdef Piece message
    cdef Attribute read
    cdef Attribute* place
    cdef int order, found = 0
    at = read_text(at, end, &message)
    if at is NULL or entry.attributes_sent == MOST_ATTRIBUTES:
        return NULL
    end = at
    at = message.data
    memset(&read, 0, sizeof(Attribute))
    read.name.data = read.value.data = at
    while at < end:
        if at[0] == 0x0A and not found & 1:
            found |= 1
            at = read_text(at + 1, end, &read.name)
        elif at[0] == 0x12 and not found & 2:
            found |= 2
            at = read_text(at + 1, end, &read.value)
        else:
            return NULL
        if at is NULL:
            return NULL
    if is_special(&read):
        return NULL
    place = &entry.attributes[entry.attributes_sent]
    while place > entry.attributes:
        order = _compared(&read.name, &place[-1].name)
        if order == 0:
            return NULL
        if order > 0:
            break
        place[0] = place[-1]
        place -= 1
    place[0] = read
    entry.attributes_sent += 1
    return end


cdef inline int _compared(Piece* one, Piece* other) noexcept nogil:
    """By their characters, which the bytes of UTF-8 have the order of."""
    cdef Py_ssize_t more = one.size - other.size
    cdef int order = memcmp(one.data, other.data, other.size if more > 0 else one.size)
    if order == 0:
        order = (more > 0) - (more < 0)
    return order


cdef inline bint is_special(Attribute* attribute) noexcept nogil:
    """Whether it has the name of another field, or makes the entry a heartbeat."""
    cdef Text name = attribute.name.data
    cdef Py_ssize_t size = attribute.name.size
    if size == 4:
        return memcmp(name, b"kind", 4) == 0 and equals(
            attribute.value.data, attribute.value.size, b"heartbeat", 9
        )
    return (
        equals(name, size, b"level", 5)
        or equals(name, size, b"service", 7)
        or equals(name, size, b"message", 7)
        or equals(name, size, b"timestamp", 9)
        or equals(name, size, b"run", 3)
        or equals(name, size, b"seq", 3)
    )
