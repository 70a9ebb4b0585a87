"""A session of ONNX Runtime through its C interface, run without the GIL."""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t, uint32_t, uintptr_t
from libc.string cimport memcpy

import numpy as np

__all__ = ["Session", "SessionClosed", "SessionError", "initialise"]

# The functions used, by their slots in the append-only table of the interface's version 14.
ctypedef const char* (*GetVersion)() noexcept nogil
ctypedef void** (*GetTable)(uint32_t) noexcept nogil

cdef struct Base:
    GetTable get_table
    GetVersion get_version

ctypedef const Base* (*GetBase)() noexcept nogil
ctypedef const char* (*ToText)(const void*) noexcept nogil
ctypedef void (*Release)(void*) noexcept nogil
ctypedef void* (*Make)(void**) noexcept nogil
ctypedef void* (*MakeEnvironment)(int, const char*, void**) noexcept nogil
ctypedef void* (*MakeMemoryInfo)(int, int, void**) noexcept nogil
ctypedef void* (*MakeSession)(
    void*, const void*, size_t, const void*, void**
) noexcept nogil
ctypedef void* (*Change)(void*) noexcept nogil
ctypedef void* (*SetNumber)(void*, int) noexcept nogil
ctypedef void* (*RunSession)(
    void*, const void*, const char* const*, void* const*, size_t, const char* const*, size_t, void**
) noexcept nogil
ctypedef void* (*Count)(const void*, size_t*) noexcept nogil
ctypedef void* (*At)(const void*, size_t, void**) noexcept nogil
ctypedef void* (*NameAt)(const void*, size_t, void*, char**) noexcept nogil
ctypedef void* (*FreeWith)(void*, void*) noexcept nogil
ctypedef void* (*Derive)(const void*, void**) noexcept nogil
ctypedef void* (*ReadNumber)(const void*, int*) noexcept nogil
ctypedef void* (*ReadShape)(const void*, int64_t*, size_t) noexcept nogil
ctypedef void* (*MakeTensor)(
    const void*, void*, size_t, const int64_t*, size_t, int, void**
) noexcept nogil

cdef enum:
    INTERFACE_VERSION = 14
    LOG_ERRORS = 3
    ALL_OPTIMIZATIONS = 99
    DEVICE_ALLOCATOR = 0
    DEFAULT_MEMORY = 0
    MAX_INPUTS = 64

    GET_ERROR_MESSAGE = 2
    CREATE_ENV = 3
    CREATE_SESSION_FROM_ARRAY = 8
    RUN = 9
    CREATE_SESSION_OPTIONS = 10
    DISABLE_MEM_PATTERN = 17
    DISABLE_CPU_MEM_ARENA = 19
    SET_GRAPH_OPTIMIZATION_LEVEL = 23
    SET_INTRA_OP_NUM_THREADS = 24
    SET_INTER_OP_NUM_THREADS = 25
    SESSION_GET_INPUT_COUNT = 30
    SESSION_GET_OUTPUT_COUNT = 31
    SESSION_GET_INPUT_TYPE = 33
    SESSION_GET_OUTPUT_TYPE = 34
    SESSION_GET_INPUT_NAME = 36
    SESSION_GET_OUTPUT_NAME = 37
    CREATE_TENSOR_WITH_DATA = 49
    GET_TENSOR_MUTABLE_DATA = 51
    CAST_TYPE_TO_TENSOR = 55
    GET_TENSOR_ELEMENT_TYPE = 60
    GET_DIMENSIONS_COUNT = 61
    GET_DIMENSIONS = 62
    GET_ELEMENT_COUNT = 64
    GET_TENSOR_TYPE_AND_SHAPE = 65
    CREATE_CPU_MEMORY_INFO = 69
    ALLOCATOR_FREE = 76
    GET_DEFAULT_ALLOCATOR = 78
    RELEASE_STATUS = 93
    RELEASE_SESSION = 95
    RELEASE_VALUE = 96
    RELEASE_TYPE = 98
    RELEASE_SHAPE = 99
    RELEASE_SESSION_OPTIONS = 100

cdef void** API = NULL
cdef void* ENVIRONMENT = NULL
cdef void* MEMORY = NULL
cdef void* ALLOCATOR = NULL

# ONNX's numbers of element types: NumPy dtype, and the size of one element.
cdef dict DTYPES = {
    1: np.dtype(np.float32), 2: np.dtype(np.uint8), 3: np.dtype(np.int8), 4: np.dtype(np.uint16),
    5: np.dtype(np.int16), 6: np.dtype(np.int32), 7: np.dtype(np.int64), 9: np.dtype(np.bool_),
    10: np.dtype(np.float16), 11: np.dtype(np.float64), 12: np.dtype(np.uint32),
    13: np.dtype(np.uint64),
}
cdef dict NUMBERS = {dtype: number for number, dtype in DTYPES.items()}
cdef size_t[14] ELEMENT_SIZES = [0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8]


class SessionError(Exception):
    """ONNX Runtime said no; the message is its own."""


class SessionClosed(SessionError):
    """The session was closed before the call."""


def initialise(uintptr_t get_base):
    """Take the library's `OrtGetApiBase` into use, once a process; return its version."""
    global API, ENVIRONMENT, MEMORY, ALLOCATOR
    cdef const Base* base = (<GetBase><void*>get_base)()
    if API == NULL:
        API = base.get_table(INTERFACE_VERSION)
        if API == NULL:
            raise SessionError(f"the library has no interface of version {INTERFACE_VERSION}")
        check((<MakeEnvironment>API[CREATE_ENV])(LOG_ERRORS, b"gnomon", &ENVIRONMENT))
        check((<MakeMemoryInfo>API[CREATE_CPU_MEMORY_INFO])(
            DEVICE_ALLOCATOR, DEFAULT_MEMORY, &MEMORY
        ))
        check((<Make>API[GET_DEFAULT_ALLOCATOR])(&ALLOCATOR))
    return base.get_version().decode()


cdef str status_text(void* status):
    """Return the message of a status and release it."""
    cdef str text = (<ToText>API[GET_ERROR_MESSAGE])(status).decode(errors="replace")
    (<Release>API[RELEASE_STATUS])(status)
    return text


cdef int check(void* status) except -1:
    if status != NULL:
        raise SessionError(status_text(status))
    return 0


cdef void release(void* value) noexcept nogil:
    if value != NULL:
        (<Release>API[RELEASE_VALUE])(value)


cdef void* wrap(const TensorView* tensor, void** value) noexcept nogil:
    return (<MakeTensor>API[CREATE_TENSOR_WITH_DATA])(
        MEMORY, tensor.data, tensor.size, tensor.shape, tensor.rank, tensor.element_type, value
    )


cdef size_t element_size(int element_type) noexcept nogil:
    return ELEMENT_SIZES[element_type] if 0 <= element_type < 14 else 0


cdef void* view(void* value, TensorView* tensor) noexcept nogil:
    cdef void* info = NULL
    cdef size_t elements = 0
    cdef void* status = (<Derive>API[GET_TENSOR_TYPE_AND_SHAPE])(value, &info)
    if status != NULL:
        return status
    status = (<ReadNumber>API[GET_TENSOR_ELEMENT_TYPE])(info, &tensor.element_type)
    if status == NULL:
        status = (<Count>API[GET_ELEMENT_COUNT])(info, &elements)
    if status == NULL:
        status = (<Count>API[GET_DIMENSIONS_COUNT])(info, &tensor.rank)
    if status == NULL:
        # A rank above MAX_RANK leaves the rest out; the caller sees it by `rank`.
        status = (<ReadShape>API[GET_DIMENSIONS])(
            info, tensor.shape, min(tensor.rank, <size_t>MAX_RANK)
        )
    (<Release>API[RELEASE_SHAPE])(info)
    if status == NULL:
        tensor.size = elements * element_size(tensor.element_type)
        status = (<Derive>API[GET_TENSOR_MUTABLE_DATA])(value, &tensor.data)
    return status


cdef class Session:
    def __cinit__(self, const unsigned char[::1] model, outputs, int threads=1):
        if API == NULL:
            raise SessionError("the library is not initialised")
        cdef void* options = NULL
        cdef void* handle = NULL
        cdef void* status
        check((<Make>API[CREATE_SESSION_OPTIONS])(&options))
        self.options = options
        check((<SetNumber>API[SET_INTRA_OP_NUM_THREADS])(options, threads))
        check((<SetNumber>API[SET_INTER_OP_NUM_THREADS])(options, 1))
        check((<SetNumber>API[SET_GRAPH_OPTIMIZATION_LEVEL])(options, ALL_OPTIMIZATIONS))
        # Neither arena nor pattern: fastest for small models, and what is closed is given back.
        check((<Change>API[DISABLE_MEM_PATTERN])(options))
        check((<Change>API[DISABLE_CPU_MEM_ARENA])(options))
        if model.shape[0] == 0:
            raise SessionError("the model file is empty")
        with nogil:
            status = (<MakeSession>API[CREATE_SESSION_FROM_ARRAY])(
                ENVIRONMENT, &model[0], <size_t>model.shape[0], options, &handle
            )
        check(status)
        self.handle = handle
        self._kept = []
        self._read_signature(outputs)

    def __dealloc__(self):
        self._free()
        PyMem_Free(self.input_names)
        PyMem_Free(self.output_names)
        PyMem_Free(self.input_types)
        PyMem_Free(self.output_types)

    def close(self):
        """Give back all that the session holds, at the latest when the calls in it have ended."""
        cdef bint idle
        with self.guard:
            self.closing = True
            idle = self.running == 0
            if idle:
                self._free()

    def run(self, tensors):
        """Return the outputs of a mapping of tensors by name."""
        cdef Py_ssize_t inputs = self.input_count
        cdef Py_ssize_t filled = 0
        cdef Py_ssize_t index
        cdef void* status
        cdef Py_buffer* buffers = NULL
        cdef TensorView* views = NULL
        cdef void** values = NULL
        if not self.enter():
            raise SessionClosed("the session is closed")
        try:
            buffers = <Py_buffer*>allocate(inputs, sizeof(Py_buffer))
            views = <TensorView*>allocate(inputs, sizeof(TensorView))
            values = <void**>allocate(self.output_count, sizeof(void*))
            for index in range(inputs):
                array = tensors.get(self.inputs[index][0])
                if array is None:
                    raise SessionError(f"tensor {self.inputs[index][0]!r} is missing")
                PyObject_GetBuffer(array, &buffers[index], PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
                filled += 1
                fill(&views[index], &buffers[index], self.input_types[index], self.inputs[index][0])
            with nogil:
                status = self.run_views(views, values)
            check(status)
            return {
                self.outputs[index][0]: copy(values[index]) for index in range(self.output_count)
            }
        finally:
            for index in range(filled):
                PyBuffer_Release(&buffers[index])
            if values != NULL:
                for index in range(self.output_count):
                    release(values[index])
            PyMem_Free(values)
            PyMem_Free(views)
            PyMem_Free(buffers)
            self.leave()

    cdef bint enter(self) noexcept nogil:
        cdef bint open = False
        with self.guard:
            open = not self.closing
            self.running += open
        return open

    cdef void leave(self) noexcept nogil:
        with self.guard:
            self.running -= 1
            if self.closing and self.running == 0:
                self._free()

    cdef void* run_views(self, const TensorView* tensors, void** values) noexcept nogil:
        cdef void* arguments[MAX_INPUTS]
        cdef void* status = NULL
        cdef Py_ssize_t made = 0
        cdef Py_ssize_t index
        while made < self.input_count and status == NULL:
            arguments[made] = NULL
            status = wrap(&tensors[made], &arguments[made])
            made += 1
        if status == NULL:
            status = self.run_values(arguments, values)
        for index in range(made):
            release(arguments[index])
        return status

    cdef void* run_values(self, void** arguments, void** values) noexcept nogil:
        return (<RunSession>API[RUN])(
            self.handle, NULL, self.input_names, arguments, self.input_count,
            self.output_names, self.output_count, values,
        )

    cdef _read_signature(self, outputs):
        cdef size_t count = 0
        cdef int element_type = 0
        check((<Count>API[SESSION_GET_INPUT_COUNT])(self.handle, &count))
        if count > MAX_INPUTS:
            raise SessionError(f"the model has {count} inputs; at most {MAX_INPUTS} are allowed")
        self.input_count = count
        self.input_types = <int*>allocate(count, sizeof(int))
        self.input_names = <const char**>allocate(count, sizeof(char*))
        self.inputs = tuple(
            [self._describe(True, index, &self.input_types[index]) for index in range(count)]
        )
        check((<Count>API[SESSION_GET_OUTPUT_COUNT])(self.handle, &count))
        known = {}
        for index in range(<Py_ssize_t>count):
            entry = self._describe(False, index, &element_type)
            known[entry[0]] = entry
        self.outputs = tuple([pick(known, name) for name in outputs])
        self.output_count = len(self.outputs)
        self.output_types = <int*>allocate(self.output_count, sizeof(int))
        self.output_names = <const char**>allocate(self.output_count, sizeof(char*))
        for index, entry in enumerate(self.outputs):
            self.output_types[index] = NUMBERS[entry[1]]
        self._keep(self.inputs, True)
        self._keep(self.outputs, False)

    def _keep(self, entries, bint is_input):
        cdef const char** names = self.input_names if is_input else self.output_names
        cdef bytes encoded
        for index, entry in enumerate(entries):
            encoded = entry[0].encode()
            self._kept.append(encoded)
            names[index] = encoded

    cdef _describe(self, bint is_input, Py_ssize_t index, int* element_type):
        """Return name, NumPy dtype and shape of an input or output; dtype None: no tensor."""
        cdef void* info = NULL
        cdef void* tensor = NULL
        cdef char* name = NULL
        cdef size_t rank = 0
        cdef int64_t[MAX_RANK] shape
        check((<NameAt>API[SESSION_GET_INPUT_NAME if is_input else SESSION_GET_OUTPUT_NAME])(
            self.handle, index, ALLOCATOR, &name
        ))
        text = name.decode()
        (<FreeWith>API[ALLOCATOR_FREE])(ALLOCATOR, name)
        check((<At>API[SESSION_GET_INPUT_TYPE if is_input else SESSION_GET_OUTPUT_TYPE])(
            self.handle, index, &info
        ))
        try:
            check((<Derive>API[CAST_TYPE_TO_TENSOR])(info, &tensor))
            if tensor == NULL:
                return text, None, ()
            check((<ReadNumber>API[GET_TENSOR_ELEMENT_TYPE])(tensor, element_type))
            check((<Count>API[GET_DIMENSIONS_COUNT])(tensor, &rank))
            if rank > MAX_RANK:
                raise SessionError(f"{text} has {rank} dimensions; at most {MAX_RANK} are allowed")
            check((<ReadShape>API[GET_DIMENSIONS])(tensor, shape, rank))
            dimensions = tuple([shape[axis] for axis in range(<Py_ssize_t>rank)])
            return text, DTYPES.get(element_type[0]), dimensions
        finally:
            (<Release>API[RELEASE_TYPE])(info)

    cdef void _free(self) noexcept nogil:
        if self.handle != NULL:
            (<Release>API[RELEASE_SESSION])(self.handle)
            self.handle = NULL
        if self.options != NULL:
            (<Release>API[RELEASE_SESSION_OPTIONS])(self.options)
            self.options = NULL


cdef void* allocate(Py_ssize_t count, size_t size) except NULL:
    cdef void* memory = PyMem_Calloc(count + 1, size)
    if memory == NULL:
        raise MemoryError
    return memory


cdef pick(known, name):
    if name not in known:
        raise SessionError(f"the model has no output {name!r}; it has {', '.join(known)}")
    if known[name][1] is None:
        raise SessionError(f"output {name!r} is no tensor of numbers")
    return known[name]


cdef int fill(TensorView* tensor, Py_buffer* buffer, int element_type, str name) except -1:
    """Describe an array's buffer, or refuse it by name."""
    if number_of(buffer) != element_type:
        raise SessionError(
            f"tensor {name!r} has elements {buffer.format.decode()!r} of {buffer.itemsize} bytes, "
            f"expected {DTYPES.get(element_type)}"
        )
    if buffer.ndim > MAX_RANK:
        raise SessionError(f"tensor {name!r} has {buffer.ndim} dimensions, at most {MAX_RANK}")
    tensor.data = buffer.buf
    tensor.size = buffer.len
    tensor.rank = buffer.ndim
    tensor.element_type = element_type
    for axis in range(buffer.ndim):
        tensor.shape[axis] = buffer.shape[axis]
    return 0


cdef int number_of(const Py_buffer* buffer) noexcept nogil:
    """Return ONNX's number of a buffer's element type, 0 where it has none."""
    cdef char letter = buffer.format[0]
    cdef Py_ssize_t size = buffer.itemsize
    if buffer.format[1] != 0:
        return 0
    if letter == c"f":
        return 1
    if letter == c"d":
        return 11
    if letter == c"?":
        return 9
    if letter == c"e":
        return 10
    if letter in (c"b", c"h", c"i", c"l", c"q"):
        return 3 if size == 1 else 5 if size == 2 else 6 if size == 4 else 7
    if letter in (c"B", c"H", c"I", c"L", c"Q"):
        return 2 if size == 1 else 4 if size == 2 else 12 if size == 4 else 13
    return 0


cdef copy(void* value):
    """Return a value's data as an array of its own."""
    cdef TensorView tensor
    cdef Py_buffer buffer
    check(view(value, &tensor))
    if tensor.rank > MAX_RANK or tensor.element_type not in DTYPES:
        raise SessionError(f"an output has {tensor.rank} dimensions or no numbers")
    shape = tuple([tensor.shape[axis] for axis in range(<Py_ssize_t>tensor.rank)])
    array = np.empty(shape, DTYPES[tensor.element_type])
    PyObject_GetBuffer(array, &buffer, PyBUF_WRITABLE)
    memcpy(buffer.buf, tensor.data, tensor.size)
    PyBuffer_Release(&buffer)
    return array
