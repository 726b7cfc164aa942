/* SPDX-License-Identifier: MIT */
/* options.c - reads NAME=VALUE, finds the job. */
#include "options.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"

static const struct {
    const char *name;
    size_t offset;
    unsigned most;
} numbers[] = {
    {"port", offsetof(struct options, port), 65535},
    {"size", offsetof(struct options, size), MAX_SIZE},
    {"batch", offsetof(struct options, batch), MAX_BATCH},
    {"window", offsetof(struct options, window), 1024},
    {"rate", offsetof(struct options, rate), 100000000},
    {"warmup", offsetof(struct options, warmup), 3600000},
    {"time", offsetof(struct options, time), 3600000},
    {"cpu", offsetof(struct options, cpu), 65535},
    {"interface", offsetof(struct options, interface), 1 << 24},
    {"members", offsetof(struct options, members), 64},
    {"identifier", offsetof(struct options, identifier), 64},
    {"datapaths", offsetof(struct options, datapaths), 16},
    {"hold", offsetof(struct options, hold), 1},
    {"count", offsetof(struct options, count), 1},
};

static unsigned number(const char *argument, const char *text, unsigned most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value > most) {
        fail("%s: wants a number up to %u", argument, most);
    }
    return (unsigned)value;
}

static struct in_addr address(const char *argument, const char *text)
{
    struct in_addr a;
    if (inet_pton(AF_INET, text, &a) != 1) {
        fail("%s: wants an IPv4 address", argument);
    }
    return a;
}

static void read_mac(uint8_t mac[6], const char *argument, const char *text)
{
    if (sscanf(
            text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
            &mac[5]) != 6) {
        fail("%s: wants an Ethernet address", argument);
    }
}

static void set(struct options *o, const char *argument, const char *value)
{
    size_t length = (size_t)(value - argument - 1);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strlen(numbers[i].name) == length && memcmp(argument, numbers[i].name, length) == 0) {
            *(unsigned *)((char *)o + numbers[i].offset) = number(argument, value, numbers[i].most);
            return;
        }
    }
    if (length == 5 && memcmp(argument, "local", length) == 0) {
        o->local = address(argument, value);
    } else if (length == 6 && memcmp(argument, "remote", length) == 0) {
        o->remote = address(argument, value);
    } else if (length == 8 && memcmp(argument, "peer_mac", length) == 0) {
        read_mac(o->peer_mac, argument, value);
    } else {
        fail("%s: no option has this name", argument);
    }
}

void options_read(struct options *o, int argc, char **argv)
{
    *o = (struct options){
        .job = "", .size = 64, .batch = 1, .window = 1, .time = 1000, .members = 1, .datapaths = 1};
    o->local.s_addr = o->remote.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (equals != NULL) {
            set(o, argv[i], equals + 1);
        } else {
            o->job = argv[i];
        }
    }
    if (o->size < 8 || o->batch == 0 || o->window == 0) {
        fail("size is at least 8, batch and window at least 1");
    }
}

int job_run(const struct options *o, const struct job *jobs, unsigned count)
{
    char names[256] = "";
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(o->job, jobs[i].name) == 0) {
            jobs[i].run(o);
            return EXIT_SUCCESS;
        }
        strncat(names, " ", sizeof(names) - strlen(names) - 1);
        strncat(names, jobs[i].name, sizeof(names) - strlen(names) - 1);
    }
    fail("\"%s\" is none of the jobs:%s", o->job, names);
}
