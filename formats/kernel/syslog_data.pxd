"""Structured data of RFC 5424 to fields, in one pass: `[id name="value"]` to `"sd.id.name":"value"`."""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.string cimport memcmp

from formats.kernel.out cimport ESCAPED, Out, put, put_byte, put_text, reserve, size_of
from formats.kernel.syslog_heads cimport NAME, TOKEN_LIMIT, kinds
from formats.kernel.text cimport Text

cdef enum:
    PARAMETERS = 32  # of a message, that are looked through for a second of the same name


cdef inline Text put_data(Out* out, Text at, Text end) except? NULL:
    """Put elements of structured data as fields, and pass them. NULL: they are none, or a name comes twice."""
    cdef Py_ssize_t starts[PARAMETERS]
    cdef Py_ssize_t sizes[PARAMETERS]
    cdef int parameters = 0
    cdef Text element
    cdef Text name
    cdef Text value
    cdef Py_ssize_t element_size, name_size
    while at[0] == c"[":
        element = at + 1
        at = _pass_name(element)
        if at is NULL:
            return NULL
        element_size = at - element
        name = NULL
        while at[0] == c" " or (name is NULL and at[0] == c"]"):
            if parameters == PARAMETERS:
                return NULL
            name = at
            name_size = 0
            value = NULL
            if at[0] == c" ":
                name = at + 1
                at = _pass_name(name)
                if at is NULL or at[0] != c"=" or at[1] != c'"':
                    return NULL
                name_size = at - name
                value = at + 2
                at = value
                while at < end and at[0] != c'"' and at[0] != c"]":
                    at += 1 + (at[0] == c"\\")
                if at >= end or at[0] != c'"':
                    return NULL
            # At a closing quote or, where there is no parameter, a bracket.
            reserve(out, ESCAPED * (element_size + name_size + (at - value if value is not NULL else 0)) + 32)
            put(out, b',"', 2)
            starts[parameters] = size_of(out)
            put(out, b"sd.", 3)
            put_text(out, element, element_size)
            if value is not NULL:
                put_byte(out, c".")
                put_text(out, name, name_size)
            sizes[parameters] = size_of(out) - starts[parameters]
            if _is_known(out, starts, sizes, parameters):
                return NULL
            parameters += 1
            if value is NULL:
                put(out, b'":true', 6)
                break
            put(out, b'":"', 3)
            _put_value(out, value, at)
            put_byte(out, c'"')
            at += 1
        if at[0] != c"]":
            return NULL
        at += 1
    if at > end:
        return NULL
    return at


cdef inline Text _pass_name(Text at) noexcept nogil:
    cdef Text start = at
    while kinds[at[0]] & NAME:
        at += 1
    if at == start or at - start > TOKEN_LIMIT:
        return NULL
    return at


cdef inline bint _is_known(Out* out, Py_ssize_t* starts, Py_ssize_t* sizes, int last) noexcept:
    """Whether an earlier field has the name of the last."""
    cdef const char* made = PyBytes_AS_STRING(<object>out.data)
    cdef int index
    for index in range(last):
        if sizes[index] == sizes[last] and memcmp(made + starts[index], made + starts[last], sizes[last]) == 0:
            return True
    return False


cdef inline void _put_value(Out* out, Text at, Text end) noexcept:
    """The value of a parameter: a backslash before a quote, a backslash or a bracket is not part of it."""
    cdef Text part = at
    while at < end:
        if at[0] == c"\\":
            if at[1] == c'"' or at[1] == c"\\" or at[1] == c"]":
                put_text(out, part, at - part)
                part = at + 1
            at += 1
        at += 1
    put_text(out, part, end - part)
