/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * cibir_host.c - runs cibir.h on the host, over stdin and stdout, for cibir_test.go.
 *
 * A question is the three bytes of an encoding, the length of a datagram as two bytes, most significant
 * first, and the datagram. An answer is a verdict and a struct cibir_id. Every datagram is in memory of
 * exactly its length, so that the address sanitizer sees a read beyond it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct packet {
    unsigned char *data;
    size_t length;
};

static int load(const struct packet *p, unsigned offset, void *to, unsigned length)
{
    if (length < 1 || length > 20)
        abort(); /* the verifier would refuse it */
    if (offset > p->length || length > p->length - offset)
        return -1;
    memcpy(to, p->data + offset, length);
    return 0;
}

#define CIBIR_LOAD(packet, offset, to, length) load(packet, offset, to, length)
#include "../cibir.h"

/* Reads exactly n bytes. At the end of the input, which is between two questions, the program is done. */
static void ask(void *to, size_t n)
{
    if (fread(to, 1, n, stdin) != n)
        exit(feof(stdin) ? 0 : 1);
}

int main(void)
{
    for (;;) {
        unsigned char encoding[3], length[2], verdict;
        struct packet p;

        ask(encoding, sizeof(encoding));
        ask(length, sizeof(length));
        p.length = (size_t)(length[0] << 8 | length[1]);
        p.data = malloc(p.length);
        ask(p.data, p.length);

        struct cibir_encoding e = {encoding[0], encoding[1], encoding[2]};
        struct cibir_id *id = malloc(sizeof(*id)); /* alone in its memory, too */
        memset(id, 0xee, sizeof(*id));
        verdict = cibir_find(&p, (__u32)p.length, &e, id);
        fwrite(&verdict, 1, 1, stdout);
        fwrite(id, sizeof(*id), 1, stdout);
        fflush(stdout);
        free(id);
        free(p.data);
    }
}
