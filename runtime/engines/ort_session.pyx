"""A session of ONNX Runtime through its C interface, run without the GIL."""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t

from gnomon.runtime.engines.ort_api cimport (
    ADD_SESSION_CONFIG_ENTRY, ALLOCATOR_FREE, ALL_OPTIMIZATIONS, At, CAST_TYPE_TO_TENSOR,
    CREATE_SESSION_FROM_ARRAY,
    CREATE_SESSION_OPTIONS, Change, Count, DISABLE_CPU_MEM_ARENA, DISABLE_MEM_PATTERN, Derive,
    FreeWith, GET_DIMENSIONS, GET_DIMENSIONS_COUNT, GET_TENSOR_ELEMENT_TYPE, Make, MakeSession,
    NameAt, RELEASE_SESSION, RELEASE_SESSION_OPTIONS, RELEASE_STATUS, RELEASE_TYPE, RUN, ReadNumber,
    ReadShape, Release, RunSession, SESSION_GET_INPUT_COUNT, SESSION_GET_INPUT_NAME,
    SESSION_GET_INPUT_TYPE, SESSION_GET_OUTPUT_COUNT, SESSION_GET_OUTPUT_NAME,
    SESSION_GET_OUTPUT_TYPE, SET_GRAPH_OPTIMIZATION_LEVEL, SET_INTER_OP_NUM_THREADS,
    SET_INTRA_OP_NUM_THREADS, SetNumber, SetText,
)
from gnomon.runtime.engines.ort_values cimport (
    ALLOCATOR, API, DTYPES, ENVIRONMENT, MAX_RANK, NUMBERS, TensorView, check, copy, fill, release,
    wrap,
)

from gnomon.runtime.engines.ort_values import SessionClosed, SessionError

__all__ = ["Session"]

cdef enum:
    MAX_INPUTS = 64


cdef class Session(EngineSession):
    def __cinit__(self, const unsigned char[::1] model, outputs, entries=(), int threads=1):
        """Load a model; `entries` are pairs of ONNX Runtime's session configuration."""
        if API == NULL:
            raise SessionError("the library is not initialised")
        cdef void* options = NULL
        cdef void* handle = NULL
        cdef void* status
        check((<Make>API[CREATE_SESSION_OPTIONS])(&options))
        self.options = options
        self.takes_values = True
        check((<SetNumber>API[SET_INTRA_OP_NUM_THREADS])(options, threads))
        check((<SetNumber>API[SET_INTER_OP_NUM_THREADS])(options, 1))
        check((<SetNumber>API[SET_GRAPH_OPTIMIZATION_LEVEL])(options, ALL_OPTIMIZATIONS))
        # Neither arena nor pattern: fastest for small models, and what is closed is given back.
        check((<Change>API[DISABLE_MEM_PATTERN])(options))
        check((<Change>API[DISABLE_CPU_MEM_ARENA])(options))
        for key, value in entries:
            check((<SetText>API[ADD_SESSION_CONFIG_ENTRY])(options, key.encode(), value.encode()))
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

    cdef int run_rows(
        self, Py_ssize_t rows, const TensorView* views, void** values, void* scratch
    ) noexcept nogil:
        cdef void* status = self.run_values(values, values + self.input_count)
        if status == NULL:
            return 0
        (<Release>API[RELEASE_STATUS])(status)
        return -1

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
        self.gives = tuple(known.values())
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
