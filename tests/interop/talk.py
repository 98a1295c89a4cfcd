# SPDX-License-Identifier: MIT
"""A CloudOS program that does as it is told, for interop.py; raw system calls.

Each line of standard input is a command; each is answered with one line:

    register NAME            0, or -errno
    discover NAME            pid, or -errno
    send PID ID TYPE TEXT    0, or -errno; TEXT may be *COUNT for so many bytes
    receive                  TYPE ID PID SIZE TEXT, or -errno
    reply PID ID TYPE TEXT   0, or -errno
"""
import ctypes
import struct
import sys

SEND, RECEIVE, REPLY, REGISTER, DISCOVER = range(20300, 20305)
HEADER, ROOM = 20, 1 << 17

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
buffer = ctypes.create_string_buffer(ROOM)


def call(number, *words):
    return -ctypes.get_errno() if libc.syscall(number, *words) < 0 else 0


def discover(name):
    pid = ctypes.c_uint32()
    return call(DISCOVER, name.encode(), ctypes.byref(pid)) or pid.value


def say(number, pid, ident, kind, text):
    data = b'x' * int(text[1:]) if text.startswith('*') else text.encode()
    message = struct.pack('<5I', 0xdead, 0xdead, kind, ident, len(data)) + data
    return call(number, ctypes.c_uint32(pid), message)


def receive():
    pid = ctypes.c_uint32()
    bad = call(RECEIVE, ctypes.byref(pid), buffer, ctypes.c_size_t(ROOM))
    if bad:
        return bad
    sender, _, kind, ident, size = struct.unpack_from('<5I', buffer.raw)
    assert sender == pid.value
    text = buffer.raw[HEADER:HEADER + size].rstrip(b'\0')
    text = text.decode('latin-1').encode('unicode_escape').decode()  # a line
    return '%d %d %d %d %s' % (kind, ident, sender, size, text)


for line in sys.stdin:
    words = line.rstrip('\n').split(' ', 4)
    if words[0] == 'register':
        print(call(REGISTER, words[1].encode()), flush=True)
    elif words[0] == 'discover':
        print(discover(words[1]), flush=True)
    elif words[0] == 'receive':
        print(receive(), flush=True)
    else:
        number = SEND if words[0] == 'send' else REPLY
        print(say(number, int(words[1]), int(words[2]), int(words[3]), words[4]), flush=True)
