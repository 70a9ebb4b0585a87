"""The memory of a native target: rows, tensors, and the engine's values over them."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport uint8_t

from gnomon.core.packing.loop cimport TensorPacker
from gnomon.core.window.window cimport Window
from gnomon.runtime.engines.ort_api cimport RELEASE_STATUS, Release
from gnomon.runtime.engines.ort_values cimport API, element_size, packed_element_type, release, wrap
from gnomon.server.serving.native.message cimport (
    OUTPUTS_LIMIT, TYPE_BYTES, TYPE_FP32, TYPE_FP64, TYPE_INT32, TYPE_INT64,
)

__all__ = ["TargetBuffers"]

cdef enum:
    ROWS = 64
    ROW_MEMORY = 1 << 20

WIRE_TYPES = {"FP32": TYPE_FP32, "FP64": TYPE_FP64, "INT32": TYPE_INT32, "INT64": TYPE_INT64,
              "BYTES": TYPE_BYTES}


cdef class TargetBuffers:
    def __cinit__(self, CompiledContract inputs not None, CompiledContract outputs not None,
                  packers, EngineSession session not None, DirectCounter counter not None,
                  specs, flat, route, version, digest):
        cdef Py_ssize_t index
        cdef TensorPacker packer
        self._kept = [inputs, outputs, packers]
        self.inputs, self.outputs = &inputs.plan, &outputs.plan
        self.session, self.counter = session, counter
        cdef Window window = counter.window
        if window._inputs.fields != self.inputs.field_count or not window._has_outputs:
            raise ValueError("the window does not count these inputs")
        if window._outputs.fields != self.outputs.field_count:
            raise ValueError("the window does not count these outputs")
        if self.inputs.needs_python or self.outputs.needs_python:
            raise ValueError("a pattern needs Python")
        self.packers = <const TensorPlan**>self._room(session.input_count, sizeof(void*))
        cdef Py_ssize_t row_bytes = 8 * self.inputs.field_count + 4 * self.inputs.vector_size
        for index in range(session.input_count):
            packer = packers[session.inputs[index][0]]
            if packed_element_type(packer.plan.type) != session.input_types[index]:
                raise ValueError("the packing does not give what the model takes")
            self.packers[index] = &packer.plan
            row_bytes += 8 * packer.width
        self._plan_outputs(specs)
        for index in range(session.output_count):
            row_bytes += 8 * self.plans[index].width
        self.row_limit = min(max(ROW_MEMORY // row_bytes, 1), ROWS)
        if any(shape[:1] != (-1,) for _, _, shape in (*session.inputs, *session.outputs)):
            # The model takes no other number of rows than it says.
            self.row_limit = 1
        self._allocate(flat)
        name, number = route.encode(), version.encode()
        self.head = self._keep(field(1, name) + field(2, number))
        entry = field(1, b"gnomon_digest") + field(2, field(3, digest.encode()))
        self.parameters = self._keep(field(4, entry))
        self.version = self._keep(number)

    cdef _allocate(self, flat):
        cdef Py_ssize_t rows = self.row_limit, index, tensors
        cdef const ContractPlan* plan = self.inputs
        self._values = <double*>self._room(rows * plan.field_count, 8)
        self._status = <uint8_t*>self._room(rows * plan.field_count, 1)
        self._rules = <uint8_t*>self._room(rows * (plan.field_count + plan.condition_count), 1)
        self._vectors = <float*>self._room(rows * plan.vector_size, 4)
        self._scratch = <float*>self._room(plan.vector_size, 4)
        self._seen = <uint8_t*>self._room(plan.field_count, 1)
        self._flat = <uint8_t*>self._room(plan.field_count, 1)
        for index in range(plan.field_count):
            self._flat[index] = flat[index]
        plan = self.outputs
        self._output_values = <double*>self._room(rows * plan.field_count, 8)
        self._output_status = <uint8_t*>self._room(rows * plan.field_count, 1)
        self._output_rules = <uint8_t*>self._room(
            rows * (plan.field_count + plan.condition_count), 1)
        self._output_vectors = <float*>self._room(rows * plan.vector_size, 4)
        tensors = self.session.input_count + self.session.output_count
        self._engine_scratch = self._room(1, self.session.scratch_bytes)
        self._views = <TensorView*>self._room(tensors, sizeof(TensorView))
        for index in range(tensors):
            self._views[index].data = self._room(
                rows * (self.packers[index].width if index < self.session.input_count
                        else self.plans[index - self.session.input_count].width), 8)
        for index in range(self.session.output_count):
            self.plans[index].data = self._views[self.session.input_count + index].data
        # Not of `_kept`, which a collector of cycles may empty before the target's end.
        self._bound = <void**>PyMem_Calloc((rows + 1) * tensors, sizeof(void*))
        if self._bound == NULL:
            raise MemoryError
        self._bound_count = (rows + 1) * tensors

    def __dealloc__(self):
        cdef Py_ssize_t index
        for index in range(self._bound_count):
            release(self._bound[index])
        PyMem_Free(self._bound)

    cdef void* _room(self, size_t count, size_t size) except NULL:
        """Return zeroed memory that lives as long as the target."""
        cdef bytearray memory = bytearray(count * size + 64)
        self._kept.append(memory)
        cdef size_t start = <size_t><char*>memory
        return <void*>((start + 63) // 64 * 64)

    cdef slice _keep(self, bytes text):
        self._kept.append(text)
        return slice(<const uint8_t*>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef _plan_outputs(self, specs):
        cdef Py_ssize_t index
        if self.session.output_count > OUTPUTS_LIMIT:
            raise ValueError(f"{self.session.output_count} outputs, at most {OUTPUTS_LIMIT} go")
        self.plans = <output*>self._room(self.session.output_count, sizeof(output))
        for index in range(self.session.output_count):
            self._plan_output(&self.plans[index], index, specs[index])

    cdef _plan_output(self, output* plan, Py_ssize_t index, dict spec):
        cdef slice* texts
        name, kind = spec["name"].encode(), spec["datatype"]
        plan.name = self._keep(name)
        plan.head = self._keep(field(1, name) + field(2, kind.encode()))
        plan.wire_type = WIRE_TYPES[kind]
        plan.element_type = self.session.output_types[index]
        plan.width = spec["width"]
        plan.rank = len(spec["shape"])
        for axis, size in enumerate(spec["shape"]):
            plan.shape[axis] = size
        tail = self.session.outputs[index][2][1:]
        plan.tensor_rank = len(tail)
        for axis, size in enumerate(tail):
            plan.tensor_shape[axis] = size
        plan.text_count = len(spec["texts"])
        texts = <slice*>self._room(plan.text_count, sizeof(slice))
        for place, label in enumerate(spec["texts"]):
            texts[<Py_ssize_t>place] = self._keep(label.encode())
            plan.text_longest = max(plan.text_longest, <size_t>len(label.encode()))
        plan.texts = texts

    cdef RowBuffers input_row(self, Py_ssize_t row) noexcept nogil:
        cdef const ContractPlan* plan = self.inputs
        return RowBuffers(
            self._values + row * plan.field_count,
            self._status + row * plan.field_count,
            self._rules + row * (plan.field_count + plan.condition_count),
            self._vectors + row * plan.vector_size,
        )

    cdef RowBuffers output_row(self, Py_ssize_t row) noexcept nogil:
        cdef const ContractPlan* plan = self.outputs
        return RowBuffers(
            self._output_values + row * plan.field_count,
            self._output_status + row * plan.field_count,
            self._output_rules + row * (plan.field_count + plan.condition_count),
            self._output_vectors + row * plan.vector_size,
        )

    cdef void** bound(self, Py_ssize_t rows) noexcept nogil:
        return self._bound + rows * (self.session.input_count + self.session.output_count)

    cdef int bind(self, Py_ssize_t rows) noexcept nogil:
        """Make ONNX Runtime's values for a number of rows over the target's buffers."""
        cdef Py_ssize_t index, axis, inputs = self.session.input_count
        cdef TensorView* view
        cdef output* plan
        cdef void* status
        for index in range(inputs + self.session.output_count):
            view = &self._views[index]
            view.shape[0] = rows
            if index < inputs:
                view.element_type = self.session.input_types[index]
                view.rank = 2
                view.shape[1] = self.packers[index].width
                view.size = rows * self.packers[index].width * element_size(view.element_type)
            else:
                plan = &self.plans[index - inputs]
                view.element_type = plan.element_type
                view.rank = 1 + plan.tensor_rank
                for axis in range(plan.tensor_rank):
                    view.shape[1 + axis] = plan.tensor_shape[axis]
                view.size = rows * plan.width * element_size(view.element_type)
            status = wrap(view, &self.bound(rows)[index])
            if status != NULL:
                (<Release>API[RELEASE_STATUS])(status)
                return -1
        return 0


cdef bytes varint(Py_ssize_t value):
    cdef list made = []
    while value >= 128:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


cdef bytes field(int number, bytes text):
    """Encode a field of a message."""
    return varint(number << 3 | 2) + varint(len(text)) + text
