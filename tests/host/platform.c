/* SPDX-License-Identifier: MIT */
/* platform.c - processors, assertions, PCP. */
#define _GNU_SOURCE
#include "host/platform.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

uint32_t CxPlatProcessorCount;

static _Atomic unsigned asserts;
static _Atomic(CXPLAT_DATAPATH_RECEIVE_CALLBACK_HANDLER) pcp_receive;

__attribute__((constructor)) static void count_processors(void)
{
    CxPlatProcessorCount = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
}

uint32_t CxPlatProcCurrentNumber(void)
{
    int cpu = sched_getcpu();
    return cpu < 0 ? 0 : (uint32_t)cpu % CxPlatProcessorCount;
}

void CxPlatLogAssert(const char *File, int Line, const char *Expr)
{
    fprintf(stderr, "%s:%d: assertion of the archive failed: %s\n", File, Line, Expr);
    atomic_fetch_add(&asserts, 1);
}

unsigned host_asserts(void)
{
    return atomic_load(&asserts);
}

void host_set_pcp_receive(CXPLAT_DATAPATH_RECEIVE_CALLBACK_HANDLER handler)
{
    atomic_store(&pcp_receive, handler);
}

void CxPlatPcpRecvCallback(CXPLAT_SOCKET *Socket, void *Context, CXPLAT_RECV_DATA *RecvDataChain)
{
    CXPLAT_DATAPATH_RECEIVE_CALLBACK_HANDLER handler = atomic_load(&pcp_receive);
    if (handler != NULL) {
        handler(Socket, Context, RecvDataChain);
        return;
    }
    CxPlatLogAssert(__FILE__, __LINE__, "a PCP up-call is expected");
    CxPlatRecvDataReturn(RecvDataChain);
}
