// SPDX-License-Identifier: MIT

package classifier

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
)

// Occupant is the XDP program that is on an interface.
type Occupant struct {
	Ifindex   int
	Interface string // its name
	Mode      Mode   // of the program that is there
	Program   uint32 // its number; 0: there is none
	Name      string // its name, when it could be found out, which takes CAP_SYS_ADMIN
}

// Ours reports whether the program is a classifier, of another process or version.
func (o *Occupant) Ours() bool {
	// Kernels without BTF keep only the first bytes of a name.
	return len(o.Name) >= unix.BPF_OBJ_NAME_LEN-1 && strings.HasPrefix(bpf.ClassifierProgMsquicxdpClassify, o.Name)
}

// On returns what is on an interface of the network namespace of the calling thread.
func On(ifindex int) (Occupant, error) {
	x, err := xdpOf(ifindex)
	if err != nil {
		return Occupant{}, err
	}
	o := Occupant{Ifindex: ifindex, Interface: x.name, Mode: x.mode, Program: x.program}
	if x.program == 0 {
		return o, nil
	}
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(x.program))
	if err != nil {
		return o, nil // without the privilege it has no name
	}
	defer p.Close()
	if info, err := p.Info(); err == nil {
		o.Name = info.Name
	}
	return o, nil
}

// OccupiedError says whose XDP program is on an interface. It stays there.
type OccupiedError struct {
	Occupant
	Err error // what the kernel refused
}

// Error implements error.
func (e *OccupiedError) Error() string {
	name := e.Name
	if name == "" {
		name = "of unknown name"
	}
	return fmt.Sprintf("classifier: interface %s (%d) has another XDP program, number %d, %s, in %v mode, which is left there: %v; take it off, or leave the interface to the kernel",
		e.Interface, e.Ifindex, e.Program, name, e.Mode, e.Err)
}

// Unwrap lets errors.Is compare with the errno.
func (e *OccupiedError) Unwrap() error { return e.Err }

// occupied names the program that is on an interface; nil when there is none.
func occupied(ifindex int, err error) *OccupiedError {
	o, errOn := On(ifindex)
	if errOn != nil || o.Program == 0 {
		return nil
	}
	return &OccupiedError{o, err}
}
