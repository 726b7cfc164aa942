/* SPDX-License-Identifier: MIT */
/* worker.h - the one thread of a program that works: where it runs, and when it stops. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include <stdbool.h>

#include "options.h"

/* Binds the calling thread to the processor of the options, if they name one. */
void worker_pin(const struct options *o);

/* From now on SIGTERM and SIGINT do not end the program but make stop_wanted TRUE. */
void stop_listen(void);
bool stop_wanted(void);

/* No wait may be longer than this: the signal may have come just before it. */
enum { STOP_CHECK_MS = 50 };

#endif
