/* SPDX-License-Identifier: MIT */
/* member.c - takes claims, and answers. */
#include "member.h"

#include <arpa/inet.h>
#include <string.h>

#include "host/address.h"
#include "host/pool.h"
#include "msquicxdp/msquicxdp.h"

/* ---- answers ---- */

static bool is_question(const CXPLAT_RECV_DATA *data)
{
    return data->BufferLength >= DATAGRAM_LEAST && data->Buffer[0] == DATAGRAM_FIRST &&
           data->Buffer[DATAGRAM_KIND] == QUESTION;
}

static bool is_for(const struct claim *c, const CXPLAT_RECV_DATA *data)
{
    const uint8_t *wanted = data->Buffer + DATAGRAM_ID + IDENTIFIER_OFFSET;
    return c->plain || memcmp(wanted, c->identifier, sizeof(c->identifier)) == 0;
}

/* Says who answers, be it the right one or not: the client tells. */
static void sign(const struct claim *c, uint8_t *answer)
{
    uint32_t process = htonl(c->member->process);
    answer[DATAGRAM_KIND] = ANSWER;
    memcpy(answer + DATAGRAM_IDENTIFIER, c->identifier, sizeof(c->identifier));
    memcpy(answer + DATAGRAM_PROCESS, &process, sizeof(process));
}

static void answer(struct claim *c, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *data)
{
    CXPLAT_SEND_CONFIG config = {.Route = data->Route};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(socket, &config);
    if (send == NULL) {
        return;
    }
    QUIC_BUFFER *buffer = CxPlatSendDataAllocBuffer(send, data->BufferLength);
    if (buffer == NULL) {
        CxPlatSendDataFree(send);
        return;
    }
    memcpy(buffer->Buffer, data->Buffer, data->BufferLength);
    sign(c, buffer->Buffer);
    CxPlatSocketSend(socket, data->Route, send);
    atomic_fetch_add(&c->member->answered, 1);
}

static void receive(CXPLAT_SOCKET *socket, void *context, CXPLAT_RECV_DATA *chain)
{
    struct claim *c = context;
    for (CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next) {
        if (!is_question(data)) {
            atomic_fetch_add(&c->member->strays, 1);
            continue;
        }
        if (!is_for(c, data)) {
            atomic_fetch_add(&c->member->misrouted, 1);
        }
        answer(c, socket, data);
    }
    CxPlatRecvDataReturn(chain);
}

/* A socket that is connected to nobody does not hear of this. */
static void unreachable(CXPLAT_SOCKET *socket, void *context, const QUIC_ADDR *remote)
{
    (void)socket, (void)context, (void)remote;
}

/* ---- claims ---- */

static const char *reason(QUIC_STATUS status)
{
    static char text[512];
    if (QUIC_SUCCEEDED(status)) {
        return NULL;
    }
    msquicxdp_last_reason(text, sizeof(text));
    return text[0] != '\0' ? text : strerror((int)status);
}

const char *member_open(struct member *m)
{
    static const CXPLAT_UDP_DATAPATH_CALLBACKS callbacks = {receive, unreachable};
    m->pool = host_pool_create(m->workers, NULL);
    return reason(CxPlatDataPathInitialize(0, &callbacks, NULL, m->pool, NULL, &m->datapath));
}

static const char *open_socket(struct claim *c)
{
    struct member *m = c->member;
    CXPLAT_SOCKET *socket;
    QUIC_ADDR local = addr_any(m->port);
    unsigned xdp = m->xdp ? CXPLAT_SOCKET_FLAG_XDP : 0;
    CXPLAT_UDP_CONFIG config = {
        .LocalAddress = &local,
        .Flags = (CXPLAT_SOCKET_FLAGS)(CXPLAT_SOCKET_SERVER_OWNED | xdp),
        .CallbackContext = c,
        .CibirIdLength = c->plain ? 0 : IDENTIFIER_LENGTH,
        .CibirIdOffsetSrc = IDENTIFIER_OFFSET,
        .CibirIdOffsetDst = IDENTIFIER_OFFSET,
    };
    memcpy(config.CibirId, c->identifier, sizeof(c->identifier));
    const char *refused = reason(CxPlatSocketCreateUdp(m->datapath, &config, &socket));
    c->socket = refused == NULL ? socket : NULL;
    return refused;
}

const char *member_claim(struct member *m, const uint8_t *identifier)
{
    for (struct claim *c = m->claims; c < m->claims + MAX_CLAIMS; c++) {
        if (c->socket == NULL) {
            *c = (struct claim){.member = m, .plain = identifier == NULL};
            if (identifier != NULL) {
                memcpy(c->identifier, identifier, sizeof(c->identifier));
            }
            return open_socket(c);
        }
    }
    return "the process has too many claims";
}

static void release(struct claim *c)
{
    CXPLAT_SOCKET *socket = c->socket;
    if (socket != NULL) {
        CxPlatSocketDelete(socket);
        c->socket = NULL;
    }
}

bool member_release(struct member *m, const uint8_t *identifier)
{
    for (struct claim *c = m->claims; c < m->claims + MAX_CLAIMS; c++) {
        if (c->socket != NULL && !c->plain &&
            memcmp(c->identifier, identifier, sizeof(c->identifier)) == 0) {
            release(c);
            return true;
        }
    }
    return false;
}

bool member_has_xdp(const struct member *m)
{
    for (const struct claim *c = m->claims; c < m->claims + MAX_CLAIMS; c++) {
        if (c->socket != NULL && CxPlatSocketRawSocketAvailable(c->socket)) {
            return true;
        }
    }
    return false;
}

void member_close(struct member *m)
{
    for (struct claim *c = m->claims; c < m->claims + MAX_CLAIMS; c++) {
        release(c);
    }
    if (m->datapath != NULL) {
        CxPlatDataPathUninitialize(m->datapath);
        m->datapath = NULL;
    }
    if (m->pool != NULL) {
        host_pool_delete(m->pool);
        m->pool = NULL;
    }
}
