"""What is counted of the records of a block: how many, of which levels, from which services, from when to when."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

from formats.kernel.text cimport Text, is_digit

cdef enum:
    WIDTH = 27  # of a timestamp in the stored form, YYYY-MM-DDTHH:MM:SS.ffffffZ
    HOUR = 13  # of it, up to the hour
    HOURS = 16  # so many are told apart
    LEVELS = 6
    SLOTS = 128  # of the table of services, a power of two
    MOST_SERVICES = 64  # in it; others are looked up by name, each time they come
    NO_PLACE = 255

cdef struct Service:
    Text data
    Py_ssize_t size
    Py_ssize_t records
    unsigned char place

cdef struct Summary:
    Py_ssize_t records
    Py_ssize_t levels[LEVELS]  # as in formats.levels.LEVELS
    unsigned char first[WIDTH]
    unsigned char last[WIDTH]
    unsigned char hours[HOURS][HOUR]
    int hours_known
    Service services[SLOTS]
    int services_known
    unsigned char place  # of the service that was noted last, in the order in which they came; NO_PLACE: behind the table


cdef inline bint is_timestamp(Text at) noexcept nogil:
    """Whether 27 bytes have the stored form, its date apart (`timestamps.bounds`); a NUL ends the look."""
    cdef const char* limits = b"9999-99-99T99:59:59.999999Z"
    cdef int index
    for index in range(WIDTH):
        if is_digit(limits[index]):
            if not c"0" <= at[index] <= <unsigned char>limits[index]:
                return False
        elif at[index] != <unsigned char>limits[index]:
            return False
    return True


cdef inline void note_valid_timestamp(Summary* summary, Text at) noexcept nogil:
    """Take note of one whose date exists: its hour need not be looked at again."""
    if summary.records == 0:
        memcpy(summary.first, at, WIDTH)
        memcpy(summary.last, at, WIDTH)
    elif memcmp(at, summary.last, WIDTH) > 0:
        memcpy(summary.last, at, WIDTH)
    elif memcmp(at, summary.first, WIDTH) < 0:
        memcpy(summary.first, at, WIDTH)


cdef inline bint note_timestamp(Summary* summary, Text at) noexcept nogil:
    """Take note of one that `is_timestamp`. False: too many hours."""
    cdef int index
    note_valid_timestamp(summary, at)
    for index in range(summary.hours_known):
        if memcmp(at, summary.hours[index], HOUR) == 0:
            return True
    if summary.hours_known == HOURS:
        return False
    memcpy(summary.hours[summary.hours_known], at, HOUR)
    summary.hours_known += 1
    return True


cdef inline int level_number(Text at, Py_ssize_t size) noexcept nogil:
    """Which of LEVELS these bytes are; -1: none."""
    if size == 4:
        if memcmp(at, b"INFO", 4) == 0:
            return 2
        return 3 if memcmp(at, b"WARN", 4) == 0 else -1
    if size != 5:
        return -1
    if memcmp(at, b"DEBUG", 5) == 0:
        return 1
    if memcmp(at, b"ERROR", 5) == 0:
        return 4
    if memcmp(at, b"FATAL", 5) == 0:
        return 5
    return 0 if memcmp(at, b"TRACE", 5) == 0 else -1


cdef inline uint64_t _mixed(Text at, Py_ssize_t size) noexcept nogil:
    cdef uint64_t head = 0, tail = 0
    cdef Py_ssize_t part = size if size < 8 else 8
    memcpy(&head, at, part)
    memcpy(&tail, at + size - part, part)
    return ((head * <uint64_t>0x9E3779B97F4A7C15ULL) ^ tail ^ <uint64_t>size) * <uint64_t>0xC2B2AE3D27D4EB4FULL


cdef inline int note_service(Summary* summary, dict services, Text at, Py_ssize_t size) except -1:
    """Take note of a record of this service, `size` bytes of UTF-8 that outlive `summary`. UnicodeDecodeError.

    Its name is put into `services` if it is not there.
    """
    cdef unsigned int slot = <unsigned int>(_mixed(at, size) >> 57)
    cdef Service* known
    while True:
        known = &summary.services[slot % SLOTS]
        if known.data is NULL:
            break
        if known.size == size and memcmp(known.data, at, size) == 0:
            summary.place = known.place
            known.records += 1
            return 0
        slot += 1
    services[PyUnicode_DecodeUTF8(<const char*>at, size, NULL)] = 0
    summary.place = NO_PLACE
    if summary.services_known < MOST_SERVICES:
        summary.place = <unsigned char>summary.services_known
        known[0] = Service(at, size, 1, summary.place)
        summary.services_known += 1
    return 0


cdef inline tuple summed_up(Summary* summary, dict services):
    """`made.SummedFields`."""
    cdef int index
    cdef list names = list(services)
    for index in range(SLOTS):
        if summary.services[index].data is not NULL:
            services[names[summary.services[index].place]] = summary.services[index].records
    return (
        [summary.levels[index] for index in range(LEVELS)],
        PyBytes_FromStringAndSize(<char*>summary.first, WIDTH),
        PyBytes_FromStringAndSize(<char*>summary.last, WIDTH),
        [PyBytes_FromStringAndSize(<char*>summary.hours[index], HOUR) for index in range(summary.hours_known)],
        services,
    )
