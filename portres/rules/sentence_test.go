// SPDX-License-Identifier: MIT

package rules

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSentence(t *testing.T) {
	const holder = `(pid 4711, "server", uid 1000, since 2026-11-23T12:00:00Z)`
	listener := Request{Party: Party{Kind: Listener, UID: user}}
	cibirListener := Request{Party: member(user, "0a0b")}
	steered := cibirListener
	steered.Steering = true
	for _, test := range []struct {
		state State
		Request
		errno unix.Errno
		want  string
	}{
		{held(), listener, 0, "UDP port 4433 is free: a MsQuic listener gets it"},
		{held(known(Party{Kind: Listener, UID: user})), listener, unix.EADDRINUSE,
			"UDP port 4433 is held exclusively by a MsQuic listener " + holder + ": stop that, or choose another port"},
		{held(known(Party{Kind: Client, UID: user, SameProcess: true})), listener, unix.EADDRINUSE,
			"UDP port 4433 is held exclusively by a MsQuic client in another datapath of the same process " + holder + ": stop that, or choose another port"},
		{State{Proto: TCP, Port: 443, Holders: []Party{{UID: 0}}}, listener, unix.EADDRINUSE,
			"TCP port 443 is held by a foreign program (uid 0): stop that program, or choose another port"},
		{held(member(user, "0a0b")), steered, unix.EADDRINUSE,
			"UDP port 4433 is shared by a MsQuic CIBIR listener with identifier 0a0b (uid 1000, encoding 2@9/9), " +
				"which has the identifier that is asked for: choose another identifier"},
		{held(member(user, "0c0d")), cibirListener, unix.EOPNOTSUPP,
			"UDP port 4433 is held by a MsQuic CIBIR listener with identifier 0c0d (uid 1000, encoding 2@9/9), and a MsQuic CIBIR listener " +
				"with identifier 0a0b has no steering to share it: give it that (BPF needs root or CAP_BPF), or choose another port"},
		{reserved(Reservation{Name: "web"}), listener, unix.EADDRINUSE,
			`UDP port 4433 is reserved ("web") for other users than uid 1000: choose another port, or have the administrator permit the user`},
		{State{Proto: UDP}, Request{Party: steered.Party, AutoPort: true}, 0,
			"the UDP port that the kernel chooses is free: a MsQuic CIBIR listener with identifier 0a0b opens it, and others may share it"},
		{held(), badRequest.Request, unix.EINVAL,
			"UDP port 4433 cannot be given to a MsQuic CIBIR listener: there is no such kind, or the identifier does not fit the encoding"},
	} {
		d := Decide(test.state, test.Request)
		if got := d.Sentence(); got != test.want || d.Errno() != test.errno {
			t.Errorf("%v: %s\nwant %v: %s", d.Errno(), got, test.errno, test.want)
		}
	}
}

// Every sentence of a refusal names who is in the way, and says what to do.
func TestSentenceOfEveryCell(t *testing.T) {
	for _, s := range everyState() {
		for _, ask := range asks {
			d := Decide(s, ask.Request)
			got := d.Sentence()
			if !strings.HasPrefix(got, "UDP port 4433 ") || strings.ContainsAny(got, "{}\n") {
				t.Errorf("%s: %s", ask.name, got)
			}
			if d.Holder != nil && !strings.Contains(got, `(pid 4711, "server", uid 100`) {
				t.Errorf("%s: does not name the holder: %s", ask.name, got)
			}
			if d.Outcome == Refused && ask.Kind != Foreign && !strings.Contains(got, ": ") {
				t.Errorf("%s: does not say what to do: %s", ask.name, got)
			}
		}
	}
}

// A program may have any name, and so may a reservation.
func TestSentenceIsSafeToPrint(t *testing.T) {
	const evil = "\x1b[2J{holder}\n\u202e\"\xff"
	for _, s := range []State{
		held(Party{Kind: Listener, Program: evil}),
		reserved(Reservation{Name: evil}),
	} {
		got := Decide(s, Request{Party: Party{Kind: Listener}}).Sentence()
		if strings.ContainsAny(got, "\x1b\n\u202e\xff") || !strings.Contains(got, "{holder}") {
			t.Errorf("%q", got)
		}
	}
}
