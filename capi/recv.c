/* SPDX-License-Identifier: MIT */
/* recv.c - receive blocks and turns: lending memory to Go, and taking it back from MsQuic. */
#include "internal.h"

static size_t align_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* A slot, and the client's context. */
uint32_t mqx_rx_stride(uint32_t context_length)
{
    return (uint32_t)align_up(sizeof(MqxRxSlot) + context_length, 16);
}

static size_t slots_offset(void)
{
    return align_up(sizeof(MqxRx), 64);
}

static size_t buffer_offset(uint32_t stride)
{
    return align_up(slots_offset() + (size_t)MQX_RX_SLOTS * stride, 64);
}

size_t mqx_rx_size(uint32_t context_length)
{
    return buffer_offset(mqx_rx_stride(context_length)) + MQX_IO_BUFFER;
}

static MqxRx *get_block(MqxPartition *partition)
{
    MqxRx *block = mqx_pool_get(partition->Rx);
    if (block != NULL && block->Slots == NULL) { /* new */
        block->Stride = partition->Datapath->RxStride;
        block->Slots = (uint8_t *)block + slots_offset();
        block->Buffer = (uint8_t *)block + buffer_offset(block->Stride);
        block->Iov = (struct iovec){.iov_base = block->Buffer, .iov_len = MQX_IO_BUFFER};
    }
    return block;
}

/* Replaces the blocks that were taken, as far as memory allows. */
void mqx_turn_refill(MqxPartition *partition, MqxTurn *turn)
{
    for (int i = 0; i < MQX_RX_LENT; i++) {
        if (turn->Block[i] == NULL || (turn->Taken >> i & 1) != 0) {
            turn->Block[i] = get_block(partition);
        }
    }
    turn->Taken = 0;
}

/* The partition's turn, or a new one while another thread has that. NULL: out of memory. */
MqxTurn *mqx_turn_take(MqxPartition *partition)
{
    MqxTurn *turn = atomic_exchange_explicit(&partition->Turn, NULL, memory_order_acquire);
    if (turn == NULL) {
        turn = CxPlatAlloc(sizeof(*turn), QUIC_POOL_DATAPATH);
        if (turn != NULL) {
            mqx_turn_refill(partition, turn);
        }
    }
    return turn;
}

void mqx_turn_give(MqxPartition *partition, MqxTurn *turn)
{
    MqxTurn *none = NULL;
    if (!atomic_compare_exchange_strong_explicit(
            &partition->Turn, &none, turn, memory_order_release, memory_order_relaxed)) {
        mqx_turn_free(turn);
    }
}

void mqx_turn_free(MqxTurn *turn)
{
    if (turn == NULL) {
        return;
    }
    for (int i = 0; i < MQX_RX_LENT; i++) {
        if (turn->Block[i] != NULL) {
            mqx_pool_put(turn->Block[i]);
        }
    }
    CxPlatFree(turn, QUIC_POOL_DATAPATH);
}

static void give_back(MqxRx *block, uint32_t datagrams)
{
    if (datagrams != 0 && __atomic_sub_fetch(&block->Pending, datagrams, __ATOMIC_ACQ_REL) == 0) {
        mqx_pool_put(block);
    }
}

/* Neighbours in a chain mostly share a block, so its count is touched once for a run of them. */
void mqx_CxPlatRecvDataReturn(CXPLAT_RECV_DATA *chain)
{
    MqxRx *block = NULL;
    uint32_t run = 0;
    while (chain != NULL) {
        CXPLAT_RECV_DATA *data = chain;
        chain = chain->Next;
        if (!data->Allocated) {
            continue; /* returned before */
        }
        data->Allocated = FALSE;
        MqxRx *owner = mqx_container(data, MqxRxSlot, Data)->Block;
        if (owner != block) {
            give_back(block, run);
            block = owner;
            run = 0;
        }
        run++;
    }
    give_back(block, run);
}
