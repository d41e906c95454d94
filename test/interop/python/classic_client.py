#!/usr/bin/python3
"""A client of the classic protocol, in plain Python: one request for each call.

With -s and -p the words are for a directory (PROTOCOL.md section 1):

    classic_client.py -s HOST -p PORT OPERATION USER [FIELD ...]
    classic_client.py -s HOST -p PORT FETCH_MULTI USER PATH OUT

Any OPERATION is sent as it stands, also an unknown one. FETCH_MULTI is the
whole download from many holders: it asks for them, fetches one slice from each
at the same time into a file of its own, and puts the slices together in OUT.

Without them the words are for a peer (section 2):

    classic_client.py GET_FILE HOST PORT PATH OUT
    classic_client.py GET_MULTIFILE HOST PORT PATH SLICE TOTAL OUT

Options: --byte-by-byte sends each byte by itself; --cut N sends the first N
bytes of the request and ends it there; --datetime TEXT; --read-size expects a
size before the content of a whole file, as some peers send it.

It prints one line of JSON. "status" is the status byte, null when the other
side closed without one. A directory's answer adds "count" (a string, or a
number where the protocol has a byte), "entries" (a list of lists of strings)
and "trailing" (how many bytes came after the answer's end); a transfer adds
"bytes". "error" says what went wrong after the status. The exit status is 0
when there was a status byte and nothing went wrong after it, otherwise 1.
"""

import argparse
import os
import socket
import sys
import threading
import time

import classic_wire as wire

DONE = 0
MAX_COUNT = 20  # bytes in a decimal number
ENTRY_FIELDS = {"LIST_USERS": 3, "LIST_CONTENT": 1, "GET_MULTIFILE": 3}


class Client:
    """How requests are sent; see the options above."""

    def __init__(self, byte_by_byte=False, cut=None, read_size=False):
        self.byte_by_byte = byte_by_byte
        self.cut = cut
        self.read_size = read_size

    def ask(self, directory, operation, timestamp, user, *fields):
        """Performs one operation of the directory at (host, port)."""
        connection = self._request(directory, [operation, timestamp, user, *fields])
        try:
            result = {"status": connection.read_byte()}
            if result["status"] is None:
                return result
            try:
                if result["status"] == DONE and operation in ENTRY_FIELDS:
                    read_entries(connection, operation, result)
            except (wire.CutShort, wire.TooLong, ValueError) as error:
                return result | {"error": f"answer: {error}"}
            result["trailing"] = sum(len(chunk) for chunk in connection.read_chunks())
            return result
        finally:
            connection.close()

    def fetch_file(self, peer, path, out):
        """Fetches a whole file from the peer at (host, port) into out."""
        return self._fetch(peer, ["GET_FILE", path], out, sized=self.read_size)

    def fetch_slice(self, peer, path, index, total, out):
        """Fetches one slice of a file into out."""
        return self._fetch(peer, ["GET_MULTIFILE", path, str(index), str(total)], out)

    def fetch_multi(self, directory, timestamp, user, path, out):
        """Fetches a file from all its holders at once, one slice from each."""
        holders = self.ask(directory, "GET_MULTIFILE", timestamp, user, path)
        if holders["status"] != DONE or "error" in holders:
            return holders
        parts = [f"{out}.part{i}" for i in range(len(holders["entries"]))]
        results = self._fetch_parts(holders["entries"], parts)
        failed = [r for r in results if r.get("status") != DONE or "error" in r]
        if not failed:
            assemble(parts, out)
        for part in filter(os.path.exists, parts):
            os.remove(part)
        if failed:
            return failed[0]
        return {"status": DONE, "holders": len(parts), "bytes": os.path.getsize(out)}

    def _fetch_parts(self, holders, parts):
        results = [{"error": "the thread died"}] * len(parts)

        def fetch(index):
            ip, port, path = holders[index]
            results[index] = attempt(self.fetch_slice, (ip, int(port)), path,
                                     index, len(parts), parts[index])

        threads = [threading.Thread(target=fetch, args=(i,)) for i in range(len(parts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def _fetch(self, peer, fields, out, sized=False):
        connection = self._request(peer, fields)
        status = None
        try:
            status = connection.read_byte()
            if status != DONE:
                return {"status": status}
            announced = int(connection.read_string(MAX_COUNT)) if sized else None
            written = 0
            with open(out, "wb") as file:
                for chunk in connection.read_chunks():
                    written += file.write(chunk)
        except (wire.CutShort, wire.TooLong, ValueError, OSError) as error:
            return {"status": status, "error": f"transfer: {error}"}
        finally:
            connection.close()
        if sized and written != announced:
            return {"status": DONE, "error": f"{written} bytes came, {announced} announced"}
        return {"status": DONE, "bytes": written}

    def _request(self, address, fields):
        connection = wire.Wire(socket.create_connection(address), self.byte_by_byte)
        if self.cut is None:
            connection.send_fields(fields)
        else:
            connection.send(b"".join(map(wire.encode, fields))[:self.cut])
            connection.sock.shutdown(socket.SHUT_WR)
        return connection


def read_entries(connection, operation, result):
    """Reads the count and the entries of a list into result, as far as they come."""
    if operation == "GET_MULTIFILE":
        count = connection.read_byte()
        if count is None:
            raise wire.CutShort("no count")
        result["count"] = count
    else:
        result["count"] = connection.read_string(MAX_COUNT)
        count = int(result["count"])
    result["entries"] = []
    for _ in range(count):
        fields = range(ENTRY_FIELDS[operation])
        result["entries"].append([connection.read_string(wire.MAX_PATH) for _ in fields])


def assemble(parts, out):
    """Puts the slices together, in order."""
    with open(out, "wb") as whole:
        for part in parts:
            with open(part, "rb") as file:
                while chunk := file.read(wire.CHUNK):
                    whole.write(chunk)


def attempt(action, *arguments):
    """The action's result, or {"error": ...} when the network failed it."""
    try:
        return action(*arguments)
    except OSError as error:
        return {"error": str(error)}


def perform(client, options):
    """Does what the command line asks for."""
    words = options.words
    if options.server is not None:
        directory = (options.server, options.port)
        if words[0] == "FETCH_MULTI":
            return client.fetch_multi(directory, options.datetime, *words[1:])
        return client.ask(directory, words[0], options.datetime, *words[1:])
    operation, host, port, *rest = words
    peer = (host, int(port))
    if operation == "GET_FILE":
        return client.fetch_file(peer, *rest)
    if operation == "GET_MULTIFILE":
        return client.fetch_slice(peer, *rest)
    sys.exit(f"classic_client: {operation} is no request for a peer")


def main():
    parser = argparse.ArgumentParser(description="A client of the classic protocol.")
    parser.add_argument("-s", dest="server", metavar="HOST")
    parser.add_argument("-p", dest="port", type=int)
    parser.add_argument("--byte-by-byte", action="store_true")
    parser.add_argument("--cut", type=int, metavar="N")
    parser.add_argument("--read-size", action="store_true")
    parser.add_argument("--datetime", default=time.strftime("%d/%m/%Y %H:%M:%S"))
    parser.add_argument("words", nargs="+", metavar="WORD")
    options = parser.parse_args()
    wire.plain_exit()

    client = Client(options.byte_by_byte, options.cut, options.read_size)
    result = attempt(perform, client, options)
    wire.report(**result)
    sys.exit(0 if result.get("status") is not None and "error" not in result else 1)


if __name__ == "__main__":
    main()
