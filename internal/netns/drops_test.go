// SPDX-License-Identifier: MIT

package netns

import (
	"maps"
	"testing"
)

func TestParseDrops(t *testing.T) {
	const table = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1017: 00000000000000000000000000000000:1151 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000 2147359953        0 8601 2 0000000000000000 0
 1017: 00000000000000000000000000000000:1151 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000 2147359953        0 8602 2 0000000000000000 12
 4711: 00000000000000000000000000000000:1152 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 8603 2 0000000000000000 5
`
	got, err := parseDrops(table, 4433)
	if want := map[string]int64{"8601": 0, "8602": 12}; err != nil || !maps.Equal(got, want) {
		t.Errorf("parseDrops = %v, %v, want %v", got, err, want)
	}
}
