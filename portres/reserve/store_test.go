// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestOpenChoosesThePath(t *testing.T) {
	t.Setenv(pathVariable, "")
	if got := Open("").Path(); got != DefaultPath {
		t.Errorf("default is %s", got)
	}
	t.Setenv(pathVariable, "/a/b")
	if got := Open("").Path(); got != "/a/b" {
		t.Errorf("with the environment it is %s", got)
	}
	if got := Open("/c//d").Path(); got != "/c/d" {
		t.Errorf("asked for /c//d, it is %s", got)
	}
}

func TestNoFileIsNoReservation(t *testing.T) {
	s := newStore(t)
	if list, err := s.List(); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	wantNotFound(t, s.Delete(1), "token 0000000000000001", "")
}

func TestCreateLookupDelete(t *testing.T) {
	s := newStore(t)
	want := shared(udp(4433, 8))
	before := time.Now().Truncate(time.Second)
	token := mustCreate(t, s, want)
	other := mustCreate(t, s, exclusive(tcp(4433, 8)))
	got, err := s.Lookup(want.Range)
	if err != nil || got.Token != token || token == other || token == 0 || got.Created.Before(before) {
		t.Fatalf("looked up %+v, %v; tokens %v and %v", got, err, token, other)
	}
	want.Token, want.Created = got.Token, got.Created
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("stored as %+v, want %+v", got, want)
	}
	if list := mustList(t, s); len(list) != 2 || list[0].Token != other || list[1].Token != token {
		t.Errorf("list is %+v, want TCP first", list)
	}
	if err := s.Delete(token); err != nil {
		t.Error(err)
	}
	if err := s.DeleteRange(tcp(4433, 8)); err != nil {
		t.Error(err)
	}
	if list := mustList(t, s); len(list) != 0 {
		t.Errorf("left: %+v", list)
	}
	wantNotFound(t, s.Delete(token), token.String(), "")
}

func TestCreateRefuses(t *testing.T) {
	s := newStore(t)
	if _, err := s.Create(Reservation{Range: udp(1, 1), Exclusive: true}); err == nil {
		t.Error("a reservation for nobody was made")
	}
	held := shared(udp(4433, 8))
	held.Token = mustCreate(t, s, held)
	for _, ports := range []Range{udp(4433, 8), udp(4440, 1), udp(1, 4433), udp(1, 65535), udp(4434, 2)} {
		_, err := s.Create(exclusive(ports))
		var overlap *OverlapError
		if !errors.As(err, &overlap) || overlap.Other.Token != held.Token || !errors.Is(err, unix.EEXIST) {
			t.Errorf("%v beside %v: %v", ports, held.Range, err)
			continue
		}
		for _, says := range []string{ports.String(), held.Range.String(), held.Token.String(), `web \"servers\", α`} {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%q does not say %q", err, says)
			}
		}
	}
	for _, ports := range []Range{udp(4432, 1), udp(4441, 1), tcp(4433, 8)} {
		mustCreate(t, s, exclusive(ports))
	}
}

func TestRangeMustBeExact(t *testing.T) {
	s := newStore(t)
	mustCreate(t, s, shared(udp(4433, 8)))
	for _, test := range []struct {
		ports Range
		near  string
	}{
		{udp(4433, 7), "udp 4433-4440"},
		{udp(4434, 7), "udp 4433-4440"},
		{udp(4433, 9), "udp 4433-4440"},
		{udp(4440, 1), "udp 4433-4440"},
		{udp(4441, 1), ""},
		{tcp(4433, 8), ""},
	} {
		_, err := s.Lookup(test.ports)
		wantNotFound(t, err, test.ports.String(), test.near)
		wantNotFound(t, s.DeleteRange(test.ports), test.ports.String(), test.near)
	}
	for _, ports := range []Range{udp(0, 1), udp(1, 0), udp(65535, 2), {}} {
		if _, err := s.Lookup(ports); err == nil || errors.Is(err, unix.ENOENT) {
			t.Errorf("lookup of %+v: %v", ports, err)
		}
	}
	if len(mustList(t, s)) != 1 {
		t.Error("a reservation was deleted by another range")
	}
}

func wantNotFound(t *testing.T, err error, asked, near string) {
	t.Helper()
	var missing *NotFoundError
	if !errors.As(err, &missing) || !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), asked) ||
		!strings.Contains(err.Error(), near) || (missing.Near != nil) != (near != "") {
		t.Errorf("%v; want that %q is not found, near %q", err, asked, near)
	}
}

func TestFind(t *testing.T) {
	s := newStore(t)
	mustCreate(t, s, shared(udp(4433, 8)))
	for _, test := range []struct {
		ports Range
		want  bool
	}{
		{udp(4433, 1), true}, {udp(4440, 1), true}, {udp(4432, 1), false}, {udp(4441, 1), false}, {tcp(4433, 1), false},
	} {
		r, err := s.Find(test.ports.Proto, test.ports.Start)
		if err != nil || (r != nil) != test.want {
			t.Errorf("%v: %+v, %v", test.ports, r, err)
		}
	}
}

// TestStoreAgainstModel compares the store with a plain map.
func TestStoreAgainstModel(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		rapid.Check(t, b.Store.play)
	})
}

// The same, in orders that the fuzzer finds.
func FuzzStore(f *testing.F) {
	s := Open(filepath.Join(f.TempDir(), "reservations"))
	f.Add([]byte{})
	f.Fuzz(rapid.MakeFuzz(s.play))
}

// play makes, finds and deletes reservations.
func (s *Store) play(t *rapid.T) {
	for _, r := range must(s.List()) {
		if err := s.Delete(r.Token); err != nil {
			t.Fatal(err)
		}
	}
	m := storeModel{s, map[Token]Range{}}
	t.Repeat(map[string]func(*rapid.T){
		"create": m.create, "delete range": m.deleteRange, "lookup": m.lookup, "": m.compare,
	})
}

// storeModel is a store and what should be in it.
type storeModel struct {
	store *Store
	has   map[Token]Range
}

// drawSmall draws from so few ranges that they often overlap.
func drawSmall(t *rapid.T) Range {
	return Range{drawProto(t), rapid.Uint16Range(1, 12).Draw(t, "start"), rapid.Uint16Range(1, 4).Draw(t, "count")}
}

// exact returns the token of a range, 0 when there is none.
func (m storeModel) exact(ports Range) (token Token) {
	for k, v := range m.has {
		if v == ports {
			token = k
		}
	}
	return token
}

func (m storeModel) create(t *rapid.T) {
	ports := drawSmall(t)
	taken := false
	for _, held := range m.has {
		taken = taken || held.Overlaps(ports)
	}
	token, err := m.store.Create(exclusive(ports))
	if taken != errors.Is(err, unix.EEXIST) || !taken && err != nil {
		t.Fatalf("%v, taken %v: %v", ports, taken, err)
	}
	if err == nil {
		m.has[token] = ports
	}
}

func (m storeModel) deleteRange(t *rapid.T) {
	ports := drawSmall(t)
	token := m.exact(ports)
	if err := m.store.DeleteRange(ports); (err == nil) != (token != 0) {
		t.Fatalf("%v, there under %v: %v", ports, token, err)
	}
	delete(m.has, token)
}

func (m storeModel) lookup(t *rapid.T) {
	ports := drawSmall(t)
	if r, err := m.store.Lookup(ports); r.Token != m.exact(ports) || (err == nil) != (r.Token != 0) {
		t.Fatalf("%v is %+v, want token %v: %v", ports, r, m.exact(ports), err)
	}
}

func (m storeModel) compare(t *rapid.T) {
	list := must(m.store.List())
	if len(list) != len(m.has) {
		t.Fatalf("list %v, model %v", list, m.has)
	}
	for _, r := range list {
		if m.has[r.Token] != r.Range {
			t.Fatalf("list %v, model %v", list, m.has)
		}
	}
}

// must is for what the test at hand is not about.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestConcurrentChanges lets goroutines and processes change one store. Each
// makes reservations of its own, fights for a common one, and deletes half.
func TestConcurrentChanges(t *testing.T) {
	s := newStore(t)
	const workers, turns = 4, 10
	won := make([]int, 2*workers)
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			if err := changeALot(s, i, turns); err != nil {
				t.Error(err)
			}
			won[i] = claimCommon(s)
		})
		group.Go(func() {
			if out, err := actor(t, "change", fmt.Sprint(s.Path(), " ", workers+i, " ", turns)).Output(); err != nil {
				t.Errorf("%v: %s", err, out)
			} else {
				fmt.Sscan(string(out), &won[workers+i])
			}
		})
	}
	group.Wait()
	total := 0
	for _, n := range won {
		total += n
	}
	if total != 1 {
		t.Errorf("%d of them got the port that only one can have", total)
	}
	list := mustList(t, s)
	if len(list) != 2*workers*turns/2+1 {
		t.Errorf("%d reservations are left, want %d", len(list), 2*workers*turns/2+1)
	}
	for i := range 2 * workers {
		for j := range turns {
			has := slices.ContainsFunc(list, func(r Reservation) bool { return r.Start == portOf(i, j) })
			if has != (j%2 == 0) {
				t.Errorf("port %d of worker %d is there: %v", portOf(i, j), i, has)
			}
		}
	}
}

func portOf(worker, turn int) uint16 { return uint16(2000 + 1000*worker + turn) }

const commonPort = 60000

// changeALot makes reservations, and deletes every second one.
func changeALot(s *Store, worker, turns int) error {
	for j := range turns {
		token, err := s.Create(exclusive(udp(portOf(worker, j), 1)))
		if err == nil && j%2 == 1 {
			err = s.Delete(token)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func claimCommon(s *Store) (won int) {
	if _, err := s.Create(exclusive(udp(commonPort, 1))); err == nil {
		return 1
	}
	return 0
}

// actChange does in another process what a goroutine of the test does.
func actChange(words string) error {
	var path string
	var worker, turns int
	if _, err := fmt.Sscan(words, &path, &worker, &turns); err != nil {
		return err
	}
	s := Open(path)
	if err := changeALot(s, worker, turns); err != nil {
		return err
	}
	fmt.Println(claimCommon(s))
	return nil
}
