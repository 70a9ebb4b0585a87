"""What answers along a route without the GIL: one model with its contracts, for one loop."""

from libc.math cimport isinf
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from gnomon.core.contract.plan cimport CLEAN, SEVERITY_NONE, VALUE_CATEGORY, VALUE_VECTOR
from gnomon.core.contract.row_input cimport (
    contract_begin, contract_field, contract_finish, contract_put_bool, contract_put_double,
    contract_put_integer, contract_put_text, contract_put_unsigned, contract_put_vector, put,
)
from gnomon.core.contract.value_checks cimport count_characters
from gnomon.core.packing.loop cimport pack_row
from gnomon.runtime.recording.direct_counter cimport Answered
from gnomon.runtime.engines.ort_values cimport element_size
from gnomon.server.serving.native.answer cimport (
    ONNX_FLOAT32, ONNX_FLOAT64, ONNX_INT64, answer_room, answer_write, output,
)
from gnomon.server.serving.native.buffer cimport buffer, buffer_append, buffer_reserve, slice
from gnomon.server.serving.native.message cimport (
    ELEMENT_BOOL, ELEMENT_DOUBLE, ELEMENT_SIGNED, ELEMENT_TEXT, ELEMENT_UNSIGNED, TYPE_FP32,
    TYPE_FP64, cursor, cursor_next, cursor_start, element, request, request_read, tensor,
)
from gnomon.server.serving.native.protobuf cimport is_utf8, write_bytes
from gnomon.server.serving.native.stages cimport (
    STAGE_CHECK_INPUTS, STAGE_CHECK_OUTPUTS, STAGE_COUNT, STAGE_READ, STAGE_RUN, STAGE_WRITE,
    StageClock, monotonic_ns, stage_ended,
)

__all__ = ["NativeTarget"]

cdef enum:
    ID_CHARACTERS = 128

cdef double SMOOTHING = 0.1
cdef double FORGETTING = 0.9999


cdef class NativeTarget(TargetBuffers):
    cdef int put_inputs(self, const request* message, Py_ssize_t rows) noexcept nogil:
        """Check all rows; 0 if no rule of any is broken, else -1."""
        cdef Py_ssize_t row, index, place
        cdef RowBuffers buffers
        cdef const tensor* given
        memset(self._seen, 0, self.inputs.field_count)
        for row in range(rows):
            buffers = self.input_row(row)
            contract_begin(self.inputs, &buffers)
        for index in range(message.tensors):
            given = &message.tensor[index]
            place = contract_field(self.inputs, <const char*>given.name.data, given.name.size)
            if place < 0 or self._seen[place] or given.rows != rows:
                return -1
            self._seen[place] = 1
            if self.inputs.fields[place].kind == VALUE_VECTOR:
                if self.put_vectors(place, given):
                    return -1
            elif given.width != 1 or given.rank > 2 or self.put_scalars(place, given):
                return -1
        for row in range(rows):
            buffers = self.input_row(row)
            if contract_finish(self.inputs, &buffers) != SEVERITY_NONE:
                return -1
        return 0

    cdef int put_vectors(self, Py_ssize_t field, const tensor* given) noexcept nogil:
        cdef Py_ssize_t row, width = given.width
        cdef cursor at
        cdef RowBuffers buffers
        if given.type != TYPE_FP32 and given.type != TYPE_FP64:
            return -1
        if given.rank != 2 or not self._flat[field] or width == 1:
            return -1
        if width != self.inputs.fields[field].size or cursor_start(given, &at):
            return -1
        for row in range(given.rows):
            if given.type == TYPE_FP32:
                memcpy(self._scratch, at.at + row * width * 4, width * 4)
            elif narrow(at.at + row * width * 8, width, self._scratch):
                return -1
            buffers = self.input_row(row)
            contract_put_vector(self.inputs, &buffers, field, self._scratch, width)
        return 0

    cdef int put_scalars(self, Py_ssize_t field, const tensor* given) noexcept nogil:
        cdef Py_ssize_t row
        cdef cursor at
        cdef element value
        cdef RowBuffers buffers
        if cursor_start(given, &at):
            return -1
        for row in range(given.rows):
            cursor_next(&at, &value)
            buffers = self.input_row(row)
            if value.kind == ELEMENT_DOUBLE:
                contract_put_double(self.inputs, &buffers, field, value.number)
            elif value.kind == ELEMENT_SIGNED:
                contract_put_integer(self.inputs, &buffers, field, value.whole)
            elif value.kind == ELEMENT_UNSIGNED:
                contract_put_unsigned(self.inputs, &buffers, field, value.natural)
            elif value.kind == ELEMENT_BOOL:
                contract_put_bool(self.inputs, &buffers, field, value.whole != 0)
            elif value.kind == ELEMENT_TEXT and is_utf8(value.text.data, value.text.size):
                contract_put_text(
                    self.inputs, &buffers, field, <const char*>value.text.data, value.text.size
                )
            else:
                return -1
        return 0 if at.at == at.end else -1

    cdef int run(self, Py_ssize_t rows) noexcept nogil:
        """Pack the rows and run the model on them; 0, or -1 if that fails."""
        cdef Py_ssize_t row, index, width
        cdef RowBuffers buffers
        if not self.session.enter():
            return -1
        for row in range(rows):
            buffers = self.input_row(row)
            for index in range(self.session.input_count):
                width = self.packers[index].width * element_size(self.session.input_types[index])
                pack_row(self.packers[index], buffers.values, buffers.vectors,
                         <char*>self._views[index].data + row * width)
        cdef int failed = 0
        cdef void** bound = self.bound(rows)
        if self.session.takes_values and bound[0] == NULL:
            failed = self.bind(rows)
        if not failed:
            failed = self.session.run_rows(rows, self._views, bound, self._engine_scratch)
        self.session.leave()
        return failed

    cdef int put_outputs(self, Py_ssize_t rows) noexcept nogil:
        """Check the answers of all rows; 0 if no rule of any is broken, else -1."""
        cdef Py_ssize_t row, index
        cdef RowBuffers buffers
        for row in range(rows):
            buffers = self.output_row(row)
            contract_begin(self.outputs, &buffers)
            for index in range(self.session.output_count):
                if self.put_output(&buffers, index, row):
                    return -1
            if contract_finish(self.outputs, &buffers) != SEVERITY_NONE:
                return -1
        return 0

    cdef int put_output(
        self, const RowBuffers* row, Py_ssize_t field, Py_ssize_t place
    ) noexcept nogil:
        cdef output* plan = &self.plans[field]
        cdef const void* data = <const char*>plan.data + (
            place * plan.width * element_size(plan.element_type))
        cdef int64_t whole
        if self.outputs.fields[field].kind == VALUE_VECTOR:
            contract_put_vector(self.outputs, row, field, <const float*>data, plan.width)
        elif plan.element_type == ONNX_FLOAT32:
            contract_put_double(self.outputs, row, field, (<const float*>data)[0])
        elif plan.element_type == ONNX_FLOAT64:
            contract_put_double(self.outputs, row, field, (<const double*>data)[0])
        else:
            if plan.element_type == ONNX_INT64:
                whole = (<const int64_t*>data)[0]
            else:
                whole = (<const int32_t*>data)[0]
            if self.outputs.fields[field].kind != VALUE_CATEGORY:
                contract_put_integer(self.outputs, row, field, whole)
            elif 0 <= whole < <int64_t>plan.text_count:
                put(row, field, <double>whole, CLEAN)
            else:
                return -1
        return 0

    cdef uint64_t wanted_outputs(self, const request* message) noexcept nogil:
        """Return a bit for each requested output; 0 if one is not known."""
        cdef uint64_t wanted = 0
        cdef Py_ssize_t index, place
        if message.outputs == 0:
            return <uint64_t>-1
        for index in range(message.outputs):
            for place in range(self.session.output_count):
                if is_same(&message.output[index], &self.plans[place].name):
                    wanted |= <uint64_t>1 << place
                    break
            else:
                return 0
        return wanted

    cdef bint is_for(self, const request* message) noexcept nogil:
        """Whether version and identity are such as the target answers."""
        if message.version.size and not is_same(&message.version, &self.version):
            return False
        return message.id.size <= ID_CHARACTERS or (
            count_characters(<const char*>message.id.data, message.id.size) <= ID_CHARACTERS)

    cdef bint count(
        self, Py_ssize_t rows, const slice* identity, int64_t latency_ns, double moment
    ) noexcept nogil:
        cdef Answered answered
        answered.rows = rows
        answered.inputs, answered.input_status = self._values, self._status
        answered.input_fields = self.inputs.field_count
        answered.outputs, answered.output_status = self._output_values, self._output_status
        answered.output_fields = self.outputs.field_count
        answered.latency_ns, answered.moment = latency_ns, moment
        answered.identity = <const char*>identity.data
        answered.identity_size = identity.size
        return self.counter.count(&answered)


cdef int read_request(const uint8_t* data, size_t size, request* message) noexcept nogil:
    """Decode a request for others than targets: 0, or -1 to decline."""
    return request_read(data, size, message)


cdef Declined serve_target(NativeTarget target, RequestContext* context) noexcept nogil:
    """Answer a request along a target; whatever is not plain and good is declined, uncounted."""
    cdef request* message = context.message
    cdef StageClock* clock = context.clock
    cdef Py_ssize_t rows
    cdef uint64_t wanted = target.wanted_outputs(message)
    if message.tensors == 0 or wanted == 0 or not is_utf8(message.id.data, message.id.size):
        return NOT_FOR_TARGET
    rows = message.tensor[0].rows
    if rows > target.row_limit or not target.is_for(message):
        return NOT_FOR_TARGET
    if target.usual_ns > context.slow_ns:
        # What was slow when it was loaded has no target; this one may have met a busy machine.
        target.usual_ns *= FORGETTING
        return TOO_SLOW
    if not target.counter.is_open(context.moment):
        return NO_WINDOW
    stage_ended(clock, STAGE_READ)
    if target.put_inputs(message, rows):
        return BROKEN_RULE
    stage_ended(clock, STAGE_CHECK_INPUTS)
    cdef int64_t before = monotonic_ns()
    if target.run(rows):
        return ENGINE_FAILED
    # One pause of the machine must not make a model slow.
    cdef double took = min(<double>(monotonic_ns() - before), 4 * context.slow_ns)
    stage_ended(clock, STAGE_RUN)
    if target.put_outputs(rows):
        return ENGINE_FAILED
    stage_ended(clock, STAGE_CHECK_OUTPUTS)
    target.usual_ns += SMOOTHING * (took - target.usual_ns)
    if write_response(target, rows, &context.identity, wanted, message.raw != 0, context.out):
        return ENGINE_FAILED
    stage_ended(clock, STAGE_WRITE)
    cdef int64_t latency_ns = monotonic_ns() - context.started
    if not target.count(rows, &context.identity, latency_ns, context.moment):
        context.out.size = 0
        return NO_WINDOW
    stage_ended(clock, STAGE_COUNT)
    return TAKEN


cdef int write_response(
    NativeTarget target, Py_ssize_t rows, const slice* identity, uint64_t wanted, bint raw,
    buffer* out
) noexcept nogil:
    """Write gRPC's prefix and the message; 0, or -1 if there is no memory."""
    cdef int outputs = <int>target.session.output_count
    cdef size_t room = 64 + target.head.size + target.parameters.size + identity.size
    out.size = 0
    if buffer_reserve(out, room + answer_room(target.plans, outputs, rows)):
        return -1
    out.size = 5
    buffer_append(out, target.head.data, target.head.size)
    write_bytes(out, 3, identity.data, identity.size)
    buffer_append(out, target.parameters.data, target.parameters.size)
    answer_write(target.plans, outputs, wanted, rows, raw, out)
    cdef size_t size = out.size - 5
    out.data[0] = 0
    out.data[1], out.data[2] = <uint8_t>(size >> 24), <uint8_t>(size >> 16)
    out.data[3], out.data[4] = <uint8_t>(size >> 8), <uint8_t>size
    return 0


cdef int narrow(const uint8_t* doubles, Py_ssize_t count, float* floats) noexcept nogil:
    """Round numbers as vectors hold them: 0, or -1 if one is beyond float32."""
    cdef Py_ssize_t index
    cdef double value
    for index in range(count):
        memcpy(&value, doubles + index * 8, 8)
        floats[index] = <float>value
        if isinf(floats[index]) and not isinf(value):
            return -1
    return 0


cdef bint is_same(const slice* one, const slice* other) noexcept nogil:
    return one.size == other.size and memcmp(one.data, other.data, one.size) == 0
