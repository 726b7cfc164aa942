// SPDX-License-Identifier: MIT

package rules

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"text/template"

	"golang.org/x/sys/unix"
)

const document = "../../docs/PORTS.md"

var update = flag.Bool("update", false, "write "+document)

// docs/PORTS.md is the template, with what the tables say.
func TestDocument(t *testing.T) {
	text := template.Must(template.New("PORTS.md.tmpl").Funcs(template.FuncMap{
		"claims":    func() string { return markdown(&claims) },
		"strangers": func() string { return markdown(&strangers) },
		"outcomes":  outcomes,
		"refusals":  refusals,
	}).ParseFiles("testdata/PORTS.md.tmpl"))
	var want bytes.Buffer
	if err := text.Execute(&want, nil); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(document, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the tables say (%v): go generate ./portres/rules", document, err)
	}
}

func markdown(t *table) string {
	var s strings.Builder
	s.WriteString("| |")
	for _, c := range t.columns {
		s.WriteString(" " + c.title + " |")
	}
	s.WriteString("\n" + strings.Repeat("|---", len(t.columns)+1) + "|\n")
	for _, r := range t.rows {
		s.WriteString("| **" + r.title + "**")
		if r.note != "" {
			s.WriteString(": " + r.note)
		}
		for _, c := range r.cells {
			if c.outcome == Refused {
				fmt.Fprintf(&s, " | `%v`", c.reason)
			} else {
				s.WriteString(" | " + words(c.outcome))
			}
		}
		s.WriteString(" |\n")
	}
	return strings.TrimSuffix(s.String(), "\n")
}

// outcomes explains the words that are no refusals.
func outcomes() string {
	means := map[Outcome]string{
		OtherPort:   "the kernel chooses another port",
		Shares:      "the kernel lets it in beside the sockets there, and each gets part of the datagrams",
		Joins:       "it becomes one of those who share the port",
		ServesAlone: "exclusively, since nobody can be told apart",
		Opens:       "as the first of a shared port",
		Granted:     "exclusively",
	}
	var list []string
	for o := Granted; o > Refused; o-- {
		list = append(list, fmt.Sprintf("- *%s*: %s", words(o), means[o]))
	}
	return strings.Join(list, "\n")
}

func words(o Outcome) string { return strings.ReplaceAll(o.String(), "-", " ") }

// Package unix calls EOPNOTSUPP ENOTSUP, which has the same number.
var errnos = map[unix.Errno]string{unix.EADDRINUSE: "EADDRINUSE", unix.EOPNOTSUPP: "EOPNOTSUPP", unix.EINVAL: "EINVAL"}

// refusals shows every reason by the first refusal for it.
func refusals() string {
	examples := map[Reason]Decision{}
	for _, s := range everyState() {
		for _, ask := range append(asks, badRequest) {
			if d := Decide(s, ask.Request); d.Outcome == Refused && examples[d.Reason].Reason == 0 {
				examples[d.Reason] = d
			}
		}
	}
	var lines []string
	for _, reason := range slices.Sorted(maps.Keys(examples)) {
		d := examples[reason]
		lines = append(lines, fmt.Sprintf("- `%v` (%s): %s.", reason, errnos[d.Errno()], d.Sentence()))
	}
	return strings.Join(lines, "\n")
}
