// SPDX-License-Identifier: MIT

package portres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/internal/doctest"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// docs/PROTOCOL.md has the numbers and the words of this package.
func TestDocument(t *testing.T) {
	row := formatRow(rules.Party{Kind: rules.CIBIR, Process: 4711, Program: "server", UID: 1000, ID: idOf(0x0a0b), Encoding: nine,
		Tier: rules.Owned, Since: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)})
	doctest.Says(t, "PROTOCOL.md",
		fmt.Sprintf("`%#x` (2^40)", gateAt),
		fmt.Sprintf("`%#x` (2^61) + version · 2^%d + encoding · 2^%d + uid", claimAt, versionShift, encodingShift),
		fmt.Sprintf("`%#x` (2^44) + 0 to %d", slotAt, Slots-1),
		fmt.Sprintf("`%#x` (2^62) + number · 2^%d + slot", identifierAt, slotBits),
		fmt.Sprintf("This page describes version %d.", Version),
		fmt.Sprintf("read lock at `%#x`", holding{version: Version, encoding: nine, uid: 1000}.claimByte()),
		fmt.Sprintf("`%#x` and `%#x`", slotAt+5, identifierByte(idOf(0x0a0b), 5)),
		fmt.Sprintf("write lock at `%#x`", holding{version: Version}.claimByte()),
		fmt.Sprintf("at byte %d · *s*", rowSize),
		fmt.Sprintf("at most %d bytes", maxProgram),
		strings.TrimSpace(string(row)),
		"`"+rundir.Env+"`",
		"`"+rundir.DefaultBase+"`",
	)
	for field := range strings.FieldsSeq(string(row)) {
		key, _, _ := strings.Cut(field, "=")
		doctest.Says(t, "PROTOCOL.md", "`"+key+"`")
	}
}
