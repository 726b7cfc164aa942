// SPDX-License-Identifier: MIT

package classifier

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
)

// largest is the encoding of the identifiers that cost most.
var largest = cibir.Encoding{Length: cibir.MaxIDLength}

// newBench is a classifier with n identifiers on the shared port, and one of the largest on another.
func newBench(b *testing.B, n int) *Classifier {
	b.Helper()
	c, socket := newClassifier(b, Options{}), newSocket(b)
	check(b, c.SetAddresses(here), c.PutPort(exclusivePort, Exclusive(busySlot)), c.PutSocket(busySlot, 0, socket),
		c.PutPort(sharedPort, Shared(usual)), c.PutPort(emptyPort, Shared(largest)), c.PutIdentifier(emptyPort, identifier(largest.Length, 0), busySlot))
	for i := range n {
		check(b, c.PutIdentifier(sharedPort, identifier(usual.Length, i), busySlot))
	}
	return c
}

// payload of a packet of the usual size, with a header before it.
func full(header []byte) []byte { return append(header, make([]byte, 1252-len(header))...) }

// portOnly is what a program costs that looks at nothing but the port: the least with which sockets can be chosen.
func portOnly(b *testing.B) *ebpf.Program {
	b.Helper()
	ports, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1024})
	check(b, err)
	b.Cleanup(func() { ports.Close() })
	port := uint32(exclusivePort>>8 | exclusivePort&0xff<<8) // as it is read from the packet
	check(b, ports.Put(port, uint32(0)))
	sockets, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 64})
	check(b, err)
	b.Cleanup(func() { sockets.Close() })
	check(b, sockets.Put(uint32(0), uint32(newSocket(b))))
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT", Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R2, asm.R6, 0, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R6, 4, asm.Word), // data_end
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, atUDP4+8),
		asm.JGT.Reg(asm.R4, asm.R3, "pass"),
		asm.LoadMem(asm.R4, asm.R2, atEthertype, asm.Half),
		asm.JNE.Imm(asm.R4, 0x0008, "pass"),
		asm.LoadMem(asm.R4, asm.R2, atProtocol, asm.Byte),
		asm.JNE.Imm(asm.R4, unix.IPPROTO_UDP, "pass"),
		asm.LoadMem(asm.R4, asm.R2, atUDP4+atPort, asm.Half),
		asm.StoreMem(asm.RFP, -4, asm.R4, asm.Word),
		asm.LoadMapPtr(asm.R1, ports.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.LoadMem(asm.R2, asm.R6, 16, asm.Word), // rx_queue_index
		asm.LoadMapPtr(asm.R1, sockets.FD()),
		asm.Mov.Imm(asm.R3, pass),
		asm.FnRedirectMap.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, pass).WithSymbol("pass"),
		asm.Return(),
	}})
	check(b, err)
	b.Cleanup(func() { program.Close() })
	return program
}

// cost measures a program, in nanoseconds for a packet. An empty one costs about 7.
func cost(b *testing.B, p *ebpf.Program, packet []byte, code uint32) float64 {
	b.Helper()
	const repeat = 1_000 // in some ten microseconds, so that many are not interrupted
	got, each, err := p.Benchmark(packet, repeat, nil)
	check(b, err)
	if got != code {
		b.Fatalf("code %d, want %d", got, code)
	}
	return float64(each)
}

// BenchmarkClassify shows what a packet costs (ns/packet, the median; least-ns, the least that was met) beside the
// port-only program in the same seconds, whose packet is that of the exclusive port.
func BenchmarkClassify(b *testing.B) {
	id := identifier(usual.Length, 0)
	type kind struct {
		name   string
		packet []byte
		code   uint32
	}
	kinds := []kind{
		{"other port", packet(here4, 1, full(nil)), pass},
		{"exclusive", packet(here4, exclusivePort, full(nil)), redirect},
		{"short", packet(here4, sharedPort, full(short(usual, id))), redirect},
		{"long", packet(here4, sharedPort, full(long(usual, id))), redirect},
		{"IPv6 long", packet(here6, sharedPort, full(long(usual, id))), redirect},
		{"largest short", packet(here4, emptyPort, full(short(largest, identifier(largest.Length, 0)))), redirect},
		{"largest long", packet(here4, emptyPort, full(long(largest, identifier(largest.Length, 0)))), redirect},
	}
	for _, n := range []int{1, 10, 100, 1000, 10_000} {
		for _, k := range kinds {
			if n > 1 && k.name != "short" && k.name != "long" {
				continue
			}
			b.Run(fmt.Sprintf("%s/identifiers=%d", k.name, n), func(b *testing.B) {
				c, simple := newBench(b, n), portOnly(b)
				var costs, simples []float64
				for b.Loop() {
					costs = append(costs, cost(b, c.objects.MsquicxdpClassify, k.packet, k.code))
					simples = append(simples, cost(b, simple, kinds[1].packet, redirect))
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(costs), "ns/packet")
				b.ReportMetric(slices.Min(costs), "least-ns")
				b.ReportMetric(median(simples), "port-only-ns/packet")
				b.ReportMetric(slices.Min(simples), "port-only-least-ns")
			})
		}
	}
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkClassifyInTurn has packets for each identifier in turn, which shows the caches of the processor at work.
// It is the kernel's measure, which adds the reading of a clock to each packet.
func BenchmarkClassifyInTurn(b *testing.B) {
	for _, n := range []int{1, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("identifiers=%d", n), func(b *testing.B) {
			c := newBench(b, n)
			packets := make([][]byte, n)
			for i := range packets {
				packets[i] = packet(here4, sharedPort, short(usual, identifier(usual.Length, i)))
			}
			stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
			check(b, err)
			defer stats.Close()
			best := math.Inf(1)
			i := 0
			for b.Loop() {
				before, err := c.objects.MsquicxdpClassify.Stats()
				check(b, err)
				for range 1000 {
					i = (i + 1237) % n // a stride that visits all, far from each other
					_, err := c.objects.MsquicxdpClassify.Run(&ebpf.RunOptions{Data: packets[i], Repeat: 1})
					check(b, err)
				}
				after, err := c.objects.MsquicxdpClassify.Stats()
				check(b, err)
				best = min(best, float64((after.Runtime-before.Runtime).Nanoseconds())/float64(after.RunCount-before.RunCount))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(best, "least-ns")
		})
	}
}

// BenchmarkPut is the making and removing of a rule, beside many others.
func BenchmarkPut(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		c := newBench(b, n)
		id := identifier(usual.Length, 1<<20)
		b.Run(fmt.Sprintf("identifier/identifiers=%d", n), func(b *testing.B) {
			for b.Loop() {
				check(b, c.PutIdentifier(sharedPort, id, busySlot), c.DeleteIdentifier(sharedPort, id, busySlot))
			}
		})
		b.Run(fmt.Sprintf("port/identifiers=%d", n), func(b *testing.B) {
			for b.Loop() {
				check(b, c.PutPort(1000, Exclusive(busySlot)), c.DeletePort(1000, Exclusive(busySlot)))
			}
		})
		b.Run(fmt.Sprintf("ClearSlot/identifiers=%d", n), func(b *testing.B) {
			for b.Loop() {
				check(b, c.ClearSlot(deadSlot))
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		c, err := Load(Options{})
		check(b, err)
		check(b, c.Close())
	}
}

func BenchmarkAdopt(b *testing.B) {
	_, c := attached(b, Options{})
	for b.Loop() {
		adopted, err := Adopt(handOver(b, c))
		check(b, err)
		check(b, adopted.Close())
	}
}
