// SPDX-License-Identifier: MIT

package classifier

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// TakenError says that somebody has what was to be put. It is EEXIST.
type TakenError struct {
	What string // such as "port 443"
	Held string // such as "exclusive to slot 5"
}

// Error implements error.
func (e *TakenError) Error() string {
	return fmt.Sprintf("classifier: %s is taken: it is %s", e.What, e.Held)
}

// Is lets errors.Is compare with EEXIST.
func (e *TakenError) Is(target error) bool { return target == unix.EEXIST }
