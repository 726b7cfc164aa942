// SPDX-License-Identifier: MIT

package pool

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/internal/doctest"
)

// docs/PROTOCOL.md has the numbers of this package.
func TestDocument(t *testing.T) {
	if answerPatience != time.Second || doorAt != 0 || programAt != 1 {
		t.Error("the numbers have changed, and the page says them in words")
	}
	words := []string{
		fmt.Sprintf("slot | %d + 0 to %d |", slotAt, MaxSlots-1),
		fmt.Sprintf("version | %d + version, to %d |", versionAt, versions-1),
		fmt.Sprintf("they speak version %d |", version),
		fmt.Sprintf("seat | %d + 0 to %d |", seatAt, MaxMembers-1),
		fmt.Sprintf("the magic `%#x`", magic),
		fmt.Sprintf("messages of %d bytes but *told*, which has %d.", messageSize, binary.Size(account{})),
		"`" + socketPrefix + "`*slot*`.`*26 random letters and digits*`" + socketSuffix + "`",
	}
	for n, name := range map[kind]string{hello: "hello", who: "who", hand: "hand", reply: "reply", serve: "serve", ended: "ended", bye: "bye", tell: "tell", told: "told", lend: "lend"} {
		words = append(words, fmt.Sprintf("| %d *%s* |", n, name))
	}
	doctest.Says(t, "PROTOCOL.md", words...)
}
