"""A filter of system calls: no network, no other process, no look into one.

The filter names what is forbidden, since the libraries of a model need calls that no list would
foresee. A forbidden call fails with EPERM, so that it is an error of the model and ends nothing.
"""

import ctypes
import errno
import platform
from collections.abc import Sequence

__all__ = ["forbid_network_and_processes"]

_SET_NO_NEW_PRIVILEGES = 38
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
#: Of a program for the Berkeley packet filter: load a word, compare and jump, return.
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
#: A thread of this process, as opposed to another process.
_THREAD_FLAG = 0x00010000
#: Calls of the x32 interface, which would pass by their other numbers.
_X32 = 0x40000000

#: Machine → audit architecture, number of seccomp, clone and clone3, and what is forbidden:
#: socket, connect, bind, listen, accept, execve, execveat, fork, vfork, ptrace, process_vm_readv,
#: process_vm_writev, bpf, perf_event_open, keyctl, io_uring_setup, userfaultfd, pidfd_getfd.
_MACHINES = {
    "x86_64": (
        0xC000003E,
        (317, 56, 435),
        (41, 42, 49, 50, 43, 59, 322, 57, 58, 101, 310, 311, 321, 298, 250, 425, 323, 438),
    ),
    "aarch64": (
        0xC00000B7,
        (277, 220, 435),
        (198, 203, 200, 201, 202, 221, 281, 117, 270, 271, 280, 241, 219, 425, 282, 438),
    ),
}


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction)))


_libc = ctypes.CDLL(None, use_errno=True)


def forbid_network_and_processes() -> None:
    """Make calls for sockets, programs and processes fail in all threads of this process.

    Raises:
        OSError: the machine is not known, or the kernel refuses.
    """
    known = _MACHINES.get(platform.machine())
    if known is None:
        raise OSError(f"no filter of system calls is known for {platform.machine()}")
    architecture, (seccomp, clone, clone3), forbidden = known
    lines = _program(architecture, clone, clone3, forbidden)
    program = _Program(len(lines), (_Instruction * len(lines))(*lines))
    if _libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")
    if _libc.syscall(seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "the filter of system calls cannot be set")


def _program(
    architecture: int, clone: int, clone3: int, forbidden: Sequence[int]
) -> list[_Instruction]:
    denied = _ERROR | errno.EPERM
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, denied),
    ]
    for number in forbidden:
        lines += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, denied)]
    lines += [
        # Its flags lie in memory, which no filter reads; without it the C library calls clone.
        (_JUMP_EQUAL, 0, 1, clone3),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
        (_JUMP_EQUAL, 0, 3, clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_BITS, 1, 0, _THREAD_FLAG),
        (_RETURN, 0, 0, denied),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return [_Instruction(*line) for line in lines]
