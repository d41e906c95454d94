/*
 * log_client HOST NETID {USER OPERATION FILE TIMESTAMP}...
 *
 * Logs operations the way a directory server written in C does: one client
 * handle, found through the host's rpcbind, and a call for each operation.
 */
#include <stdio.h>
#include <stdlib.h>

#include "logger.h"

int
main(int argc, char **argv)
{
	CLIENT *clnt;
	int i;

	if (argc < 3 || (argc - 3) % 4 != 0) {
		fprintf(stderr, "usage: log_client HOST NETID {USER OPERATION FILE TIMESTAMP}...\n");
		return 2;
	}
	clnt = clnt_create(argv[1], LOGGER_PROG, LOGGER_VERS, argv[2]);
	if (clnt == NULL) {
		clnt_pcreateerror(argv[1]);
		return 1;
	}
	clnt->cl_auth = authunix_create_default();
	for (i = 3; i < argc; i += 4) {
		log_entry entry = { argv[i], argv[i + 1], argv[i + 2], argv[i + 3] };

		if (log_op_1(&entry, clnt) == NULL) {
			clnt_perror(clnt, argv[1]);
			return 1;
		}
	}
	auth_destroy(clnt->cl_auth);
	clnt_destroy(clnt);
	return 0;
}
