// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// What a newcomer meets. The words are about the member, whose process ID comes
// before them.
var (
	// errNobody: no process that shares the port is there.
	errNobody = errors.New("no process that shares the port is there")

	// errSilent: it is there, or was a moment ago.
	errSilent = errors.New("it does not answer: find out whether it is stopped")

	// errRefused is a member's no.
	errRefused = errors.New("it refuses")

	// errVersion is what two versions of the protocol say to each other.
	errVersion = errors.New("it speaks another version of the protocol for joining: end it, or bring both programs to one version")
)

// silent words the errors of a connection.
func silent(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err // without names that mean nothing to anybody else
	}
	if err != nil {
		err = fmt.Errorf("%w (%w)", errSilent, err)
	}
	return err
}

// joinError says why nobody lets a newcomer in. It is an EADDRINUSE.
type joinError struct {
	proto    rules.Proto
	port     uint16
	failures []error // of the members; none if it did not get to the door
}

func (l *Lease) notLetIn(failures ...error) error {
	return &joinError{l.request.Proto, l.port(), failures}
}

func (e *joinError) Error() string {
	s := fmt.Sprintf("%s port %d is shared, and ", strings.ToUpper(e.proto.String()), e.port)
	if len(e.failures) == 0 {
		return s + "a process that opens it or joins it does not get done: find out whether one is stopped"
	}
	s += "nobody who shares it lets this process in: " + strings.ReplaceAll(e.failures[0].Error(), "\n", "; ")
	if n := len(e.failures) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

// Unwrap lets errors.Is compare with the errno, first of all.
func (e *joinError) Unwrap() []error { return append([]error{unix.EADDRINUSE}, e.failures...) }
