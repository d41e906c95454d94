"""A date-time service made with pysimplesoap, as the original system has it.

usage: pysimplesoap_server.py ADDRESS PORT TIME [--wsdl-query]

Answers TIME to every question. Prints its port, which PORT 0 leaves to the
system, once it listens. pysimplesoap has the WSDL at "/"; with --wsdl-query it
is at "/?wsdl" as well. The location that the WSDL advertises is that of
pysimplesoap's own example, not where this listens: clients meet that often.
"""

import sys
from http.server import HTTPServer

from pysimplesoap.server import SOAPHandler, SoapDispatcher

address, port, time = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def get_datetime(name):
    """Returns the date and the time"""
    return time


class Handler(SOAPHandler):
    def do_GET(self):
        if self.path.lower() == "/?wsdl" and "--wsdl-query" in sys.argv:
            self.path = "/"
        SOAPHandler.do_GET(self)

    def log_message(self, format, *arguments):
        pass


dispatcher = SoapDispatcher(
    "DateTime",
    location="http://localhost:8008/",
    action="http://localhost:8008/",
    namespace="http://example.org/datetime",
    prefix="ns0",
)
dispatcher.register_function("get_datetime", get_datetime, returns={"datetime": str}, args={"name": str})
server = HTTPServer((address, port), Handler)
server.dispatcher = dispatcher
print(server.server_port, flush=True)
server.serve_forever()
