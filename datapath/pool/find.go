// SPDX-License-Identifier: MIT

package pool

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
)

// errNobody says that all members have answered, and none has what was looked for.
var errNobody = errors.New("pool: no member has it")

// unlessNobody is err, but for errNobody, which may change.
func unlessNobody(err error) error {
	if errors.Is(err, errNobody) {
		return nil
	}
	return err
}

// find gets from any member what it has. See findBy.
func (m *Member) find(t topic) (answer, error) { return m.findBy(hand, t) }

// findBy gets from any member what a question is answered with. All are asked at once
// whether they have what it is about, so that those that are stopped hold up nobody.
//
// Errors: errNobody; EMFILE where there is no room for the answer; [SilentError] where those who have not answered may have it.
func (m *Member) findBy(question kind, t topic) (answer, error) {
	peers := m.others()
	type said struct {
		*peer
		has bool
		err error
	}
	heard := make(chan said, len(peers))
	for _, p := range peers {
		m.work.Go(func() {
			a, err := p.ask(who, t)
			descriptors.CloseAll(a.fds)
			heard <- said{p, err == nil && a.Found == 1, err}
		})
	}
	silent := &SilentError{What: t.String()}
	for range peers {
		s := <-heard
		var a answer
		if s.has {
			a, s.err = s.ask(question, t)
		}
		switch {
		case errors.Is(s.err, errSilent):
			silent.Peers = append(silent.Peers, s.Peer)
		case s.has && s.err == nil && a.Found == 1:
			return a, nil
		case errors.Is(s.err, unix.EMFILE):
			return answer{}, s.err
		}
		descriptors.CloseAll(a.fds)
	}
	if len(silent.Peers) == 0 {
		return answer{}, errNobody
	}
	return answer{}, silent
}
