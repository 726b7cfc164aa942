// SPDX-License-Identifier: MIT

package route

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// host is the namespace under test: two interfaces, each with a wire to a
// namespace of its own, which has .2 and ::2.
type host struct {
	ns   *netnstest.NS
	a, b *netnstest.End // 10.0.0.1/24, fd00:a::1/64; 10.1.0.1/24, fd00:b::1/64
	aFar *netnstest.End // the other end of a
}

// newHost also checks that the test leaks no descriptor.
func newHost(t *testing.T) host {
	t.Helper()
	netnstest.CheckFDs(t)
	h := host{ns: netnstest.New(t)}
	h.a, h.aFar = h.wire(t, "a", "10.0.0.1/24", "fd00:a::1/64")
	h.b, _ = h.wire(t, "b", "10.1.0.1/24", "fd00:b::1/64")
	return h
}

// wire adds an interface to the host.
func (h host) wire(t *testing.T, name string, addrs ...string) (near, far *netnstest.End) {
	t.Helper()
	near = &netnstest.End{NS: h.ns, Name: name, Addrs: netnstest.Prefixes(addrs...)}
	far = &netnstest.End{NS: netnstest.New(t), Name: name + "-far"}
	for _, p := range near.Addrs {
		far.Addrs = append(far.Addrs, netip.PrefixFrom(p.Addr().Next(), p.Bits()))
	}
	netnstest.Veth(t, near, far)
	return near, far
}

// ip runs ip(8) in the host, once for each line of commands.
func (h host) ip(t *testing.T, commands string) {
	t.Helper()
	for line := range strings.Lines(commands) {
		if args := strings.Fields(line); len(args) != 0 {
			h.ns.Run(t, "ip", args...)
		}
	}
}

// eventually waits for what the kernel does in the background.
func (h host) eventually(t *testing.T, what string, f func() (bool, error)) {
	t.Helper()
	h.ns.Do(t, func() error {
		for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if ok, err := f(); ok || err != nil {
				return err
			}
		}
		t.Errorf("did not happen: %s", what)
		return nil
	})
}
