// SPDX-License-Identifier: MIT

package inspect

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticks is how many of its units the kernel counts in a second of processes' times (USER_HZ),
// which is the same on every machine that runs Linux and AF_XDP.
const ticks = 100

// process returns the name of a process and when it was started; nothing where it cannot be
// seen, such as from another PID namespace.
func process(pid int) (program string, started time.Time) {
	if pid <= 0 {
		return "", time.Time{}
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", time.Time{}
	}
	// The name is in parentheses, and may have some itself.
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return "", time.Time{}
	}
	program = string(stat[open+1 : end])
	const startTime = 19 // of the fields behind the name
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) <= startTime {
		return program, time.Time{}
	}
	after, err := strconv.ParseInt(fields[startTime], 10, 64)
	boot, ok := bootTime()
	if err != nil || !ok {
		return program, time.Time{}
	}
	return program, boot.Add(time.Duration(after) * time.Second / ticks)
}

// bootTime reads when the machine was started, to the second.
func bootTime() (time.Time, bool) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}, false
	}
	for line := range strings.Lines(string(stat)) {
		if text, ok := strings.CutPrefix(line, "btime "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			return time.Unix(n, 0), err == nil
		}
	}
	return time.Time{}, false
}
