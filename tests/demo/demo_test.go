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
	return Options{Server: server, Workers: workers, Handshakes: 8, Bytes: 4 << 20}
}

// 24 connections in scenes, and those that are open while a server is killed.
var result = regexp.MustCompile(`^demo ok: processes=2 handshakes=30 bytes=[0-9]+ misrouted=0 path=kernel$`)

func TestRun(t *testing.T) {
	server := serverProgram(t)
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			checkRun(t, small(server, workers))
		})
	}
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
	for i, want := range []struct {
		name, fate           string
		negotiations, resets int64
	}{
		{"0a0b", "served on", 2, 2},
		{"0c0d", "killed", 2, 2},
		{"0c0d", "restarted", 0, witnesses},
	} {
		r := summary.Servers[i]
		if r.Name != want.name || r.Fate != want.fate {
			t.Errorf("server %d is %q, which %s; want %+v", i, r.Name, r.Fate, want)
		}
		// More resets: a late packet of a connection that is gone is reset too.
		if r.Resets < want.resets || r.Negotiations != want.negotiations {
			t.Errorf("server %q, which %s: %d stateless resets, %d version negotiations, want %d and %d",
				r.Name, r.Fate, r.Resets, r.Negotiations, want.resets, want.negotiations)
		}
		if o.Workers == 1 && r.HandedOver != 0 {
			t.Errorf("%d datagrams handed over by an only worker", r.HandedOver)
		}
		if r.Datapath.RxDropped != 0 {
			t.Errorf("the datapath dropped %d datagrams", r.Datapath.RxDropped)
		}
	}
	if n := len(summary.Refusals); n != 4 {
		t.Errorf("%d refusals, want 4: %+v", n, summary.Refusals)
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

// newShow is a stage without a play.
func newShow(t *testing.T) *show {
	t.Helper()
	program := serverProgram(t)
	netnstest.CheckFDs(t)
	st, err := newStage(program)
	if err != nil {
		t.Fatal(err)
	}
	s := &show{stage: st}
	t.Cleanup(func() {
		for _, srv := range s.servers {
			if err := srv.stop(); err != nil {
				t.Error(err)
			}
		}
		st.close()
	})
	return s
}

// serve starts a server on a new stage.
func serve(t *testing.T, sp spec) *show {
	t.Helper()
	s := newShow(t)
	s.mustOpen(t, sp)
	return s
}

func (s *show) mustOpen(t *testing.T, sp spec) {
	t.Helper()
	if err := s.open(t.Context(), sp); err != nil {
		t.Fatal(err)
	}
}

func (s *show) report(t *testing.T) *Report {
	t.Helper()
	r, err := s.servers[0].report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestWrongBytes shows that the server looks at what it gets.
func TestWrongBytes(t *testing.T) {
	s := serve(t, spec{workers: 2})
	_, err := s.clients.perform(t.Context(), families[0], s.servers[0].spec, sendWrongBytes)
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

// TestWrongServer shows that clients look at who answers. A server without an
// identifier answers to every one.
func TestWrongServer(t *testing.T) {
	s := serve(t, spec{workers: 2})
	_, err := s.clients.dial(t.Context(), families[1], spec{identifier: identifiers[0]})
	if !errors.Is(err, errMisrouted) || s.clients.misrouted.Load() != 1 {
		t.Errorf("an answer from another server: %v, %d counted", err, s.clients.misrouted.Load())
	}
}

// TestForeignIdentifier shows that a server looks at whom a datagram is for. One
// that can make no claims serves alone, without the kernel's steering.
func TestForeignIdentifier(t *testing.T) {
	s := newShow(t)
	s.claims = "/dev/null"
	s.mustOpen(t, spec{identifier: []byte{1, 2, 3, 4, 5, 6}, workers: 2})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if c, err := s.clients.dial(ctx, families[0], spec{identifier: []byte{1, 2, 3, 4, 5, 7}}); err == nil {
		c.close()
		t.Error("a server took a connection that is for another one")
	}
	if r := s.report(t); r.Misrouted == 0 || r.Connections != 0 {
		t.Errorf("%d misrouted datagrams, %d connections, want some and none", r.Misrouted, r.Connections)
	}
}

// TestServerWithoutCertificate shows that a server which cannot start says why.
func TestServerWithoutCertificate(t *testing.T) {
	s := newShow(t)
	s.cert.certFile = "/nowhere/cert.pem"
	_, err := s.start(t.Context(), spec{workers: 1})
	if err == nil || !strings.Contains(err.Error(), s.cert.certFile) {
		t.Errorf("a server without a certificate: %v", err)
	}
}

// TestNotRefused shows that it is noticed when somebody gets the port.
func TestNotRefused(t *testing.T) {
	s := newShow(t)
	if reason, err := s.refused(t.Context(), spec{workers: 1}); err == nil {
		t.Errorf("a server on a free port was refused: %s", reason)
	}
	if err := s.net.server.do(func() error { return bind(t.Context(), 1) }); err != nil {
		t.Errorf("a foreign program on a free port was refused: %v", err)
	}
}

// TestAnswered shows that it is noticed when somebody answers for another.
func TestAnswered(t *testing.T) {
	s := serve(t, spec{workers: 1})
	if err := s.clients.checkUnreachable(t.Context(), families[0], nobody); err == nil {
		t.Error("a datagram that was answered passed for one that was not")
	}
	conns, err := s.clients.dialAll(t.Context(), s.servers[0].spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(conns)
	if err := conns[0].checkReset(t.Context()); err == nil {
		t.Error("a connection that lives passed for one that was reset")
	}
}
