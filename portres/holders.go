// SPDX-License-Identifier: MIT

package portres

import (
	"bytes"
	"fmt"
	"iter"
	"os"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// holders returns who stands for all that a request meets: of many members of
// a shared port, one of those that the rules tell apart.
func (f portFile) holders(h holding, ask rules.Party) ([]rules.Party, error) {
	if h.exclusive {
		p, err := f.holder(h, 0)
		return []rules.Party{p}, err
	}
	var list []rules.Party
	for _, find := range []func(holding, rules.Party) ([]rules.Party, error){f.anyMember, f.otherUsersMember, f.namesake} {
		some, err := find(h, ask)
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	return list, nil
}

// holder describes who holds the port like h does and has a row, as far as the
// locks do not contradict the text.
func (f portFile) holder(h holding, slot uint32) (rules.Party, error) {
	row := make([]byte, rowSize)
	n, _ := f.ReadAt(row, int64(slot)*rowSize) // what cannot be read describes nobody
	p := parseRow(row[:n])
	p.SameProcess = p.Process == os.Getpid()
	if h.exclusive {
		if p.Kind == rules.Foreign { // they make no claims: there is no text
			p.Kind = rules.Listener
		}
		p.Alone = p.Kind == rules.CIBIR
		p.UID = h.uid
		return p, nil
	}
	p.Kind, p.Encoding = rules.CIBIR, h.encoding
	if held, err := f.isHeld(identifierByte(p.ID)); err != nil || !held {
		p.ID = cibir.ID{}
	}
	said := h
	said.uid = p.UID
	held, err := f.isHeld(said.claimByte())
	if !held {
		p.UID = h.uid
	}
	return p, err
}

// anyMember returns a member. There is none if all have left since h was.
func (f portFile) anyMember(h holding, _ rules.Party) ([]rules.Party, error) {
	at, held, err := f.anyHeld(slotAt, Slots)
	if err != nil || !held {
		return nil, err
	}
	p, err := f.holder(h, uint32(at-slotAt))
	return []rules.Party{p}, err
}

// otherUsersMember returns a member that is not of the asker's user, if there is one.
func (f portFile) otherUsersMember(h holding, ask rules.Party) ([]rules.Party, error) {
	h.uid = ask.UID
	uid, held, err := f.otherUser(h)
	if err != nil || !held {
		return nil, err
	}
	h.uid = uid
	p, err := f.memberWhoseRowSays(h, fmt.Sprintf(" uid=%d ", uid))
	p.UID = uid
	return []rules.Party{p}, err
}

// namesake returns the member that has the identifier of the asker, if there is one.
func (f portFile) namesake(h holding, ask rules.Party) ([]rules.Party, error) {
	if ask.Kind != rules.CIBIR {
		return nil, nil
	}
	held, err := f.isHeld(identifierByte(ask.ID))
	if err != nil || !held {
		return nil, err
	}
	h.uid = ask.UID // if there is no text; of another user otherUsersMember knows
	p, err := f.memberWhoseRowSays(h, fmt.Sprintf(" id=%v ", ask.ID))
	p.ID = ask.ID
	return []rules.Party{p}, err
}

// memberWhoseRowSays returns the first member whose row has these words. Where
// no row has them, it is one of whom nothing is known but what h says.
func (f portFile) memberWhoseRowSays(h holding, words string) (rules.Party, error) {
	text := make([]byte, 64*rowSize)
	for start, more := int64(0), true; more && start < Slots*rowSize; start += int64(len(text)) {
		n, err := f.ReadAt(text, start)
		more = err == nil
		for i := range wordsIn(text[:n], words) {
			slot := (start + int64(i)) / rowSize
			held, err := f.isHeld(slotAt + slot)
			if err != nil {
				return rules.Party{}, err
			}
			if held { // otherwise a dead member has left it
				return f.holder(h, uint32(slot))
			}
		}
	}
	return rules.Party{Kind: rules.CIBIR, Encoding: h.encoding, UID: h.uid}, nil
}

// wordsIn yields where the words are in a text.
func wordsIn(text []byte, words string) iter.Seq[int] {
	return func(yield func(int) bool) {
		for from := 0; ; {
			i := bytes.Index(text[from:], []byte(words))
			if i < 0 || !yield(from+i) {
				return
			}
			from += i + 1
		}
	}
}
