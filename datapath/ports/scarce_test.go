// SPDX-License-Identifier: MIT

package ports

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// within lets a child have only so many descriptors during f.
func (c *child) within(limit int, f func()) {
	c.r.Helper()
	pid := c.cmd.Process.Pid
	var old unix.Rlimit
	c.r.must(unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &old))
	c.r.must(unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(limit), Max: old.Max}, nil))
	f()
	c.r.must(unix.Prlimit(pid, unix.RLIMIT_NOFILE, &old, nil))
}

// open counts the descriptors of a child.
func (c *child) open() int {
	c.r.Helper()
	return c.do(order{Do: "count"}).FDs
}

// scrape lets a child acquire with one descriptor more each time, until it succeeds. Each failure says what is missing, and
// leaves nothing open.
func (c *child) scrape(o order) (limit int) {
	c.r.Helper()
	o.Do = "acquire"
	before := c.open()
	for limit = 3; limit < 200; limit++ {
		var r report
		c.within(limit, func() { r = c.do(o) })
		if r.Err == "" {
			return limit
		}
		if r.Errno != int(unix.EMFILE) && !strings.Contains(r.Err, "open files") {
			c.r.Errorf("with %d descriptors: %s (errno %d)", limit, r.Err, r.Errno)
		}
		if now := c.open(); now > before {
			c.r.Fatalf("with %d descriptors %d of %d are left open: %s", limit, now-before, now, r.Err)
		}
	}
	c.r.Fatal("never")
	return limit
}

// At every descriptor that cannot be had a port is refused, with the reason, and nothing is left open. Who has the port
// already is not disturbed, and as soon as there are enough the newcomer has its part of it.
func TestDescriptorsThatAreMissing(t *testing.T) {
	for _, tier := range []string{"owned", "guarded", "unguarded"} {
		t.Run(tier, func(t *testing.T) {
			r := newRoom(t)
			r.env = append(r.env, TierEnv+"="+tier)
			client, one, two := r.client(), r.start("one", who{}), r.start("two", who{})
			alone := one.scrape(order{})
			one.mustDo(order{Do: "release"})
			t.Logf("alone: %d, the first: %d, the second: %d", alone, one.scrape(order{ID: 1}), two.scrape(order{ID: 2}))
			client.wantAt(1, "one")
			client.wantAt(2, "two")
		})
	}
}
