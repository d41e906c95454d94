#!/usr/bin/python3
"""The listening side of a classic client (PROTOCOL.md section 2), in plain Python.

    classic_peer.py --port PORT --file PATH [--file PATH ...] [--host ADDRESS]
                    [--send-size] [--byte-by-byte]
                    [--fault FAULT] [--fault-bytes K] [--rst]

It serves the given files by exactly the paths given, prints {"port": N} once
it listens (PORT 0 takes any free port) and runs until it is killed. A fault
makes every transfer go wrong in the same way:

    refuse      status 1 for every file
    status2     status 2 for every request
    die-half    sends half of the bytes and closes; with --rst it resets instead
    stall       sends half of the bytes and then nothing, holding the connection
    short       sends K bytes fewer than it should
    long        sends K bytes more than it should
    other-size  has a file that is K bytes longer, and cuts that one into slices
"""

import argparse
import os
import socket
import struct
import threading

import classic_wire as wire

DONE, NO_SUCH_FILE, OTHER = 0, 1, 2
FILLER = b"?"  # what stands behind a file's end when a fault sends more than there is
FAULTS = ["refuse", "status2", "die-half", "stall", "short", "long", "other-size"]


class Peer:
    """Serves transfers as its options say. One thread for each connection."""

    def __init__(self, options):
        self.options = options

    def serve(self, sock):
        connection = wire.Wire(sock, self.options.byte_by_byte)
        try:
            status, transfer = self._read_request(connection)
            connection.send_fields([status])
            if transfer:
                self._send_content(connection, *transfer)
            connection.finish()
        except OSError:
            connection.close()  # the downloader has gone

    def _read_request(self, connection):
        """Returns the status and, on 0, (path, slice, total); total 0 is the whole file."""
        index = total = 0
        try:
            operation = connection.read_string(wire.MAX_OPERATION)
            if operation not in ("GET_FILE", "GET_MULTIFILE"):
                return OTHER, None
            path = connection.read_string(wire.MAX_PATH)
            if operation == "GET_MULTIFILE":
                index = wire.decimal(connection.read_string(3), 0, 254)
                total = wire.decimal(connection.read_string(3), 1, 255)
        except (wire.CutShort, wire.TooLong):
            return OTHER, None
        if index is None or total is None or total and index >= total:
            return OTHER, None
        if self.options.fault == "status2":
            return OTHER, None
        if self.options.fault == "refuse" or path not in self.options.file:
            return NO_SUCH_FILE, None
        return DONE, (path, index, total)

    def _send_content(self, connection, path, index, total):
        """Sends what the request asks for, or what the fault makes of it."""
        fault, extra = self.options.fault, self.options.fault_bytes
        size = os.path.getsize(path) + (extra if fault == "other-size" else 0)
        start, length = wire.slice_bounds(size, index, total or 1)
        if self.options.send_size and not total:
            connection.send_fields([str(size)])
        if fault in ("die-half", "stall"):
            length //= 2
        elif fault == "short":
            length = max(length - extra, 0)
        elif fault == "long":
            length += extra
        for chunk in padded(path, start, length):
            connection.send(chunk)
        if fault == "stall":
            threading.Event().wait()
        if fault == "die-half" and self.options.rst:
            reset(connection)


def padded(path, start, length):
    """Yields length bytes of the file from start on, with FILLER behind its end."""
    with open(path, "rb") as file:
        file.seek(start)
        while length > 0:
            chunk = file.read(min(length, wire.CHUNK)) or FILLER * min(length, wire.CHUNK)
            length -= len(chunk)
            yield chunk


def reset(connection):
    """Breaks the connection with a TCP reset and tells the caller that it has gone."""
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionResetError


def main():
    parser = argparse.ArgumentParser(description="The listening side of a classic client.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--file", action="append", default=[], metavar="PATH")
    parser.add_argument("--send-size", action="store_true",
                        help="announce the size of a whole file before its content")
    parser.add_argument("--byte-by-byte", action="store_true")
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--fault-bytes", type=int, default=1, metavar="K")
    parser.add_argument("--rst", action="store_true")
    options = parser.parse_args()
    wire.plain_exit()

    listener = wire.listen(options.host, options.port)
    wire.report(port=listener.getsockname()[1])
    peer = Peer(options)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=peer.serve, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    main()
