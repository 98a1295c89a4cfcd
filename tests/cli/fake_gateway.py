# SPDX-License-Identifier: MIT
"""A gateway that answers what it is told to: fake_gateway.py SOCKET REPLIES REQUESTS READY.

The path of a request is a file below the folder REPLIES (slashes are underscores); its
bytes, which are the whole answer with its head, go out as they are, one byte at a time
when the file's name ends in .slow.  Where there is one whose name ends in .then, it is the
answer from the second request on.  Requests are appended to the file REQUESTS.
"""
import os
import socket
import sys

path, replies, requests, ready = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(path)
listener.listen(16)
os.close(os.open(ready, os.O_WRONLY))  # a pipe: whoever reads it goes on


def request(connection):
    data = b''
    while b'\r\n\r\n' not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b'\r\n\r\n')
    length = 0
    for line in head.split(b'\r\n'):
        if line.lower().startswith(b'content-length:'):
            length = int(line.split(b':')[1])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b'\r\n\r\n' + body


while True:
    connection, _ = listener.accept()
    asked = request(connection)
    if not asked:  # somebody wanted to know whether we are here
        connection.close()
        continue
    with open(requests, 'ab') as f:
        f.write(asked + b'\n')
    name = asked.split(b' ')[1].split(b'?')[0].decode().replace('/', '_')
    slow = os.path.join(replies, name + '.slow')
    fast = os.path.join(replies, name)
    with open(slow if os.path.exists(slow) else fast, 'rb') as f:
        answer = f.read()
    pieces = [answer] if not os.path.exists(slow) else [bytes([b]) for b in answer]
    if os.path.exists(fast + '.then'):
        os.rename(fast + '.then', fast)
        if os.path.exists(slow):
            os.unlink(slow)
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        for piece in pieces:
            connection.sendall(piece)
    except OSError:
        pass
    connection.close()
