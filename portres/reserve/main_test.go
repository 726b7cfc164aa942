// SPDX-License-Identifier: MIT

package reserve

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// patience bounds the wait for what must happen.
const patience = 10 * time.Second

func TestMain(m *testing.M) {
	if name := os.Getenv(actorVariable); name != "" {
		os.Exit(act(name))
	}
	os.Exit(m.Run())
}

// newStore returns an empty store, and checks that the test leaks no descriptor.
func newStore(t *testing.T) *Store {
	t.Helper()
	netnstest.CheckFDs(t)
	return Open(filepath.Join(t.TempDir(), "lib", "reservations"))
}

func udp(start, count uint16) Range { return Range{rules.UDP, start, count} }
func tcp(start, count uint16) Range { return Range{rules.TCP, start, count} }

// exclusive is a reservation for a user that no test runs as.
func exclusive(ports Range) Reservation {
	return Reservation{Range: ports, Exclusive: true, UIDs: []uint32{1000}}
}

func shared(ports Range) Reservation {
	return Reservation{
		Range:    ports,
		Name:     `web "servers", α`,
		Encoding: cibir.Encoding{Length: 2, SourceOffset: 9, DestinationOffset: 9},
		UIDs:     []uint32{1000, 1001},
		GIDs:     []uint32{0, 4294967294},
		Enforce:  true,
	}
}

func mustCreate(t *testing.T, s *Store, r Reservation) Token {
	t.Helper()
	token, err := s.Create(r)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func mustList(t *testing.T, s *Store) []Reservation {
	t.Helper()
	list, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	return list
}
