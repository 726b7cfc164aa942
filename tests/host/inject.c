/* SPDX-License-Identifier: MIT */
/* inject.c - seccomp with user notification, the supervisor in the same process. */
#define _GNU_SOURCE
#include "host/inject.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/order.h"
#include "host/wait.h"

struct subject {
    int system_call;
    int ended; /* an eventfd */
    void (*work)(void *arg);
    void *arg;
    int listener; /* -1: refused */
    struct gauge ready;
};

static int install(int system_call)
{
    unsigned flags = system_call == SYS_sendmsg ? 2 : 3; /* which argument */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)system_call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + flags * 8),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MSG_DONTWAIT, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)syscall(
        SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static void *subject_main(void *arg)
{
    struct subject *s = arg;
    s->listener = install(s->system_call);
    bool ok = s->listener >= 0;
    gauge_add(&s->ready, 1);
    if (ok) {
        s->work(s->arg);
        eventfd_write(s->ended, 1);
    }
    return NULL;
}

static void answer(int listener, inject_fn *decide, void *context)
{
    struct seccomp_notif question;
    struct seccomp_notif_resp reply;
    memset(&question, 0, sizeof(question));
    memset(&reply, 0, sizeof(reply));
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) != 0) {
        return;
    }
    uint64_t args[6];
    memcpy(args, question.data.args, sizeof(args));
    order_ignore_begin();
    int64_t result = decide(context, args);
    order_ignore_end();
    reply.id = question.id;
    if (result == INJECT_NOTHING) {
        reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    } else if (result < 0) {
        reply.error = (int32_t)result;
    } else {
        reply.val = result;
    }
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
}

/* Until the work is done. */
static void supervise(const struct subject *s, inject_fn *decide, void *context)
{
    struct pollfd p[2] = {
        {.fd = s->listener, .events = POLLIN}, {.fd = s->ended, .events = POLLIN}};
    while (poll(p, 2, -1) > 0 || errno == EINTR) {
        if (p[0].revents & POLLIN) {
            answer(s->listener, decide, context);
        } else if (p[1].revents & POLLIN) {
            return;
        }
    }
}

bool inject_run(
    int system_call, inject_fn *decide, void *context, void (*work)(void *arg), void *arg)
{
    struct subject s = {.system_call = system_call, .work = work, .arg = arg, .listener = -1};
    pthread_t thread;
    gauge_init(&s.ready);
    s.ended = eventfd(0, EFD_CLOEXEC);
    if (s.ended < 0 || pthread_create(&thread, NULL, subject_main, &s) != 0) {
        return false;
    }
    gauge_wait(&s.ready, 1);
    bool ok = s.listener >= 0;
    if (ok) {
        supervise(&s, decide, context);
        close(s.listener);
    }
    pthread_join(thread, NULL);
    close(s.ended);
    gauge_destroy(&s.ready);
    return ok;
}
