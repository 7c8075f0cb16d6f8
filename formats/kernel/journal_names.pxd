"""The names of a block's journal fields, each looked at once: then a field is told by the one that came before it."""

from libc.stdint cimport uint16_t, uint64_t
from libc.string cimport memcmp, memset

from formats.kernel.text cimport Text, is_digit

cdef enum:
    LONGEST = 64  # bytes: systemd, src/libsystemd/sd-journal/journal-file.c: journal_field_valid
    SLOTS = 1024  # a power of two
    MOST = 512  # names; of 1500 entries of a desktop there are 110
    PROBES = 16  # senders choose the names: those that fall together are not looked for any longer

    # What becomes of a field.
    OWN = 0  # kept
    TIMESTAMP = 1
    PRIORITY = 2  # kept, too
    IDENTIFIER = 3
    UNIT = 4  # kept, too
    HOSTNAME = 5
    MESSAGE = 6
    ROLES = 7

cdef struct Name:
    Text at
    Py_ssize_t size
    int role
    int next  # the name that followed this one last
    uint64_t entry  # that had it last

cdef struct Names:
    int known
    uint16_t slots[SLOTS]
    Name names[MOST]  # that at 0 stands before the first of each entry


cdef inline void no_names(Names* names) noexcept nogil:
    names.known = 1
    memset(names.slots, 0, sizeof(names.slots))
    memset(&names.names[0], 0, sizeof(Name))


cdef inline int name_at(
    Names* names, int before, Text at, Text end, unsigned char closing, unsigned char or_closing
) noexcept nogil:
    """The name that one of two bytes ends, after the one `before`. 0: it is none, or they are too many."""
    cdef int number = names.names[before].next
    cdef Name* name = &names.names[number]
    cdef Text from_ = at
    cdef Py_ssize_t size
    if number and end - at > name.size and (at[name.size] == closing or at[name.size] == or_closing):
        if memcmp(at, name.at, name.size) == 0:
            return number
    while is_name(at[0]):
        at += 1
    size = at - from_
    if size == 0 or size > LONGEST or is_digit(from_[0]) or not (at[0] == closing or at[0] == or_closing):
        return 0
    number = _find(names, from_, size)
    names.names[before].next = number
    return number


cdef inline bint is_name(unsigned char byte) noexcept nogil:
    return <unsigned char>(byte - c"A") < 26 or byte == c"_" or is_digit(byte)


cdef inline int _find(Names* names, Text at, Py_ssize_t size) noexcept nogil:
    cdef uint64_t hash = 0xCBF29CE484222325ULL
    cdef Py_ssize_t index
    cdef int slot, probe
    cdef Name* name
    for index in range(size):
        hash = (hash ^ at[index]) * <uint64_t>0x100000001B3ULL  # FNV-1a
    for probe in range(PROBES):
        slot = <int>((hash + <uint64_t>probe) & (SLOTS - 1))
        if names.slots[slot] == 0:
            if names.known == MOST:
                return 0
            name = &names.names[names.known]
            name.at = at
            name.size = size
            name.role = _role(at, size)
            name.next = 0
            name.entry = 0
            names.slots[slot] = <uint16_t>names.known
            names.known += 1
            return names.known - 1
        name = &names.names[names.slots[slot]]
        if name.size == size and memcmp(name.at, at, size) == 0:
            return names.slots[slot]
    return 0


cdef inline int _role(Text at, Py_ssize_t size) noexcept nogil:
    if size == 7 and memcmp(at, b"MESSAGE", 7) == 0:
        return MESSAGE
    if size == 8 and memcmp(at, b"PRIORITY", 8) == 0:
        return PRIORITY
    if size == 9 and memcmp(at, b"_HOSTNAME", 9) == 0:
        return HOSTNAME
    if size == 13 and memcmp(at, b"_SYSTEMD_UNIT", 13) == 0:
        return UNIT
    if size == 17 and memcmp(at, b"SYSLOG_IDENTIFIER", 17) == 0:
        return IDENTIFIER
    if size == 20 and memcmp(at, b"__REALTIME_TIMESTAMP", 20) == 0:
        return TIMESTAMP
    return OWN
