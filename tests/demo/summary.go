// SPDX-License-Identifier: MIT

package demo

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Summary is what came of the demo.
type Summary struct {
	Scenes           []Scene
	Servers          []Report
	Handshakes       int64 // that clients completed
	Misrouted        int64 // answers from another server than the one asked
	LocalKeyUpdates  int64 // that clients began
	RemoteKeyUpdates int64 // that servers began, as clients saw them
	ECNCapable       int64 // connections whose ECN marks arrived at the server
	ECNReceived      int64 // packets that arrived at a client with a server's mark
}

// Bytes returns how many were checked, in both directions together.
func (s *Summary) Bytes() (n int64) {
	for _, scene := range s.Scenes {
		n += scene.Bytes
	}
	return n
}

// total adds up one number of all servers.
func (s *Summary) total(number func(*Report) int64) (n int64) {
	for i := range s.Servers {
		n += number(&s.Servers[i])
	}
	return n
}

// misrouted counts datagrams and streams that reached the wrong server.
func (s *Summary) misrouted() int64 {
	return s.Misrouted + s.total(func(r *Report) int64 { return r.Misrouted })
}

// check compares what clients and servers have seen.
func (s *Summary) check() error {
	var errs []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	handshakes := s.total(func(r *Report) int64 { return r.Handshakes })
	want(handshakes == s.Handshakes, "clients completed %d handshakes, servers %d", s.Handshakes, handshakes)
	bytes := s.total(func(r *Report) int64 { return r.Bytes })
	want(2*bytes == s.Bytes(), "clients had %d bytes echoed, servers checked %d", s.Bytes()/2, bytes)
	mismatches := s.total(func(r *Report) int64 { return r.Mismatches })
	want(mismatches == 0, "servers received %d streams with wrong bytes", mismatches)
	want(s.misrouted() == 0, "%d datagrams or streams reached the wrong server", s.misrouted())
	moved := s.total(func(r *Report) int64 { return r.Migrations })
	want(moved >= migrations, "servers saw %d migrations, want %d", moved, migrations)
	begun := s.total(func(r *Report) int64 { return r.KeyUpdates })
	want(begun >= keyUpdaters, "servers began %d key updates, want %d", begun, keyUpdaters)
	want(s.RemoteKeyUpdates == begun, "servers began %d key updates, clients saw %d", begun, s.RemoteKeyUpdates)
	// Not all: where the first packets overtake each other from worker to worker, a client takes them for lost.
	want(10*s.ECNCapable >= 8*s.Handshakes, "ECN was validated on %d of %d connections only", s.ECNCapable, s.Handshakes)
	want(s.ECNReceived > 0, "no packet came with the server's ECN mark")
	return errors.Join(errs...)
}

// Print writes the tables.
func (s *Summary) Print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "scene\tconnections\tMiB checked\tseconds\tGb/s\t")
	var elapsed time.Duration
	var connections int64
	for _, scene := range s.Scenes {
		printScene(t, scene)
		connections += scene.Connections
		elapsed += scene.Elapsed
	}
	printScene(t, Scene{Name: "all", Connections: connections, Bytes: s.Bytes(), Elapsed: elapsed})
	t.Flush()
	for i := range s.Servers {
		fmt.Fprintln(w)
		s.Servers[i].print(w)
	}
	fmt.Fprintln(w, "\nclients")
	printLine(w, "handshakes", "%d", s.Handshakes)
	printLine(w, "key updates", "%d begun by servers, %d by clients", s.RemoteKeyUpdates, s.LocalKeyUpdates)
	printLine(w, "ECN", "validated on %d connections, %d marked packets received", s.ECNCapable, s.ECNReceived)
}

func printScene(w io.Writer, s Scene) {
	seconds := s.Elapsed.Seconds()
	fmt.Fprintf(w, "%s\t%d\t%.1f\t%.2f\t%.2f\t\n", s.Name, s.Connections,
		float64(s.Bytes)/(1<<20), seconds, float64(s.Bytes)*8/1e9/seconds)
}

// Result is the last line of a demo that went well.
func (s *Summary) Result() string {
	return fmt.Sprintf("demo ok: processes=%d handshakes=%d bytes=%d misrouted=%d path=%s",
		len(s.Servers), s.Handshakes, s.Bytes(), s.misrouted(), s.path())
}

// path is "kernel" or "xdp", or both when servers differ.
func (s *Summary) path() string {
	path := ""
	for _, r := range s.Servers {
		switch path {
		case "", r.Path:
			path = r.Path
		default:
			path = "mixed"
		}
	}
	return path
}

func (r *Report) print(w io.Writer) {
	d := r.Datapath
	fmt.Fprintf(w, "server %q, pid %d\n", r.Name, r.PID)
	printLine(w, "received", "%d datagrams, %s per crossing, %d dropped",
		d.RxDatagrams, ratio(d.RxDatagrams, d.RxTurns), d.RxDropped)
	printLine(w, "sent", "%d datagrams, %s per crossing, %d failed",
		d.TxDatagrams, ratio(d.TxDatagrams, d.TxBatches), d.TxFailed)
	printLine(w, "handed to their worker", "%d datagrams that another worker received", r.HandedOver)
	printLine(w, "without a connection", "%d version negotiations, %d stateless resets", r.Negotiations, r.Resets)
	printLine(w, "migrations", "%d", r.Migrations)
	printLine(w, "blocks allocated", "%d", d.BlockAllocs)
}

func printLine(w io.Writer, name, format string, args ...any) {
	fmt.Fprintf(w, "  %-24s"+format+"\n", append([]any{name}, args...)...)
}

func ratio(a, b int64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(a)/float64(b))
}
