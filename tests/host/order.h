/* SPDX-License-Identifier: MIT */
/*
 * order.h - order that the kernel makes, told to a thread sanitizer.
 *
 * An event comes after what caused it: what a thread writes before it sends is there for the worker
 * that receives. A sanitizer knows nothing of that, since the archive makes its system calls
 * itself. So the helpers of this library that cause events say order_before_event, and workers say
 * order_after_event.
 */
#ifndef HOST_ORDER_H
#define HOST_ORDER_H

void order_before_event(void);
void order_after_event(void);

/* Between these two the thread may look at memory of a thread that waits in the kernel. */
void order_ignore_begin(void);
void order_ignore_end(void);

#if defined(__SANITIZE_THREAD__)
#define HOST_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HOST_THREAD_SANITIZER 1
#endif
#endif

#ifdef HOST_THREAD_SANITIZER
#define ORDER_OF_THE_KERNEL __attribute__((no_sanitize("thread"), noinline))
#else
#define ORDER_OF_THE_KERNEL
#endif

#endif
