// SPDX-License-Identifier: MIT

package classifier

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/cibir"
)

// wantError fails unless err is this errno and says all of these.
func wantError(t rapid.TB, err error, errno unix.Errno, says ...string) {
	t.Helper()
	if !errors.Is(err, errno) {
		t.Errorf("error %v, want %v", err, errno)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not say %q", err, s)
		}
	}
}

// wantTaken fails unless err says who has what was to be put.
func wantTaken(t rapid.TB, err error, what, held string) {
	t.Helper()
	var taken *TakenError
	if !errors.As(err, &taken) || *taken != (TakenError{what, held}) {
		t.Errorf("error %v, want %s to be %s", err, what, held)
	}
	wantError(t, err, unix.EEXIST, what, held)
}

func TestPorts(t *testing.T) {
	s := newHost(t)
	p := packet(here4, 1000, []byte("payload"))
	s.want(NoPort, p)
	mine, others := Exclusive(busySlot), Exclusive(lastSlot)
	for range 2 { // the same again changes nothing
		check(t, s.c.PutPort(1000, mine))
		s.ports[1000] = mine
		s.want(Redirected, p)
	}
	wantTaken(t, s.c.PutPort(1000, others), "port 1000", "exclusive to slot 5")
	wantTaken(t, s.c.PutPort(1000, Shared(usual)), "port 1000", "exclusive to slot 5")
	s.want(Redirected, p)
	check(t, s.c.DeletePort(1000, others), s.c.DeletePort(1000, Shared(usual))) // of which it has none
	s.want(Redirected, p)
	s.takePort(1000, others)
	check(t, s.c.DeletePort(1000, mine)) // too late
	s.want(Redirected, p)
	s.deletePort(1000)
	s.want(NoPort, p)
	check(t, s.c.DeletePort(1000, mine))

	check(t, s.c.PutPort(1000, Shared(usual)))
	other := cibir.Encoding{Length: 4, SourceOffset: 2, DestinationOffset: 3}
	wantTaken(t, s.c.PutPort(1000, Shared(other)), "port 1000", "shared, with identifiers at 4@2/2")
	wantTaken(t, s.c.PutPort(1000, mine), "port 1000", "shared, with identifiers at 4@2/2")
	check(t, s.c.DeletePort(1000, Shared(usual)))
}

func TestPortsAreListed(t *testing.T) {
	c := newClassifier(t, Options{})
	want := []Port{
		{0, Exclusive(0)}, {1, Exclusive(MaxSlots - 1)}, {443, Shared(usual)},
		{4433, Shared(cibir.Encoding{Length: 20, SourceOffset: 235, DestinationOffset: 1})}, {65535, Exclusive(1)},
	}
	for _, p := range want {
		check(t, c.PutPort(p.Number, p.Rule))
	}
	if list, err := c.Ports(); err != nil || fmt.Sprint(list) != fmt.Sprint(want) {
		t.Errorf("%v, %v; want %v", list, err, want)
	}
}

// Of many who put at once, one has it.
func TestPutPortAtOnce(t *testing.T) {
	c := newClassifier(t, Options{})
	for range 200 {
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() { errs[i] = c.PutPort(1000, Exclusive(uint32(i))) })
		}
		wg.Wait()
		list, err := c.Ports()
		check(t, err)
		for i, err := range errs {
			if mine := list[0].Rule == Exclusive(uint32(i)); mine != (err == nil) {
				t.Errorf("%v has it, and %d was told %v", list[0].Rule, i, err)
			}
		}
		check(t, c.DeletePort(1000, list[0].Rule))
	}
}

func TestIdentifiers(t *testing.T) {
	s := newHost(t)
	id := identifier(usual.Length, 0x01020304)
	p := packet(here6, sharedPort, long(usual, id))
	s.want(UnknownIdentifier, p)
	for range 2 { // the same again changes nothing
		s.putIdentifier(sharedPort, id, busySlot)
		s.want(Redirected, p)
	}
	wantTaken(t, s.c.PutIdentifier(sharedPort, id, lastSlot), "identifier 01020304 of port 4433", "that of slot 5")
	check(t, s.c.DeleteIdentifier(sharedPort, id, lastSlot), s.c.DeleteIdentifier(emptyPort, id, busySlot)) // of which there are none
	s.want(Redirected, p)
	s.putIdentifier(emptyPort, id, lastSlot) // another one, since of another port
	s.want(Redirected, p)
	s.deleteIdentifier(emptyPort, id)

	check(t, s.c.TakeIdentifier(sharedPort, id, lastSlot))
	s.identifiers[named{sharedPort, id}] = lastSlot
	s.want(Redirected, p)
	check(t, s.c.DeleteIdentifier(sharedPort, id, busySlot)) // too late
	s.want(Redirected, p)
	s.deleteIdentifier(sharedPort, id)
	s.want(UnknownIdentifier, p)
	check(t, s.c.DeleteIdentifier(sharedPort, id, lastSlot))
}

// While survivors remove what a dead datapath has left, its successor takes the identifier.
func TestTakeWhileDeleted(t *testing.T) {
	c := newClassifier(t, Options{})
	id := identifier(4, 1)
	for round := range 4000 {
		check(t, c.TakeIdentifier(1, id, 5))
		var wg sync.WaitGroup
		var running atomic.Bool
		wg.Go(func() {
			running.Store(true)
			if err := c.DeleteIdentifier(1, id, 5); err != nil {
				t.Error(err)
			}
		})
		for later := round % 400; later > 0; { // takes it at every moment of the other's
			if running.Load() {
				later--
			}
		}
		check(t, c.TakeIdentifier(1, id, 9))
		wg.Wait()
		if slot, found, err := c.holder(1, id); err != nil || !found || slot != 9 {
			t.Fatalf("round %d: slot %d has it, %v, %v", round, slot, found, err)
		}
	}
}

func TestIdentifiersAreListed(t *testing.T) {
	s := newHost(t)
	s.putIdentifier(emptyPort, identifier(20, 0x0a0b0c), 3)
	for n := range 3 {
		for range n {
			s.want(Redirected, packet(here[n%2], sharedPort, short(usual, identifier(usual.Length, n))))
		}
	}
	want := map[Identifier]bool{
		{sharedPort, identifier(4, 1), busySlot, 1}: true,
		{sharedPort, identifier(4, 2), lastSlot, 2}: true,
		{sharedPort, identifier(4, 3), deadSlot, 0}: true,
		{emptyPort, identifier(20, 0x0a0b0c), 3, 0}: true,
	}
	wantListed := func() {
		t.Helper()
		list, err := s.c.Identifiers()
		check(t, err)
		for _, i := range list {
			if !want[i] {
				t.Errorf("%+v", i)
			}
		}
		if len(list) != len(want) {
			t.Errorf("%d identifiers, want %d", len(list), len(want))
		}
	}
	wantListed()
	// The count is that of the owner.
	check(t, s.c.TakeIdentifier(sharedPort, identifier(4, 2), busySlot))
	delete(want, Identifier{sharedPort, identifier(4, 2), lastSlot, 2})
	want[Identifier{sharedPort, identifier(4, 2), busySlot, 0}] = true
	wantListed()
}

// All that are promised fit, as fast as they can be put, and the next one is refused.
func TestMostIdentifiers(t *testing.T) {
	s := newHost(t)
	const short, long = 4, cibir.MaxIDLength
	for n := len(s.identifiers); n < MaxIdentifiers; n++ {
		s.putIdentifier(uint16(n%7), identifier(short, n), busySlot)
	}
	for n := range MaxIdentifiers {
		s.putIdentifier(uint16(n%7), identifier(long, n), busySlot)
	}
	for _, length := range []uint8{short, long} {
		err := s.c.PutIdentifier(sharedPort, identifier(length, 1<<20), busySlot)
		wantError(t, err, unix.E2BIG, "BPF_MAP_UPDATE_ELEM, identifier 00", "100000 of port 4433", "(errno 7)", "the map is full")
	}
	list, err := s.c.Identifiers()
	check(t, err)
	if len(list) != 2*MaxIdentifiers {
		t.Errorf("%d identifiers", len(list))
	}
	s.want(Redirected, packet(here4, sharedPort, header(8, append(filler(2), 0, 0, 0, 1))))
}

func TestArguments(t *testing.T) {
	c := newClassifier(t, Options{})
	id := identifier(4, 1)
	for says, err := range map[string]error{
		"slot 1024: the slots are 0 to 1023":     c.PutPort(1, Exclusive(MaxSlots)),
		"an identifier has 1 to 20 bytes, not 0": c.PutPort(1, Shared(cibir.Encoding{})),
		"not 21":                                 c.TakePort(1, Shared(cibir.Encoding{Length: 21})),
		"slot 1025":                              c.PutIdentifier(1, id, 1025),
		"slot 1026":                              c.TakeIdentifier(1, id, 1026),
		"port 7: an identifier has 1 to 20":      c.PutIdentifier(7, cibir.ID{}, 1),
		"slot 1027":                              c.PutSocket(1027, 0, 0),
		"queue 64: the queues are 0 to 63":       c.PutSocket(1, MaxQueues, 0),
		"queue 65":                               c.DeleteSocket(1, 65),
		"slot 1028":                              c.DeleteSocket(1028, 1),
		"slot 1029":                              c.ClearSlot(1029),
		"queue 66":                               c.Pause(66),
		"queue 67":                               c.Resume(67),
		"longest packet -1":                      second(Load(Options{LongestPacket: -1})),
		"longest packet 131073":                  second(Load(Options{LongestPacket: 131073})),
		"slot 1030":                              second(c.RedirectedTo(1030)),
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// The program has these numbers, too.
func TestMapsHaveRoomForAll(t *testing.T) {
	spec, err := bpf.LoadClassifier()
	check(t, err)
	for name, want := range map[string]int{
		bpf.ClassifierMapAddresses:   MaxAddresses,
		bpf.ClassifierMapPorts:       MaxPorts,
		bpf.ClassifierMapIdentifiers: MaxIdentifiers,
		bpf.ClassifierMapShortIds:    MaxIdentifiers,
		bpf.ClassifierMapSockets:     MaxSlots * MaxQueues,
		bpf.ClassifierMapQueues:      MaxQueues,
		bpf.ClassifierMapVerdicts:    (MaxQueues + 1) * Reasons,
		bpf.ClassifierMapRedirected:  MaxSlots,
	} {
		if got := spec.Maps[name].MaxEntries; int(got) != want {
			t.Errorf("map %s has %d entries, want %d", name, got, want)
		}
	}
	long, short := len(bpf.ClassifierIdentifierKey{}.Bytes), len(bpf.ClassifierShortIdKey{}.Bytes)
	if long != cibir.MaxIDLength || short != 5 { // of which the documentation of MaxIdentifiers speaks
		t.Errorf("identifiers of %d bytes, short ones of %d", long, short)
	}
}

func TestReasonsHaveNames(t *testing.T) {
	names := map[string]bool{}
	for r := range Reason(Reasons + 1) {
		names[r.String()] = true
	}
	if len(names) != Reasons+1 || names[""] || !names["unknown"] {
		t.Errorf("%v", names)
	}
}
