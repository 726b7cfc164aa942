// SPDX-License-Identifier: MIT

// Command bench measures the datapath through its C interface, beside a plain
// C loop that does the same job on bare sockets.
//
// Each case is run as often as asked for, ours and plain in turn, every run a
// process of its own with a peer in another one, in network namespaces that
// exist only for this program. scripts/bench.sh builds the programs and calls
// this one; ../README.md explains the cases and the fields of the JSON output.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

type options struct {
	dir     string
	archive string
	json    bool
	list    bool
	quick   bool
	filter  *regexp.Regexp
	repeats int
	time    time.Duration
	rate    int
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	list := selected(o)
	if len(list) == 0 {
		return fmt.Errorf("no case matches %q; --list names them", o.filter)
	}
	if o.list {
		for _, c := range list {
			fmt.Fprintln(stdout, c.name())
		}
		return nil
	}
	r, err := measureAll(ctx, o, list, stderr)
	if r == nil {
		return err
	}
	write := r.writeTable
	if o.json {
		write = r.writeJSON
	}
	return errors.Join(write(stdout), err)
}

const usage = `usage: scripts/bench.sh [OPTION]...

Measures the datapath through the C interface beside a plain C loop on bare
sockets, in network namespaces of its own. Needs root.

`

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{filter: regexp.MustCompile("")}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() { fmt.Fprint(stderr, usage); f.PrintDefaults() }
	f.StringVar(&o.dir, "dir", "build/bench", "`folder` with the programs that scripts/bench.sh builds")
	f.StringVar(&o.archive, "archive", "", "`file` that they were linked with, to be named in the output")
	f.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	f.BoolVar(&o.list, "list", false, "print the names of the cases, JOB/LINK/BYTES/BATCH, and measure nothing")
	f.BoolVar(&o.quick, "quick", false, "only see that everything works: a few seconds, numbers that mean little")
	f.Func("filter", "only cases whose name matches the regular `expression`", func(s string) (err error) {
		o.filter, err = regexp.Compile(s)
		return err
	})
	f.IntVar(&o.repeats, "repeats", 5, "runs of each side of a case")
	f.DurationVar(&o.time, "time", time.Second, "`duration` of a run, without its warm-up")
	f.IntVar(&o.rate, "rate", 0, "`datagrams` a second that the peer of receive sends; 0: all it can")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() != 0 {
		return nil, fmt.Errorf("%q is no option; --help lists them", f.Arg(0))
	}
	if o.quick {
		o.repeats, o.time = 2, 60*time.Millisecond
	}
	if o.repeats < 1 || o.time < 10*time.Millisecond || o.rate < 0 {
		return nil, errors.New("--repeats is at least 1, --time at least 10ms, --rate not negative")
	}
	return o, nil
}
