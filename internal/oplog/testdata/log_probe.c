/*
 * log_probe HOST NETID PROGRAM VERSION PROCEDURE ARGUMENT
 *
 * Asks rpcbind for the logger's address, calls any program there, and prints
 * what libtirpc makes of the answer. ARGUMENT is "entry", "none" or "long".
 */
#include <netconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "logger.h"

#define LONG_NAME 300	/* more than log_entry's username can have */

static enum clnt_stat
call(CLIENT *clnt, rpcproc_t procedure, const char *argument)
{
	static struct timeval timeout = { 10, 0 };
	log_entry entry = { "ana", "CONNECT", "", "now" };
	char name[LONG_NAME + 1];
	char *name_p = name;

	if (strcmp(argument, "entry") == 0)
		return clnt_call(clnt, procedure, (xdrproc_t) xdr_log_entry, (caddr_t) &entry,
		    (xdrproc_t) xdr_void, NULL, timeout);
	if (strcmp(argument, "none") == 0)
		return clnt_call(clnt, procedure, (xdrproc_t) xdr_void, NULL,
		    (xdrproc_t) xdr_void, NULL, timeout);
	memset(name, 'x', LONG_NAME);
	name[LONG_NAME] = '\0';
	return clnt_call(clnt, procedure, (xdrproc_t) xdr_wrapstring, (caddr_t) &name_p,
	    (xdrproc_t) xdr_void, NULL, timeout);
}

int
main(int argc, char **argv)
{
	struct sockaddr_storage where;
	struct netbuf address = { sizeof(where), 0, &where };
	struct netconfig *nconf;
	struct rpc_err error;
	CLIENT *clnt;

	if (argc != 7) {
		fprintf(stderr, "usage: log_probe HOST NETID PROGRAM VERSION PROCEDURE ARGUMENT\n");
		return 2;
	}
	nconf = getnetconfigent(argv[2]);
	if (nconf == NULL || !rpcb_getaddr(LOGGER_PROG, LOGGER_VERS, nconf, &address, argv[1])) {
		clnt_pcreateerror("rpcb_getaddr");
		return 1;
	}
	clnt = clnt_tli_create(RPC_ANYFD, nconf, &address, strtoul(argv[3], NULL, 0), strtoul(argv[4], NULL, 0), 0, 0);
	if (clnt == NULL) {
		clnt_pcreateerror("clnt_tli_create");
		return 1;
	}
	printf("%s", clnt_sperrno(call(clnt, strtoul(argv[5], NULL, 0), argv[6])));
	clnt_geterr(clnt, &error);
	if (error.re_status == RPC_PROGVERSMISMATCH)
		printf(" (%lu to %lu)", (unsigned long) error.re_vers.low, (unsigned long) error.re_vers.high);
	printf("\n");
	clnt_destroy(clnt);
	return 0;
}
