"""Asks a date-time service with zeep, which knows nothing but the WSDL's URL.

Prints what each way of asking returned, one per line, then the code of the
fault that a header brings which the service cannot know.
"""

import sys

from lxml import etree
from zeep import Client
from zeep.exceptions import Fault

client = Client(sys.argv[1])
answers = [
    client.service.get_datetime(""),
    client.service.get_datetime("año < 2027"),
    client.service.get_datetime(),
    client.service.get_datetime(text=None),
]
for answer in answers:
    assert type(answer) is str, "not a plain string: %r" % (answer,)
    print(answer)

header = etree.Element("{urn:test}payment")
header.set("{http://schemas.xmlsoap.org/soap/envelope/}mustUnderstand", "1")
try:
    client.service.get_datetime("", _soapheaders=[header])
except Fault as fault:
    print(fault.code)
