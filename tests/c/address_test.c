/* SPDX-License-Identifier: MIT */
/* address_test.c - host names, addresses of this host, gateways, and what network cards tell. */
#include <net/if.h>
#include <string.h>

#include "host/link.h"
#include "host/memory.h"
#include "host/netns.h"
#include "host/rig.h"

static const char hosts[] = "127.0.0.1 localhost\n"
                            "::1 ip6-localhost\n"
                            "192.0.2.33 both.test\n"
                            "2001:db8::33 both.test\n"
                            "192.0.2.44 alias.test canonical.test\n";

/* ---- names ---- */

static void try_name(
    CXPLAT_DATAPATH *datapath, const char *name, QUIC_ADDRESS_FAMILY family, const char *ip)
{
    QUIC_ADDR found, want = addr(ip, 0);
    memset(&found, 0xee, sizeof(found)); /* all of it has to be written */
    found.Ip.sa_family = family;
    if (CHECK_OK(CxPlatDataPathResolveAddress(datapath, name, &found))) {
        CHECK_ADDR(&found, &want);
        CHECK_EQ(found.Ipv6.sin6_scope_id, 0);
        if (found.Ip.sa_family == AF_INET6) {
            CHECK_EQ(found.Ipv6.sin6_flowinfo, 0);
        }
    }
}

TEST(numbers_are_resolved)
{
    struct rig rig;
    REQUIRE(rig_open(&rig, 1));
    static const char *const v4[] = {"127.0.0.1", "0.0.0.0", "255.255.255.255", "192.0.2.1"};
    static const char *const v6[] = {"::1", "::", "2001:db8::5", "fe80::1"};
    for (unsigned i = 0; i < 4; i++) {
        try_name(rig.datapath, v4[i], AF_UNSPEC, v4[i]);
        try_name(rig.datapath, v4[i], AF_INET, v4[i]);
        try_name(rig.datapath, v6[i], AF_UNSPEC, v6[i]);
        try_name(rig.datapath, v6[i], AF_INET6, v6[i]);
    }
    try_name(rig.datapath, "::ffff:192.0.2.9", AF_UNSPEC, "192.0.2.9"); /* never v4-mapped */
    rig_close(&rig);
}

TEST(names_in_the_hosts_file_are_resolved)
{
    REQUIRE(netns_replace_file("/etc/hosts", hosts));
    struct rig rig;
    REQUIRE(rig_open(&rig, 1));
    try_name(rig.datapath, "localhost", AF_INET, "127.0.0.1");
    try_name(rig.datapath, "ip6-localhost", AF_INET6, "::1");
    try_name(rig.datapath, "ip6-localhost", AF_UNSPEC, "::1");
    try_name(rig.datapath, "both.test", AF_INET, "192.0.2.33");
    try_name(rig.datapath, "both.test", AF_INET6, "2001:db8::33");
    try_name(rig.datapath, "alias.test", AF_UNSPEC, "192.0.2.44");
    try_name(NULL, "canonical.test", AF_UNSPEC, "192.0.2.44"); /* a datapath is not needed */
    rig_close(&rig);
}

/* The failure is positive: a negative one would be a success for core. */
static void try_unknown(const char *name, QUIC_ADDRESS_FAMILY family)
{
    QUIC_ADDR found = addr("192.0.2.250", 99), before;
    found.Ip.sa_family = family;
    before = found;
    QUIC_STATUS status = CxPlatDataPathResolveAddress(NULL, name, &found);
    CHECK_REFUSED(status, QUIC_STATUS_NOT_FOUND);
    CHECK(QUIC_FAILED(status));
    CHECK(memcmp(&found, &before, sizeof(found)) == 0);
}

TEST(unknown_names_are_not_found)
{
    REQUIRE(netns_replace_file("/etc/hosts", hosts));
    REQUIRE(netns_replace_file(
        "/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"));
    try_unknown("no-such-host.invalid", AF_UNSPEC);
    try_unknown("no-such-host.invalid", AF_INET);
    try_unknown("", AF_UNSPEC);
    try_unknown("not a name", AF_UNSPEC);
    try_unknown("300.1.1.1.1", AF_UNSPEC);
    try_unknown("::1", AF_INET); /* there, but not of the family wanted */
    try_unknown("192.0.2.1", AF_INET6);
    try_unknown("alias.test", AF_INET6);
    static char endless[5000];
    memset(endless, 'a', sizeof(endless) - 1);
    try_unknown(endless, AF_UNSPEC);
}

/* ---- addresses of this host ---- */

static bool lists(
    const CXPLAT_ADAPTER_ADDRESS *list,
    uint32_t count,
    const QUIC_ADDR *want,
    const char *interface,
    CXPLAT_ADAPTER_ADDRESS *found)
{
    for (uint32_t i = 0; i < count; i++) {
        if (addr_same_ip(&list[i].Address, want) &&
            list[i].InterfaceIndex == if_nametoindex(interface)) {
            *found = list[i];
            return true;
        }
    }
    return false;
}

static bool add_network(void)
{
    QUIC_ADDR v4 = addr("10.80.0.1", 0), second = addr("10.80.0.2", 0), v6 = addr("fd80::1", 0);
    return link_add_veth("veth0", "veth1") && link_add_address("veth0", &v4, 24) &&
           link_add_address("veth0", &second, 24) && link_add_address("veth0", &v6, 64) &&
           link_up("veth0") && link_up("veth1") && link_wait_usable("veth0");
}

TEST(local_addresses)
{
    REQUIRE(add_network());
    static const struct {
        const char *ip, *interface;
        uint16_t type;
    } wanted[] = {
        {"127.0.0.1", "lo", CXPLAT_IF_TYPE_SOFTWARE_LOOPBACK},
        {"::1", "lo", CXPLAT_IF_TYPE_SOFTWARE_LOOPBACK},
        {"10.80.0.1", "veth0", 6 /* ethernet */},
        {"10.80.0.2", "veth0", 6},
        {"fd80::1", "veth0", 6}};
    CXPLAT_ADAPTER_ADDRESS *list = NULL, found;
    uint32_t count = 0;
    REQUIRE(CHECK_OK(CxPlatDataPathGetLocalAddresses(NULL, &list, &count)));
    CHECK_EQ(host_memory_live_tag(QUIC_POOL_DATAPATH_ADDRESSES), 1);
    for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        QUIC_ADDR want = addr(wanted[i].ip, 0);
        memset(&found, 0, sizeof(found));
        if (CHECK(lists(list, count, &want, wanted[i].interface, &found))) {
            CHECK_EQ(found.InterfaceType, wanted[i].type);
            CHECK_EQ(addr_port(&found.Address), 0);
            CHECK(
                wanted[i].type == CXPLAT_IF_TYPE_SOFTWARE_LOOPBACK ||
                found.OperationStatus == CXPLAT_OPERATION_STATUS_UP);
        }
    }
    CxPlatFree(list, QUIC_POOL_DATAPATH_ADDRESSES);
    CHECK(link_delete("veth0"));
    REQUIRE(CHECK_OK(CxPlatDataPathGetLocalAddresses(NULL, &list, &count)));
    QUIC_ADDR gone = addr("10.80.0.1", 0);
    CHECK(!lists(list, count, &gone, "veth0", &found)); /* asked anew every time */
    CxPlatFree(list, QUIC_POOL_DATAPATH_ADDRESSES);
}

static void try_source(const char *remote, const char *want)
{
    QUIC_ADDR to = addr(remote, 4433), local, expected = addr(want, 0);
    memset(&local, 0xee, sizeof(local));
    if (CHECK_OK(CxPlatDataPathGetLocalAddressForRemote(&to, &local))) {
        CHECK(
            addr_same_ip(&local, &expected) ||
            addr_check(&local, &expected, remote, __FILE__, __LINE__));
    }
}

TEST(local_address_for_a_remote_one)
{
    REQUIRE(add_network());
    QUIC_ADDR gateway = addr("10.80.0.254", 0);
    REQUIRE(link_add_default_route("veth0", &gateway));
    try_source("127.0.0.1", "127.0.0.1");
    try_source("::1", "::1");
    try_source("10.80.0.99", "10.80.0.1");
    try_source("fd80::99", "fd80::1");
    try_source("192.0.2.1", "10.80.0.1"); /* by the gateway */
    CHECK(link_delete("veth0"));
    QUIC_ADDR far = addr("192.0.2.1", 4433), local = addr("0.0.0.0", 7), before = local;
    QUIC_STATUS status = CxPlatDataPathGetLocalAddressForRemote(&far, &local);
    CHECK(QUIC_FAILED(status)); /* no way leads there any more */
    CHECK(msquicxdp_last_reason(NULL, 0) > 0);
    CHECK(memcmp(&local, &before, sizeof(local)) == 0);
}

/* ---- gateways ---- */

TEST(without_a_gateway_there_is_none)
{
    QUIC_ADDR *list = (QUIC_ADDR *)(uintptr_t)0x5a5a;
    uint32_t count = 77;
    CHECK_REFUSED(CxPlatDataPathGetGatewayAddresses(NULL, &list, &count), QUIC_STATUS_NOT_FOUND);
    CHECK(list == NULL);
    CHECK_EQ(count, 0);
}

static bool in_list(const QUIC_ADDR *list, uint32_t count, const char *ip)
{
    QUIC_ADDR want = addr(ip, 0);
    for (uint32_t i = 0; i < count; i++) {
        if (addr_same_ip(&list[i], &want)) {
            return true;
        }
    }
    return false;
}

TEST(gateways_of_both_families)
{
    REQUIRE(add_network());
    QUIC_ADDR v4 = addr("10.80.0.254", 0), v6 = addr("fd80::fe", 0), *list = NULL;
    uint32_t count = 0;
    REQUIRE(link_add_default_route("veth0", &v4));
    REQUIRE(CHECK_OK(CxPlatDataPathGetGatewayAddresses(NULL, &list, &count)));
    CHECK_EQ(count, 1);
    CHECK(list != NULL && in_list(list, count, "10.80.0.254"));
    CxPlatFree(list, QUIC_POOL_DATAPATH_ADDRESSES);
    REQUIRE(link_add_default_route("veth0", &v6));
    REQUIRE(CHECK_OK(CxPlatDataPathGetGatewayAddresses(NULL, &list, &count)));
    CHECK_EQ(count, 2);
    CHECK(list != NULL && in_list(list, count, "10.80.0.254") && in_list(list, count, "fd80::fe"));
    CxPlatFree(list, QUIC_POOL_DATAPATH_ADDRESSES);
    CHECK(link_delete("veth0"));
}

/* ---- receive side scaling ---- */

static void no_rss(uint32_t interface_index, QUIC_STATUS want)
{
    CXPLAT_RSS_CONFIG *config = (CXPLAT_RSS_CONFIG *)(uintptr_t)0x5a5a;
    CHECK_REFUSED(CxPlatDataPathRssConfigGet(interface_index, &config), want);
    CHECK(config == NULL);
}

TEST(rss_of_interfaces_that_have_none)
{
    REQUIRE(link_add_veth("veth0", "veth1"));
    no_rss(if_nametoindex("lo"), QUIC_STATUS_NOT_SUPPORTED);
    no_rss(if_nametoindex("veth0"), QUIC_STATUS_NOT_SUPPORTED);
    no_rss(0xdead, QUIC_STATUS_NOT_FOUND);
    CHECK(link_delete("veth0"));
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(numbers_are_resolved),
    CASE(names_in_the_hosts_file_are_resolved),
    CASE(unknown_names_are_not_found),
    CASE(local_addresses),
    CASE(local_address_for_a_remote_one),
    CASE(without_a_gateway_there_is_none),
    CASE(gateways_of_both_families),
    CASE(rss_of_interfaces_that_have_none))
