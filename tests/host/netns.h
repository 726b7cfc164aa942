/* SPDX-License-Identifier: MIT */
/*
 * netns.h - a network namespace of the test's own, so that the host's network is never touched.
 *
 * The program is executed again inside the new namespace: threads that started before main (the Go
 * runtime's) would have stayed in the old one. Mounts are private too, so that a test can put a
 * file of its own over /etc/hosts.
 */
#ifndef HOST_NETNS_H
#define HOST_NETNS_H

#include <stdbool.h>

/* NULL once the program runs in a namespace of its own with lo up; else why it cannot. */
const char *netns_enter(char **argv);

/*
 * On lo a packet is received at once, by the CPU that happened to send it, so two packets of one
 * sender may pass each other when it moves to another CPU, or when a queueing discipline does. From
 * here on they are spread by flow and keep their order, as on a real card; in return a packet may
 * arrive some time after it was sent. FALSE when the kernel cannot (RPS).
 */
bool netns_keep_order_on_lo(void);

/* Lets a file with this text appear in the place of path, for this program only. */
bool netns_replace_file(const char *path, const char *text);

#endif
