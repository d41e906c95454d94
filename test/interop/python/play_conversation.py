#!/usr/bin/python3
"""Plays one conversation over TCP, byte for byte, for those who watch the wire.

    play_conversation.py --port PORT [--host ADDRESS] < STEPS

It is both ends in one process: it listens on PORT and connects to itself.
STEPS is a JSON list; each step has "from" ("client" or "server") and either
"send", bytes in base64, or "end": "fin" closes that direction, "reset" breaks
the connection. The other end receives what a step sends before the next step
begins, so that each is a segment of its own and comes in this order. What is
still open at the end is closed.
"""

import argparse
import base64
import json
import socket
import struct
import sys

import classic_wire as wire


def receive(sock, size):
    """Receives exactly size bytes."""
    while size > 0:
        data = sock.recv(size)
        if not data:
            sys.exit("play_conversation: the connection ended too early")
        size -= len(data)


def end(sock, other, how):
    """Ends one direction, or all of it with a reset; the other end sees it happen."""
    if how == "fin":
        sock.shutdown(socket.SHUT_WR)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    try:
        if other.recv(1):
            sys.exit("play_conversation: bytes came instead of the end")
    except ConnectionResetError:
        pass


def main():
    parser = argparse.ArgumentParser(description="Plays one conversation over TCP.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()

    with wire.listen(options.host, options.port) as listener:
        client = socket.create_connection(listener.getsockname()[:2])
        server, _ = listener.accept()
    for sock in (client, server):
        sock.settimeout(wire.TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ends = {"client": (client, server), "server": (server, client)}
    for step in json.load(sys.stdin):
        sock, other = ends[step["from"]]
        if "send" in step:
            data = base64.b64decode(step["send"])
            sock.sendall(data)
            receive(other, len(data))
        else:
            end(sock, other, step["end"])
    client.close()
    server.close()


if __name__ == "__main__":
    main()
