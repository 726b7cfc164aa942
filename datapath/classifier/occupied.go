// SPDX-License-Identifier: MIT

package classifier

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
)

// OccupiedError says whose XDP program is on an interface. It stays there.
type OccupiedError struct {
	Ifindex   int
	Interface string // its name
	Mode      Mode   // of the program that is there
	Program   uint32 // its number
	Name      string // its name, when it could be found out
	Err       error  // what the kernel refused
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

// Ours reports whether the program is a classifier, of another process or version.
func (e *OccupiedError) Ours() bool {
	// Kernels without BTF keep only the first bytes of a name.
	return len(e.Name) >= unix.BPF_OBJ_NAME_LEN-1 && strings.HasPrefix(bpf.ClassifierProgMsquicxdpClassify, e.Name)
}

// occupied names the program that is on an interface; nil when there is none.
func occupied(ifindex int, err error) *OccupiedError {
	x, errX := xdpOf(ifindex)
	if errX != nil || x.program == 0 {
		return nil
	}
	o := &OccupiedError{Ifindex: ifindex, Interface: x.name, Mode: x.mode, Program: x.program, Err: err}
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(x.program)) // needs CAP_SYS_ADMIN
	if err != nil {
		return o
	}
	defer p.Close()
	if info, err := p.Info(); err == nil {
		o.Name = info.Name
	}
	return o
}
