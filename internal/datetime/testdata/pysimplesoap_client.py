"""Asks a date-time service with pysimplesoap, from the WSDL alone.

pysimplesoap returns the children of the answer as a dictionary; there is one.
"""

import sys

from pysimplesoap.client import SoapClient

client = SoapClient(wsdl=sys.argv[1])
for answer in client.get_datetime(""), client.get_datetime(text="año < 2027"):
    (value,) = answer.values()
    assert type(value) is str, "not a plain string: %r" % (value,)
    print(value)
