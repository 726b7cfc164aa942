// SPDX-License-Identifier: MIT

package steering

import (
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

func duplicate(t testing.TB, fd int) int {
	t.Helper()
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	return dup
}

// handOver duplicates the descriptors of a group, as a message to another process does.
func handOver(t testing.TB, g *Group) (fds FDs) {
	t.Helper()
	for i, fd := range g.FDs() {
		fds[i] = duplicate(t, fd)
	}
	return fds
}

func TestAdopt(t *testing.T) {
	e := cibir.Encoding{Length: 7, SourceOffset: 3, DestinationOffset: 1}
	p := newPort(t, e)
	adopted, err := Adopt(handOver(t, p.g))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { adopted.Close() })
	if adopted.Encoding() != e {
		t.Errorf("encoding %v, want %v", adopted.Encoding(), e)
	}
	// What either does, the other sees, and the one outlives the other.
	id := identifier(e.Length, 1)
	fds := p.sockets(1)
	if err := adopted.Publish(9, id, fds); err != nil {
		t.Fatal(err)
	}
	p.wantAt(fds, "v4", short(e, id))
	p.g.Close()
	p.g = adopted
	p.wantAt(fds, "v6", long(e, id))
	if n, err := adopted.Delivered(9); err != nil || n != 2 {
		t.Errorf("%d delivered, %v", n, err)
	}
}

// The program has these numbers, too.
func TestMapsHaveRoomForAll(t *testing.T) {
	spec, err := bpf.LoadReuseport()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{
		bpf.ReuseportMapSlots:       MaxSlots,
		bpf.ReuseportMapDelivered:   MaxSlots,
		bpf.ReuseportMapMembers:     MaxSlots * MaxSockets,
		bpf.ReuseportMapIdentifiers: 2 * MaxSlots,
		bpf.ReuseportMapVerdicts:    uint32(bpf.ReuseportVerdictVERDICTS),
	} {
		if got := spec.Maps[name].MaxEntries; got != want {
			t.Errorf("map %s has %d entries, want %d", name, got, want)
		}
	}
	if n := len(bpf.ReuseportCibirId{}.Bytes); n != cibir.MaxIDLength {
		t.Errorf("identifiers of %d bytes", n)
	}
}

// The descriptors can be handed on.
func TestAdoptWhatWasAdopted(t *testing.T) {
	netnstest.CheckFDs(t)
	g := newGroup(t, usual)
	for range 3 {
		next, err := Adopt(handOver(t, g))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { next.Close() })
		g = next
	}
}

// made makes a group of any configuration.
func made(t *testing.T, change func(*bpf.ReuseportConfiguration), freeze bool) *Group {
	t.Helper()
	g := &Group{}
	if err := bpf.LoadReuseportObjects(&g.objects, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	c := configuration(usual)
	change(&c)
	if err := g.objects.Config.Put(uint32(0), c); err != nil {
		t.Fatal(err)
	}
	if freeze {
		if err := g.objects.Config.Freeze(); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func newMap(t *testing.T, kind ebpf.MapType, key, value, entries uint32) int {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: kind, KeySize: key, ValueSize: value, MaxEntries: entries})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return duplicate(t, m.FD())
}

// newProgram makes a program that does nothing.
func newProgram(t *testing.T, kind ebpf.ProgramType) int {
	t.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: kind, License: "MIT",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	return duplicate(t, program.FD())
}

func TestAdoptRefusesWhatIsNoGroup(t *testing.T) {
	netnstest.CheckFDs(t)
	g, other := newGroup(t, usual), newGroup(t, usual)
	const identifiers, slots, members, config, verdicts, delivered = 1, 2, 3, 4, 5, 6
	// replaced is g with another descriptor at one place.
	replaced := func(at, fd int) FDs {
		fds := handOver(t, g)
		unix.Close(fds[at])
		fds[at] = fd
		return fds
	}
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	swapped := handOver(t, g)
	swapped[slots], swapped[members] = swapped[members], swapped[slots]
	twice := replaced(slots, -1)
	twice[slots] = twice[members]
	missing := replaced(delivered, -1)
	closed := handOver(t, g)
	unix.Close(closed[verdicts])

	for _, test := range []struct {
		name string
		fds  FDs
		says string
	}{
		{"a map as program", replaced(programFD, duplicate(t, g.FDs()[slots])), "not SkReuseport"},
		{"another type of program", replaced(programFD, newProgram(t, ebpf.SocketFilter)), "the program is of type SocketFilter"},
		{"a program that is not ours", replaced(programFD, newProgram(t, ebpf.SkReuseport)), "the program uses the maps []"},
		{"the program of another group", replaced(programFD, duplicate(t, other.FDs()[programFD])), "the program uses the maps ["},
		{"a map of another group", replaced(slots, duplicate(t, other.FDs()[slots])), "the program uses the maps ["},
		{"a program as map", replaced(identifiers, duplicate(t, g.FDs()[programFD])), "map identifiers"},
		{"swapped maps", swapped, "map slots"},
		{"another type of map", replaced(identifiers, newMap(t, ebpf.Array, 4, 24, 1)), "map identifiers"},
		{"another size of key", replaced(identifiers, newMap(t, ebpf.Hash, 20, 4, 2*MaxSlots)), "map identifiers"},
		{"another size of value", replaced(slots, newMap(t, ebpf.Array, 4, 24, MaxSlots)), "map slots"},
		{"fewer entries", replaced(members, newMap(t, ebpf.ReusePortSockArray, 4, 8, MaxSlots)), "map members"},
		{"a writable map for the configuration", replaced(config, newMap(t, ebpf.Array, 4, 12, 1)), "map config"},
		{"a file", replaced(delivered, duplicate(t, int(file.Fd()))), "it is no descriptor of a BPF object"},
		{"the same descriptor twice", twice, "is there twice"},
		{"no descriptor", missing, "map delivered"},
		{"a closed descriptor", closed, "map verdicts"},
		{"not frozen", handOver(t, made(t, func(*bpf.ReuseportConfiguration) {}, false)), "map config is not frozen"},
		{"another magic", handOver(t, made(t, func(c *bpf.ReuseportConfiguration) { c.Magic++ }, true)), "it is none of ours"},
		{"a later version", handOver(t, made(t, func(c *bpf.ReuseportConfiguration) { c.Version++ }, true)),
			"the maps have format 2, and this program knows format 1"},
		{"no encoding", handOver(t, made(t, func(c *bpf.ReuseportConfiguration) { c.Encoding.Length = 0 }, true)), "1 to 20 bytes, not 0"},
	} {
		adopted, err := Adopt(test.fds)
		if err == nil {
			adopted.Close()
			t.Errorf("%s: adopted", test.name)
		} else if !strings.HasPrefix(err.Error(), "steering: adopt: ") || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v; want it to say %q", test.name, err, test.says)
		}
	}
}
