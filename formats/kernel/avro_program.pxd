"""How records of an Avro schema are read and written: a list of fields, each with all that its values need."""

from libc.stdint cimport int64_t

from formats.kernel.text cimport Text

cdef enum Kind:
    STRING
    BYTES
    ENUM
    LONG
    BOOLEAN
    TIMESTAMP
    LOCAL_TIMESTAMP
    DOUBLE
    FLOAT
    NOTHING
    ARRAY  # of strings
    MAP  # of strings
    OTHER


cdef enum:
    TIMESTAMP_FIELD  # what a field is to a record, as in formats.record.CORE_FIELDS
    LEVEL_FIELD
    SERVICE_FIELD
    MESSAGE_FIELD
    OWN

    CORE = 4  # so many of these

cdef struct Piece:
    Text data
    Py_ssize_t size

cdef struct Symbol:
    Piece text
    Piece json

cdef struct Field:
    Kind kind
    int role
    int null  # which of two branches; -1: no union
    int64_t per_second  # of a timestamp
    Piece head  # the comma before it, its name and the colon
    Symbol* symbols
    Py_ssize_t symbols_known
    bint is_kind  # of the name by which heartbeats are told

cdef class Program:
    cdef Field* fields
    cdef Py_ssize_t number
    cdef Py_ssize_t core_end  # behind the last core field
    cdef Py_ssize_t least_bytes  # of what a record becomes, but for its texts
    cdef list readers
    cdef list _kept  # what is pointed to
    cdef Piece _keep(self, bytes data)
    cdef int _keep_symbols(self, Field* field, tuple symbols) except -1
