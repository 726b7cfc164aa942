// SPDX-License-Identifier: MIT

package ports

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/killpoint"
)

// victimEnv makes the test program get the port and give it back, once.
const victimEnv = "MSQUICXDP_TEST_VICTIM"

func victimMain() int {
	runtime.LockOSThread()
	killpoint.Begin()
	lease, err := Acquire(member(1))
	if err == nil {
		descriptors.CloseAll(lease.TakeSockets())
		lease.Release()
	}
	killpoint.End()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// killed kills a victim at its n-th point.
func (r *room) killed(n int) (o killpoint.Outcome, err error) {
	r.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(append(os.Environ(), r.env...), victimEnv+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Dir, cmd.Stderr = "/", os.Stderr
	r.ns.Do(r, func() (err error) {
		o, err = killpoint.Run(cmd, n, nil)
		return err
	})
	return o, err
}

// Whoever is killed while it opens a port, or leaves it, at whichever system call of that, leaves nothing that
// keeps the next one out.
func TestKilledWhileItOpens(t *testing.T) {
	r := enterRoom(t)
	killpoint.Each(t, 11, r.killed, func(killpoint.Outcome) {
		lease, err := r.acquire(member(1))
		r.must(err)
		descriptors.CloseAll(lease.TakeSockets())
		lease.Release()
	})
}

// The same of one who joins. The member that is there serves on, its identifier is its own, and the next one comes
// in without waiting for the dead.
func TestKilledWhileItJoins(t *testing.T) {
	r := enterRoom(t)
	c := r.client()
	two := r.start("two", who{})
	two.acquire(2)
	killpoint.Each(t, 11, r.killed, func(killpoint.Outcome) {
		c.wantNobody(1)
		c.wantAt(2, "two")
		begun := time.Now()
		lease, err := r.acquire(member(1))
		r.must(err)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("the next one joined after %v", took)
		}
		descriptors.CloseAll(lease.TakeSockets())
		lease.Release()
	})
}
