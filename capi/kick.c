/* SPDX-License-Identifier: MIT */
/*
 * kick.c - one kick for what a worker sends by a queue of AF_XDP in a turn.
 *
 * A kick is the system call that makes the kernel send what is in a TX ring. On a worker of the datapath a
 * send may only note that its queue is owed one, and an execution context of ours pays at the end of the
 * turn, or the event whose up-calls have sent. Threads that are no worker's pay at once: nobody sees the
 * end of what they do.
 *
 * The first few sends after the worker has waited pay at once too. Their peer most likely waits in turn, and works
 * on what it gets while we go on with the rest. A worker that has more to do than it can has no such gaps.
 *
 * No worker sleeps with a debt. What up-calls of events send is paid in the pass over the contexts that
 * comes before the worker waits again. A context that sends comes before ours in the same pass: a
 * worker runs the latest first, and who sends by a datapath adds his context when he has it (MsQuic when a
 * registration is opened). Besides, MsQuic's stays ready after each piece of work, so that there is
 * another pass before the worker waits.
 *
 * A pool that the application polls promises neither: it may send between a poll and the wait for
 * events, and delete the pool without another poll. There everybody pays at once, and our context goes
 * the first time that it is run.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "_cgo_export.h"
#include "internal.h"

enum {
    DEBTS = 8, /* queues that a worker may owe a kick */
    EAGER = 4, /* sends that pay at once after a wait: more than an answer mostly takes */
    /*
     * Datagrams that may wait. The kernel takes 32 with one system call where it copies, so that more gain
     * nothing, and in bulk the peer is to have the first while the others are made.
     */
    PATIENCE = 32,
    CHUNK_LEDGERS = 64
};

/* What a worker owes a queue, which may be gone by the time of the kick. */
typedef struct Debt {
    const CXPLAT_QUEUE *Queue; /* as in CXPLAT_ROUTE.Queue */
    uint32_t Datagrams;        /* 0: the kick has been paid */
} Debt;

/*
 * What the worker of a partition owes. The worker has the contexts until they have returned FALSE, and
 * no sooner is the memory used again: never, when a pool ends before it has run them.
 */
struct MqxLedger {
    CXPLAT_EXECUTION_CONTEXT Payer;
    CXPLAT_EXECUTION_CONTEXT Waker; /* linked when the datapath goes, since that wakes the worker */
    CXPLAT_WORKER_POOL *Pool;
    uint16_t Index;
    _Atomic uint32_t Holders; /* the datapath, and each context that is linked */
    _Atomic bool Closed;      /* the datapath has gone */
    _Atomic bool Retired;     /* Payer is linked no more */
    MqxLedger *Next;          /* of those that are free */

    /* The worker's own: */
    bool Engaged;   /* it pays; the pool is held until it has unlinked all */
    bool Busy;      /* it did not wait before its last turn with a send */
    uint32_t Sends; /* in this turn */
    uint32_t Debts;
    Debt Debt[DEBTS];
};

/* ---- memory ---- */

static pthread_mutex_t ledger_lock = PTHREAD_MUTEX_INITIALIZER;
static MqxLedger *free_ledgers; /* under ledger_lock */

/* Called with the lock. */
static void make_ledgers(void)
{
    MqxLedger *chunk = mmap(
        NULL, CHUNK_LEDGERS * sizeof(MqxLedger), PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; chunk != MAP_FAILED && i < CHUNK_LEDGERS; i++) {
        chunk[i].Next = free_ledgers;
        free_ledgers = &chunk[i];
    }
}

static MqxLedger *take_ledger(void)
{
    pthread_mutex_lock(&ledger_lock);
    if (free_ledgers == NULL) {
        make_ledgers();
    }
    MqxLedger *ledger = free_ledgers;
    if (ledger != NULL) {
        free_ledgers = ledger->Next;
    }
    pthread_mutex_unlock(&ledger_lock);
    return ledger;
}

/* The last one gives the memory and the pool back. */
static void drop(MqxLedger *ledger)
{
    if (atomic_fetch_sub(&ledger->Holders, 1) != 1) {
        return;
    }
    CXPLAT_WORKER_POOL *held = ledger->Engaged ? ledger->Pool : NULL;
    pthread_mutex_lock(&ledger_lock);
    ledger->Next = free_ledgers;
    free_ledgers = ledger;
    pthread_mutex_unlock(&ledger_lock);
    if (held != NULL) {
        CxPlatWorkerPoolRelease(held, CXPLAT_WORKER_POOL_REF_RAW);
    }
}

/* ---- on the worker ---- */

/* Whose worker this thread is. A worker ends with its pool, so it does not change. */
static _Thread_local const CXPLAT_WORKER_POOL *my_pool;
static _Thread_local uint16_t my_index;

/* A pool that the application polls has no time of the last work. */
static bool engage(MqxLedger *ledger, const CXPLAT_EXECUTION_STATE *state)
{
    if (state->LastWorkTime == 0 ||
        !CxPlatWorkerPoolAddRef(ledger->Pool, CXPLAT_WORKER_POOL_REF_RAW)) {
        return false;
    }
    my_pool = ledger->Pool;
    my_index = ledger->Index;
    ledger->Engaged = true;
    return true;
}

static void kick(const CXPLAT_QUEUE *queue)
{
    MqxSlot *slot = mqx_slot_enter(queue);
    if (slot == NULL) {
        return; /* the queue is gone */
    }
    if (mqxGoRawKick(&slot->Endpoint)) {
        mqx_count(&mqx_counters(slot->Endpoint.Partition)->XdpTxKicks, 1);
    }
    mqx_gate_leave(slot);
}

static void end_turn(MqxLedger *ledger)
{
    for (uint32_t i = 0; i < ledger->Debts; i++) {
        if (ledger->Debt[i].Datagrams != 0) {
            kick(ledger->Debt[i].Queue);
        }
    }
    ledger->Debts = 0;
    ledger->Sends = 0;
}

static BOOLEAN pay(void *context, CXPLAT_EXECUTION_STATE *state)
{
    MqxLedger *ledger = context;
    if (atomic_load_explicit(&mqx_forked, memory_order_relaxed)) {
        return TRUE;
    }
    if (atomic_load(&ledger->Closed) || (!ledger->Engaged && !engage(ledger, state))) {
        atomic_store(&ledger->Retired, true);
        drop(ledger);
        return FALSE;
    }
    if (ledger->Sends != 0) {
        end_turn(ledger);
        ledger->Busy = state->WaitTime == 0;
        state->NoWorkCount = 0;
    }
    return TRUE;
}

/* Payer is ready, and runs since the worker has woken up. */
static BOOLEAN woken(void *context, CXPLAT_EXECUTION_STATE *state)
{
    (void)state;
    drop(context);
    return FALSE;
}

/* ---- what sends ask ---- */

MqxLedger *mqx_ledger(const CXPLAT_DATAPATH *datapath)
{
    if (datapath->WorkerPool != my_pool) {
        return NULL;
    }
    MqxLedger *ledger = datapath->Partition[my_index].Ledger;
    return ledger != NULL && ledger->Engaged ? ledger : NULL;
}

static Debt *debt_to(MqxLedger *ledger, const CXPLAT_QUEUE *queue)
{
    for (uint32_t i = 0; i < ledger->Debts; i++) {
        if (ledger->Debt[i].Queue == queue) {
            return &ledger->Debt[i];
        }
    }
    return NULL;
}

bool mqx_may_owe(MqxLedger *ledger, const CXPLAT_QUEUE *queue, uint16_t datagrams)
{
    if (ledger->Sends < EAGER && !ledger->Busy) {
        return false;
    }
    const Debt *debt = debt_to(ledger, queue);
    return debt == NULL ? ledger->Debts < DEBTS && datagrams < PATIENCE
                        : debt->Datagrams + datagrams < PATIENCE;
}

static void count_send(MqxLedger *ledger)
{
    ledger->Sends++;
    __atomic_store_n(&ledger->Payer.Ready, TRUE, __ATOMIC_RELAXED);
}

void mqx_owe(MqxLedger *ledger, const CXPLAT_QUEUE *queue, uint16_t datagrams)
{
    count_send(ledger);
    Debt *debt = debt_to(ledger, queue);
    if (debt == NULL) {
        debt = &ledger->Debt[ledger->Debts++];
        *debt = (Debt){.Queue = queue};
    }
    debt->Datagrams += datagrams;
}

void mqx_paid(MqxLedger *ledger, const CXPLAT_QUEUE *queue)
{
    count_send(ledger);
    Debt *debt = debt_to(ledger, queue);
    if (debt != NULL) {
        debt->Datagrams = 0;
    }
}

void mqx_settle(const CXPLAT_DATAPATH *datapath)
{
    MqxLedger *ledger = mqx_ledger(datapath);
    if (ledger != NULL && ledger->Sends != 0) {
        end_turn(ledger);
    }
}

/* ---- with the datapath ---- */

static void add(MqxLedger *ledger, CXPLAT_EXECUTION_CONTEXT *context, CXPLAT_EXECUTION_FN callback)
{
    *context = (CXPLAT_EXECUTION_CONTEXT){
        .Context = ledger,
        .Callback = callback,
        .NextTimeUs = UINT64_MAX,
        .Ready = TRUE,
    };
    CxPlatWorkerPoolAddExecutionContext(ledger->Pool, context, ledger->Index);
}

MqxLedger *mqx_ledger_open(CXPLAT_WORKER_POOL *pool, uint16_t index)
{
    MqxLedger *ledger = take_ledger();
    if (ledger == NULL) {
        return NULL;
    }
    *ledger = (MqxLedger){.Pool = pool, .Index = index, .Holders = 2};
    add(ledger, &ledger->Payer, pay);
    return ledger;
}

void mqx_ledger_close(MqxLedger *ledger)
{
    if (ledger == NULL) {
        return;
    }
    if (atomic_load(&mqx_forked)) { /* no worker is in the child to let go of the pool */
        if (ledger->Engaged) {
            CxPlatWorkerPoolRelease(ledger->Pool, CXPLAT_WORKER_POOL_REF_RAW);
        }
        return;
    }
    if (!atomic_load(&ledger->Retired)) {
        atomic_fetch_add(&ledger->Holders, 1);
        atomic_store(&ledger->Closed, true);
        __atomic_store_n(&ledger->Payer.Ready, TRUE, __ATOMIC_RELEASE);
        add(ledger, &ledger->Waker, woken);
    }
    drop(ledger);
}
