/* SPDX-License-Identifier: MIT */
/* server.c - puts the server together, and takes it apart. */
#include "server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/address.h"
#include "host/memory.h"
#include "host/platform.h"
#include "msquicxdp/msquicxdp.h"
#include "pattern.h"

/* ---- messages ---- */

static bool complain(const struct server *s, const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", s->options->name, what, why);
    return false;
}

static bool complain_status(const struct server *s, const char *what, QUIC_STATUS status)
{
    char reason[512];
    msquicxdp_last_reason(reason, sizeof(reason));
    return complain(s, what, reason[0] != '\0' ? reason : strerror((int)status));
}

static void log_line(void *context, enum msquicxdp_level level, const char *message)
{
    const struct server *s = context;
    (void)level;
    fprintf(stderr, "%s: datapath: %s\n", s->options->name, message);
}

/* ---- up-calls ---- */

static void receive(CXPLAT_SOCKET *socket, void *context, CXPLAT_RECV_DATA *chain)
{
    (void)socket;
    partition_receive(context, chain);
}

/* A socket that is connected to nobody does not hear of this. */
static void unreachable(CXPLAT_SOCKET *socket, void *context, const QUIC_ADDR *remote)
{
    (void)socket;
    (void)context;
    (void)remote;
}

/* ---- opening ---- */

static bool open_partitions(struct server *s)
{
    s->partitions = calloc(s->options->workers, sizeof(*s->partitions));
    if (s->partitions == NULL) {
        return complain(s, "partitions", "out of memory");
    }
    for (; s->opened < s->options->workers; s->opened++) {
        if (!partition_open(&s->partitions[s->opened], s, s->opened)) {
            return complain(s, "event queue", strerror(errno));
        }
    }
    return true;
}

static bool open_datapath(struct server *s)
{
    static const CXPLAT_UDP_DATAPATH_CALLBACKS callbacks = {receive, unreachable};
    QUIC_STATUS status = CxPlatDataPathInitialize(0, &callbacks, NULL, s->pool, NULL, &s->datapath);
    return QUIC_SUCCEEDED(status) || complain_status(s, "datapath", status);
}

static bool open_socket(struct server *s)
{
    const struct cid_scheme *cids = &s->options->cids;
    QUIC_ADDR local = addr_any(s->options->port);
    unsigned xdp = s->options->xdp ? CXPLAT_SOCKET_FLAG_XDP : 0;
    CXPLAT_UDP_CONFIG config = {
        .LocalAddress = &local,
        .Flags = (CXPLAT_SOCKET_FLAGS)(CXPLAT_SOCKET_SERVER_OWNED | xdp),
        .CallbackContext = s,
        .CibirIdLength = cids->identifier_length,
        .CibirIdOffsetSrc = CID_IDENTIFIER_OFFSET,
        .CibirIdOffsetDst = CID_IDENTIFIER_OFFSET,
    };
    memcpy(config.CibirId, cids->identifier, sizeof(config.CibirId));
    QUIC_STATUS status = CxPlatSocketCreateUdp(s->datapath, &config, &s->socket);
    return QUIC_SUCCEEDED(status) || complain_status(s, "socket", status);
}

bool server_open(struct server *s, const struct options *options)
{
    *s = (struct server){.options = options};
    struct msquicxdp_log_options log = {
        .size = sizeof(log), .log = log_line, .context = s, .level = MSQUICXDP_LEVEL_WARNING};
    msquicxdp_set_log(&log);
    pattern_init();
    owners_init(&s->owners);
    gauge_init(&s->ended);
    s->pool = host_pool_create(options->workers, NULL);
    return tls_open(&s->tls, options->certificate, options->key) && open_partitions(s) &&
           open_datapath(s) && open_socket(s);
}

/* ---- closing ---- */

/* Lets every partition take its last turn. */
static bool stop_partitions(struct server *s)
{
    atomic_store(&s->stopping, true);
    for (uint16_t i = 0; i < s->opened; i++) {
        partition_wake(&s->partitions[i]);
    }
    return gauge_wait(&s->ended, s->opened) ||
           complain(s, "stopping", "a worker does not come round");
}

/* Nothing of the datapath's may be left. */
static bool check_leftovers(const struct server *s)
{
    if (host_memory_live() != 0) {
        host_memory_print();
        return complain(s, "memory", "the datapath has not given all back");
    }
    if (host_memory_faults() != 0 || host_asserts() != 0) {
        return complain(s, "datapath", "wrong frees or failed assertions, see above");
    }
    return true;
}

static void delete_datapath(struct server *s)
{
    if (s->socket != NULL) {
        CxPlatSocketDelete(s->socket);
    }
    if (s->datapath != NULL) {
        CxPlatDataPathUninitialize(s->datapath);
    }
    host_pool_delete(s->pool);
}

bool server_close(struct server *s)
{
    if (!stop_partitions(s)) {
        return false;
    }
    delete_datapath(s);
    for (uint16_t i = 0; i < s->opened; i++) {
        partition_close(&s->partitions[i]);
    }
    free(s->partitions);
    owners_destroy(&s->owners);
    gauge_destroy(&s->ended);
    tls_close(&s->tls);
    return check_leftovers(s);
}
