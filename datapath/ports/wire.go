// SPDX-License-Identifier: MIT

package ports

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/steering"
	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// A newcomer sends one message for each thing it wants, and gets one back. Each
// is a fixed block in the byte order of the machine, which both are on; the
// descriptors come with the answer (SCM_RIGHTS).
const (
	magic   = 0x5058514d // "MQXP" in memory
	version = 1

	maxFDs = steering.MaxSockets // of one message
)

// What a newcomer can want.
const (
	opJoin    = 1 + iota // what all members have: the steering, and the guard if there is one
	opSockets            // Count sockets bound to the port
)

// Every version begins its messages with magic and version.
type question struct {
	Magic   uint32
	Version uint16
	Op      uint16
	Count   uint32 // opSockets
}

type answer struct {
	Magic   uint32
	Version uint16
	Owned   uint16    // opJoin: 1 if the sockets of the port belong to hold.OwnerUID
	Errno   uint32    // 0: granted
	Reason  [256]byte // why not; NUL padded
}

func newAnswer(g grant, refusal error) answer {
	a := answer{Magic: magic, Version: version}
	if g.owned {
		a.Owned = 1
	}
	if refusal != nil {
		a.Errno = uint32(kerr.Errno(refusal))
		copy(a.Reason[:len(a.Reason)-1], refusal.Error())
	}
	return a
}

// refusal is what the member said if it did not grant what was asked for. Its
// words are made harmless for a terminal.
func (a *answer) refusal() error {
	if a.Errno == 0 {
		return nil
	}
	words, _, _ := strings.Cut(string(a.Reason[:]), "\x00")
	words = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, words)
	return fmt.Errorf("%w: %s", errRefused, words)
}

func encode(block any) []byte {
	b, _ := binary.Append(nil, binary.NativeEndian, block) // of a fixed size: cannot fail
	return b
}

// decode reads a block of this version, and nothing but that.
func decode(b []byte, block any) error {
	if len(b) < 6 || binary.NativeEndian.Uint32(b) != magic {
		return fmt.Errorf("it sends %d bytes that are no message of the protocol for joining", len(b))
	}
	if v := binary.NativeEndian.Uint16(b[4:]); v != version {
		return fmt.Errorf("%w (%d and %d)", errVersion, v, version)
	}
	if len(b) != binary.Size(block) {
		return fmt.Errorf("it sends a message of %d bytes, where %d are due", len(b), binary.Size(block))
	}
	_, err := binary.Decode(b, binary.NativeEndian, block)
	return err
}

// send writes one message with descriptors, which stay the caller's.
func send(conn *net.UnixConn, block any, fds []int) error {
	var rights []byte
	if len(fds) != 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err := conn.WriteMsgUnix(encode(block), rights, nil)
	return silent(err)
}

// receive reads one message and its descriptors, which are the caller's and
// closed on exec. Descriptors that come with a message that cannot be read are
// closed.
func receive(conn *net.UnixConn, block any) (fds []int, err error) {
	buf := make([]byte, 4096)
	rights := make([]byte, unix.CmsgSpace(maxFDs*4))
	n, nr, flags, _, err := conn.ReadMsgUnix(buf, rights)
	if err != nil {
		return nil, silent(err)
	}
	fds = descriptors.OfRights(rights[:nr])
	switch {
	case flags&unix.MSG_CTRUNC != 0:
		err = errors.New("it sends descriptors for which there is no room; raise the limit of open files (ulimit -n) if it is reached")
	case flags&unix.MSG_TRUNC != 0:
		err = fmt.Errorf("it sends a message of more than %d bytes", n)
	default:
		err = decode(buf[:n], block)
	}
	if err != nil {
		descriptors.CloseAll(fds)
		return nil, err
	}
	return fds, nil
}
