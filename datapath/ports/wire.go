// SPDX-License-Identifier: MIT

package ports

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// A newcomer sends one message for each thing it wants, and gets one back. Each
// is a fixed block in the byte order of the machine, which both are on; the
// descriptors come with the answer (SCM_RIGHTS).
const (
	magic   = 0x5058514d // "MQXP" in memory
	version = 1

	maxFDs = 80 // of one message: a slot's sockets, or a group's maps and guards
)

// What a newcomer can want.
const (
	opJoin    = 1 + iota // what all members have: steering and guards
	opSockets            // Count sockets bound to the port
)

type question struct {
	Magic   uint32
	Version uint16
	Op      uint16
	Count   uint32
}

type answer struct {
	Magic   uint32
	Version uint16
	Owned   uint16    // opJoin: the sockets of the port belong to hold.OwnerUID
	Errno   uint32    // 0: granted
	Guards  uint32    // opJoin: 1 if the last descriptor is the port's guard, else 0
	Reason  [256]byte // NUL padded; why it is refused
}

// errVersion is what two versions of this protocol say to each other.
var errVersion = errors.New("the other process speaks another version of msquicxdp's joining protocol")

func encode(block any) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.NativeEndian, block) // into memory, of a fixed size: cannot fail
	return b.Bytes()
}

// decode reads a block that begins with magic and version. A longer one is of a
// newer version, and is refused by its version.
func decode(b []byte, block any) error {
	if len(b) < 6 || binary.NativeEndian.Uint32(b) != magic {
		return fmt.Errorf("%d bytes that are no message of the joining protocol", len(b))
	}
	if v := binary.NativeEndian.Uint16(b[4:]); v != version {
		return fmt.Errorf("%w: %d, and this process %d", errVersion, v, version)
	}
	if len(b) != binary.Size(block) {
		return fmt.Errorf("a message of %d bytes, where %d are due", len(b), binary.Size(block))
	}
	return binary.Read(bytes.NewReader(b), binary.NativeEndian, block)
}

// send writes one message with descriptors, which stay the caller's.
func send(conn *net.UnixConn, block any, fds []int) error {
	var rights []byte
	if len(fds) != 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err := conn.WriteMsgUnix(encode(block), rights, nil)
	return err
}

// receive reads one message and its descriptors, which are the caller's and
// closed on exec. Descriptors that come with a message that cannot be read are
// closed.
func receive(conn *net.UnixConn, block any) (fds []int, err error) {
	buf := make([]byte, 4096)
	rights := make([]byte, unix.CmsgSpace(maxFDs*4))
	n, nr, flags, _, err := conn.ReadMsgUnix(buf, rights)
	if err != nil {
		return nil, err
	}
	fds = parseRights(rights[:nr])
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = errors.New("a message that is too long")
	} else {
		err = decode(buf[:n], block)
	}
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	return fds, nil
}

// parseRights returns the descriptors of control messages. ReadMsgUnix asks the
// kernel to close them on exec.
func parseRights(b []byte) (fds []int) {
	messages, err := unix.ParseSocketControlMessage(b)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if got, err := unix.ParseUnixRights(&m); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
