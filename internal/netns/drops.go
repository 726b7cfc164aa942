// SPDX-License-Identifier: MIT

package netns

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// UDPDrops returns how many datagrams the kernel has dropped for each IPv6 (or
// dual-mode) UDP socket on a port, by the socket's inode: those which did not fit
// into its buffer, above all.
func (ns *Namespace) UDPDrops(port uint16) (map[string]int64, error) {
	var table []byte
	err := ns.Do(func() (err error) {
		table, err = os.ReadFile("/proc/thread-self/net/udp6")
		return err
	})
	if err != nil {
		return nil, err
	}
	return parseDrops(string(table), port)
}

// The columns of a line of /proc/net/udp6, of which the first line names some.
const (
	columnLocal = 1
	columnInode = 9
	columnDrops = 12
)

func parseDrops(table string, port uint16) (map[string]int64, error) {
	drops := map[string]int64{}
	for line := range strings.Lines(table) {
		columns := strings.Fields(line)
		if len(columns) <= columnDrops || !strings.HasSuffix(columns[columnLocal], fmt.Sprintf(":%04X", port)) {
			continue
		}
		n, err := strconv.ParseInt(columns[columnDrops], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q of the UDP sockets: %w", line, err)
		}
		drops[columns[columnInode]] = n
	}
	return drops, nil
}
