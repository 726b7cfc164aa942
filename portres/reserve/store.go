// SPDX-License-Identifier: MIT

package reserve

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// DefaultPath is where reservations are kept, unless the environment variable
// MSQUICXDP_RESERVATIONS or [Open] says otherwise.
const DefaultPath = "/var/lib/msquicxdp/reservations"

const pathVariable = "MSQUICXDP_RESERVATIONS"

// Store is the file in which reservations are kept. It holds nothing open, and
// is safe for use by several goroutines and processes: a change waits for the
// one before it, and readers see the content before or after a change.
type Store struct{ path string }

// Open names a store. The empty path means the one that the environment names,
// or the default. There need not be a file: no reservations is no error.
func Open(path string) *Store {
	if path == "" {
		path = os.Getenv(pathVariable)
	}
	if path == "" {
		path = DefaultPath
	}
	return &Store{path: filepath.Clean(path)}
}

// Path returns where the reservations are kept.
func (s *Store) Path() string { return s.path }

// Create stores a reservation and returns the token that it got; Token and
// Created of r are not looked at. The ports are reserved in claims from now on,
// and in the kernel after [Store.Apply].
//
// The error is an *[OverlapError] when some of the ports are reserved, and
// otherwise says what r lacks, or what the kernel refused: only root can change
// the default store.
func (s *Store) Create(r Reservation) (Token, error) {
	r.Created = time.Now()
	r.normalize()
	if err := r.Validate(); err != nil {
		return 0, err
	}
	err := s.change(func(list []Reservation) ([]Reservation, error) {
		if i := indexOverlap(list, r.Range); i >= 0 {
			return nil, &OverlapError{Asked: r.Range, Other: list[i]}
		}
		for r.Token = newToken(); r.Token == 0 || indexToken(list, r.Token) >= 0; {
			r.Token = newToken()
		}
		return append(list, r), nil
	})
	return r.Token, err
}

// Lookup returns the reservation of exactly this range. The error is a
// *[NotFoundError] when there is none, and names one that overlaps it.
func (s *Store) Lookup(ports Range) (Reservation, error) {
	list, err := s.List()
	if err != nil {
		return Reservation{}, err
	}
	i, err := indexExact(list, ports)
	if err != nil {
		return Reservation{}, err
	}
	return list[i], nil
}

// Delete ends the reservation with this token. The kernel forgets it with the
// next [Store.Apply]. The error is a *[NotFoundError] when there is none.
func (s *Store) Delete(token Token) error {
	return s.change(func(list []Reservation) ([]Reservation, error) {
		i := indexToken(list, token)
		if i < 0 {
			return nil, &NotFoundError{Asked: "token " + token.String()}
		}
		return slices.Delete(list, i, i+1), nil
	})
}

// DeleteRange ends the reservation of exactly this range, as [Store.Delete] and
// [Store.Lookup] do.
func (s *Store) DeleteRange(ports Range) error {
	return s.change(func(list []Reservation) ([]Reservation, error) {
		i, err := indexExact(list, ports)
		if err != nil {
			return nil, err
		}
		return slices.Delete(list, i, i+1), nil
	})
}

// List returns all reservations, by protocol and port.
//
// The error is a *[CorruptError] or a *[VersionError] when the file cannot be
// understood; it is never understood in part.
func (s *Store) List() ([]Reservation, error) {
	content, err := readFile(s.path)
	if err != nil || content == nil {
		return nil, err
	}
	list, err := decode(content)
	return list, withPath(err, s.path)
}

// Find returns the reservation that a port belongs to, or nil. It fails as
// [Store.List] does.
func (s *Store) Find(proto rules.Proto, port uint16) (*Reservation, error) {
	content, err := readFile(s.path)
	if err != nil || content == nil {
		return nil, err
	}
	r, err := decodeOne(content, proto, port)
	return r, withPath(err, s.path)
}

// change replaces the list by what f makes of it, while nobody else does.
func (s *Store) change(f func([]Reservation) ([]Reservation, error)) error {
	d, err := openFolder(filepath.Dir(s.path), publicFolder)
	if err != nil {
		return err
	}
	defer d.Close()
	name := filepath.Base(s.path)
	lock, err := d.lock(name + ".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	list, err := s.List()
	if err != nil {
		return err
	}
	if list, err = f(list); err != nil {
		return err
	}
	sortByRange(list)
	return d.replace(name, encode(list), publicFile)
}

func indexToken(list []Reservation, token Token) int {
	return slices.IndexFunc(list, func(r Reservation) bool { return r.Token == token })
}

func indexOverlap(list []Reservation, ports Range) int {
	return slices.IndexFunc(list, func(r Reservation) bool { return r.Overlaps(ports) })
}

// indexExact finds the reservation of a range.
func indexExact(list []Reservation, ports Range) (int, error) {
	if err := ports.Validate(); err != nil {
		return 0, err
	}
	i := indexOverlap(list, ports)
	if i < 0 {
		return 0, &NotFoundError{Asked: ports.String()}
	}
	if list[i].Range != ports {
		return 0, &NotFoundError{Asked: ports.String(), Near: &list[i]}
	}
	return i, nil
}
