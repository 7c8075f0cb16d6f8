from formats.kernel.out cimport Out

# The text that stands there, between quotes of JSON. msgspec.DecodeError: it is none.
cdef str decoded(const char* data, Py_ssize_t size)
# Put that text and an LF; returns where the LF stands. Raises MemoryError and the same.
cdef Py_ssize_t put_plain(Out* out, const char* data, Py_ssize_t size) except -1
