// SPDX-License-Identifier: MIT

package portres

import (
	"os"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// holders returns who stands for all that a request meets: of many members of
// a shared port, one of those that the rules tell apart.
func (f portFile) holders(h holding, ask rules.Party) ([]rules.Party, error) {
	if h.exclusive {
		return []rules.Party{f.exclusiveHolder(h)}, nil
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

// exclusiveHolder describes who holds the port exclusively: h is what the lock
// says, and the text says the rest.
func (f portFile) exclusiveHolder(h holding) rules.Party {
	p := f.described(0)
	if p.Kind == rules.Foreign { // they make no claims: there is no text
		p.Kind = rules.Listener
	}
	p.Alone = p.Kind == rules.CIBIR
	p.UID = h.uid
	return p
}

// member describes the member of a shared port whose identifier byte is locked.
// What the locks say, of all members or of this one, the text cannot change.
func (f portFile) member(h holding, at int64) (p rules.Party, slot uint32, err error) {
	id, slot := memberAt(at, h.encoding.Length)
	p = f.described(slot)
	p.Kind, p.Encoding = rules.CIBIR, h.encoding
	if id.Len() != 0 || identifierByte(p.ID, slot) != at {
		p.ID = id
	}
	said := h
	said.uid = p.UID
	held, err := f.isHeld(said.claimByte())
	if !held {
		p.UID = h.uid
	}
	return p, slot, err
}

// described returns what the row of a slot says.
func (f portFile) described(slot uint32) rules.Party {
	row := make([]byte, rowSize)
	n, _ := f.ReadAt(row, int64(slot)*rowSize) // what cannot be read describes nobody
	p := parseRow(row[:n])
	p.SameProcess = p.Process == os.Getpid()
	return p
}

// anyMember returns a member. There is none if all have left since h was.
func (f portFile) anyMember(h holding, _ rules.Party) ([]rules.Party, error) {
	at, held, err := f.anyHeld(identifierAt, identifierBytes)
	if err != nil || !held {
		return nil, err
	}
	p, _, err := f.member(h, at)
	return []rules.Party{p}, err
}

// otherUsersMember returns a member that is not of the asker's user, if there
// is one. Its claim byte says nothing more of it.
func (f portFile) otherUsersMember(h holding, ask rules.Party) ([]rules.Party, error) {
	h.uid = ask.UID
	uid, held, err := f.otherUser(h)
	if err != nil || !held {
		return nil, err
	}
	return []rules.Party{{Kind: rules.CIBIR, Encoding: h.encoding, UID: uid}}, nil
}

// namesake returns the member that has the identifier of the asker, if there is one.
func (f portFile) namesake(h holding, ask rules.Party) ([]rules.Party, error) {
	if ask.Kind != rules.CIBIR {
		return nil, nil
	}
	at, held, err := f.anyHeld(identifierByte(ask.ID, 0), Slots)
	if err != nil || !held {
		return nil, err
	}
	p, _, err := f.member(h, at)
	p.ID = ask.ID
	return []rules.Party{p}, err
}
