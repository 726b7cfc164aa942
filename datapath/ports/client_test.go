// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// Sockets of one process share; to everybody else the port is a client's until
// the last of them is closed.
func TestClientPortIsTheProcesses(t *testing.T) {
	netnstest.CheckFDs(t)
	t.Setenv(rundir.Env, t.TempDir())
	netnstest.New(t).Do(t, func() error {
		const port = 5000
		first, err := ShareClientPort(rules.UDP, port)
		if err != nil {
			return err
		}
		second, err := ShareClientPort(rules.UDP, port)
		if err != nil || second != first {
			t.Fatalf("a second socket of the process gets %v, %v", second, err)
		}
		other, err := ShareClientPort(rules.TCP, port)
		if err != nil || other == first {
			t.Fatalf("TCP is another port, and gets %v, %v", other, err)
		}
		other.Release()
		first.Release()
		wantClient(t, port, true)
		second.Release()
		wantClient(t, port, false)
		return nil
	})
}

func wantClient(t *testing.T, port uint16, held bool) {
	t.Helper()
	state, err := rundir.Open("")
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	claim, err := portres.Acquire(state, portres.Spec{Proto: rules.UDP, Port: port, Party: rules.Party{Kind: rules.Listener}})
	if err == nil {
		claim.Release()
	}
	var refused *portres.Refused
	is := errors.As(err, &refused) && refused.Decision.Holder != nil && refused.Decision.Holder.Kind == rules.Client
	if is != held || !held && err != nil || held && !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("another asker gets %v; want it held by a client: %v", err, held)
	}
}

// Without a place for claims the kernel alone keeps the port.
func TestClientPortWithoutState(t *testing.T) {
	t.Setenv(rundir.Env, "/proc/nowhere")
	lease, err := ShareClientPort(rules.UDP, 5000)
	if lease != nil || err != nil {
		t.Errorf("%v, %v", lease, err)
	}
	lease.Release()
}
