// SPDX-License-Identifier: MIT

package classifier

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

func duplicate(t testing.TB, fd int) int {
	t.Helper()
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	check(t, err)
	return dup
}

// handOver duplicates the descriptors of a classifier, as a message to another process does.
func handOver(t testing.TB, c *Classifier) (fds FDs) {
	t.Helper()
	for i, fd := range c.FDs() {
		fds[i] = duplicate(t, fd)
	}
	return fds
}

// attached makes a classifier on the right end of a wire.
func attached(t testing.TB, o Options) (*wire, *Classifier) {
	t.Helper()
	w := newWire(t)
	c := newClassifier(t, o)
	_, err := w.attach(c, AnyMode)
	check(t, err)
	return w, c
}

// wantSame fails unless what the one does the other sees, and the other outlives the one.
func (w *wire) wantSame(c, other *Classifier) {
	w.t.Helper()
	check(w.t, other.PutPort(1000, Exclusive(7)), other.PutIdentifier(1001, identifier(4, 1), 7))
	wantTaken(w.t, c.PutPort(1000, Exclusive(8)), "port 1000", "exclusive to slot 7")
	wantTaken(w.t, c.PutIdentifier(1001, identifier(4, 1), 8), "identifier 00000001 of port 1001", "that of slot 7")
	before, err := w.attachment(c)
	check(w.t, err)
	check(w.t, c.Close())
	if after, err := w.attachment(other); err != nil || after != before {
		w.t.Errorf("%+v became %+v, %v", before, after, err)
	}
	check(w.t, other.DeletePort(1000, Exclusive(7)), other.DeleteIdentifier(1001, identifier(4, 1), 7))
}

func TestAdopt(t *testing.T) {
	handedOn(t, func(c *Classifier, _ Attachment) (*Classifier, error) { return Adopt(handOver(t, c)) })
}

func TestOpen(t *testing.T) {
	a := handedOn(t, func(_ *Classifier, a Attachment) (*Classifier, error) { return Open(a.Link) })
	_, err := Open(a.Link)
	wantError(t, err, unix.ENOENT, "BPF_LINK_GET_FD_BY_ID")
}

// handedOn makes a classifier of another one, and is done with both.
func handedOn(t *testing.T, other func(*Classifier, Attachment) (*Classifier, error)) Attachment {
	t.Helper()
	w, c := attached(t, Options{LongestPacket: 1800})
	a, err := w.attachment(c)
	check(t, err)
	next, err := other(c, a)
	check(t, err)
	if n := next.LongestPacket(); n != 1800 {
		t.Errorf("longest packet %d", n)
	}
	w.wantSame(c, next)
	check(t, next.Close())
	w.wantOff()
	return a
}

// The descriptors can be handed on, by whoever has them.
func TestAdoptWhatWasAdopted(t *testing.T) {
	w, c := attached(t, Options{})
	for range 3 {
		next, err := Adopt(handOver(t, c))
		check(t, err)
		w.wantSame(c, next)
		c = next
	}
	check(t, c.Close())
	w.wantOff()
}

// made makes a classifier of any configuration.
func made(t *testing.T, w *wire, change func(*bpf.ClassifierConfiguration), freeze bool) FDs {
	t.Helper()
	c := &Classifier{cpus: 1}
	check(t, bpf.LoadClassifierObjects(&c.objects, nil))
	defer c.Close()
	configuration := bpf.ClassifierConfiguration{
		Magic: bpf.ClassifierFormatMagicFORMAT_MAGIC, Version: bpf.ClassifierFormatVersionFORMAT_VERSION, Longest: 1,
	}
	change(&configuration)
	check(t, c.objects.Config.Put(uint32(0), configuration))
	if freeze {
		check(t, c.objects.Config.Freeze())
	}
	w.right.NS.Do(t, func() (err error) {
		c.link, err = link.AttachXDP(link.XDPOptions{Program: c.objects.MsquicxdpClassify, Interface: w.right.Index})
		return err
	})
	return handOver(t, c)
}

func newMap(t *testing.T, kind ebpf.MapType, key, value, entries, flags uint32) int {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: kind, KeySize: key, ValueSize: value, MaxEntries: entries, Flags: flags})
	check(t, err)
	defer m.Close()
	return duplicate(t, m.FD())
}

// copied makes a map like one of the configuration, with other flags.
func copied(t *testing.T, from *ebpf.Map, flags uint32) int {
	t.Helper()
	value, err := from.LookupBytes(uint32(0))
	check(t, err)
	return configured(t, value, flags)
}

// later makes the configuration of a version to come.
func later(t *testing.T) int {
	t.Helper()
	value := binary.NativeEndian.AppendUint32(nil, uint32(bpf.ClassifierFormatMagicFORMAT_MAGIC))
	value = binary.NativeEndian.AppendUint32(value, uint32(bpf.ClassifierFormatVersionFORMAT_VERSION)+1)
	return configured(t, append(value, make([]byte, 100)...), 0)
}

func configured(t *testing.T, value []byte, flags uint32) int {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(value)), MaxEntries: 1, Flags: flags})
	check(t, err)
	defer m.Close()
	check(t, m.Put(uint32(0), value))
	return duplicate(t, m.FD())
}

// newProgram makes a program that does nothing.
func newProgram(t *testing.T, kind ebpf.ProgramType) int {
	t.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: kind, License: "MIT",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}})
	check(t, err)
	defer program.Close()
	return duplicate(t, program.FD())
}

// somebodyElses makes the link of another program to an interface.
func somebodyElses(t *testing.T, w *wire) int {
	t.Helper()
	var l link.Link
	w.left.NS.Do(t, func() (err error) {
		l, err = link.AttachXDP(link.XDPOptions{Program: passing(t, "other"), Interface: w.left.Index})
		return err
	})
	defer l.Close()
	return duplicate(t, l.(interface{ FD() int }).FD())
}

func TestAdoptRefusesWhatIsNoClassifier(t *testing.T) {
	w, c := attached(t, Options{})
	other := newClassifier(t, Options{})
	const addresses, generation, recent, ports, identifiers, short, sockets, queues, config, verdicts, redirected = 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
	// replaced is c with another descriptor at one place.
	replaced := func(at, fd int) FDs {
		fds := handOver(t, c)
		unix.Close(fds[at])
		fds[at] = fd
		return fds
	}
	file, err := os.Open("/dev/null")
	check(t, err)
	defer file.Close()
	swapped := handOver(t, c)
	swapped[verdicts], swapped[redirected] = swapped[redirected], swapped[verdicts]
	twice := replaced(ports, -1)
	twice[ports] = twice[config]
	closed := handOver(t, c)
	unix.Close(closed[queues])
	const noPrealloc, mmapable = unix.BPF_F_NO_PREALLOC, unix.BPF_F_MMAPABLE

	for _, test := range []struct {
		name string
		fds  FDs
		says string
	}{
		{"not attached", replaced(linkFD, -1), "link, descriptor -1"},
		{"a map as link", replaced(linkFD, duplicate(t, c.FDs()[ports])), "link"},
		{"the link of somebody else", replaced(linkFD, somebodyElses(t, w)), "the link is of type"},
		{"a map as program", replaced(programFD, duplicate(t, c.FDs()[ports])), "not XDP"},
		{"another type of program", replaced(programFD, newProgram(t, ebpf.SocketFilter)), "the program is of type SocketFilter"},
		{"a program that is not ours", replaced(programFD, newProgram(t, ebpf.XDP)), "the program uses the maps []"},
		{"the program of another classifier", replaced(programFD, duplicate(t, other.FDs()[programFD])), "the program uses the maps ["},
		{"a map of another classifier", replaced(ports, duplicate(t, other.FDs()[ports])), "the program uses the maps ["},
		{"a program as map", replaced(identifiers, duplicate(t, c.FDs()[programFD])), "map identifiers"},
		{"swapped maps", swapped, "map verdicts"},
		{"another type of map", replaced(addresses, newMap(t, ebpf.LRUHash, 16, 1, MaxAddresses, 0)), "map addresses"},
		{"another size of key", replaced(identifiers, newMap(t, ebpf.PerCPUHash, 20, 16, MaxIdentifiers, noPrealloc)), "map identifiers"},
		{"fewer short identifiers", replaced(short, newMap(t, ebpf.PerCPUHash, 8, 16, 1024, noPrealloc)), "map short_ids"},
		{"another size of value", replaced(recent, newMap(t, ebpf.PerCPUArray, 4, 32, 16, 0)), "map recent"},
		{"fewer ports", replaced(ports, newMap(t, ebpf.Array, 4, 8, MaxPorts-1, mmapable)), "map ports"},
		{"ports that cannot be mapped", replaced(ports, newMap(t, ebpf.Array, 4, 8, MaxPorts, 0)), "map ports"},
		{"fewer sockets", replaced(sockets, newMap(t, ebpf.XSKMap, 4, 4, MaxSlots, 0)), "map sockets"},
		{"a map of nothing for the configuration", replaced(config, newMap(t, ebpf.Array, 4, 12, 1, 0)), "the configuration begins with 0x0"},
		{"a map that is too small for the configuration", replaced(config, newMap(t, ebpf.Array, 4, 4, 1, 0)), "map config has 4 bytes"},
		{"a map that cannot be read for the configuration", replaced(config, newMap(t, ebpf.XSKMap, 4, 4, 1, 0)), "config[0]"},
		{"a later version, of which all else differs", replaced(config, later(t)), "the maps have format 2"},
		{"a writable map for the configuration", replaced(config, copied(t, c.objects.Config, 0)), "map config: Flags"},
		{"a file", replaced(redirected, duplicate(t, int(file.Fd()))), "it is no descriptor of a BPF object"},
		{"the same descriptor twice", twice, "is there twice"},
		{"no descriptor", replaced(generation, -1), "map generation"},
		{"a closed descriptor", closed, "map queues"},
	} {
		wantRefused(t, test.name, test.fds, test.says)
	}
	check(t, c.Close())
	w.wantOff()
}

func TestAdoptRefusesConfigurations(t *testing.T) {
	w := newWire(t)
	for _, test := range []struct {
		name   string
		change func(*bpf.ClassifierConfiguration)
		freeze bool
		says   string
	}{
		{"not frozen", func(*bpf.ClassifierConfiguration) {}, false, "map config is not frozen"},
		{"another magic", func(c *bpf.ClassifierConfiguration) { c.Magic++ }, true, "it is none of ours"},
		{"a later version", func(c *bpf.ClassifierConfiguration) { c.Version++ }, true, "the maps have format 2, and this program knows format 1"},
	} {
		wantRefused(t, test.name, made(t, w, test.change, test.freeze), test.says)
		w.wantOff()
	}
}

func wantRefused(t *testing.T, name string, fds FDs, says string) {
	t.Helper()
	adopted, err := Adopt(fds)
	if err == nil {
		adopted.Close()
		t.Errorf("%s: adopted", name)
	} else if !strings.HasPrefix(err.Error(), "classifier: adopt: ") || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: %v; want it to say %q", name, err, says)
	}
}

// By its number another program's link is found as easily.
func TestOpenRefusesWhatIsNoClassifier(t *testing.T) {
	w := newWire(t)
	var l link.Link
	w.right.NS.Do(t, func() (err error) {
		l, err = link.AttachXDP(link.XDPOptions{Program: passing(t, "other"), Interface: w.right.Index})
		return err
	})
	defer l.Close()
	info, err := l.Info()
	check(t, err)
	if c, err := Open(uint32(info.ID)); err == nil {
		c.Close()
		t.Error("opened")
	} else if !strings.Contains(err.Error(), "its program has no map addresses: it is no classifier") {
		t.Error(err)
	}
	if on := w.on(); on.program == 0 {
		t.Error("it is gone")
	}
}

func TestOpenNothing(t *testing.T) {
	netnstest.CheckFDs(t)
	netnstest.Require(t)
	for _, id := range []uint32{0, 1 << 31} {
		_, err := Open(id)
		wantError(t, err, unix.ENOENT, "classifier: open link", "BPF_LINK_GET_FD_BY_ID")
	}
}
