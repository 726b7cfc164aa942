// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"strconv"
)

// A variant is who does a job by AF_XDP, on one queue of a veth pair.
type variant struct {
	name      string
	what      string // for people
	program   string
	processes int      // at the same time, all members of one queue
	args      []string // of each
	mark      float64  // the least ratio of rates, to the plain loop's; 0: it is the plain loop
	transmit  string   // xdp.TransmitEnv of each: by what the datapath sends
}

const (
	markRings = 0.95 // rings alone
	markFull  = 0.80 // with framing, demux and callbacks
)

// plainLoop is what all others are compared with.
var plainLoop = variant{name: "plain", program: "bench_xdp_plain", processes: 1}

// variants lists all others, in the order of the table.
func variants() []variant {
	list := []variant{
		{"own", "rings, a UMEM of its own", "bench_xdp_rings", 1, []string{"on=own"}, markRings, ""},
		{"pool", "rings, member of a pool", "bench_xdp_rings", 1, []string{"on=pool"}, markRings, ""},
	}
	for _, n := range []int{1, 2, 4} {
		list = append(list, variant{fmt.Sprintf("full-%d", n), fmt.Sprintf("datapath, %d %s", n, plural(n)), "bench_ours", n, nil, markFull, "xdp"})
	}
	return append(list, variant{"full-2in1", "2 datapaths of 1 process", "bench_ours", 1, []string{"datapaths=2"}, markFull, "xdp"})
}

// byItself is a datapath that chooses by itself how to send, which on veth is by the kernel's socket.
var byItself = variant{"full-auto", "datapath, sends as it likes", "bench_ours", 1, nil, markFull, "auto"}

// variantsOf lists those of a job.
func variantsOf(job string) []variant {
	if job == jobReceive {
		return variants()
	}
	return append(variants(), byItself)
}

func plural(n int) string {
	if n == 1 {
		return "process"
	}
	return "processes"
}

// members is how many there are on the queue that work.
func (v *variant) members() int {
	if v.name == "full-2in1" {
		return 2
	}
	return v.processes
}

// identified are the arguments of process i, where members share a port.
func (v *variant) identified(i int) []string {
	if v.members() == 1 {
		return v.args
	}
	return append([]string{"identifier=" + strconv.Itoa(i+1)}, v.args...)
}
