// SPDX-License-Identifier: MIT

package ports

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/steering"
	"github.com/msquicxdp/msquicxdp/internal/doctest"
)

// docs/PROTOCOL.md has the numbers of this package.
func TestDocument(t *testing.T) {
	if serveTime != 2*time.Second || bindPatience != time.Second || visitTime != time.Second/2 {
		t.Error("the times have changed, and the page says them in words")
	}
	doctest.Says(t, "PROTOCOL.md",
		fmt.Sprintf("question: %d bytes | | answer: %d bytes", binary.Size(question{}), binary.Size(answer{})),
		fmt.Sprintf("magic, `%#x`", magic),
		fmt.Sprintf("version, %d |", version),
		fmt.Sprintf("%d *join*, %d *sockets*", opJoin, opSockets),
		fmt.Sprintf("how many, 1 to %d", steering.MaxSockets),
		fmt.Sprintf("**join** brings %d descriptors", len(steering.FDs{})),
		fmt.Sprintf("again from step 2 for %d ms", settling.Milliseconds()),
		fmt.Sprintf("again from step 2 for %v s", patience.Seconds()),
		fmt.Sprintf("| %d ms, or a tenth", leastPatience.Milliseconds()),
		fmt.Sprintf("when %d others have come", maxGuests),
		fmt.Sprintf("| %d sockets that the opener has bound", spares),
		"*`"+brokerSuffix+"` in the namespace directory", "`"+sparesSuffix+"` if the member",
	)
}
