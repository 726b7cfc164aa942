// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
)

// testKernel makes a program that gives test packets to the slot that they name.
type testKernel struct {
	mode link.XDPAttachFlags
}

// testProgram counts nothing and knows no rules.
type testProgram struct {
	link    link.Link
	sockets *ebpf.Map
}

const (
	etherType  = 0x88b5 // an experimental one: no kernel takes it up
	markAt     = 14     // in a test packet: the slot that it is for, 16 bits
	testQueues = 4
	testSlots  = MaxSlots
)

func (k testKernel) Attach(ifindex int) (Program, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: testSlots * testQueues})
	if err != nil {
		return nil, err
	}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT", Instructions: redirect(m)})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	defer program.Close()
	l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: ifindex, Flags: k.mode})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return &testProgram{l, m}, nil
}

func (k testKernel) Adopt(_ int, fds []int) (Program, error) {
	if len(fds) != 2 {
		descriptors.CloseAll(fds)
		return nil, fmt.Errorf("%d descriptors", len(fds))
	}
	l, err := link.NewFromFD(fds[0])
	if err != nil {
		descriptors.CloseAll(fds[1:])
		return nil, err
	}
	m, err := ebpf.NewMapFromFD(fds[1])
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &testProgram{l, m}, nil
}

func index(slot, queue uint32) uint32 { return slot*testQueues + queue }

func (p *testProgram) PutSocket(slot, queue uint32, socket int) error {
	return p.sockets.Update(index(slot, queue), uint32(socket), ebpf.UpdateNoExist)
}

func (p *testProgram) DeleteSocket(slot, queue uint32) error {
	err := p.sockets.Delete(index(slot, queue))
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

func (p *testProgram) ClearSlot(slot uint32) (err error) {
	for queue := range uint32(testQueues) {
		err = errors.Join(err, p.DeleteSocket(slot, queue))
	}
	return err
}

func (p *testProgram) FDs() []int { return []int{p.link.(interface{ FD() int }).FD(), p.sockets.FD()} }

func (p *testProgram) Close() error { return errors.Join(p.link.Close(), p.sockets.Close()) }

// redirect passes everything but test packets for slots that have a socket.
func redirect(sockets *ebpf.Map) asm.Instructions {
	const pass = 2
	return asm.Instructions{
		asm.LoadMem(asm.R8, asm.R1, 16, asm.Word), // rx_queue_index
		asm.LoadMem(asm.R6, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R7, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Add.Imm(asm.R1, markAt+2),
		asm.JGT.Reg(asm.R1, asm.R7, "pass"),
		asm.LoadMem(asm.R1, asm.R6, 12, asm.Half),
		asm.JNE.Imm(asm.R1, etherType>>8|etherType&0xff<<8, "pass"),
		asm.LoadMem(asm.R2, asm.R6, markAt, asm.Half),
		asm.Mul.Imm(asm.R2, testQueues),
		asm.Add.Reg(asm.R2, asm.R8),
		asm.LoadMapPtr(asm.R1, sockets.FD()),
		asm.Mov.Imm(asm.R3, pass),
		asm.FnRedirectMap.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, pass).WithSymbol("pass"),
		asm.Return(),
	}
}
