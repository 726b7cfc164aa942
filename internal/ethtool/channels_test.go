// SPDX-License-Identifier: MIT

package ethtool

import (
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

func TestReceiveQueues(t *testing.T) {
	netnstest.CheckFDs(t)
	ns := netnstest.New(t)
	ns.Run(t, "ip", "link", "add", "v0", "numrxqueues", "3", "type", "veth", "peer", "name", "v1", "numtxqueues", "3")
	ns.Do(t, func() error {
		if n := ReceiveQueues("v0"); n != 3 {
			t.Errorf("v0: %d", n)
		}
		if n := ReceiveQueues("lo"); n != 0 {
			t.Errorf("lo: %d", n)
		}
		if n := ReceiveQueues("no-such-interface-at-all"); n != 0 {
			t.Errorf("nothing: %d", n)
		}
		return nil
	})
}
