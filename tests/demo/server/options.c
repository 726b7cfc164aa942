/* SPDX-License-Identifier: MIT */
/* options.c - reads the command line. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>

enum { MAX_WORKERS = 64 };

static const char usage[] =
    "usage: server --certificate FILE --key FILE [--port PORT] [--workers N]\n"
    "              [--identifier HEX] [--secret HEX] [--xdp]\n"
    "\n"
    "Echoes checked data over QUIC (ALPN \"demo\"), through libmsquicxdp.a. Commands on stdin:\n"
    "\"report\" prints one line of JSON, the end of stdin ends the server.\n"
    "\n"
    "  --identifier  the CIBIR identifier, 1 to 6 bytes, that its connection IDs carry, and by\n"
    "                which it shares the port; without, the port is its own\n"
    "  --secret      32 bytes that stateless reset tokens are made of, so that a server\n"
    "                which is started again can reset the connections of the one that died\n"
    "  --xdp         asks for AF_XDP\n";

static int hex_digit(char c)
{
    const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c | 0x20);
    return at == NULL ? -1 : (int)(at - digits);
}

/* How many bytes, at most size; -1 if it is no hex. */
static int parse_hex(const char *text, uint8_t *bytes, size_t size)
{
    size_t n = 0;
    for (; text[0] != '\0'; text += 2, n++) {
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0 || n == size) {
            return -1;
        }
        bytes[n] = (uint8_t)(high << 4 | low);
    }
    return (int)n;
}

static bool parse_number(const char *text, long least, long most, uint16_t *number)
{
    char *end;
    long value = strtol(text, &end, 10);
    *number = (uint16_t)value;
    return *text != '\0' && *end == '\0' && value >= least && value <= most;
}

static bool parse_identifier(struct options *o, const char *text)
{
    int n = parse_hex(text, o->cids.identifier, sizeof(o->cids.identifier));
    if (n <= 0) {
        return false;
    }
    o->cids.identifier_length = (uint8_t)n;
    memcpy(o->name, text, 2 * (size_t)n + 1);
    return true;
}

static bool parse_option(struct options *o, int option, const char *value)
{
    switch (option) {
    case 'c': o->certificate = value; return true;
    case 'k': o->key = value; return true;
    case 'p': return parse_number(value, 0, UINT16_MAX, &o->port);
    case 'w': return parse_number(value, 1, MAX_WORKERS, &o->workers);
    case 'i': return parse_identifier(o, value);
    case 's': return parse_hex(value, o->cids.secret, CID_SECRET) == CID_SECRET;
    case 'x': o->xdp = true; return true;
    default: return false;
    }
}

bool options_parse(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"certificate", required_argument, NULL, 'c'},
        {"key", required_argument, NULL, 'k'},
        {"port", required_argument, NULL, 'p'},
        {"workers", required_argument, NULL, 'w'},
        {"identifier", required_argument, NULL, 'i'},
        {"secret", required_argument, NULL, 's'},
        {"xdp", no_argument, NULL, 'x'},
        {NULL, 0, NULL, 0},
    };
    *o = (struct options){.name = "plain", .port = 4433, .workers = 2};
    gnutls_rnd(GNUTLS_RND_KEY, o->cids.secret, CID_SECRET);
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (!parse_option(o, option, optarg)) {
            fprintf(stderr, "%s", usage);
            return false;
        }
    }
    if (optind != argc || o->certificate == NULL || o->key == NULL) {
        fprintf(stderr, "%s", usage);
        return false;
    }
    return true;
}
