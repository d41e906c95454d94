#!/usr/bin/python3
"""A directory of the classic protocol (PROTOCOL.md section 1), in plain Python.

    classic_directory.py -p PORT [--host ADDRESS] [--byte-by-byte]

It prints `s> init server ADDRESS:PORT` once it listens (PORT 0 takes any free
port) and a line for each request. It keeps everything in memory and runs until
it is killed. It knows nothing of the operation log.
"""

import argparse
import threading

import classic_wire as wire

MAX_HOLDERS = 255  # their number is one byte
PATIENCE = 5  # seconds that a client may be silent within its request
DONE = 0


class User:
    """An account. place is (ip, port) while the user is connected."""

    def __init__(self):
        self.place = None
        self.paths = []  # oldest first


class Directory:
    """The accounts and what they publish. Safe for concurrent use.

    Each operation returns the answer as a list of fields, the status first.
    The checks come in the order of the status codes.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._users = {}  # by name, oldest first

    def perform(self, operation, ip, user, fields):
        with self._lock:
            return operation.rule(self, ip, user, *fields)

    def register(self, _ip, user):
        if user in self._users:
            return [1]
        self._users[user] = User()
        return [DONE]

    def unregister(self, _ip, user):
        if user not in self._users:
            return [1]
        del self._users[user]
        return [DONE]

    def connect(self, ip, user, port):
        if user not in self._users:
            return [1]
        if self._users[user].place:
            return [2]
        self._users[user].place = (ip, port)
        return [DONE]

    def disconnect(self, _ip, user):
        if status := self._absent(user):
            return [status]
        self._users[user].place = None
        return [DONE]

    def publish(self, _ip, user, path, _description):
        if status := self._absent(user):
            return [status]
        if path in self._users[user].paths:
            return [3]
        self._users[user].paths.append(path)
        return [DONE]

    def delete(self, _ip, user, path):
        if status := self._absent(user):
            return [status]
        if path not in self._users[user].paths:
            return [3]
        self._users[user].paths.remove(path)
        return [DONE]

    def list_users(self, _ip, user):
        if status := self._absent(user):
            return [status]
        entries = [(name, *account.place) for name, account in self._connected()]
        return [DONE, str(len(entries)), *flatten(entries)]

    def list_content(self, _ip, user, owner):
        if status := self._absent(user):
            return [status]
        if owner not in self._users:
            return [3]
        paths = self._users[owner].paths[::-1]
        return [DONE, str(len(paths)), *paths]

    def holders(self, _ip, user, path):
        if self._absent(user):
            return [2]
        wanted = base_name(path)
        found = [(*account.place, own)
                 for _, account in self._connected()
                 for own in reversed(account.paths) if base_name(own) == wanted]
        if not found:
            return [1]
        found = found[:MAX_HOLDERS]
        return [DONE, len(found), *flatten(found)]

    def _absent(self, user):
        """The status for a user who cannot act: 1 unknown, 2 not connected, else 0."""
        if user not in self._users:
            return 1
        return 0 if self._users[user].place else 2

    def _connected(self):
        """The connected users with their names, the newest account first."""
        return [(name, account) for name, account in reversed(self._users.items())
                if account.place]


class Operation:
    """How one request looks: its rule, the limits of its fields, its last status."""

    def __init__(self, rule, other, *limits):
        self.rule = rule
        self.other = other
        self.limits = limits


PORT, NAME, PATH, DESCRIPTION = 5, wire.MAX_USER, wire.MAX_PATH, wire.MAX_DESCRIPTION
OTHER_FOR_UNKNOWN = 2
OPERATIONS = {
    "REGISTER": Operation(Directory.register, 2),
    "UNREGISTER": Operation(Directory.unregister, 2),
    "CONNECT": Operation(Directory.connect, 3, PORT),
    "DISCONNECT": Operation(Directory.disconnect, 3),
    "PUBLISH": Operation(Directory.publish, 4, PATH, DESCRIPTION),
    "DELETE": Operation(Directory.delete, 4, PATH),
    "LIST_USERS": Operation(Directory.list_users, 3),
    "LIST_CONTENT": Operation(Directory.list_content, 4, NAME),
    "GET_MULTIFILE": Operation(Directory.holders, 2, PATH),
}


def valid(name, user, fields):
    """Whether the values may stand where they do; their lengths were checked."""
    if not user:
        return False
    if name == "CONNECT":
        return wire.decimal(fields[0], 1024, 65535) is not None
    if name == "LIST_CONTENT":
        return fields[0] != ""
    if name in ("PUBLISH", "DELETE", "GET_MULTIFILE"):
        return fields[0] != "" and not any(c in " \t\n\v\f\r" for c in fields[0])
    return True


def base_name(path):
    return path[max(path.rfind("/"), path.rfind("\\")) + 1:]


def flatten(entries):
    return [field for entry in entries for field in entry]


def answer(directory, connection, ip):
    """Reads one request, performs it and returns the fields of its answer."""
    other = OTHER_FOR_UNKNOWN
    try:
        name = connection.read_string(wire.MAX_OPERATION)
        operation = OPERATIONS.get(name)
        if operation is None:
            return [other]
        other = operation.other
        timestamp = connection.read_string(wire.MAX_TIMESTAMP)
        user = connection.read_string(wire.MAX_USER)
        fields = [connection.read_string(limit) for limit in operation.limits]
    except (wire.CutShort, wire.TooLong, TimeoutError):
        return [other]
    print(f"s> OPERATION {name} FROM {user} AT {timestamp}", flush=True)
    if not valid(name, user, fields):
        return [other]
    return directory.perform(operation, ip, user, fields)


def serve(directory, sock, ip, byte_by_byte):
    """Serves one connection. A client that has gone hurts nobody else."""
    connection = wire.Wire(sock, byte_by_byte, PATIENCE)
    try:
        connection.send_fields(answer(directory, connection, ip))
    except OSError:
        connection.close()
    else:
        connection.finish()


def main():
    parser = argparse.ArgumentParser(description="A directory of the classic protocol.")
    parser.add_argument("-p", dest="port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--byte-by-byte", action="store_true",
                        help="send each byte of an answer by itself")
    options = parser.parse_args()
    wire.plain_exit()

    listener = wire.listen(options.host, options.port)
    print("s> init server %s:%d" % listener.getsockname()[:2], flush=True)
    directory = Directory()
    while True:
        sock, address = listener.accept()
        threading.Thread(target=serve, daemon=True,
                         args=(directory, sock, address[0], options.byte_by_byte)).start()


if __name__ == "__main__":
    main()
