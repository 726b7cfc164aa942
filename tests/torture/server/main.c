/* SPDX-License-Identifier: MIT */
/*
 * main.c - a server on libmsquicxdp.a that answers raw datagrams, for ./build.sh torture.
 *
 *     server PORT WORKERS xdp|kernel IDENTIFIER|-
 *
 * Takes the identifier (- none: the port is its own) and then commands from stdin, one a line. Every
 * line, and the start, is answered by one line: "ok", with what was asked for, or "no" and a reason.
 *
 *     leave            closes all; says how many descriptors more are open than before it came
 *     join             takes the first identifier again
 *     claim HEX        takes another identifier
 *     release HEX      gives it up
 *     fork             makes a child that runs on until `reap` or our end; says its process ID
 *     reap             ends that child
 *     report           says what has been answered, and how
 *
 * The end of stdin ends it. So it never outlives who started it. Exit status: 0, 1 when it could not
 * start, 2 when something was left at the end.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/memory.h"
#include "host/platform.h"
#include "host/process.h"
#include "member.h"
#include "msquicxdp/msquicxdp.h"

struct server {
    struct member member;
    bool plain;
    uint8_t identifier[IDENTIFIER_LENGTH];
    int descriptors; /* that are open when the member has left */
    pid_t child;     /* 0: none */
    int leash;       /* the child ends when this is closed, at the latest with us */
};

static void log_line(void *context, enum msquicxdp_level level, const char *message)
{
    const struct server *s = context;
    (void)level;
    fprintf(stderr, "%d: %s\n", (int)s->member.process, message);
}

static void say(const char *refused, const char *more)
{
    printf("%s %s\n", refused == NULL ? "ok" : "no", refused == NULL ? more : refused);
    fflush(stdout);
}

/* How many descriptors are open that were not before the member came. */
static int more_descriptors(const struct server *s)
{
    return host_fd_count() - s->descriptors - (s->child > 0 ? 1 : 0);
}

/* ---- commands ---- */

static const char *join(struct server *s)
{
    const char *refused = member_open(&s->member);
    if (refused == NULL) {
        refused = member_claim(&s->member, s->plain ? NULL : s->identifier);
    }
    if (refused != NULL) {
        member_close(&s->member);
    }
    return refused;
}

static const char *path(const struct server *s)
{
    return member_has_xdp(&s->member) ? "xdp" : "kernel";
}

static void leave(struct server *s)
{
    char text[64];
    member_close(&s->member);
    snprintf(text, sizeof(text), "%d", more_descriptors(s));
    say(NULL, text);
}

/* The child has all that a fork gives it: sockets, locks, mappings. */
static void fork_child(struct server *s)
{
    char text[64];
    int ends[2];
    if (s->child != 0 || pipe(ends) != 0) {
        say("there is a child, or no pipe for it", "");
        return;
    }
    s->child = fork();
    if (s->child == 0) {
        char byte;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(ends[0]);
    s->leash = ends[1];
    snprintf(text, sizeof(text), "%d", (int)s->child);
    say(s->child < 0 ? "fork" : NULL, text);
}

static void reap_child(struct server *s)
{
    if (s->child > 0) {
        close(s->leash);
        waitpid(s->child, NULL, 0);
        s->child = 0;
    }
}

static void report(struct server *s)
{
    struct msquicxdp_counters c = {.size = sizeof(c)};
    struct member *m = &s->member;
    msquicxdp_get_counters(&c);
    printf(
        "ok {\"path\":\"%s\",\"answered\":%" PRIu64 ",\"strays\":%" PRIu64 ",\"misrouted\":%" PRIu64
        ",\"rx_datagrams\":%" PRIu64 ",\"rx_dropped\":%" PRIu64 ",\"tx_datagrams\":%" PRIu64
        ",\"tx_failed\":%" PRIu64 ",\"fds\":%d,\"threads\":%d}\n",
        path(s), atomic_load(&m->answered), atomic_load(&m->strays), atomic_load(&m->misrouted),
        c.rx_datagrams, c.rx_dropped, c.tx_datagrams, c.tx_failed, host_fd_count(),
        host_thread_count());
    fflush(stdout);
}

static bool parse_identifier(const char *text, uint8_t *identifier)
{
    char *end;
    unsigned long value = strtoul(text, &end, 16);
    identifier[0] = (uint8_t)(value >> 8);
    identifier[1] = (uint8_t)value;
    return strlen(text) == 2 * IDENTIFIER_LENGTH && *end == '\0';
}

static void run_with(struct server *s, const char *command, const char *argument)
{
    uint8_t identifier[IDENTIFIER_LENGTH];
    if (!parse_identifier(argument, identifier)) {
        say("that is no identifier", "");
    } else if (strcmp(command, "claim") == 0) {
        say(s->member.datapath == NULL ? "it has left" : member_claim(&s->member, identifier), "");
    } else if (strcmp(command, "release") == 0) {
        say(member_release(&s->member, identifier) ? NULL : "there is no such claim", "");
    } else {
        say("unknown command", "");
    }
}

static void run(struct server *s, char *line)
{
    char *argument = strchr(line, ' ');
    if (argument != NULL) {
        *argument = '\0';
        run_with(s, line, argument + 1);
    } else if (strcmp(line, "leave") == 0) {
        leave(s);
    } else if (strcmp(line, "join") == 0) {
        const char *refused = s->member.datapath != NULL ? "it is there" : join(s);
        say(refused, path(s));
    } else if (strcmp(line, "fork") == 0) {
        fork_child(s);
    } else if (strcmp(line, "reap") == 0) {
        reap_child(s);
        say(NULL, "");
    } else if (strcmp(line, "report") == 0) {
        report(s);
    } else {
        say("unknown command", "");
    }
}

/* ---- the process ---- */

static bool parse(struct server *s, int argc, char **argv)
{
    if (argc != 5) {
        return false;
    }
    s->member.port = (uint16_t)atoi(argv[1]);
    s->member.workers = (uint16_t)atoi(argv[2]);
    s->member.xdp = strcmp(argv[3], "xdp") == 0;
    s->plain = strcmp(argv[4], "-") == 0;
    return s->plain || parse_identifier(argv[4], s->identifier);
}

/* What the archive keeps for the whole life of the process, it makes with the first datapath. */
static bool start_runtime(struct server *s)
{
    const char *refused = member_open(&s->member);
    member_close(&s->member);
    s->descriptors = host_fd_count();
    return refused == NULL;
}

static bool is_clean(const struct server *s)
{
    if (host_memory_live() != 0) {
        host_memory_print();
    }
    int more = more_descriptors(s);
    if (more != 0) {
        fprintf(stderr, "%d: %d descriptors more than before\n", (int)s->member.process, more);
    }
    return host_memory_live() == 0 && host_memory_faults() == 0 && host_asserts() == 0 && more == 0;
}

int main(int argc, char **argv)
{
    static struct server s;
    char line[64];
    struct msquicxdp_log_options log = {
        .size = sizeof(log), .log = log_line, .context = &s, .level = MSQUICXDP_LEVEL_WARNING};
    if (!parse(&s, argc, argv)) {
        fprintf(stderr, "usage: server PORT WORKERS xdp|kernel IDENTIFIER|-\n");
        return 1;
    }
    s.member.process = (uint32_t)getpid();
    msquicxdp_set_log(&log);
    const char *refused = start_runtime(&s) ? join(&s) : "the runtime does not start";
    say(refused, path(&s));
    if (refused != NULL) {
        return 1;
    }
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        run(&s, line);
    }
    reap_child(&s);
    member_close(&s.member);
    return is_clean(&s) ? 0 : 2;
}
