"""Strings and bytes of the classic protocol over one TCP connection.

A string is its UTF-8 bytes and a NUL, a byte is itself. The three programs
beside this file share it. Like them it was written from PROTOCOL.md alone and
stands for programs that others wrote: it sends each field by itself, and with
byte_by_byte each byte by itself.
"""

import json
import re
import signal
import socket
import sys

MAX_OPERATION = 63
MAX_TIMESTAMP = 63
MAX_USER = 255
MAX_PATH = 255
MAX_DESCRIPTION = 255

TIMEOUT = 30  # seconds that a side may stay silent
CHUNK = 64 * 1024


class CutShort(Exception):
    """The connection ended where more had to come."""


class TooLong(Exception):
    """A string does not end within its limit."""


class Wire:
    """One connection. It owns the socket: close() or finish() ends it."""

    def __init__(self, sock, byte_by_byte=False, timeout=TIMEOUT):
        sock.settimeout(timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.byte_by_byte = byte_by_byte
        self._received = sock.makefile("rb")

    def send(self, data):
        """Sends the bytes in one go, or one by one."""
        step = 1 if self.byte_by_byte else max(len(data), 1)
        for start in range(0, len(data), step):
            self.sock.sendall(data[start:start + step])

    def send_fields(self, fields):
        """Sends each field by itself: a str as a string, an int as a byte."""
        for field in fields:
            self.send(encode(field))

    def read_byte(self):
        """Reads one byte; None when the connection ended instead."""
        data = self._received.read(1)
        return data[0] if data else None

    def read_string(self, limit):
        """Reads up to the next NUL. CutShort, TooLong (limit is in bytes)."""
        data = bytearray()
        while True:
            byte = self.read_byte()
            if byte is None:
                raise CutShort(f"{len(data)} bytes and no NUL")
            if byte == 0:
                return bytes(data).decode("utf-8", "surrogateescape")
            data.append(byte)
            if len(data) > limit:
                raise TooLong(f"more than {limit} bytes")

    def read_chunks(self):
        """Yields what comes until the other side closes."""
        while chunk := self._received.read1(CHUNK):
            yield chunk

    def finish(self):
        """Ends our half, reads what is still coming, and closes.

        Closing with bytes unread would send a reset, which may overtake and
        destroy the answer.
        """
        try:
            self.sock.shutdown(socket.SHUT_WR)
            for _ in self.read_chunks():
                pass
        except OSError:
            pass  # the other side has gone: nothing is left to protect
        self.close()

    def close(self):
        """Closes at once."""
        self._received.close()
        self.sock.close()


def encode(field):
    """The bytes of one field: a str is a string, an int is a byte."""
    if isinstance(field, int):
        return bytes([field])
    return field.encode("utf-8", "surrogateescape") + b"\0"


def decimal(text, least, most):
    """The number that text is, or None when it is none from least to most."""
    if not re.fullmatch("[0-9]{1,10}", text):
        return None
    number = int(text)
    return number if least <= number <= most else None


def slice_bounds(size, index, total):
    """Where slice index of total of a file of size bytes starts, and its length."""
    width = size // total
    start = index * width
    return start, size - start if index == total - 1 else width


def listen(host, port):
    """A listening socket; port 0 takes any free one."""
    return socket.create_server((host, port), backlog=128)


def report(**result):
    """Prints one line of JSON and flushes it."""
    print(json.dumps(result), flush=True)


def plain_exit():
    """Lets SIGINT end the program without a traceback, and any text be printed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout.reconfigure(errors="backslashreplace")
