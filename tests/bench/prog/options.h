/* SPDX-License-Identifier: MIT */
/* options.h - the command line of every program here: PROGRAM JOB [NAME=VALUE]... */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <netinet/in.h>

struct options {
    const char *job;
    struct in_addr local;  /* address to use, any port */
    struct in_addr remote; /* whom to talk to */
    unsigned port;         /* of remote */
    unsigned size;         /* bytes of a datagram's payload */
    unsigned batch;        /* datagrams in a batch */
    unsigned window;       /* batches on their way at once (ping) */
    unsigned rate;         /* datagrams a second (flood); 0: as many as possible */
    unsigned warmup;       /* milliseconds that do not count */
    unsigned time;         /* milliseconds that count; 0: until told to stop */
    unsigned cpu;          /* the working thread's, plus 1; 0: any */

    /* By AF_XDP: */
    unsigned interface; /* its index; 0: kernel sockets */
    unsigned members;   /* generators: how many identifiers to write in turn, from 0 */
    unsigned
        identifier; /* ours: that of a server on a shared port, plus 1; 0: the port is its own */
    unsigned datapaths; /* ours: members in this one process, with identifiers that follow */
    unsigned
        hold; /* 1: a sender says that it is ready, and waits for a byte on its standard input */
    unsigned count; /* 1: count system calls, which makes them slower */
    uint8_t peer_mac[6];
};

enum {
    MAX_SIZE = 1472,
    MAX_BATCH = 44 /* of MAX_SIZE, that is what one UDP_SEGMENT send may carry */
};

/* Ends the program, with a message, when it makes no sense. */
void options_read(struct options *o, int argc, char **argv);

/* One of the functions that a program offers. */
struct job {
    const char *name;
    void (*run)(const struct options *o);
};

/* Runs the job that the options name, or ends the program with the list of them. */
int job_run(const struct options *o, const struct job *jobs, unsigned count);

#endif
