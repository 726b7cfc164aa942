// SPDX-License-Identifier: MIT

package portres

import (
	"cmp"
	"errors"
	"os"
	"slices"

	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// Held is a claim that somebody has.
type Held struct {
	Proto rules.Proto
	Port  uint16

	// Version of the protocol that its holder speaks. If it is not ours, nothing
	// else is known of the claim.
	Version int

	Exclusive bool
	Slot      uint32 // of a member of a shared port

	// Party is the holder. Of a shared port, kind, encoding and identifier are what
	// the locks say; so is the user, where all members are of one. The rest is the
	// holder's word, and zero where there is none.
	Party rules.Party
}

// List returns the claims that are held, of this process and of others, by
// protocol, port and identifier. It waits for nobody: a claim that comes or goes
// meanwhile is in it or not. With an error it still returns those it found.
func List(dir *rundir.Dir) ([]Held, error) {
	names, err := dir.Names()
	if err != nil {
		return nil, err
	}
	var all []Held
	var errs []error
	for _, name := range names {
		proto, port, ok := parseFileName(name)
		if !ok {
			continue
		}
		list, err := listPort(dir, name)
		for _, held := range list {
			held.Proto, held.Port = proto, port
			all = append(all, held)
		}
		if !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	slices.SortStableFunc(all, func(a, b Held) int {
		return cmp.Or(-cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port)) // UDP first
	})
	return all, errors.Join(errs...)
}

// listPort returns the claims on one port, by identifier.
func listPort(dir *rundir.Dir, name string) ([]Held, error) {
	file, err := dir.OpenExisting(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	f := portFile{file}
	h, held, err := f.holding()
	switch {
	case err != nil || !held:
		return nil, err
	case h.version != Version:
		return []Held{{Version: h.version}}, nil
	case h.exclusive:
		return []Held{{Version: Version, Exclusive: true, Party: f.exclusiveHolder(h)}}, nil
	}
	return f.members(h)
}

// members returns the claims on a shared port.
func (f portFile) members(h holding) ([]Held, error) {
	bytes, err := f.allHeld(identifierAt, identifierBytes)
	if err != nil {
		return nil, err
	}
	var list []Held
	for _, at := range bytes {
		p, slot, err := f.member(h, at)
		if err != nil {
			return list, err
		}
		list = append(list, Held{Version: Version, Slot: slot, Party: p})
	}
	return list, nil
}
