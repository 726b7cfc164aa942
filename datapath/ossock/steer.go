// SPDX-License-Identifier: MIT

package ossock

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// steer makes a reuseport group give each packet to the endpoint whose worker
// belongs to the CPU that received it, so that it stays on one core.
//
// A CPU that is nobody's ideal processor takes the endpoint of its number
// modulo the group. The kernel numbers a group in order of bind.
func steer(fd int, eps []*batch.Endpoint) error {
	prog, err := bpf.Assemble(steerProgram(eps))
	if err != nil {
		return kerr.New("bpf", fmt.Sprintf("%d endpoints", len(eps)), unix.E2BIG, "")
	}
	filter := make([]unix.SockFilter, len(prog))
	for i, ins := range prog {
		filter[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	return kerr.New("setsockopt", "SO_ATTACH_REUSEPORT_CBPF", err, "")
}

// maxSteered keeps the program below the kernel's limit of 4096 instructions; beyond, all CPUs go by modulo.
const maxSteered = 1024

func steerProgram(eps []*batch.Endpoint) []bpf.Instruction {
	prog := []bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtCPUID}}
	n := len(eps)
	for i, ep := range eps {
		if int(ep.CPU)%n == i || i >= maxSteered {
			continue // what the modulo says anyway
		}
		prog = append(prog,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(ep.CPU), SkipFalse: 1},
			bpf.RetConstant{Val: uint32(i)})
	}
	return append(prog,
		bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: uint32(n)},
		bpf.RetA{})
}
