# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The program that `formats.avro_program` makes of a schema, as the kernel of Avro follows it."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free

import msgspec

_encode = msgspec.json.Encoder().encode

_KINDS = {
    "string": STRING,
    "bytes": BYTES,
    "enum": ENUM,
    "long": LONG,
    "boolean": BOOLEAN,
    "timestamp": TIMESTAMP,
    "local-timestamp": LOCAL_TIMESTAMP,
    "double": DOUBLE,
    "float": FLOAT,
    "null": NOTHING,
    "array": ARRAY,
    "map": MAP,
    "other": OTHER,
}


cdef class Program:
    """How records of a schema are read: of each field its name, kind, core field (4: none), null branch, symbols, reader.

    `kind` is one of `_KINDS`; of timestamps with the unit behind it.
    """

    def __cinit__(self, fields):
        cdef Py_ssize_t index
        cdef Field* field
        self._kept = []
        self.readers = []
        self.least_bytes = 128
        self.fields = <Field*>PyMem_Calloc(len(fields), sizeof(Field))
        if self.fields is NULL:
            raise MemoryError
        self.number = len(fields)
        for index, (name, kind, role, null, symbols, reader) in enumerate(fields):
            field = &self.fields[index]
            kind, _, unit = kind.partition(" ")
            field.kind = _KINDS[kind]
            field.role = role
            field.null = null
            field.per_second = {"": 1, "millis": 1000, "micros": 1_000_000, "nanos": 1_000_000_000}[unit]
            field.head = self._keep(b',"%b":' % name.encode())
            field.is_kind = name == "kind"
            self._keep_symbols(field, symbols)
            self.readers.append(reader)
            if role != OWN:
                self.core_end = index + 1
            self.least_bytes += field.head.size + 16

    def __dealloc__(self):
        cdef Py_ssize_t index
        if self.fields is not NULL:
            for index in range(self.number):
                PyMem_Free(self.fields[index].symbols)
            PyMem_Free(self.fields)

    cdef Piece _keep(self, bytes data):
        self._kept.append(data)
        return Piece(<Text>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int _keep_symbols(self, Field* field, tuple symbols) except -1:
        cdef Py_ssize_t index
        field.symbols = <Symbol*>PyMem_Calloc(len(symbols) or 1, sizeof(Symbol))
        if field.symbols is NULL:
            raise MemoryError
        for index, symbol in enumerate(symbols):
            field.symbols[index].text = self._keep(symbol.encode())
            field.symbols[index].json = self._keep(_encode(symbol))
        field.symbols_known = len(symbols)
        return 0
