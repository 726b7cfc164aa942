// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// A client is told who has the port, by the claims or by the kernel.
func TestRefusalOfAClient(t *testing.T) {
	r := enterRoom(t)
	refusal := func() (err error) {
		r.ns.Do(t, func() error {
			err = Refusal(rules.UDP, number)
			return nil
		})
		return err
	}
	if err := refusal(); err != nil {
		t.Errorf("of a free port: %v", err)
	}
	for id := range 2 {
		l, err := r.acquire(member(id))
		r.must(err)
		for _, state := range []string{r.base, "relative"} {
			t.Setenv(rundir.Env, state)
			err := refusal()
			if _, ok := errors.AsType[*portres.Refused](err); !ok || !errors.Is(err, unix.EADDRINUSE) {
				t.Errorf("error %v", err)
				continue
			}
			wantWords(t, err.Error(), "UDP port 4433", "pid "+strconv.Itoa(os.Getpid()))
		}
		t.Setenv(rundir.Env, r.base)
		l.Release()
	}
}
