/* SPDX-License-Identifier: MIT */
/* inbox.c - counts, copies and checks what up-calls bring. */
#include "host/inbox.h"

#include <stdlib.h>
#include <string.h>

#include "host/address.h"
#include "host/check.h"
#include "host/order.h"
#include "host/rig.h"
#include "host/wait.h"

enum { SCRIBBLE = 0xa5 };

void inbox_init(struct inbox *in, struct rig *rig)
{
    memset(in, 0, sizeof(*in));
    in->rig = rig;
    in->last = &in->first;
    pthread_mutex_init(&in->lock, NULL);
    host_cond_init(&in->changed);
    order_before_event();
}

static void free_mail(struct inbox *in)
{
    while (in->first != NULL) {
        struct mail *next = in->first->next;
        free(in->first);
        in->first = next;
    }
    in->last = &in->first;
}

void inbox_clear(struct inbox *in)
{
    pthread_mutex_lock(&in->lock);
    free_mail(in);
    memset(in->count, 0, sizeof(in->count));
    pthread_mutex_unlock(&in->lock);
}

void inbox_free(struct inbox *in)
{
    CxPlatRecvDataReturn(inbox_take_kept(in));
    free_mail(in);
    pthread_cond_destroy(&in->changed);
    pthread_mutex_destroy(&in->lock);
}

/* ---- counting ---- */

static void enter(struct inbox *in)
{
    atomic_fetch_add(&in->inside, 1);
    if (atomic_load(&in->sealed)) {
        check_fail("an up-call came after its socket was deleted");
    }
}

static void leave(struct inbox *in)
{
    atomic_fetch_sub(&in->inside, 1);
}

void inbox_seal(struct inbox *in)
{
    atomic_store(&in->sealed, true);
    CHECK_EQ(atomic_load(&in->inside), 0);
}

/* Under the lock. */
static void happened(struct inbox *in, enum inbox_event event, uint64_t n)
{
    in->count[event] += n;
    pthread_cond_broadcast(&in->changed);
}

static void note(struct inbox *in, CXPLAT_SOCKET *socket, enum inbox_event event)
{
    if (in->on_other != NULL) {
        in->on_other(in, socket, event);
    }
    pthread_mutex_lock(&in->lock);
    happened(in, event, 1);
    pthread_mutex_unlock(&in->lock);
}

uint64_t inbox_count(struct inbox *in, enum inbox_event event)
{
    pthread_mutex_lock(&in->lock);
    uint64_t n = in->count[event];
    pthread_mutex_unlock(&in->lock);
    return n;
}

static bool wait_threads(
    struct inbox *in, enum inbox_event event, uint64_t n, const struct timespec *deadline)
{
    pthread_mutex_lock(&in->lock);
    while (in->count[event] < n && host_cond_wait(&in->changed, &in->lock, deadline)) {
    }
    bool reached = in->count[event] >= n;
    pthread_mutex_unlock(&in->lock);
    return reached;
}

static bool wait_polling(
    struct inbox *in, enum inbox_event event, uint64_t n, const struct timespec *deadline)
{
    while (inbox_count(in, event) < n && host_remaining_ms(deadline) > 0) {
        rig_poll(in->rig, host_remaining_ms(deadline));
    }
    return inbox_count(in, event) >= n;
}

bool inbox_wait_ms(struct inbox *in, enum inbox_event event, uint64_t n, unsigned ms)
{
    struct timespec deadline = host_deadline(ms);
    return in->rig->external ? wait_polling(in, event, n, &deadline)
                             : wait_threads(in, event, n, &deadline);
}

bool inbox_wait(struct inbox *in, enum inbox_event event, uint64_t n)
{
    return inbox_wait_ms(in, event, n, HOST_DEADLINE_MS);
}

const struct mail *inbox_mail(struct inbox *in, unsigned n)
{
    pthread_mutex_lock(&in->lock);
    struct mail *m = in->first;
    while (m != NULL && n-- > 0) {
        m = m->next;
    }
    pthread_mutex_unlock(&in->lock);
    return m;
}

CXPLAT_RECV_DATA *inbox_take_kept(struct inbox *in)
{
    pthread_mutex_lock(&in->lock);
    CXPLAT_RECV_DATA *kept = in->kept;
    in->kept = NULL;
    pthread_mutex_unlock(&in->lock);
    return kept;
}

/* ---- receiving ---- */

static bool family_is_plain(const QUIC_ADDR *a)
{
    return a->Ip.sa_family == AF_INET ||
           (a->Ip.sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&a->Ipv6.sin6_addr));
}

static void check_route(const CXPLAT_RECV_DATA *data)
{
    const CXPLAT_ROUTE *route = data->Route;
    CHECK_EQ(route->State, RouteResolved);
    CHECK_EQ(route->DatapathType, data->DatapathType);
    CHECK_EQ(route->UseQTIP, 0);
    CHECK_EQ(route->TcpState.Syncd, FALSE);
    CHECK(route->Queue != NULL);
    if (route->RemoteAddress.Ip.sa_family == AF_UNSPEC) { /* a stream */
        CHECK_EQ(data->TypeOfService, 0);
        CHECK_EQ(data->HopLimitTTL, 0);
        return;
    }
    CHECK(family_is_plain(&route->RemoteAddress));
    CHECK(family_is_plain(&route->LocalAddress));
    CHECK_EQ(route->LocalAddress.Ip.sa_family, route->RemoteAddress.Ip.sa_family);
    CHECK(data->HopLimitTTL >= 1);
}

/* What part 6 of cxplat.h promises of every element. */
static void check_element(struct inbox *in, const CXPLAT_RECV_DATA *data)
{
    CHECK_EQ((uintptr_t)data % 16, 0);
    CHECK_EQ(data->Allocated, 1);
    CHECK_EQ(data->QueuedOnConnection, 0);
    if (!in->raw) {
        CHECK_EQ(data->DatapathType, CXPLAT_DATAPATH_TYPE_NORMAL);
    }
    CHECK(data->BufferLength >= 1 && data->BufferLength <= 65507);
    CHECK(data->PartitionIndex < CxPlatWorkerPoolGetCount(in->rig->pool));
    /* Flows of an AF_XDP queue are spread over workers, by what the index says. */
    CHECK(
        in->rig->external || data->DatapathType == CXPLAT_DATAPATH_TYPE_RAW ||
        host_pool_is_worker(in->rig->pool, data->PartitionIndex));
    CHECK(data->Buffer != NULL);
    if (CHECK(data->Route != NULL)) {
        check_route(data);
    }
}

static void copy_element(struct inbox *in, const CXPLAT_RECV_DATA *data)
{
    struct mail *m = malloc(sizeof(*m) + data->BufferLength);
    if (m == NULL) {
        abort();
    }
    m->next = NULL;
    m->from = data->Route->RemoteAddress;
    m->to = data->Route->LocalAddress;
    m->queue = data->Route->Queue;
    m->thread = pthread_self();
    m->partition = data->PartitionIndex;
    m->length = data->BufferLength;
    m->tos = data->TypeOfService;
    m->ttl = data->HopLimitTTL;
    memcpy(m->data, data->Buffer, data->BufferLength);
    *in->last = m;
    in->last = &m->next;
}

/* Core writes to all of this; nobody else may be hurt by it. */
static void scribble(CXPLAT_RECV_DATA *data)
{
    memset(data->Buffer, SCRIBBLE, data->BufferLength);
    memset(data->Route, SCRIBBLE, sizeof(*data->Route));
    memset(data + 1, SCRIBBLE, RIG_CONTEXT_LENGTH - sizeof(*data));
}

/* Under the lock. Returns the last element. */
static CXPLAT_RECV_DATA *take_chain(struct inbox *in, CXPLAT_RECV_DATA *chain)
{
    CXPLAT_RECV_DATA *last = NULL;
    for (CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next) {
        check_element(in, data);
        happened(in, INBOX_DATAGRAMS, 1);
        happened(in, INBOX_BYTES, data->BufferLength);
        if (!in->no_copies) {
            copy_element(in, data);
        }
        last = data;
    }
    happened(in, INBOX_CHAINS, 1);
    return last;
}

static void put_away(struct inbox *in, CXPLAT_RECV_DATA *chain)
{
    pthread_mutex_lock(&in->lock);
    CXPLAT_RECV_DATA *last = take_chain(in, chain);
    bool keep = in->keep;
    if (keep) {
        last->Next = in->kept;
        in->kept = chain;
    }
    pthread_mutex_unlock(&in->lock);
    if (!keep) {
        for (CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next) {
            scribble(data);
        }
        CxPlatRecvDataReturn(chain);
    }
}

static void receive(CXPLAT_SOCKET *Socket, void *Context, CXPLAT_RECV_DATA *RecvDataChain)
{
    struct inbox *in = Context;
    enter(in);
    if (CHECK(RecvDataChain != NULL) &&
        (in->on_receive == NULL || !in->on_receive(in, Socket, RecvDataChain))) {
        put_away(in, RecvDataChain);
    }
    leave(in);
}

/* ---- the other up-calls ---- */

static void unreachable(CXPLAT_SOCKET *Socket, void *Context, const QUIC_ADDR *RemoteAddress)
{
    struct inbox *in = Context;
    enter(in);
    pthread_mutex_lock(&in->lock);
    in->unreachable = *RemoteAddress;
    pthread_mutex_unlock(&in->lock);
    note(in, Socket, INBOX_UNREACHABLE);
    leave(in);
}

static QUIC_STATUS accept_socket(
    CXPLAT_SOCKET *ListenerSocket,
    void *ListenerContext,
    CXPLAT_SOCKET *AcceptSocket,
    void **AcceptClientContext)
{
    struct inbox *in = ListenerContext;
    (void)ListenerSocket;
    enter(in);
    QUIC_STATUS status = in->accepting == NULL ? QUIC_STATUS_ABORTED : in->rejection;
    if (QUIC_SUCCEEDED(status)) {
        *AcceptClientContext = in->accepting;
        pthread_mutex_lock(&in->lock);
        in->accepted[in->count[INBOX_ACCEPTED] % INBOX_ACCEPTS] = AcceptSocket;
        pthread_mutex_unlock(&in->lock);
    }
    note(in, AcceptSocket, INBOX_ACCEPTED);
    leave(in);
    return status;
}

static void connected(CXPLAT_SOCKET *Socket, void *Context, BOOLEAN Connected)
{
    struct inbox *in = Context;
    enter(in);
    note(in, Socket, Connected ? INBOX_CONNECTED : INBOX_DISCONNECTED);
    leave(in);
}

static void send_complete(
    CXPLAT_SOCKET *Socket, void *Context, QUIC_STATUS Status, uint32_t ByteCount)
{
    struct inbox *in = Context;
    enter(in);
    pthread_mutex_lock(&in->lock);
    if (in->completion == QUIC_STATUS_SUCCESS) {
        in->completion = Status;
    }
    happened(in, INBOX_COMPLETED_BYTES, ByteCount);
    pthread_mutex_unlock(&in->lock);
    note(in, Socket, INBOX_COMPLETED);
    leave(in);
}

const CXPLAT_UDP_DATAPATH_CALLBACKS inbox_udp = {receive, unreachable};
const CXPLAT_TCP_DATAPATH_CALLBACKS inbox_tcp = {accept_socket, connected, receive, send_complete};
