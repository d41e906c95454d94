/* Asks a date-time service with what gSOAP generates from its WSDL: wsdl2h -c,
 * then soapcpp2 -c. The address of the service is the one in the WSDL.
 * Prints the answer to a question with an argument and to one without. */

#include <stdio.h>

#include "soapH.h"
#include "DateTimeBinding.nsmap"

static int ask(struct soap *soap, char *text)
{
	struct _ns1__get_USCOREdatetime question = { 0 };
	struct _ns1__get_USCOREdatetimeResponse answer = { 0 };

	question.text = text;
	if (soap_call___ns1__get_USCOREdatetime(soap, NULL, NULL, &question, &answer) != SOAP_OK) {
		soap_print_fault(soap, stderr);
		return 1;
	}
	puts(answer.get_USCOREdatetimeResult);
	return 0;
}

int main(void)
{
	struct soap *soap = soap_new1(SOAP_IO_KEEPALIVE | SOAP_C_UTFSTRING);
	int failed = ask(soap, "") || ask(soap, NULL);

	soap_destroy(soap);
	soap_end(soap);
	soap_free(soap);
	return failed;
}
