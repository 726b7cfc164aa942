// SPDX-License-Identifier: MIT

package portres

import (
	"bytes"
	"fmt"
	"os"
	"slices"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// holders returns who stands for all that a request meets: of many members of
// a shared port, one of those that the rules tell apart.
func (f portFile) holders(ask rules.Party) ([]rules.Party, error) {
	m, err := f.mode()
	switch {
	case err != nil || m == free:
		return nil, err
	case m == exclusive:
		p, err := f.exclusiveHolder()
		return []rules.Party{p}, err
	}
	var list []rules.Party
	for _, find := range []func(rules.Party) (*rules.Party, error){f.anyMember, f.otherUsersMember, f.namesake} {
		p, err := find(ask)
		if err != nil {
			return nil, err
		}
		if p != nil {
			list = append(list, *p)
		}
	}
	return list, nil
}

// exclusiveHolder describes the holder of an exclusive claim.
func (f portFile) exclusiveHolder() (rules.Party, error) {
	p, err := f.described(0)
	if p.Kind == rules.Foreign { // they make no claims: there is no text
		p.Kind = rules.Listener
	}
	p.Alone = p.Kind == rules.CIBIR
	return p, err
}

// member describes the CIBIR listener that has a slot.
func (f portFile) member(slot uint32) (rules.Party, error) {
	p, err := f.described(slot)
	if err != nil {
		return p, err
	}
	p.Kind = rules.CIBIR
	if p.Encoding, err = f.encoding(); err != nil {
		return p, err
	}
	held, err := f.isHeld(identifierByte(p.ID))
	if !held {
		p.ID = cibir.ID{}
	}
	return p, err
}

// described returns what the row of a slot says, as far as the locks do not
// contradict it.
func (f portFile) described(slot uint32) (rules.Party, error) {
	row := make([]byte, rowSize)
	n, _ := f.ReadAt(row, int64(slot)*rowSize) // what cannot be read describes nobody
	p := parseRow(row[:n])
	p.SameProcess = p.Process == os.Getpid()
	held, err := f.isHeld(userByte(p.UID))
	if held || err != nil {
		return p, err
	}
	at, held, err := f.anyHeld(userAt, users)
	p.UID = 0
	if held {
		p.UID = uint32(at - userAt)
	}
	return p, err
}

// anyMember returns a member.
func (f portFile) anyMember(rules.Party) (*rules.Party, error) {
	at, held, err := f.anyHeld(slotAt, Slots)
	if err != nil || !held {
		return nil, err
	}
	p, err := f.member(uint32(at - slotAt))
	return &p, err
}

// otherUsersMember returns a member that is not of the asker's user.
func (f portFile) otherUsersMember(ask rules.Party) (*rules.Party, error) {
	at, held, err := f.besides(userAt, users, userByte(ask.UID))
	if err != nil || !held {
		return nil, err
	}
	uid := uint32(at - userAt)
	p, _, err := f.memberWhoseRowSays(fmt.Sprintf(" uid=%d ", uid))
	p.UID = uid
	return &p, err
}

// namesake returns the member that has the identifier of the asker.
func (f portFile) namesake(ask rules.Party) (*rules.Party, error) {
	if ask.Kind != rules.CIBIR {
		return nil, nil
	}
	held, err := f.isHeld(identifierByte(ask.ID))
	if err != nil || !held {
		return nil, err
	}
	p, found, err := f.memberWhoseRowSays(fmt.Sprintf(" id=%v ", ask.ID))
	if !found {
		p.UID = ask.UID // unknown; were it another's, otherUsersMember would say so
	}
	p.ID = ask.ID
	return &p, err
}

// memberWhoseRowSays returns the first member whose row has these words. Where
// no row has them, it is one of whom nothing but the encoding is known.
func (f portFile) memberWhoseRowSays(words string) (p rules.Party, found bool, err error) {
	const rows = 64
	text := make([]byte, rows*rowSize)
	for first := 0; first < Slots; first += rows {
		n, readErr := f.ReadAt(text, int64(first)*rowSize)
		for i, row := range slices.Collect(slices.Chunk(text[:n], rowSize)) {
			slot := uint32(first + i)
			if !bytes.Contains(row, []byte(words)) {
				continue
			}
			if held, err := f.isHeld(slotAt + int64(slot)); err != nil || !held {
				continue // left by somebody who is gone
			}
			p, err = f.member(slot)
			return p, true, err
		}
		if readErr != nil { // the end of the text
			break
		}
	}
	p.Encoding, err = f.encoding()
	p.Kind = rules.CIBIR
	return p, false, err
}

// encoding returns the encoding of a shared port.
func (f portFile) encoding() (cibir.Encoding, error) {
	at, held, err := f.anyHeld(encodingAt, encodings)
	if err != nil || !held {
		return cibir.Encoding{}, err
	}
	return encodingOf(at), nil
}
