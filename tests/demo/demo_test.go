// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/xdp"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

func small(server string, path Path, workers int) Options {
	return Options{Server: server, Path: path, Workers: workers, Handshakes: 8, Bytes: 4 << 20}
}

func TestRun(t *testing.T) {
	server := serverProgram(t)
	for _, test := range []struct {
		path    Path
		workers int
		ends    string // of the last line
	}{
		{Kernel, 2, "kernel"},
		{XDP, 1, "xdp mode=native frames_missing=0"},
		{XDP, 3, "xdp mode=native frames_missing=0"},
		{Mixed, 2, "mixed mode=native frames_missing=0"},
	} {
		t.Run(fmt.Sprintf("%s,workers=%d", test.path, test.workers), func(t *testing.T) {
			checkRun(t, small(server, test.path, test.workers), test.ends)
		})
	}
}

func checkRun(t *testing.T, o Options, ends string) {
	netnstest.CheckFDs(t)
	summary, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	// 24 connections in scenes, and those that are open while a server is killed.
	result := regexp.MustCompile("^demo ok: processes=2 handshakes=30 bytes=[0-9]+ misrouted=0 path=" + ends + "$")
	if line := summary.Result(); !result.MatchString(line) {
		t.Errorf("last line %q, want %v", line, result)
	}
	for i, want := range []struct {
		name, fate           string
		server               int
		negotiations, resets int64
	}{
		{"0a0b", "killed", 0, 4, 2},
		{"0a0b", "restarted", 0, 0, witnesses},
		{"0c0d", "served on", 1, 4, 2},
	} {
		r := summary.Servers[i]
		if r.Name != want.name || r.Fate != want.fate {
			t.Errorf("server %d is %q, which %s; want %+v", i, r.Name, r.Fate, want)
		}
		if xdp := r.Path == string(XDP); xdp != o.Path.asks(want.server) {
			t.Errorf("server %q, which %s, is on path %s", r.Name, r.Fate, r.Path)
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

// TestUnavailable shows that it is said why AF_XDP cannot be had. Here no interface
// may be served.
func TestUnavailable(t *testing.T) {
	server := serverProgram(t)
	netnstest.CheckFDs(t)
	t.Setenv(xdp.Env, "none")
	for _, path := range []Path{XDP, Mixed} {
		_, err := Run(t.Context(), small(server, path, 1))
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "interface") {
			t.Errorf("Run on path %s = %v, want %v and the reason", path, err, ErrUnavailable)
		}
	}
	if _, err := Run(t.Context(), small(server, Kernel, 1)); err != nil {
		t.Errorf("on kernel sockets: %v", err)
	}
}

// TestRefusedXDP shows that a server without AF_XDP is noticed where another has it.
func TestRefusedXDP(t *testing.T) {
	s := newShow(t)
	s.mustOpen(t, spec{identifier: identifiers[0], workers: 1, xdp: true})
	t.Setenv(xdp.Env, "none")
	err := s.open(t.Context(), spec{identifier: identifiers[1], workers: 1, xdp: true})
	if err == nil || errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "interface") {
		t.Errorf("the second server without AF_XDP: %v", err)
	}
}

// TestCancel ends a run in its middle: nothing of it may be left.
func TestCancel(t *testing.T) {
	server := serverProgram(t)
	netnstest.CheckFDs(t)
	want := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(time.Second, func() { cancel(want) })
	o := small(server, XDP, 2)
	o.Bytes = 1 << 40
	begin := time.Now()
	if _, err := Run(ctx, o); !errors.Is(err, want) {
		t.Errorf("Run = %v, want %v", err, want)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v to end", took)
	}
}

// TestFullRing has more datagrams come for a server that is stopped than its ring takes:
// what is too much is lost and counted, and nothing is missing afterwards.
func TestFullRing(t *testing.T) {
	s := newShow(t)
	s.Path = XDP
	for _, id := range identifiers {
		s.mustOpen(t, spec{identifier: id, workers: 1, xdp: true})
	}
	stopped := s.servers[0].cmd.Process
	s.signal(t, stopped, unix.SIGSTOP)
	const many, ring = 700, 512
	err := s.clients.lone(t.Context(), families[0], func(conn net.Conn) error {
		question, _, err := unknownVersion(s.servers[0].spec, inOnePiece)
		for range many {
			if err == nil {
				_, err = conn.Write(question)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	saw, err := s.see()
	if err != nil {
		t.Fatal(err)
	}
	if lost := saw.lost[stopped.Pid]; lost != many-ring {
		t.Errorf("%d of %d datagrams found a ring of %d full", lost, many, ring)
	}
	s.signal(t, stopped, unix.SIGCONT)
	s.waitReport(t, func(r *Report) bool { return r.Negotiations == ring })
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o := &s.summary.Observation; o.Missing != 0 || o.Members != 2 || o.Mode != classifier.Native {
		t.Errorf("%+v", o)
	}
}

func (s *show) signal(t *testing.T, p *os.Process, signal os.Signal) {
	t.Helper()
	if err := p.Signal(signal); err != nil {
		t.Fatal(err)
	}
	if signal != unix.SIGSTOP {
		return
	}
	// All its threads have stopped when the kernel tells its parent.
	if err := unix.Waitid(unix.P_PID, p.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
}

// waitReport waits for what the first server reports.
func (s *show) waitReport(t *testing.T, ok func(*Report) bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(s.report(t)); {
		if time.Now().After(deadline) {
			t.Fatalf("the first server reports %+v", s.report(t))
		}
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
	if err := s.net.Server.Do(func() error { return bind(t.Context(), 1) }); err != nil {
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
	_, err = conns[0].echo(t.Context(), request{length: smallLength})
	if err := conns[0].checkReset(err); err == nil {
		t.Error("a connection that lives passed for one that was reset")
	}
}
