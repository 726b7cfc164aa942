// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

const (
	document = "../../docs/CLI.md"
	manPages = "../../packaging/man"
)

// commands returns all that a user can run.
func commands(from *cobra.Command) (list []*cobra.Command) {
	if from.IsAvailableCommand() || !from.HasParent() {
		list = append(list, from)
	}
	for _, c := range from.Commands() {
		list = append(list, commands(c)...)
	}
	return list
}

// docs/CLI.md is the template, with what the commands say of themselves, what
// their JSON is made of, and what the other tests see them print.
func TestDocument(t *testing.T) {
	text := template.Must(template.New("CLI.md.tmpl").Funcs(template.FuncMap{
		"commands": commandsText,
		"fields":   fieldsText,
		"golden": func(name string) (string, error) {
			text, err := os.ReadFile(filepath.Join("testdata", name+".golden"))
			return "```\n" + string(text) + "```", err
		},
	}).ParseFiles("testdata/CLI.md.tmpl"))
	var b strings.Builder
	if err := text.Execute(&b, nil); err != nil {
		t.Fatal(err)
	}
	wantFile(t, document, b.String())
}

func commandsText() string {
	var b strings.Builder
	for _, c := range commands(newRoot(&tool{})) {
		if c.HasAvailableSubCommands() {
			continue
		}
		fmt.Fprintf(&b, "### %s\n\n%s\n\n```\n%s\n", c.CommandPath(), cmp.Or(c.Long, c.Short+"."), c.UseLine())
		c.InitDefaultHelpFlag()
		fmt.Fprintf(&b, "\n%s```\n\n", c.LocalNonPersistentFlags().FlagUsages())
		if c.Example != "" {
			fmt.Fprintf(&b, "```\n%s\n```\n\n", c.Example)
		}
	}
	return strings.TrimSpace(b.String())
}

// printed are the values that are printed as JSON, and their parts.
var printed = []any{
	versions{}, listing{}, explanation{}, change{}, reservationListing{}, applied{}, holder{}, reservation{},
	status{}, statusInterface{}, statusMember{}, statusQueue{}, statusSocket{}, statusRule{}, statusPackets{}, statusKernelOnly{},
}

// fieldsText returns a table of the JSON fields of a type.
func fieldsText(name string) (string, error) {
	i := slices.IndexFunc(printed, func(v any) bool { return reflect.TypeOf(v).Name() == name })
	if i < 0 {
		return "", fmt.Errorf("nothing that is printed is a %s", name)
	}
	var b strings.Builder
	b.WriteString("| field | type | |\n|---|---|---|\n")
	for field := range reflect.TypeOf(printed[i]).Fields() {
		if !field.IsExported() {
			continue
		}
		tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		about := field.Tag.Get("about")
		if options != "" {
			about += " (may be missing)"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", tag, jsonType(field.Type), about)
	}
	return strings.TrimSpace(b.String()), nil
}

// jsonType names a type as users of JSON see it.
func jsonType(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "string"
	case t.Kind() == reflect.Pointer:
		return jsonType(t.Elem())
	case t.Kind() == reflect.Slice:
		return "list of " + jsonType(t.Elem())
	case t.Kind() == reflect.Struct:
		return "[" + t.Name() + "](#" + t.Name() + ")"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.String:
		return "string"
	}
	return "number"
}

func TestEveryFieldIsDescribed(t *testing.T) {
	for _, v := range printed {
		for field := range reflect.TypeOf(v).Fields() {
			if field.IsExported() && (field.Tag.Get("json") == "" || field.Tag.Get("about") == "") {
				t.Errorf("%T.%s has no tag", v, field.Name)
			}
		}
	}
}

// nameArguments has a flag without a default shown as --state-dir=DIR, where
// cobra shows the default.
func nameArguments(c *cobra.Command) {
	name := func(f *pflag.Flag) {
		if f.DefValue == "" {
			f.DefValue, _ = pflag.UnquoteUsage(f)
		}
	}
	c.NonInheritedFlags().VisitAll(name)
	c.InheritedFlags().VisitAll(name)
}

// Man pages are for packagers, who need not run the program to get them.
func TestManPages(t *testing.T) {
	want := map[string]bool{}
	for _, c := range commands(newRoot(&tool{})) {
		c.DisableAutoGenTag = true
		nameArguments(c)
		var b bytes.Buffer
		epoch := time.Unix(0, 0)
		header := doc.GenManHeader{Section: "8", Source: "msquicxdp " + version, Manual: "System administration", Date: &epoch}
		if err := doc.GenMan(c, &header, &b); err != nil {
			t.Fatal(err)
		}
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".8"
		page := strings.NewReplacer(
			epoch.Format(`"Jan 2006"`), `""`, // a page is of a version, not of a day
			"[=false]", "", // what can be said of every switch
		).Replace(b.String())
		want[name] = true
		wantFile(t, filepath.Join(manPages, name), `.\" SPDX-License-Identifier: MIT`+"\n"+page)
	}
	files, err := os.ReadDir(manPages)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !want[f.Name()] {
			t.Errorf("%s/%s is of no command: remove it", manPages, f.Name())
		}
	}
}
