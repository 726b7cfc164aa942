// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"errors"
	"os/user"
	"slices"
	"strconv"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/inspect"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// host is the machine that the command runs on.
type host struct {
	users, groups map[uint32]string // names that were looked up
}

func newHost() *host { return &host{users: map[uint32]string{}, groups: map[uint32]string{}} }

func (h *host) now() time.Time { return time.Now() }

func (h *host) claims(stateDir string, allNamespaces bool) ([]claim, error) {
	dirs, err := stateDirs(stateDir, allNamespaces)
	var list []claim
	for _, dir := range dirs {
		held, listErr := portres.List(dir)
		list, err = append(list, claimsIn(dir, held)...), errors.Join(err, listErr)
		dir.Close()
	}
	return list, err
}

func (h *host) claimsOn(stateDir string, proto rules.Proto, port uint16) ([]claim, error) {
	dir, err := rundir.Open(stateDir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	held, err := portres.ListPort(dir, proto, port)
	return claimsIn(dir, held), err
}

func claimsIn(dir *rundir.Dir, held []portres.Held) []claim {
	list := make([]claim, len(held))
	for i, c := range held {
		list[i] = claim{dir.Namespace().Cookie, c}
	}
	return list
}

func stateDirs(stateDir string, allNamespaces bool) ([]*rundir.Dir, error) {
	if !allNamespaces {
		dir, err := rundir.Open(stateDir)
		if err != nil {
			return nil, err
		}
		return []*rundir.Dir{dir}, nil
	}
	dirs, err := rundir.All(stateDir)
	slices.SortFunc(dirs, func(a, b *rundir.Dir) int {
		return cmp.Compare(a.Namespace().Cookie, b.Namespace().Cookie)
	})
	return dirs, err
}

func (h *host) strangers(proto rules.Proto, port uint16, claims []portres.Held) ([]rules.Party, error) {
	return portres.Strangers(proto, port, claims)
}

func (h *host) ask(stateDir string, spec portres.Spec) (rules.Decision, error) {
	dir, err := rundir.Open(stateDir)
	if err != nil {
		return rules.Decision{}, err
	}
	defer dir.Close()
	return portres.Ask(dir, spec)
}

func (h *host) inspect(stateDir string) (*inspect.Report, error) { return inspect.Look(stateDir) }

func (h *host) userName(uid uint32) string {
	return remembered(h.users, uid, func(id string) string {
		if u, err := user.LookupId(id); err == nil {
			return u.Username
		}
		return ""
	})
}

func (h *host) groupName(gid uint32) string {
	return remembered(h.groups, gid, func(id string) string {
		if g, err := user.LookupGroupId(id); err == nil {
			return g.Name
		}
		return ""
	})
}

// remembered looks a name up once.
func remembered(names map[uint32]string, id uint32, lookup func(id string) string) string {
	name, ok := names[id]
	if !ok {
		name = lookup(strconv.FormatUint(uint64(id), 10))
		names[id] = name
	}
	return name
}
