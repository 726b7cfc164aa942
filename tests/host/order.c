/* SPDX-License-Identifier: MIT */
/* order.c - one number that everybody changes: so every change is after all earlier ones. */
#include "host/order.h"

#include <stdatomic.h>

static _Atomic unsigned events;

void order_before_event(void)
{
    atomic_fetch_add(&events, 1);
}

void order_after_event(void)
{
    atomic_fetch_add(&events, 1);
}

#ifdef HOST_THREAD_SANITIZER

void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);

void order_ignore_begin(void)
{
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
}

void order_ignore_end(void)
{
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

#else

void order_ignore_begin(void)
{
}

void order_ignore_end(void)
{
}

#endif
