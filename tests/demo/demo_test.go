// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

func small(server string, workers int) Options {
	return Options{Server: server, Workers: workers, Handshakes: 6, Bytes: 4 << 20}
}

var result = regexp.MustCompile(`^demo ok: processes=1 handshakes=16 bytes=[0-9]{7} misrouted=0 path=kernel$`)

func TestRun(t *testing.T) {
	server := serverProgram(t)
	for _, workers := range []int{1, 2, 3} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			checkRun(t, small(server, workers))
		})
	}
	t.Run("identifier", func(t *testing.T) {
		o := small(server, 2)
		o.Identifier = []byte{0xab, 0xcd, 0xef}
		checkRun(t, o)
	})
}

func checkRun(t *testing.T, o Options) {
	netnstest.CheckFDs(t)
	summary, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if line := summary.Result(); !result.MatchString(line) {
		t.Errorf("last line %q, want %v", line, result)
	}
	r := summary.Servers[0]
	if r.Resets < 2 || r.Negotiations != 2 { // a late packet of a connection that is gone is reset too
		t.Errorf("%d stateless resets, %d version negotiations, want 2 of each", r.Resets, r.Negotiations)
	}
	if o.Workers == 1 && r.HandedOver != 0 {
		t.Errorf("%d datagrams handed over by an only worker", r.HandedOver)
	}
	if r.Datapath.RxDropped != 0 {
		t.Errorf("the datapath dropped %d datagrams", r.Datapath.RxDropped)
	}
}

// TestCancel ends a run in its middle: nothing of it may be left.
func TestCancel(t *testing.T) {
	server := serverProgram(t)
	netnstest.CheckFDs(t)
	want := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(time.Second, func() { cancel(want) })
	o := small(server, 2)
	o.Bytes = 1 << 40
	begin := time.Now()
	if _, err := Run(ctx, o); !errors.Is(err, want) {
		t.Errorf("Run = %v, want %v", err, want)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v to end", took)
	}
}

// stage is a network with one server.
type stage struct {
	server  *server
	clients *clients
}

func newStage(t *testing.T, o Options) *stage {
	t.Helper()
	netnstest.CheckFDs(t)
	cert, err := newCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	net, err := newNetwork()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.close)
	one := spec{name: "one", identifier: o.Identifier, workers: o.Workers}
	srv, err := startServer(t.Context(), o.Server, net.server, cert, one)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.stop(); err != nil {
			t.Error(err)
		}
	})
	return &stage{srv, &clients{ns: net.client, tls: cert.client}}
}

func (s *stage) report(t *testing.T) *Report {
	t.Helper()
	r, err := s.server.report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestWrongBytes shows that the server looks at what it gets.
func TestWrongBytes(t *testing.T) {
	s := newStage(t, small(serverProgram(t), 2))
	_, err := s.clients.perform(t.Context(), families[0], s.server.spec, sendWrongBytes)
	reset := &quic.StreamError{}
	if !errors.As(err, &reset) || reset.ErrorCode != 1 || !reset.Remote {
		t.Errorf("reading the answer to wrong bytes: %v, want a reset with code 1", err)
	}
	if n := s.report(t).Mismatches; n != 1 {
		t.Errorf("%d mismatches reported, want 1", n)
	}
}

func sendWrongBytes(ctx context.Context, c *connection) (int64, error) {
	stream, err := c.OpenStreamSync(ctx)
	if err != nil {
		return 0, err
	}
	header := request{seed: 1, length: 1000}.header()
	if _, err := stream.Write(append(header, patternAt(2, 0, 1000)...)); err != nil {
		return 0, err
	}
	_, err = stream.Read(make([]byte, replyLength+1))
	return 0, err
}

// TestWrongServer shows that clients look at who answers.
func TestWrongServer(t *testing.T) {
	s := newStage(t, small(serverProgram(t), 2))
	to := s.server.spec
	to.name = "other"
	_, err := s.clients.perform(t.Context(), families[1], to, echo(100))
	if !errors.Is(err, errMisrouted) || s.clients.misrouted.Load() != 1 {
		t.Errorf("an answer from another server: %v, %d counted", err, s.clients.misrouted.Load())
	}
}

// TestForeignIdentifier sends a server what is for another one.
func TestForeignIdentifier(t *testing.T) {
	o := small(serverProgram(t), 2)
	o.Identifier = []byte{1, 2, 3, 4, 5, 6}
	s := newStage(t, o)
	to := s.server.spec
	to.identifier = []byte{1, 2, 3, 4, 5, 7}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if c, err := s.clients.dial(ctx, families[0], to); err == nil {
		c.close()
		t.Error("a server took a connection that is for another one")
	}
	if r := s.report(t); r.Misrouted == 0 || r.Connections != 0 {
		t.Errorf("%d misrouted datagrams, %d connections, want some and none", r.Misrouted, r.Connections)
	}
}

// TestServerRefused shows that a server which cannot start says why.
func TestServerRefused(t *testing.T) {
	program := serverProgram(t)
	netnstest.CheckFDs(t)
	ns, err := newNamespace()
	if err != nil {
		t.Fatal(err)
	}
	defer ns.close()
	cert := &certificate{certFile: "/nowhere/cert.pem", keyFile: "/nowhere/key.pem"}
	_, err = startServer(t.Context(), program, ns, cert, spec{name: "one", workers: 1})
	if err == nil || !strings.Contains(err.Error(), "/nowhere/cert.pem") {
		t.Errorf("a server without a certificate: %v", err)
	}
}
