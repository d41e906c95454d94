/*
 * The operation log as a system in C has it: the procedure that rpcgen's main
 * calls. It registers itself with rpcbind.
 */
#include <stdio.h>

#include "logger.h"

void *
log_op_1_svc(log_entry *entry, struct svc_req *rqstp)
{
	static char result;

	(void) rqstp;
	printf("[%s] %s: %s %s\n", entry->timestamp, entry->username, entry->operation, entry->filename);
	fflush(stdout);
	return &result;
}
