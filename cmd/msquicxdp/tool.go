// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/msquicxdp/msquicxdp/datapath/inspect"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/reserve"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// tool is one run of the command.
type tool struct {
	out     io.Writer
	errs    io.Writer
	width   int // of the terminal in columns, 0 if it is none
	machine machine

	// Flags that several commands have.
	json         bool
	stateDir     string // "": that of the environment, or the default
	reservations string // the same
}

// machine is what the commands find out about the machine. Ports are those of
// the network namespace of the calling thread.
type machine interface {
	// claims returns the claims in the namespace, or in all. With an error it
	// still returns those it found.
	claims(stateDir string, allNamespaces bool) ([]claim, error)
	// claimsOn returns the claims on one port.
	claimsOn(stateDir string, proto rules.Proto, port uint16) ([]claim, error)
	// strangers returns who has sockets on a port besides those with claims.
	strangers(proto rules.Proto, port uint16, claims []portres.Held) ([]rules.Party, error)
	// ask returns what would be decided.
	ask(stateDir string, spec portres.Spec) (rules.Decision, error)
	// inspect returns how XDP is used.
	inspect(stateDir string) (*inspect.Report, error)
	// userName and groupName return "" for an id without a name.
	userName(uid uint32) string
	groupName(gid uint32) string
	now() time.Time
}

// claim is a claim in a network namespace.
type claim struct {
	namespace uint64 // cookie
	portres.Held
}

func (t *tool) store() *reserve.Store { return reserve.Open(t.reservations) }

// doing makes a command of a function whose errors are failures.
func (t *tool) doing(f func() error) func(*cobra.Command, []string) error {
	return func(*cobra.Command, []string) error {
		err := f()
		if err == nil || err == errRefused {
			return err
		}
		return failure{err}
	}
}

// printJSON prints a value on several lines.
func (t *tool) printJSON(v any) error {
	e := t.encoder()
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// encoder prints each value on a line.
func (t *tool) encoder() *json.Encoder {
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	return e
}

// print prints text, or with --json the value that it tells of.
func (t *tool) print(text string, v any) error {
	if t.json {
		return t.printJSON(v)
	}
	_, err := io.WriteString(t.out, text)
	return err
}
