// SPDX-License-Identifier: MIT

package ports

import (
	"bytes"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// The bytes of a message, on machines of either byte order.
func TestMessages(t *testing.T) {
	for _, test := range []struct {
		block any
		size  int
	}{
		{question{magic, version, opSockets, 7}, 12},
		{newAnswer(grant{owned: true}, nil), 268},
		{newAnswer(grant{}, kerr.New("join", "x", unix.EPERM, "")), 268},
	} {
		b := encode(test.block)
		if len(b) != test.size || !bytes.HasPrefix(b, []byte("MQXP\x01\x00")) && !bytes.HasPrefix(b, []byte("PXQM\x00\x01")) {
			t.Errorf("%+v is %x", test.block, b)
		}
	}
	var q question
	if err := decode(encode(question{magic, version, opSockets, 7}), &q); err != nil || q != (question{magic, version, opSockets, 7}) {
		t.Errorf("%+v, %v", q, err)
	}
}

func TestAnswers(t *testing.T) {
	for _, refusal := range []error{
		nil,
		kerr.New("join", "user 7", unix.EACCES, "ask"),
		errors.New(strings.Repeat("long ", 200)),
	} {
		var a answer
		if err := decode(encode(newAnswer(grant{owned: true}, refusal)), &a); err != nil {
			t.Fatal(err)
		}
		err := a.refusal()
		if a.Owned != 1 || a.Errno != uint32(kerr.Errno(refusal)) || (err == nil) != (refusal == nil) {
			t.Errorf("%v became %+v, %v", refusal, a, err)
		}
		if err != nil && !strings.HasPrefix("it refuses: "+refusal.Error(), err.Error()) {
			t.Errorf("%v became %v", refusal, err)
		}
	}
}

// seqpacket returns a connection and its other end.
func seqpacket(t testing.TB) (*net.UnixConn, *net.UnixConn) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*net.UnixConn
	for i, fd := range pair {
		file := os.NewFile(uintptr(fd), "")
		defer file.Close()
		conn, err := net.FileConn(file)
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = conn.(*net.UnixConn)
	}
	t.Cleanup(func() {
		conns[0].Close()
		conns[1].Close()
	})
	return conns[0], conns[1]
}

// Whatever comes from the other side: it is understood or refused, and no
// descriptor stays open.
func FuzzReceive(f *testing.F) {
	a := encode(newAnswer(grant{}, errors.New("no")))
	q := encode(question{magic, version, opJoin, 0})
	for _, message := range [][]byte{a, q, a[:6], append(q, q...), {0}} {
		for _, fds := range []uint8{0, 1, 7, 64, 65, 253} {
			f.Add(message, fds)
		}
	}
	f.Fuzz(func(t *testing.T, message []byte, n uint8) {
		if len(message) == 0 || len(message) > 1<<16 || n > 253 {
			return // cannot be sent, or ends the connection
		}
		theirs, ours := seqpacket(t)
		before, err := netnstest.OpenFDs()
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range []any{&question{}, &answer{}} {
			var rights []byte
			if n != 0 {
				rights = unix.UnixRights(make([]int, n)...) // descriptor 0, n times
			}
			if _, _, err := theirs.WriteMsgUnix(message, rights, nil); err != nil {
				return // too long for the kernel
			}
			fds, err := receive(ours, block)
			if err != nil && fds != nil {
				t.Errorf("descriptors %v with the error %v", fds, err)
			}
			if err == nil && (len(fds) != int(n) || !bytes.Equal(encode(block), message)) {
				t.Errorf("%x with %d descriptors was read as %+v with %v", message, n, block, fds)
			}
			descriptors.CloseAll(fds)
			if a, ok := block.(*answer); ok && err == nil && a.Errno != 0 {
				if text := a.refusal().Error(); strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("%q is not fit for a terminal", text)
				}
			}
		}
		after, err := netnstest.OpenFDs()
		if err != nil || len(after) > len(before) {
			t.Errorf("%d descriptors open, were %d: %v", len(after), len(before), err)
		}
	})
}

// Whatever a guest says, it is answered at most once for each question, and the
// conversation ends when it does.
func FuzzConversation(f *testing.F) {
	q := encode(question{magic, version, opJoin, 0})
	f.Add(q, q)
	f.Add(q, []byte("garbage"))
	f.Add([]byte("garbage"), q)
	f.Add(encode(question{magic, 2, opJoin, 0}), q)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		guest, member := seqpacket(t)
		questions, done := 0, make(chan struct{})
		go func() {
			defer close(done)
			converse(member, func(_ peer, q question) (grant, error) {
				questions++
				if q.Magic != magic || q.Version != version {
					t.Errorf("asked %+v", q)
				}
				return grant{}, nil
			})
			member.Close()
		}()
		answers := 0
		for _, message := range [][]byte{first, second} {
			if len(message) == 0 || len(message) > 1<<16 {
				continue
			}
			if _, err := guest.Write(message); err != nil {
				break
			}
			guest.SetReadDeadline(time.Now().Add(limit))
			if n, err := guest.Read(make([]byte, 1024)); n > 0 && err == nil {
				answers++
			} else {
				break
			}
		}
		guest.Close()
		<-done
		if answers < questions {
			t.Errorf("%d questions, %d answers", questions, answers)
		}
	})
}
