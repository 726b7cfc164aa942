// SPDX-License-Identifier: MIT

package demo

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Summary is what came of the demo.
type Summary struct {
	Path             Path // that was asked for
	Observation      Observation
	Scenes           []Scene
	Servers          []Report // one for each life of a server
	Refusals         []Refusal
	Outage           Outage
	Elapsed          time.Duration
	Handshakes       int64 // that clients completed
	Misrouted        int64 // answers from another server than the one asked
	LocalKeyUpdates  int64 // that clients began
	RemoteKeyUpdates int64 // that servers began, as clients saw them
	ECNCapable       int64 // connections whose ECN marks arrived at the server
	ECNReceived      int64 // packets that arrived at a client with a server's mark
}

// take takes what the clients have counted.
func (s *Summary) take(c *clients) {
	s.Handshakes = c.handshakes.Load()
	s.Misrouted = c.misrouted.Load()
	s.LocalKeyUpdates = c.events.localKeyUpdates.Load()
	s.RemoteKeyUpdates = c.events.remoteKeyUpdates.Load()
	s.ECNCapable = c.events.ecnCapable.Load()
	s.ECNReceived = c.events.ecnReceived.Load()
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
	want(moved >= moves, "servers saw %d migrations, want %d", moved, moves)
	begun := s.total(func(r *Report) int64 { return r.KeyUpdates })
	want(begun >= moves, "servers began %d key updates, want %d", begun, moves)
	want(s.RemoteKeyUpdates == begun, "servers began %d key updates, clients saw %d", begun, s.RemoteKeyUpdates)
	s.checkPath(want)
	want(s.Outage.Dropped == 0, "the sockets of the port dropped %d datagrams while one server was dead", s.Outage.Dropped)
	// Not all: where the first packets overtake each other from worker to worker, a client takes them for lost.
	want(10*s.ECNCapable >= 8*s.Handshakes, "ECN was validated on %d of %d connections only", s.ECNCapable, s.Handshakes)
	want(s.ECNReceived > 0, "no packet came with the server's ECN mark")
	return errors.Join(errs...)
}

// checkPath compares the way that servers were to go with the one that they went.
func (s *Summary) checkPath(want func(ok bool, format string, args ...any)) {
	o := &s.Observation
	want(s.path() == s.Path, "path %s, want %s: AF_XDP sockets got %d packets, kernel sockets %d",
		s.path(), s.Path, o.redirected(), o.Kernel.Received)
	if s.Path == Kernel {
		return
	}
	want(o.Members == s.Path.xdpServers(), "the queue's pool has %d members, want %d", o.Members, s.Path.xdpServers())
	want(o.Missing == 0, "%d of %d frames are missing", o.Missing, o.Chunks)
	if s.Path == XDP {
		want(o.Early.Received == fragmented, "kernel sockets got %d datagrams before one server was killed, want the %d in fragments",
			o.Early.Received, fragmented)
		want(len(o.Redirected) == 1, "%d XDP programs, want one that outlives who brought it", len(o.Redirected))
	}
}

// Print writes the tables.
func (s *Summary) Print(w io.Writer) {
	s.printScenes(w)
	fmt.Fprintln(w)
	s.printServers(w)
	fmt.Fprintln(w)
	printLine(w, "handshakes", "%d, each with an answer that says by whom", s.Handshakes)
	printLine(w, "key updates", "%d begun by servers, %d by clients", s.RemoteKeyUpdates, s.LocalKeyUpdates)
	printLine(w, "ECN", "validated on %d connections, %d marked packets", s.ECNCapable, s.ECNReceived)
	o := &s.Outage
	printLine(w, "one server dead", "for %.2f s, and %d of its connections reset afterwards",
		o.Elapsed.Seconds(), o.Resets)
	printLine(w, "the other, meanwhile", "%d requests, all answered; %d datagrams dropped", o.Answered.Load(), o.Dropped)
	s.Observation.print(w)
	fmt.Fprintf(w, "\nRefused on UDP port %d:\n", port)
	for _, r := range s.Refusals {
		fmt.Fprintf(w, "- %s:\n%s", r.Who, wrapped(r.Reason, "    "))
	}
}

func (o *Observation) print(w io.Writer) {
	printLine(w, "kernel sockets", "received %d times, sent %d times", o.Kernel.Received, o.Kernel.Sent)
	if len(o.Redirected) == 0 {
		return
	}
	printLine(w, "AF_XDP sockets", "%d packets redirected to them, %s mode", o.redirected(), o.Mode)
	printLine(w, "on one queue", "%d members; of %d frames %d missing", o.Members, o.Chunks, o.Missing)
}

func (s *Summary) printScenes(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "scene\tconnections\tMiB checked\tseconds\tGb/s\t")
	all := Scene{Name: "all", Bytes: s.Bytes(), Elapsed: s.Elapsed}
	for _, scene := range s.Scenes {
		scene.print(t)
		all.Connections += scene.Connections
	}
	all.print(t)
	t.Flush()
}

func (s *Scene) print(w io.Writer) {
	seconds := s.Elapsed.Seconds()
	fmt.Fprintf(w, "%s\t%d\t%.1f\t%.2f\t%.2f\t\n", s.Name, s.Connections,
		mebi(s.Bytes), seconds, float64(s.Bytes)*8/1e9/seconds)
}

// printServers has a column for each life of a server.
func (s *Summary) printServers(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range []struct {
		name string
		cell func(r *Report) any
	}{
		{"server", func(r *Report) any { return r.Name }},
		{"", func(r *Report) any { return r.Fate }},
		{"path", func(r *Report) any { return r.Path }},
		{"pid", func(r *Report) any { return r.PID }},
		{"handshakes", func(r *Report) any { return r.Handshakes }},
		{"MiB received and checked", func(r *Report) any { return fmt.Sprintf("%.1f", mebi(r.Bytes)) }},
		{"migrations", func(r *Report) any { return r.Migrations }},
		{"key updates begun", func(r *Report) any { return r.KeyUpdates }},
		{"version negotiations", func(r *Report) any { return r.Negotiations }},
		{"stateless resets", func(r *Report) any { return r.Resets }},
		{"datagrams received", func(r *Report) any { return r.Datapath.RxDatagrams }},
		{"per crossing", func(r *Report) any { return ratio(r.Datapath.RxDatagrams, r.Datapath.RxTurns) }},
		{"for another server", func(r *Report) any { return r.Misrouted }},
		{"handed to their worker", func(r *Report) any { return r.HandedOver }},
		{"dropped", func(r *Report) any { return r.Datapath.RxDropped }},
		{"lost in a full ring", func(r *Report) any { return r.Lost }},
		{"datagrams sent", func(r *Report) any { return r.Datapath.TxDatagrams }},
		{"per crossing", func(r *Report) any { return ratio(r.Datapath.TxDatagrams, r.Datapath.TxBatches) }},
		{"sends failed", func(r *Report) any { return r.Datapath.TxFailed }},
	} {
		fmt.Fprintf(t, "%s\t", row.name)
		for i := range s.Servers {
			fmt.Fprintf(t, "%v\t", row.cell(&s.Servers[i]))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

// Result is the last line of a demo that went well.
func (s *Summary) Result() string {
	processes := map[string]bool{} // that had the port at once
	for _, r := range s.Servers {
		processes[r.Name] = true
	}
	line := fmt.Sprintf("demo ok: processes=%d handshakes=%d bytes=%d misrouted=%d path=%s",
		len(processes), s.Handshakes, s.Bytes(), s.misrouted(), s.path())
	if s.Path != Kernel {
		line += fmt.Sprintf(" mode=%s frames_missing=%d", s.Observation.Mode, s.Observation.Missing)
	}
	return line
}

// path is the way that the datagrams took to the servers. A few may come by the kernel
// on AF_XDP too, while a server starts: it has the port before it has a rule.
func (s *Summary) path() Path {
	o := &s.Observation
	switch redirected := o.redirected(); {
	case redirected == 0:
		return Kernel
	case 100*o.Kernel.Received <= redirected:
		return XDP
	}
	return Mixed
}

func printLine(w io.Writer, name, format string, args ...any) {
	fmt.Fprintf(w, "%24s  "+format+"\n", append([]any{name}, args...)...)
}

// wrapped breaks text into indented lines of at most 80 columns.
func wrapped(text, indent string) string {
	var out strings.Builder
	line := indent
	for _, word := range strings.Fields(text) {
		if len(line) > len(indent) && len(line)+1+len(word) > 80 {
			out.WriteString(line + "\n")
			line = indent
		}
		if len(line) > len(indent) {
			line += " "
		}
		line += word
	}
	return out.String() + line + "\n"
}

func mebi(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func ratio(a, b int64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(a)/float64(b))
}
