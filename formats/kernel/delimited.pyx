# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""From length to length: where the frames of `formats.delimited` begin."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t

from formats.kernel.text cimport Text
from formats.kernel.varints cimport pass_varint


def walk(data):
    """Where each whole frame begins, as an array of int64, and where the last one ends."""
    if not PyBytes_Check(data):
        raise TypeError(f"not bytes: {type(data)}")
    cdef Text start = <Text>PyBytes_AS_STRING(data)
    cdef Text end = start + PyBytes_GET_SIZE(data)
    cdef Text at = start
    cdef Text behind = _pass_frame(at, end)
    cdef Py_ssize_t frames = 0, number
    while behind is not NULL:
        frames += 1
        at = behind
        behind = _pass_frame(at, end)
    cdef bytes starts = PyBytes_FromStringAndSize(NULL, frames * <Py_ssize_t>sizeof(int64_t))
    cdef int64_t* positions = <int64_t*>PyBytes_AS_STRING(starts)
    at = start
    for number in range(frames):
        positions[number] = at - start
        at = _pass_frame(at, end)
    return starts, at - start


cdef inline Text _pass_frame(Text at, Text end) noexcept nogil:
    """NULL: there is no whole one."""
    cdef uint64_t size = 0
    at = pass_varint(at, end, &size)
    if at is NULL or size > <uint64_t>(end - at):
        return NULL
    return at + size
