// SPDX-License-Identifier: MIT

package steering

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
)

// What steering costs a datagram: ns/op is all of sending and receiving over
// loopback, ns/datagram the program alone, as the kernel measures it, which adds
// the reading of a clock. The datagrams are for one of the identifiers, or for
// each in turn, which shows the caches of the processor at work.
func BenchmarkSteering(b *testing.B) {
	for kind, datagram := range map[string]func(cibir.Encoding, cibir.ID) []byte{"long": long, "short": short} {
		for _, n := range []int{1, 16, 256, MaxSlots} {
			for _, used := range slices.Compact([]int{1, n}) {
				b.Run(fmt.Sprintf("%s/identifiers=%d/used=%d", kind, n, used), func(b *testing.B) {
					p := newPort(b, usual)
					fds := p.publishAll(n)
					datagrams := make([][]byte, used)
					for i := range datagrams {
						datagrams[i] = datagram(usual, identifier(usual.Length, i))
					}
					p.measure(b, fds, datagrams)
				})
			}
		}
	}
}

func (p *port) measure(b *testing.B, fds []int, datagrams [][]byte) {
	b.Helper()
	to := address("v6")
	buffer := make([]byte, 2048)
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	before, err := p.g.objects.MsquicxdpSteer.Stats()
	if err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		// A stride that visits all, far from each other.
		i = (i + 1237) % len(datagrams)
		if err := unix.Sendto(p.v6, datagrams[i], 0, to); err != nil {
			b.Fatal(err)
		}
		if _, _, err := unix.Recvfrom(fds[i], buffer, 0); err == unix.EAGAIN {
			p.receive(fds[i])
		}
	}
	after, err := p.g.objects.MsquicxdpSteer.Stats()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((after.Runtime-before.Runtime).Nanoseconds())/float64(after.RunCount-before.RunCount), "ns/datagram")
}

// Publish and Withdraw, one of each.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 8, MaxSockets} {
		b.Run(fmt.Sprintf("sockets=%d", n), func(b *testing.B) {
			p := newPort(b, usual)
			id := identifier(usual.Length, 1)
			fds := p.sockets(n)
			var publish time.Duration
			rounds := 0
			for b.Loop() {
				begin := time.Now()
				if err := p.g.Publish(5, id, fds); err != nil {
					b.Fatal(err)
				}
				publish += time.Since(begin)
				rounds++
				if err := p.g.Withdraw(5, id); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(publish.Nanoseconds())/float64(rounds), "ns/publish")
		})
	}
}

func BenchmarkCreate(b *testing.B) {
	newPort(b, usual)
	for b.Loop() {
		g, err := Create(usual)
		if err != nil {
			b.Fatal(err)
		}
		g.Close()
	}
}

func BenchmarkAdopt(b *testing.B) {
	p := newPort(b, usual)
	for b.Loop() {
		g, err := Adopt(handOver(b, p.g))
		if err != nil {
			b.Fatal(err)
		}
		g.Close()
	}
}
