/* SPDX-License-Identifier: MIT */
/*
 * main.c - a QUIC server on libmsquicxdp.a, for ./build.sh demo.
 *
 * Says "ready" on stdout once it serves. Reads commands from stdin: "report" prints a line of JSON;
 * at the end of stdin, or on SIGTERM or SIGINT, it ends. So it never outlives who started it. Exit
 * status: 0, 1 when it could not start, 2 when something was left at the end.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "server.h"

/* Blocks the signals that end the server, in this thread and all later ones. */
static int watch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Runs every whole line of input, and keeps what follows the last one. */
static size_t run_commands(const struct server *s, char *input, size_t length)
{
    char *line = input;
    char *end;
    while ((end = memchr(line, '\n', length - (size_t)(line - input))) != NULL) {
        *end = '\0';
        if (strcmp(line, "report") == 0) {
            report_print(stdout, s);
        } else {
            fprintf(stderr, "%s: unknown command \"%s\"\n", s->options->name, line);
        }
        line = end + 1;
    }
    length -= (size_t)(line - input);
    memmove(input, line, length);
    return length;
}

static void serve(const struct server *s, int signals)
{
    char input[256];
    size_t length = 0;
    struct pollfd fds[] = {
        {.fd = STDIN_FILENO, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    while (length < sizeof(input)) {
        if (poll(fds, 2, -1) < 0 || fds[1].revents != 0) {
            return;
        }
        ssize_t n = read(STDIN_FILENO, input + length, sizeof(input) - length);
        if (n <= 0) {
            return;
        }
        length = run_commands(s, input, length + (size_t)n);
    }
}

int main(int argc, char **argv)
{
    struct options options;
    struct server server;
    if (!options_parse(&options, argc, argv)) {
        return 1;
    }
    int signals = watch_signals();
    bool started = server_open(&server, &options);
    if (started) {
        printf("ready\n");
        fflush(stdout);
        serve(&server, signals);
    }
    bool clean = server_close(&server);
    close(signals);
    return !started ? 1 : clean ? 0 : 2;
}
