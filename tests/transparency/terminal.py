#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Talks to a program on a new terminal.

usage: terminal.py DIALOGUE PROGRAM [ARGUMENT]...

The dialogue is a file of lines: `expect REGEX` waits for it in what the terminal shows from
there on, `send TEXT` types a line, `key LETTER` types Ctrl-LETTER.  Each thing expected is
printed as it was found (numbers of processes aside), so that two runs can be compared.  Ends
as the program ends; a missing answer is an error with the whole transcript.

Type only to who is known to read: a line typed while a shell hands its terminal over, from
raw to line mode, is lost to both.
"""
import fcntl
import os
import re
import select
import struct
import sys
import termios
import time

PATIENCE = 60.0


class Terminal:
    def __init__(self, argv):
        self.seen = b""
        self.whole = b""
        self.pid, self.fd = os.forkpty()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            os.execvp(argv[0], argv)

    def read(self, until):
        """Reads once; False at the end of the program or of our patience."""
        left = until - time.monotonic()
        if left <= 0 or not select.select([self.fd], [], [], left)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: nobody has the terminal open any more
            return False
        self.seen += data
        self.whole += data
        return bool(data)

    def expect(self, regex):
        until = time.monotonic() + PATIENCE
        while True:
            found = re.search(regex.encode(), self.seen)
            if found:
                self.seen = self.seen[found.end():]
                return found.group(0)
            if not self.read(until):
                shown = self.whole.decode(errors="replace")
                sys.exit(f"terminal.py: never saw {regex!r} in:\n{shown}")

    def send(self, data):
        os.write(self.fd, data)

    def end(self):
        until = time.monotonic() + PATIENCE
        while self.read(until):
            pass
        if time.monotonic() >= until:
            shown = self.whole.decode(errors="replace")
            sys.exit(f"terminal.py: the program did not end after:\n{shown}")
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        dialogue = [line.rstrip("\n") for line in file if line.strip()]
    terminal = Terminal(sys.argv[2:])
    for line in dialogue:
        word, _, rest = line.partition(" ")
        if word == "expect":
            found = terminal.expect(rest).decode(errors="replace")
            print(re.sub(r"\[1\] [0-9]+", "[1] PID", found).replace("\r", ""))
        elif word == "send":
            terminal.send(rest.encode() + b"\n")
        elif word == "key":
            terminal.send(bytes([ord(rest) - ord("a") + 1]))
        else:
            sys.exit(f"terminal.py: {sys.argv[1]}: no such word: {word}")
    sys.exit(terminal.end())


main()
