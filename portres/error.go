// SPDX-License-Identifier: MIT

package portres

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Refused is the error of a claim that the rules do not allow.
type Refused struct {
	Decision rules.Decision
}

// Error implements error.
func (e *Refused) Error() string { return e.Decision.Sentence() }

// Unwrap returns the errno of the decision.
func (e *Refused) Unwrap() error {
	if e.Decision.Outcome == rules.OtherPort {
		return unix.EADDRINUSE // it is the caller who goes on to another port
	}
	return e.Decision.Errno()
}

// VersionError is the error of a claim on a port that is held by programs which
// speak another version of the protocol. Its errno is EADDRINUSE.
type VersionError struct {
	Proto        rules.Proto
	Port         uint16
	Ours, Theirs int
}

// Error implements error.
func (e *VersionError) Error() string {
	return fmt.Sprintf("%s port %d is held by programs that speak version %d of the protocol for claims, and this one speaks version %d: end them, or bring both to one version",
		strings.ToUpper(e.Proto.String()), e.Port, e.Theirs, e.Ours)
}

// Unwrap returns the errno.
func (e *VersionError) Unwrap() error { return unix.EADDRINUSE }
