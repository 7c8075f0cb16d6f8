"""What is wanted of the lines that kernels make, gathered beside them (gather.pyx)."""

from cpython.object cimport PyObject

from formats.kernel.out cimport Out
from formats.kernel.pairs cimport Pairs, may_have
from formats.kernel.spans cimport Counts, Span
from formats.kernel.summary cimport LEVELS, MOST_SERVICES, NO_PLACE, Summary

cdef enum:
    ALL_LEVELS = (1 << LEVELS) - 1  # as in formats.cores: a bit for each level
    NOT_MET = 1 << 7  # a service of which this is not known yet
    SEARCHED_BYTES = 1 << 14  # of messages, at a time: what was just written is at hand

cdef struct Noted:  # a record of which nothing is gathered yet
    Span span
    Py_ssize_t start  # of its line in the lines
    Py_ssize_t end  # 0: there is none

cdef struct Columns:  # what is wanted is as in `formats.cores.Wanted`, and levels are bits
    Noted last
    bint is_any  # wanted
    int noted  # levels of which records must be noted, whatever their message has
    bint are_lines  # of some records, not of all
    int levels
    int counted
    PyObject* of_services  # borrowed
    unsigned char kept[NO_PLACE + 1]  # of which levels records are kept, by the place of their service; or NOT_MET
    unsigned char likely[NO_PLACE + 1]  # and of which those that may have one of these:
    Pairs likely_pairs
    PyObject* of_likely  # services; borrowed
    Counts counts[MOST_SERVICES]  # by the place of the service
    Py_ssize_t counts_size  # of these, in bytes, that are used
    Out lines  # of the records that are kept, if these are not all
    Out spans  # of the records that are kept, if any are
    PyObject* search  # as in formats.cores, if it is given and has not found anything; borrowed
    Pairs pairs  # only messages that may have one are searched
    char* messages  # to be searched, with an LF behind each; room for SEARCHED_BYTES
    Py_ssize_t messages_size

# For a block of so many bytes, and what is `wanted` of it, a `formats.cores.Wanted` that must live as long. Whatever
# happens then, `drop_columns` must be called. Raises MemoryError.
cdef int begin_columns(Columns* columns, wanted, Py_ssize_t size) except -1
# The fields of `made.Gathered`.
cdef tuple finish_columns(Columns* columns, const char* lines)
cdef void drop_columns(Columns* columns) noexcept
# Gather what is wanted of the record noted last, if there is one. The lines are there up to `end`. Raises MemoryError.
cdef int gather_last(Columns* columns, const char* lines, Py_ssize_t end) except -1


cdef inline bint is_asked_for(
    const Columns* columns, int level, const char* message, Py_ssize_t size, Py_ssize_t readable
) noexcept:
    """Whether a record must be noted; of others this is known here already, for less. Its message, as in `may_have`."""
    if columns.noted >> level & 1:
        return True
    return columns.search is not NULL and may_have(&columns.pairs, message, size, readable)


cdef inline int add_span(
    Columns* columns, Span* span, int level, const Summary* summary, const char* lines, Py_ssize_t start, Py_ssize_t end
) except -1:
    """Take note of the record whose line stands in the lines from `start` to `end`, its service the one noted last.

    It is gathered when the next one comes: to read what was written just now would be to wait until it is in the cache.
    Raises MemoryError.
    """
    gather_last(columns, lines, end)
    columns.last.span.service_start = span.service_start
    columns.last.span.service_end = span.service_end
    columns.last.span.message_start = span.message_start
    columns.last.span.message_end = span.message_end
    columns.last.span.level = <unsigned char>level
    columns.last.span.place = summary.place
    columns.last.start = start
    columns.last.end = end
    return 0
