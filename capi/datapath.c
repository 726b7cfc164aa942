/* SPDX-License-Identifier: MIT */
/* datapath.c - datapaths: making, ending, and what can be asked of them. */
#include "_cgo_export.h"
#include "copy.h"
#include "internal.h"

/* Larger contexts than this are a mistake: MsQuic's is a few hundred bytes. */
enum { MAX_CLIENT_CONTEXT = 4096 };

static QUIC_STATUS check_arguments(
    uint32_t context_length,
    const CXPLAT_UDP_DATAPATH_CALLBACKS *udp,
    const CXPLAT_TCP_DATAPATH_CALLBACKS *tcp,
    CXPLAT_WORKER_POOL *pool,
    const CXPLAT_DATAPATH_INIT_CONFIG *config)
{
    const char *wrong = NULL;
    bool map_mode = config != NULL && config->XdpMapConfigCount > 0;
    if (udp != NULL && (udp->Receive == NULL || udp->Unreachable == NULL)) {
        wrong = "UDP callbacks need Receive and Unreachable";
    } else if (
        !map_mode && tcp != NULL &&
        (tcp->Accept == NULL || tcp->Connect == NULL || tcp->Receive == NULL ||
         tcp->SendComplete == NULL)) {
        wrong = "TCP callbacks need Accept, Connect, Receive and SendComplete";
    } else if (pool == NULL) {
        wrong = "a worker pool is needed";
    } else if (context_length > MAX_CLIENT_CONTEXT) {
        wrong = "the client's receive context is longer than 4096 bytes";
    } else if (map_mode && (udp == NULL || config->XdpMapConfigs == NULL)) {
        wrong = "map mode needs UDP callbacks and map configurations";
    }
    if (wrong != NULL) {
        return mqx_fail(QUIC_STATUS_INVALID_PARAMETER, "CxPlatDataPathInitialize: %s", wrong);
    }
    return QUIC_STATUS_SUCCESS;
}

static bool init_partition(CXPLAT_DATAPATH *datapath, uint16_t index, uint32_t context_length)
{
    MqxPartition *partition = &datapath->Partition[index];
    partition->Datapath = datapath;
    partition->Index = index;
    partition->EventQ = *CxPlatWorkerPoolGetEventQ(datapath->WorkerPool, index);
    partition->Cpu = (uint16_t)CxPlatWorkerPoolGetIdealProcessor(datapath->WorkerPool, index);
    partition->Rx = mqx_pool_create(mqx_rx_size(context_length), index);
    partition->Tx = mqx_pool_create(sizeof(MqxTx), index);
    return partition->Rx != NULL && partition->Tx != NULL;
}

static void free_datapath(CXPLAT_DATAPATH *datapath)
{
    for (uint16_t i = 0; i < datapath->Count; i++) {
        MqxPartition *partition = &datapath->Partition[i];
        mqx_turn_free(atomic_exchange(&partition->Turn, NULL));
        mqx_pool_close(partition->Rx);
        mqx_pool_close(partition->Tx);
    }
    CxPlatFree(datapath, QUIC_POOL_DATAPATH);
}

static CXPLAT_DATAPATH *alloc_datapath(CXPLAT_WORKER_POOL *pool, uint32_t context_length)
{
    uint32_t count = CxPlatWorkerPoolGetCount(pool);
    CXPLAT_DATAPATH *datapath =
        CxPlatAlloc(sizeof(*datapath) + count * sizeof(MqxPartition), QUIC_POOL_DATAPATH);
    if (datapath == NULL) {
        return NULL;
    }
    datapath->WorkerPool = pool;
    datapath->Count = (uint16_t)count;
    datapath->RxStride = mqx_rx_stride(context_length);
    atomic_store(&datapath->Refs, 1);
    pthread_mutex_init(&datapath->RawLock, NULL);
    for (uint16_t i = 0; i < datapath->Count; i++) {
        if (!init_partition(datapath, i, context_length)) {
            free_datapath(datapath);
            return NULL;
        }
    }
    return datapath;
}

/* Only who may send by AF_XDP ever owes a kick. */
static void open_ledgers(CXPLAT_DATAPATH *datapath)
{
    if (datapath->Xdp.Policy == MSQUICXDP_XDP_NEVER) {
        return;
    }
    for (uint16_t i = 0; i < datapath->Count; i++) {
        datapath->Partition[i].Ledger = mqx_ledger_open(datapath->WorkerPool, i);
    }
}

static void set_callbacks(
    CXPLAT_DATAPATH *datapath,
    const CXPLAT_UDP_DATAPATH_CALLBACKS *udp,
    const CXPLAT_TCP_DATAPATH_CALLBACKS *tcp)
{
    if (udp != NULL) {
        datapath->Udp = *udp;
        datapath->HasUdp = true;
    }
    if (tcp != NULL) {
        datapath->Tcp = *tcp;
        datapath->HasTcp = true;
    }
}

/* Finds out what can be had. In map mode that is AF_XDP alone: without it there is no datapath. */
static QUIC_STATUS find_means(CXPLAT_DATAPATH *datapath, const CXPLAT_DATAPATH_INIT_CONFIG *config)
{
    mqxGoReserve(datapath->Count);
    datapath->MapMode = config != NULL && config->XdpMapConfigCount > 0;
    if (datapath->MapMode) {
        return mqx_raw_map(datapath, config);
    }
    datapath->Features = mqxGoFeatures();
    return QUIC_STATUS_SUCCESS;
}

QUIC_STATUS mqx_CxPlatDataPathInitialize(
    uint32_t context_length,
    const CXPLAT_UDP_DATAPATH_CALLBACKS *udp,
    const CXPLAT_TCP_DATAPATH_CALLBACKS *tcp,
    CXPLAT_WORKER_POOL *pool,
    CXPLAT_DATAPATH_INIT_CONFIG *config,
    CXPLAT_DATAPATH **out)
{
    if (out == NULL) {
        return mqx_fail(
            QUIC_STATUS_INVALID_PARAMETER, "CxPlatDataPathInitialize: no place for the datapath");
    }
    *out = NULL;
    QUIC_STATUS status = check_arguments(context_length, udp, tcp, pool, config);
    if (QUIC_FAILED(status) || QUIC_FAILED(status = mqx_runtime_start())) {
        return status;
    }
    const MqxTable *other = mqx_copy_other();
    if (other != NULL) {
        return other->CxPlatDataPathInitialize(context_length, udp, tcp, pool, config, out);
    }
    CXPLAT_DATAPATH *datapath = alloc_datapath(pool, context_length);
    if (datapath == NULL) {
        return mqx_fail(QUIC_STATUS_OUT_OF_MEMORY, "CxPlatDataPathInitialize: out of memory");
    }
    if (QUIC_FAILED(status = mqx_xdp_config(&datapath->Xdp))) {
        free_datapath(datapath);
        return status;
    }
    if (!CxPlatWorkerPoolAddRef(pool, CXPLAT_WORKER_POOL_REF_EPOLL)) {
        free_datapath(datapath);
        return mqx_fail(
            QUIC_STATUS_INVALID_STATE,
            "CxPlatDataPathInitialize: the worker pool is being deleted");
    }
    set_callbacks(datapath, udp, tcp);
    status = find_means(datapath, config);
    if (QUIC_FAILED(status)) {
        mqx_datapath_release(datapath);
        return status;
    }
    open_ledgers(datapath);
    mqx_log(
        MSQUICXDP_LEVEL_INFO, "datapath with %u partitions, features 0x%x", datapath->Count,
        datapath->Features);
    *out = datapath;
    return QUIC_STATUS_SUCCESS;
}

void mqx_datapath_retain(CXPLAT_DATAPATH *datapath)
{
    atomic_fetch_add(&datapath->Refs, 1);
}

/* The last one releases the pool here and now: nobody may be polling any more. */
void mqx_datapath_release(CXPLAT_DATAPATH *datapath)
{
    if (atomic_fetch_sub(&datapath->Refs, 1) != 1) {
        return;
    }
    CXPLAT_WORKER_POOL *pool = datapath->WorkerPool;
    mqx_raw_close(datapath);
    for (uint16_t i = 0; i < datapath->Count; i++) {
        mqx_ledger_close(datapath->Partition[i].Ledger);
    }
    free_datapath(datapath);
    CxPlatWorkerPoolRelease(pool, CXPLAT_WORKER_POOL_REF_EPOLL);
}

void mqx_CxPlatDataPathUninitialize(CXPLAT_DATAPATH *datapath)
{
    if (datapath != NULL) {
        mqx_datapath_release(datapath);
    }
}

void mqx_CxPlatDataPathUpdatePollingIdleTimeout(CXPLAT_DATAPATH *datapath, uint32_t timeout_us)
{
    if (datapath != NULL) {
        atomic_store(&datapath->PollingIdleTimeoutUs, timeout_us);
    }
}

CXPLAT_DATAPATH_FEATURES mqx_CxPlatDataPathGetSupportedFeatures(
    CXPLAT_DATAPATH *datapath, CXPLAT_SOCKET_FLAGS flags)
{
    if (datapath == NULL) {
        return CXPLAT_DATAPATH_FEATURE_NONE;
    }
    uint32_t features = datapath->Features;
    if ((flags & CXPLAT_SOCKET_FLAG_XDP) != 0 && mqx_raw_available(datapath)) {
        features |= CXPLAT_DATAPATH_FEATURE_RAW | CXPLAT_DATAPATH_FEATURE_TTL |
                    CXPLAT_DATAPATH_FEATURE_SEND_DSCP | CXPLAT_DATAPATH_FEATURE_RECV_DSCP;
    }
    return (CXPLAT_DATAPATH_FEATURES)features;
}

BOOLEAN mqx_CxPlatDataPathIsPaddingPreferred(CXPLAT_DATAPATH *datapath, CXPLAT_SEND_DATA *tx)
{
    return datapath != NULL && (tx == NULL || !tx->Raw || tx->Segment != 0) &&
           (datapath->Features & CXPLAT_DATAPATH_FEATURE_SEND_SEGMENTATION) != 0;
}

uint32_t mqx_CxPlatDataPathGetXdpRuleCount(CXPLAT_DATAPATH *datapath)
{
    MqxRaw *raw = datapath == NULL ? NULL : atomic_load(&datapath->Raw);
    return raw == NULL || atomic_load(&mqx_forked) ? 0 : mqxGoRawRules(raw->Engine);
}
