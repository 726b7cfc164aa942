// SPDX-License-Identifier: MIT

package ossock

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/internal/blocktest"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// group makes endpoints for workers on these CPUs.
func group(cpus ...uint16) []*batch.Endpoint {
	eps := make([]*batch.Endpoint, len(cpus))
	for i, cpu := range cpus {
		eps[i] = blocktest.NewEndpoint(-1)
		eps[i].CPU = cpu
	}
	return eps
}

// chosen runs a program as the kernel would for a packet that came in on cpu.
// The interpreter does not know the CPU number, so the first instruction,
// which loads that, is replaced.
func chosen(t rapid.TB, prog []bpf.Instruction, cpu int) int {
	t.Helper()
	if prog[0] != (bpf.LoadExtension{Num: bpf.ExtCPUID}) {
		t.Fatalf("starts with %v, not with the CPU number", prog[0])
	}
	on := append([]bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegA, Val: uint32(cpu)}}, prog[1:]...)
	vm, err := bpf.NewVM(on)
	if err != nil {
		t.Fatal(err)
	}
	index, err := vm.Run(nil)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func TestSteerProgram(t *testing.T) {
	for _, test := range []struct {
		name string
		cpus []uint16
		want map[int]int // endpoint by CPU
		size int
	}{
		{"identity is the modulo alone", []uint16{0, 1, 2, 3}, map[int]int{0: 0, 1: 1, 3: 3, 4: 0, 7: 3, 4095: 3}, 3},
		{"one endpoint", []uint16{5}, map[int]int{0: 0, 5: 0, 77: 0}, 3},
		{"reversed", []uint16{1, 0}, map[int]int{0: 1, 1: 0, 2: 0, 3: 1}, 7},
		{"every other CPU", []uint16{0, 2, 4, 6}, map[int]int{0: 0, 2: 1, 4: 2, 6: 3, 1: 1, 3: 3, 5: 1, 7: 3}, 9},
		{"one CPU for all", []uint16{3, 3, 3}, map[int]int{0: 0, 1: 1, 2: 2, 4: 1}, 7},
		{"largest CPU", []uint16{65535, 0}, map[int]int{65535: 0, 0: 1, 1: 1}, 7},
	} {
		prog := steerProgram(group(test.cpus...))
		for cpu, want := range test.want {
			if got := chosen(t, prog, cpu); got != want {
				t.Errorf("%s: CPU %d goes to endpoint %d, want %d", test.name, cpu, got, want)
			}
		}
		if len(prog) > test.size {
			t.Errorf("%s: %d instructions, %d are enough", test.name, len(prog), test.size)
		}
	}
}

func TestSteerGoesToAWorkerOfTheCPUElseByModulo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.SampledFrom([]int{8, 300, maxSteered}).Draw(t, "most")
		cpus := rapid.SliceOfN(rapid.Uint16Range(0, uint16(2*most)), 1, most).Draw(t, "cpus")
		prog := steerProgram(group(cpus...))
		for _, cpu := range append([]uint16{0, 1, 65535}, cpus[:min(len(cpus), 20)]...) {
			got := chosen(t, prog, int(cpu))
			if got < 0 || got >= len(cpus) {
				t.Fatalf("CPU %d goes to endpoint %d of %d", cpu, got, len(cpus))
			}
			if want := int(cpu) % len(cpus); !slices.Contains(cpus, cpu) && got != want {
				t.Errorf("CPU %d, on which no worker is, goes to endpoint %d, want %d", cpu, got, want)
			} else if slices.Contains(cpus, cpu) && cpus[got] != cpu {
				t.Errorf("CPU %d goes to endpoint %d, whose worker is on CPU %d", cpu, got, cpus[got])
			}
		}
	})
}

func TestSteerBeyondTheLimitGoesByModulo(t *testing.T) {
	const n = 3 * maxSteered
	cpus := make([]uint16, n)
	for i := range cpus {
		cpus[i] = uint16(n - 1 - i)
	}
	prog := steerProgram(group(cpus...))
	for _, test := range []struct{ cpu, want int }{
		{n - 1, 0}, {n - maxSteered, maxSteered - 1}, // the last that has a rule
		{n - maxSteered - 1, n - maxSteered - 1}, {0, 0}, {n, 0},
	} {
		if got := chosen(t, prog, test.cpu); got != test.want {
			t.Errorf("CPU %d goes to endpoint %d, want %d", test.cpu, got, test.want)
		}
	}
}

// The kernel takes the program, whatever the number of workers.
func TestKernelTakesTheSteerProgram(t *testing.T) {
	netnstest.CheckFDs(t)
	for _, n := range []int{1, 2, 64, maxSteered, maxSteered + 1, 5000, 65535} {
		cpus := make([]uint16, n)
		for i := range cpus {
			cpus[i] = uint16(n - i) // none is where the modulo has it
		}
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			t.Fatal(err)
		}
		if err := steer(fd, group(cpus...)); err != nil {
			t.Errorf("%d endpoints: %v", n, err)
		}
		unix.Close(fd)
	}
}

func TestSteerRefusedSaysWhat(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	wantError(t, steer(fd, group(0, 1)), unix.EINVAL, "setsockopt(SO_ATTACH_REUSEPORT_CBPF)")
}

// Each packet of loopback is received by the CPU that sent it.
func TestPacketsReachTheWorkerOfTheirCPU(t *testing.T) {
	var online unix.CPUSet
	if err := unix.SchedGetaffinity(0, &online); err != nil {
		t.Fatal(err)
	}
	var cpus []uint16
	for cpu := range uint16(64) {
		if online.IsSet(int(cpu)) {
			cpus = append(cpus, cpu)
		}
	}
	if len(cpus) < 2 {
		t.Skip("one-cpu: nothing to choose between")
	}
	slices.Reverse(cpus) // so that the program, not the modulo, decides
	h := newHost(t)
	w := newWorker(t)
	req := w.request(batch.KindUDP, len(cpus))
	for i, ep := range req.Endpoints() {
		ep.CPU = cpus[i]
	}
	req.Steer = true
	w.mustOpen(h, req)
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), req.Endpoints()[0].Local.PortNumber())

	const flows = 8
	for _, cpu := range cpus {
		h.ns.Do(t, func() error { return sendFrom(cpu, to, flows) })
	}
	w.runUntil("all datagrams are here", func() bool { return w.received() == flows*len(cpus) })
	for i, ep := range req.Endpoints() {
		for _, d := range w.seen[ep].got {
			if sender := binary.NativeEndian.Uint16(d.data); sender != cpus[i] {
				t.Errorf("the endpoint of CPU %d got a packet of CPU %d", cpus[i], sender)
			}
		}
	}
}

// sendFrom sends the number of a CPU, on that CPU, over several sockets. The
// calling thread must be one that ends.
func sendFrom(cpu uint16, to netip.AddrPort, flows int) error {
	var only unix.CPUSet
	only.Set(int(cpu))
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return err
	}
	for range flows {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		err = unix.Sendto(fd, binary.NativeEndian.AppendUint16(nil, cpu), 0, sockaddr(to))
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
	return nil
}
