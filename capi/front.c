/* SPDX-License-Identifier: MIT */
/*
 * front.c - the exported functions, and which copy of the archive answers them.
 *
 * A process can hold the archive more than once: a program that links it statically loads a
 * libmsquic.so that does too. Two Go runtimes in one process are not supported by Go, and two
 * copies could not share a network queue. So the first copy that needs its runtime becomes the live
 * one, and every function of the others calls through its table.
 *
 * Copies find each other by an ELF note that holds the place of their record: the loader lists all
 * objects with their notes (dl_iterate_phdr), whatever symbols these export or hide.
 */
#include <elf.h>
#include <link.h>
#include <string.h>

#include "copy.h"
#include "internal.h"

static const MqxTable own_table = {
#define MQX_ENTRY(ret, name, params, args) .name = mqx_##name,
    MQX_FUNCTIONS(MQX_ENTRY)
#undef MQX_ENTRY
        .Log = mqx_get_log,
    .Xdp = mqx_get_xdp,
};

/* NULL until this copy has learned which one is live. */
static _Atomic(const MqxTable *) live_table;

static const MqxTable *find_live(void);

static inline const MqxTable *table(void)
{
    const MqxTable *live = atomic_load_explicit(&live_table, memory_order_acquire);
    return __builtin_expect(live != NULL, 1) ? live : find_live();
}

#define MQX_EXPORT(ret, name, params, args)                                                        \
    ret name params                                                                                \
    {                                                                                              \
        return table()->name args;                                                                 \
    }
MQX_FUNCTIONS(MQX_EXPORT)
#undef MQX_EXPORT

uint32_t msquicxdp_version(void)
{
    return MSQUICXDP_VERSION;
}

/* What a copy tells the others. Frozen: any other content needs another note type. */
struct MqxCopy {
    uint32_t Version; /* copies of different versions do not mix */
    _Atomic uint32_t IsLive;
    _Atomic(MqxCopy *) Elected; /* written in the first copy of the process: which one is live */
    const MqxTable *Table;
};

__attribute__((visibility("hidden"), used)) MqxCopy mqx_own_copy = {
    .Version = MSQUICXDP_VERSION,
    .Table = &own_table,
};

/* The note: name "msquicxdp", type 1, and as descriptor the distance from itself to mqx_own_copy. */
__asm__(".pushsection .note.msquicxdp,\"a\",%note\n"
        "    .balign 4\n"
        "    .long 10, 8, 1\n"
        "    .asciz \"msquicxdp\"\n"
        "    .balign 4\n"
        "    .quad mqx_own_copy - .\n"
        "    .popsection\n");

enum { MAX_COPIES = 16, NOTE_TYPE = 1 };
static const char note_name[] = "msquicxdp";

typedef struct Copies {
    MqxCopy *List[MAX_COPIES]; /* in the order in which the loader took their objects in */
    size_t Count;
} Copies;

static size_t align4(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

static void scan_notes(Copies *copies, const char *note, size_t size)
{
    while (size >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *header = (const void *)note;
        const char *name = note + sizeof(*header);
        const char *desc = name + align4(header->n_namesz);
        size_t length = sizeof(*header) + align4(header->n_namesz) + align4(header->n_descsz);
        if (length > size) {
            return;
        }
        if (header->n_type == NOTE_TYPE && header->n_namesz == sizeof(note_name) &&
            header->n_descsz == sizeof(int64_t) &&
            memcmp(name, note_name, sizeof(note_name)) == 0 && copies->Count < MAX_COPIES) {
            int64_t distance;
            memcpy(&distance, desc, sizeof(distance));
            copies->List[copies->Count++] = (MqxCopy *)(uintptr_t)(desc + distance);
        }
        note += length;
        size -= length;
    }
}

static int scan_object(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_NOTE && segment->p_align <= 4) {
            scan_notes(
                context, (const char *)(info->dlpi_addr + segment->p_vaddr), segment->p_memsz);
        }
    }
    return 0;
}

/*
 * Before this copy's first datapath: what it is asked may be about the objects of a copy that is
 * live. While none is, our own functions answer, and we look again the next time.
 */
static const MqxTable *find_live(void)
{
    Copies copies = {.Count = 0};
    dl_iterate_phdr(scan_object, &copies);
    for (size_t i = 0; i < copies.Count; i++) {
        if (atomic_load(&copies.List[i]->IsLive) && copies.List[i]->Version == MSQUICXDP_VERSION) {
            atomic_store_explicit(&live_table, copies.List[i]->Table, memory_order_release);
            return copies.List[i]->Table;
        }
    }
    return &own_table;
}

/* The copy that is live already, or that the first copy's record elects: ours, if we come first. */
static MqxCopy *elect(Copies *copies)
{
    for (size_t i = 0; i < copies->Count; i++) {
        if (atomic_load(&copies->List[i]->IsLive)) {
            return copies->List[i];
        }
    }
    if (copies->Count == 0) {
        return &mqx_own_copy; /* notes were stripped: we cannot be seen, nor see */
    }
    MqxCopy *elected = NULL;
    if (atomic_compare_exchange_strong(&copies->List[0]->Elected, &elected, &mqx_own_copy)) {
        return &mqx_own_copy;
    }
    return elected;
}

/* A log hook that was set through another copy, before any was live, is ours now. */
static void adopt_log(const Copies *copies)
{
    struct msquicxdp_log_options log;
    mqx_get_log(&log);
    for (size_t i = 0; i < copies->Count && log.log == NULL; i++) {
        if (copies->List[i]->Version == MSQUICXDP_VERSION) {
            copies->List[i]->Table->Log(&log);
        }
    }
    if (log.log != NULL) {
        mqx_msquicxdp_set_log(&log);
    }
}

/* And so are options. */
static void adopt_xdp(const Copies *copies)
{
    MqxXdpOptions options;
    bool found = mqx_get_xdp(&options);
    for (size_t i = 0; i < copies->Count && !found; i++) {
        found =
            copies->List[i]->Version == MSQUICXDP_VERSION && copies->List[i]->Table->Xdp(&options);
    }
    if (found) {
        mqx_put_xdp(&options);
    }
}

QUIC_STATUS mqx_copy_elect(bool *is_own)
{
    Copies copies = {.Count = 0};
    dl_iterate_phdr(scan_object, &copies);
    MqxCopy *live = elect(&copies);
    *is_own = live == &mqx_own_copy;
    if (*is_own) {
        adopt_log(&copies);
        adopt_xdp(&copies);
        atomic_store(&mqx_own_copy.IsLive, 1);
        atomic_store_explicit(&live_table, &own_table, memory_order_release);
        return QUIC_STATUS_SUCCESS;
    }
    if (live->Version != MSQUICXDP_VERSION) {
        return mqx_fail(
            QUIC_STATUS_INVALID_STATE,
            "msquicxdp %u.%u.%u is live in this process already, and this copy is %u.%u.%u: link "
            "the "
            "program and libmsquic.so with the same version",
            live->Version >> 16, live->Version >> 8 & 255, live->Version & 255,
            MSQUICXDP_VERSION_MAJOR, MSQUICXDP_VERSION_MINOR, MSQUICXDP_VERSION_PATCH);
    }
    atomic_store_explicit(&live_table, live->Table, memory_order_release);
    return QUIC_STATUS_SUCCESS;
}

const MqxTable *mqx_copy_other(void)
{
    const MqxTable *live = atomic_load_explicit(&live_table, memory_order_acquire);
    return live != &own_table ? live : NULL;
}
