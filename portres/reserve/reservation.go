// SPDX-License-Identifier: MIT

package reserve

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/msquicxdp/msquicxdp/cibir"
)

// Limits of a reservation.
const (
	MaxName = 64 // bytes
	MaxIDs  = 64 // users, and as many groups
)

// Reservation is what an administrator lays down for a range of ports. It is
// never altered: another one takes its place, under another token.
type Reservation struct {
	Token   Token     `json:"token"`
	Created time.Time `json:"created"` // UTC, whole seconds
	Range
	Name string `json:"name,omitempty"` // for people

	// Exclusive: for one exclusive holder at a time. Otherwise the ports are for
	// CIBIR listeners of this encoding, which share them.
	Exclusive bool           `json:"exclusive"`
	Encoding  cibir.Encoding `json:"encoding,omitzero"`

	// Who may claim the ports, by numeric id. Root is not exempt: accidents
	// happen under root too, so it must be named like everybody else.
	UIDs []uint32 `json:"uids,omitempty"`
	GIDs []uint32 `json:"gids,omitempty"`

	// Enforce: [Store.Apply] has the kernel refuse the ports to all others,
	// whether or not their programs know of reservations.
	Enforce bool `json:"enforce"`
}

// Permits says whether a process of this user and these groups may claim the
// ports.
func (r *Reservation) Permits(uid uint32, gids []uint32) bool {
	return slices.Contains(r.UIDs, uid) ||
		slices.ContainsFunc(gids, func(gid uint32) bool { return slices.Contains(r.GIDs, gid) })
}

// called returns the name for use in a sentence, after a word.
func (r *Reservation) called() string {
	if r.Name == "" {
		return ""
	}
	return fmt.Sprintf(" as %q", r.Name)
}

// normalize sorts the ids, names each once, and leaves out fractions of a
// second, so that what is stored is what is read.
func (r *Reservation) normalize() {
	for _, ids := range []*[]uint32{&r.UIDs, &r.GIDs} {
		*ids = slices.Compact(slices.Sorted(slices.Values(*ids)))
	}
	r.Created = r.Created.UTC().Truncate(time.Second)
}

// Validate returns an error that says what is wrong with what an administrator
// asks for.
func (r *Reservation) Validate() error {
	if err := r.Range.Validate(); err != nil {
		return err
	}
	if err := validateName(r.Name); err != nil {
		return err
	}
	if err := r.validateMode(); err != nil {
		return err
	}
	if len(r.UIDs)+len(r.GIDs) == 0 {
		return fmt.Errorf("a reservation of %v that permits nobody: name at least one user or group", r.Range)
	}
	if err := validateIDs("user", r.UIDs); err != nil {
		return err
	}
	return validateIDs("group", r.GIDs)
}

func (r *Reservation) validateMode() error {
	if !r.Exclusive {
		return r.Encoding.Validate()
	}
	if r.Encoding != (cibir.Encoding{}) {
		return fmt.Errorf("an exclusive reservation of %v has no use for the CIBIR encoding %v", r.Range, r.Encoding)
	}
	return nil
}

// validateName keeps out what could disturb a terminal.
func validateName(name string) error {
	if len(name) > MaxName {
		return fmt.Errorf("name %.*q...: %d bytes, at most %d are kept", MaxName, name, len(name), MaxName)
	}
	unprintable := func(c rune) bool { return !unicode.IsPrint(c) }
	if !utf8.ValidString(name) || strings.ContainsFunc(name, unprintable) {
		return fmt.Errorf("name %q: only printable characters are kept", name)
	}
	return nil
}

func validateIDs(what string, ids []uint32) error {
	const nobody = ^uint32(0) // (uid_t)-1: no user has it
	if len(ids) > MaxIDs {
		return fmt.Errorf("%d %ss are named, at most %d can be: permit a group that they are in", len(ids), what, MaxIDs)
	}
	if slices.Contains(ids, nobody) {
		return fmt.Errorf("%d is no %s id", nobody, what)
	}
	return nil
}
