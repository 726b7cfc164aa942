// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"testing"
)

const reservedPorts = "/proc/sys/net/ipv4/ip_local_reserved_ports"

// apply runs apply, far from the machine's own BPF file system.
func (h *testHost) apply(args ...string) result {
	h.Helper()
	return h.ports(append([]string{"apply", "--bpffs", h.TempDir()}, args...)...)
}

func TestApply(t *testing.T) {
	h := newTestHost(t)
	h.ns.Sysctl(t, "net/ipv4/ip_local_reserved_ports", "7")
	if out := h.wantDone(h.apply()); out != "excluded: -\n   added: -\n removed: -\nenforced: -\n" {
		t.Error(out)
	}
	h.wantDone(h.ports("reserve", "udp", "4433-4440", "--user", "61001"))
	if out := h.wantDone(h.apply()); out != "excluded: 4433-4440\n   added: 4433-4440\n removed: -\nenforced: -\n" {
		t.Error(out)
	}
	if got := h.ns.Run(t, "cat", reservedPorts); got != "7,4433-4440\n" {
		t.Errorf("the kernel has %q", got)
	}
	h.wantDone(h.ports("release", "udp", "4433-4440"))
	if v := mustDecode[applied](t, h.wantDone(h.apply("--json"))); fmt.Sprint(v) != fmt.Sprint(applied{Removed: "4433-4440", Enforced: []string{}}) {
		t.Errorf("%+v", v)
	}
	if got := h.ns.Run(t, "cat", reservedPorts); got != "7\n" {
		t.Errorf("the kernel has %q", got)
	}
}

// What can be done is done, and said, beside what cannot.
func TestApplyInPart(t *testing.T) {
	h := newTestHost(t)
	h.wantDone(h.ports("reserve", "udp", "4433", "--user", "61001", "--enforce"))
	r := h.apply()
	if r.status != statusFailed || r.out != "excluded: 4433\n   added: 4433\n removed: -\nenforced: -\n" {
		t.Errorf("status %d, %q", r.status, r.out)
	}
	wantWords(t, r.errs, "a BPF file system at", "mount -t bpf")
}
