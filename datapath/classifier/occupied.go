// SPDX-License-Identifier: MIT

package classifier

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// OccupiedError says whose XDP program is on an interface. It stays there.
type OccupiedError struct {
	Ifindex   int
	Interface string // its name
	Mode      Mode   // of the program that is there
	Program   uint32 // its number; 0 when it is gone again
	Name      string // its name, when it could be found out
	Err       error  // what the kernel refused
}

// Error implements error.
func (e *OccupiedError) Error() string {
	name := e.Name
	if name == "" {
		name = "of unknown name"
	}
	return fmt.Sprintf("classifier: interface %s (%d) has another XDP program, number %d, %s, in %v mode, which is left there: %v",
		e.Interface, e.Ifindex, e.Program, name, e.Mode, e.Err)
}

// Unwrap lets errors.Is compare with the errno.
func (e *OccupiedError) Unwrap() error { return e.Err }

// Ours reports whether the program is a classifier, of another process or version.
func (e *OccupiedError) Ours() bool { return e.Name == programName }

// programName is as much of the name of the program as the kernel keeps.
const programName = "msquicxdp_class"

// occupied names the program that is on an interface.
func occupied(ifindex int, err error) error {
	e := &OccupiedError{Ifindex: ifindex, Err: err}
	if x, err := xdpOf(ifindex); err == nil {
		e.Interface, e.Program, e.Mode = x.name, x.program, x.mode
	}
	if p, err := ebpf.NewProgramFromID(ebpf.ProgramID(e.Program)); err == nil { // needs CAP_SYS_ADMIN
		defer p.Close()
		if info, err := p.Info(); err == nil {
			e.Name = info.Name
		}
	}
	return e
}
