/* SPDX-License-Identifier: MIT */
/* options.c - what AF_XDP may be used for: msquicxdp_set_xdp, and the environment for what is left open. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static pthread_mutex_t options_lock = PTHREAD_MUTEX_INITIALIZER;
static MqxXdpOptions options;
static bool has_options;

bool mqx_get_xdp(MqxXdpOptions *out)
{
    pthread_mutex_lock(&options_lock);
    *out = options;
    bool set = has_options;
    pthread_mutex_unlock(&options_lock);
    return set;
}

void mqx_put_xdp(const MqxXdpOptions *in)
{
    static const MqxXdpOptions none;
    pthread_mutex_lock(&options_lock);
    has_options = in != NULL;
    options = in != NULL ? *in : none;
    pthread_mutex_unlock(&options_lock);
}

/* The bytes between two commas. */
static bool is_name(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)name[i] <= ' ' || name[i] == '/' || name[i] == 0x7f) {
            return false;
        }
    }
    return length != 0;
}

/* Copies a list of names. False, and a reason: it is not one. */
static bool copy_list(char *to, const char *list, const char *what)
{
    if (strlen(list) >= MQX_LIST) {
        mqx_fail(QUIC_STATUS_INVALID_PARAMETER, "%s is longer than %d bytes", what, MQX_LIST - 1);
        return false;
    }
    for (const char *name = list; *list != '\0'; name++) {
        size_t length = strcspn(name, ",");
        if (!is_name(name, length)) {
            mqx_fail(
                QUIC_STATUS_INVALID_PARAMETER,
                "%s=\"%s\": write names of interfaces with commas between them, in which * stands "
                "for any characters and ? for one",
                what, list);
            return false;
        }
        name += length;
        if (*name == '\0') {
            break;
        }
    }
    strcpy(to, list);
    return true;
}

/* The words of an option, in the order of their numbers from 1. */
typedef struct Words {
    const char *Variable;
    const char *Word[3];
} Words;

static const Words policies = {"MSQUICXDP_XDP", {"prefer", "require", "never"}};
static const Words attaches = {"MSQUICXDP_XDP_ATTACH", {"any", "native", "generic"}};
static const Words transmits = {"MSQUICXDP_TRANSMIT", {"auto", "kernel", "xdp"}};
static const Words zerocopies = {"MSQUICXDP_XDP_ZEROCOPY", {"auto", "require", "never"}};

/* Settles what is left open: by the environment, else by the first word. */
static bool settle(uint8_t *value, const Words *words)
{
    const char *text = getenv(words->Variable);
    if (*value != 0) {
        return true;
    }
    if (text == NULL || *text == '\0') {
        *value = 1;
        return true;
    }
    for (uint8_t i = 0; i < 3; i++) {
        if (strcmp(text, words->Word[i]) == 0) {
            *value = i + 1;
            return true;
        }
    }
    mqx_fail(
        QUIC_STATUS_INVALID_PARAMETER, "%s=\"%s\": write %s, %s or %s", words->Variable, text,
        words->Word[0], words->Word[1], words->Word[2]);
    return false;
}

static bool settle_list(char *list, bool is_set, const char *variable)
{
    const char *text = is_set ? NULL : getenv(variable);
    return text == NULL || copy_list(list, text, variable);
}

QUIC_STATUS mqx_xdp_config(MqxXdpConfig *config)
{
    MqxXdpOptions set;
    mqx_get_xdp(&set);
    *config = set.Set;
    bool good = settle(&config->Policy, &policies) && settle(&config->Attach, &attaches) &&
                settle(&config->ZeroCopy, &zerocopies) && settle(&config->Transmit, &transmits) &&
                settle_list(config->Interfaces, set.HasInterfaces, "MSQUICXDP_INTERFACES") &&
                settle_list(config->Deny, set.HasDeny, "MSQUICXDP_INTERFACES_DENY");
    return good ? QUIC_STATUS_SUCCESS : QUIC_STATUS_INVALID_PARAMETER;
}

/* The part of a caller's struct that we know. */
static int read_options(struct msquicxdp_xdp_options *to, const struct msquicxdp_xdp_options *from)
{
    size_t known = from->size < sizeof(*to) ? from->size : sizeof(*to);
    if (from->size < sizeof(size_t)) {
        return -EINVAL;
    }
    if (!mqx_tail_is_zero(from, sizeof(*to), from->size)) {
        return -E2BIG;
    }
    memcpy(to, from, known);
    return 0;
}

static bool is_known(unsigned value, const char *what)
{
    if (value > 3) {
        mqx_fail(
            QUIC_STATUS_INVALID_PARAMETER, "msquicxdp_set_xdp: %s has no value %u", what, value);
    }
    return value <= 3;
}

int mqx_msquicxdp_set_xdp(const struct msquicxdp_xdp_options *in)
{
    struct msquicxdp_xdp_options wanted = {0};
    if (in == NULL) {
        mqx_put_xdp(NULL);
        return 0;
    }
    int error = read_options(&wanted, in);
    if (error != 0) {
        mqx_fail(
            QUIC_STATUS_INVALID_PARAMETER, "msquicxdp_set_xdp: %s",
            error == -E2BIG ? "an option is set that this version does not know" : "no size");
        return error;
    }
    MqxXdpOptions set = {
        .Set =
            {.Policy = (uint8_t)wanted.policy,
             .Attach = (uint8_t)wanted.attach,
             .ZeroCopy = (uint8_t)wanted.zerocopy,
             .Transmit = (uint8_t)wanted.transmit},
        .HasInterfaces = wanted.interfaces != NULL,
        .HasDeny = wanted.deny != NULL,
    };
    bool good =
        is_known(wanted.policy, "policy") && is_known(wanted.attach, "attach") &&
        is_known(wanted.zerocopy, "zerocopy") && is_known(wanted.transmit, "transmit") &&
        (!set.HasInterfaces || copy_list(set.Set.Interfaces, wanted.interfaces, "interfaces")) &&
        (!set.HasDeny || copy_list(set.Set.Deny, wanted.deny, "deny"));
    if (!good) {
        return -EINVAL;
    }
    mqx_put_xdp(&set);
    return 0;
}
