// SPDX-License-Identifier: MIT

// Command msquicxdp is the administrator's tool: whether XDP is in use, who has which
// port, what would happen to who asks for one, and what is reserved.
//
// It formats. What it shows is found out and decided by the packages portres,
// portres/rules, portres/hold, portres/reserve and datapath/inspect.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

//go:generate go test -run ^(TestManPages|TestDocument)$ -update .

func main() {
	os.Exit(run(&tool{out: os.Stdout, errs: os.Stderr, width: terminalWidth(os.Stdout), machine: newHost()}, os.Args[1:]))
}

// Exit statuses. docs/CLI.md tells users of them.
const (
	statusDone    = 0
	statusRefused = 1 // of explain: the port would not be had; of status: XDP is not in use
	statusUsage   = 2 // the command line makes no sense
	statusFailed  = 3
)

// errRefused ends explain and status with theirs. It was said already why.
var errRefused = errors.New("refused")

// failure is an error of a command, as opposed to one in its arguments.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// run executes a command line and returns its exit status.
func run(t *tool, args []string) int {
	root := newRoot(t)
	root.SetArgs(args)
	root.SetOut(t.out)
	root.SetErr(t.errs)
	command, err := root.ExecuteC()
	switch {
	case err == nil:
		return statusDone
	case errors.Is(err, errRefused):
		return statusRefused
	}
	io.WriteString(t.errs, errorText(err))
	if errors.As(err, new(failure)) {
		return statusFailed
	}
	fmt.Fprintf(t.errs, "Run '%s --help' to see how it is used.\n", command.CommandPath())
	return statusUsage
}

// errorText returns what is printed of an error: a line for each that was joined.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	var b strings.Builder
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString("msquicxdp: " + printable(line) + "\n")
		}
	}
	return b.String()
}

// terminalWidth returns how many columns the terminal has, and 0 for what is
// none: tables are then as wide as they like.
func terminalWidth(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}
