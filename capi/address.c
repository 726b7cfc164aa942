/* SPDX-License-Identifier: MIT */
/* address.c - names, the addresses of this host, and its gateways. */
#include <netdb.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "_cgo_export.h"
#include "copy.h"
#include "internal.h"

void mqx_unmap(QUIC_ADDR *address)
{
    if (address->Ip.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->Ipv6.sin6_addr)) {
        return;
    }
    QUIC_ADDR v4 = {.Ipv4 = {.sin_family = AF_INET}};
    memcpy(&v4.Ipv4.sin_addr, &address->Ipv6.sin6_addr.s6_addr[12], sizeof(v4.Ipv4.sin_addr));
    *address = v4;
}

/* The first answer of the host's resolver, with port 0. */
static int lookup(const char *host, int family, int flags, QUIC_ADDR *address)
{
    struct addrinfo hints = {.ai_family = family, .ai_flags = flags};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(host, NULL, &hints, &list);
    if (error != 0) {
        return error;
    }
    memset(address, 0, sizeof(*address));
    memcpy(
        address, list->ai_addr,
        list->ai_addrlen < sizeof(*address) ? list->ai_addrlen : sizeof(*address));
    freeaddrinfo(list);
    if (family == AF_UNSPEC) {
        mqx_unmap(address);
    }
    return 0;
}

QUIC_STATUS mqx_CxPlatDataPathResolveAddress(
    CXPLAT_DATAPATH *datapath, const char *host, QUIC_ADDR *address)
{
    (void)datapath;
    if (host == NULL || address == NULL) {
        return mqx_fail(
            QUIC_STATUS_INVALID_PARAMETER,
            "CxPlatDataPathResolveAddress: needs a host name and an address");
    }
    int family = address->Ip.sa_family;
    if (lookup(host, family, AI_NUMERICHOST, address) == 0) {
        return QUIC_STATUS_SUCCESS;
    }
    int error = lookup(host, family, AI_CANONNAME, address);
    if (error == 0) {
        return QUIC_STATUS_SUCCESS;
    }
    return mqx_fail(
        error == EAI_MEMORY ? QUIC_STATUS_OUT_OF_MEMORY : QUIC_STATUS_NOT_FOUND,
        "getaddrinfo(%.100s): %s", host, gai_strerror(error));
}

/* One of the two lists that Go fills in: at most room elements, and how many there are. */
typedef int list_fn(void *list, uint32_t room, uint32_t *count, char *reason);

static int list_addresses(void *list, uint32_t room, uint32_t *count, char *reason)
{
    return mqxGoLocalAddresses(list, room, count, reason);
}

static int list_gateways(void *list, uint32_t room, uint32_t *count, char *reason)
{
    return mqxGoGateways(list, room, count, reason);
}

enum { FIRST_ROOM = 16 };

/* Returns a list in memory that the caller frees. It is asked again while it grows under us. */
static QUIC_STATUS get_list(list_fn *fill, size_t element, void **list, uint32_t *count)
{
    char reason[MQX_REASON] = "";
    uint32_t room = FIRST_ROOM;
    for (;;) {
        void *memory = CxPlatAlloc(room * element, QUIC_POOL_DATAPATH_ADDRESSES);
        if (memory == NULL) {
            return mqx_fail(QUIC_STATUS_OUT_OF_MEMORY, "address list: out of memory");
        }
        uint32_t found = 0;
        int status = fill(memory, room, &found, reason);
        if (status == 0 && found <= room) {
            *list = memory;
            *count = found;
            return QUIC_STATUS_SUCCESS;
        }
        CxPlatFree(memory, QUIC_POOL_DATAPATH_ADDRESSES);
        if (status != 0) {
            return mqx_fail((QUIC_STATUS)status, "%s", reason);
        }
        room = found + FIRST_ROOM;
    }
}

QUIC_STATUS mqx_CxPlatDataPathGetLocalAddresses(
    CXPLAT_DATAPATH *datapath, CXPLAT_ADAPTER_ADDRESS **addresses, uint32_t *count)
{
    if (addresses == NULL || count == NULL) {
        return mqx_fail(
            QUIC_STATUS_INVALID_PARAMETER,
            "CxPlatDataPathGetLocalAddresses: needs places for list and count");
    }
    *addresses = NULL;
    *count = 0;
    QUIC_STATUS status = mqx_runtime_start();
    if (QUIC_FAILED(status)) {
        return status;
    }
    const MqxTable *other = mqx_copy_other();
    if (other != NULL) {
        return other->CxPlatDataPathGetLocalAddresses(datapath, addresses, count);
    }
    return get_list(list_addresses, sizeof(**addresses), (void **)addresses, count);
}

QUIC_STATUS mqx_CxPlatDataPathGetGatewayAddresses(
    CXPLAT_DATAPATH *datapath, QUIC_ADDR **gateways, uint32_t *count)
{
    if (gateways == NULL || count == NULL) {
        return mqx_fail(
            QUIC_STATUS_INVALID_PARAMETER,
            "CxPlatDataPathGetGatewayAddresses: needs places for list and count");
    }
    *gateways = NULL;
    *count = 0;
    QUIC_STATUS status = mqx_runtime_start();
    if (QUIC_FAILED(status)) {
        return status;
    }
    const MqxTable *other = mqx_copy_other();
    if (other != NULL) {
        return other->CxPlatDataPathGetGatewayAddresses(datapath, gateways, count);
    }
    return get_list(list_gateways, sizeof(**gateways), (void **)gateways, count);
}

QUIC_STATUS mqx_CxPlatDataPathGetLocalAddressForRemote(const QUIC_ADDR *remote, QUIC_ADDR *local)
{
    if (remote == NULL || local == NULL) {
        return mqx_fail(
            QUIC_STATUS_INVALID_PARAMETER,
            "CxPlatDataPathGetLocalAddressForRemote: needs two addresses");
    }
    QUIC_STATUS status = mqx_runtime_start();
    if (QUIC_FAILED(status)) {
        return status;
    }
    const MqxTable *other = mqx_copy_other();
    if (other != NULL) {
        return other->CxPlatDataPathGetLocalAddressForRemote(remote, local);
    }
    char reason[MQX_REASON] = "";
    QUIC_ADDR found = {0};
    status = (QUIC_STATUS)mqxGoLocalAddressFor((QUIC_ADDR *)remote, &found, reason);
    if (QUIC_FAILED(status)) {
        return mqx_fail(status, "%s", reason);
    }
    *local = found;
    return QUIC_STATUS_SUCCESS;
}

/*
 * Queues become processors: queue i is taken to interrupt processor i, as drivers set it up, and what
 * counts is that different queues are different processors, as long as there are enough.
 */
static CXPLAT_RSS_CONFIG *make_rss_config(const MqxRss *rss)
{
    size_t table = rss->TableCount * sizeof(uint32_t);
    CXPLAT_RSS_CONFIG *config =
        CxPlatAlloc(sizeof(*config) + table + rss->KeyLength, QUIC_POOL_DATAPATH_RSS_CONFIG);
    if (config == NULL) {
        return NULL;
    }
    config->HashTypes = (CXPLAT_RSS_HASH_TYPE)rss->HashTypes;
    config->RssIndirectionTableCount = rss->TableCount;
    config->RssIndirectionTable = (uint32_t *)(config + 1);
    config->RssSecretKeyLength = rss->KeyLength;
    config->RssSecretKey = (uint8_t *)config->RssIndirectionTable + table;
    for (uint32_t i = 0; i < rss->TableCount; i++) {
        config->RssIndirectionTable[i] = rss->Table[i] % (uint32_t)get_nprocs_conf();
    }
    memcpy(config->RssSecretKey, rss->Key, rss->KeyLength);
    return config;
}

QUIC_STATUS mqx_CxPlatDataPathRssConfigGet(uint32_t interface_index, CXPLAT_RSS_CONFIG **config)
{
    if (config == NULL) {
        return mqx_fail(
            QUIC_STATUS_INVALID_PARAMETER,
            "CxPlatDataPathRssConfigGet: needs a place for the configuration");
    }
    *config = NULL;
    QUIC_STATUS status = mqx_runtime_start();
    if (QUIC_FAILED(status)) {
        return status;
    }
    const MqxTable *other = mqx_copy_other();
    if (other != NULL) {
        return other->CxPlatDataPathRssConfigGet(interface_index, config);
    }
    char reason[MQX_REASON] = "";
    MqxRss rss;
    status = (QUIC_STATUS)mqxGoRss(interface_index, &rss, reason);
    if (QUIC_FAILED(status)) {
        return mqx_fail(status, "%s", reason);
    }
    *config = make_rss_config(&rss);
    return *config != NULL
               ? QUIC_STATUS_SUCCESS
               : mqx_fail(QUIC_STATUS_OUT_OF_MEMORY, "CxPlatDataPathRssConfigGet: out of memory");
}

void mqx_CxPlatDataPathRssConfigFree(CXPLAT_RSS_CONFIG *config)
{
    if (config != NULL) {
        CxPlatFree(config, QUIC_POOL_DATAPATH_RSS_CONFIG);
    }
}
