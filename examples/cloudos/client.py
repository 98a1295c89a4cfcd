#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A CloudOS client without a library: raw system calls through ctypes.

    cloudos-exec python3 client.py [NAME [TEXT]]

It knows two things from <cloudos/...>: the numbers of three calls and the layout of two
structs. A private call that fails leaves 2000 + n in errno, for CLOUDOS_E<n>; errno ENOSYS
says that the program does not run under cloudos-exec.
"""
import ctypes
import errno
import os
import socket
import sys

SERVICE_DISCOVER = 20502
GET_LAST_ERROR = 20701
INTERFACE_REQUIRE = 21901
INTERFACE_SERVICE = 2

INSTANCES = 8


class Registration(ctypes.Structure):
    """service_registration_t"""

    _fields_ = [
        ("name", ctypes.c_char * 64),
        ("version", ctypes.c_char * 16),
        ("pid", ctypes.c_uint32),
        ("port", ctypes.c_uint32),
        ("endpoint", ctypes.c_char * 256),
        ("health_check", ctypes.c_char * 256),
        ("ttl", ctypes.c_uint32),
        ("metadata", ctypes.c_char * 1024),
    ]


class ErrorInfo(ctypes.Structure):
    """error_info_t"""

    _fields_ = [
        ("error_code", ctypes.c_int),
        ("message", ctypes.c_char * 256),
        ("component", ctypes.c_char * 64),
        ("timestamp", ctypes.c_uint64),
        ("pid", ctypes.c_uint32),
        ("tid", ctypes.c_uint32),
    ]


assert ctypes.sizeof(Registration) == 1628 and ctypes.sizeof(ErrorInfo) == 344

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


class CloudosError(Exception):
    """A private call that failed: .code is the number of its CLOUDOS_E*, negative."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def call(number, *args):
    """One private call; integers and pointers fill one register each."""
    while True:
        words = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
        result = libc.syscall(ctypes.c_long(number), *words)
        if result >= 0:
            return result
        left = ctypes.get_errno()
        if left == errno.EINTR:
            continue
        if left == errno.ENOSYS:
            raise CloudosError(
                -5,
                "this program is not running under cloudos-exec; "
                "start it with: cloudos-exec python3 client.py",
            )
        if not 2000 < left <= 2019:
            raise OSError(left, os.strerror(left))
        raise CloudosError(2000 - left, reason(number))


def reason(number):
    """The sentence that the daemon keeps for the last failure of this thread."""
    info = ErrorInfo()
    if libc.syscall(ctypes.c_long(GET_LAST_ERROR), ctypes.byref(info)) < 0:
        return f"call {number} failed"
    return info.message.decode(errors="replace")


def discover(name):
    """The instances of a service, healthy ones first, at most INSTANCES."""
    found = (Registration * INSTANCES)()
    count = ctypes.c_size_t(INSTANCES)
    call(SERVICE_DISCOVER, ctypes.c_char_p(name.encode()), found, ctypes.byref(count))
    return found[: min(count.value, INSTANCES)]


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "hello"
    text = sys.argv[2] if len(sys.argv) > 2 else "Hello from Python."
    try:
        call(INTERFACE_REQUIRE, INTERFACE_SERVICE, 1, 0)
        instances = discover(name)
    except CloudosError as error:
        sys.exit(f"client.py: {error}")
    if not instances:
        sys.exit(
            f'client.py: nobody offers "{name}"; '
            f"start one with: cloudos-exec ./example-service {name}"
        )
    first = instances[0]
    print(
        f"{name}: {len(instances)} instance(s), asking process {first.pid} "
        f"on {first.endpoint.decode()}",
        flush=True,
    )
    with socket.create_connection(("127.0.0.1", first.port), timeout=10) as talk:
        talk.sendall(text.encode())
        talk.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: talk.recv(4096), b""))
    print(answer.decode(errors="replace"))


if __name__ == "__main__":
    main()
