// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What is wrong with a command line is said, with a way to find what is right.
func TestUsage(t *testing.T) {
	for args, says := range map[string]string{
		"bogus":                                 `unknown command "bogus"`,
		"port":                                  "msquicxdp: Did you mean this?\nmsquicxdp: ports\n",
		"ports bogus":                           `unknown command "bogus"`,
		"ports list --bogus":                    "unknown flag: --bogus",
		"ports list udp":                        "unknown command \"udp\"",
		"ports list --all-namespaces --foreign": "without --all-namespaces",
		"version 1":                             "unknown command \"1\"",

		"ports explain":                                          "0 arguments: a protocol and a port are wanted",
		"ports explain udp":                                      "1 arguments",
		"ports explain udp 1 2":                                  "3 arguments",
		"ports explain sctp 1":                                   `protocol "sctp" is none of: tcp, udp`,
		"ports explain udp 0":                                    `"0" is no port: want a number from 1 to 65535`,
		"ports explain udp 65536":                                `"65536" is no port`,
		"ports explain udp -- -1":                                `"" is no port`,
		"ports explain udp 1-2":                                  "udp 1-2 is more than one port",
		"ports explain udp 1 --cibir 0a":                         "--cibir and --encoding belong together",
		"ports explain udp 1 --encoding 2@9":                     "--cibir and --encoding belong together",
		"ports explain udp 1 --cibir 0":                          "two hexadecimal digits a byte",
		"ports explain udp 1 --cibir 0a --encoding 9":            "there is no @",
		"ports explain udp 1 --cibir 0a --encoding 2@9":          "has 1 bytes, and in encoding 2@9/9 it would have 2",
		"ports explain udp 1 --cibir 0a --encoding 1@9 --client": "leave out --cibir or --client",
		"ports explain udp 1 --xdp --no-steering":                "leave out --no-steering or --xdp",
		"ports explain udp 1 --as-uid no-such-user":              "unknown user no-such-user: name a user that this machine knows, or its number",
		"ports explain udp 1 --as-uid 4294967296":                `"4294967296" is no user`,

		"ports reserve udp 1":                                     "permits nobody",
		"ports reserve udp 2-1 --user 0":                          "the first is behind the last",
		"ports reserve udp 1-x --user 0":                          `"x" is no port`,
		"ports reserve udp 1 --user 0,":                           `"" is no user`,
		"ports reserve udp 1 --user 4294967295":                   "4294967295 is no user id",
		"ports reserve udp 1 --group no-such-group":               "name a group that this machine knows",
		"ports reserve udp 1 --user 0 --exclusive --encoding 2@9": "leave out --exclusive or --encoding",

		"ports release":             "0 arguments",
		"ports release 12":          `"12" is not a token`,
		"ports release udp 1 2":     "3 arguments",
		"ports watch --interval 0s": "--interval 0s: want 1ms or more",
		"ports apply now":           "unknown command \"now\"",

		"status eth0":                  "unknown command \"eth0\"",
		"status --watch --interval 0s": "--interval 0s: want 1ms or more",
		"status --foreign":             "unknown flag: --foreign",
	} {
		r := runOn(&fake{}, 80, strings.Fields(args)...)
		if r.status != statusUsage || r.out != "" {
			t.Errorf("%s: status %d, %q", args, r.status, r.out)
		}
		wantWords(t, r.errs, "msquicxdp: ", says, "--help' to see how it is used.\n")
	}
}

func TestHelp(t *testing.T) {
	for _, args := range []string{"", "--help", "help", "ports", "ports --help", "ports list --help"} {
		if r := runOn(&fake{}, 80, strings.Fields(args)...); r.status != statusDone || r.errs != "" || !strings.Contains(r.out, "Usage:") {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

func TestCompletions(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if r := runOn(&fake{}, 0, "completion", shell); r.status != statusDone || !strings.Contains(r.out, "__complete") {
			t.Errorf("%s: status %d, %q", shell, r.status, r.errs)
		}
	}
	r := runOn(&fake{}, 0, "__complete", "ports", "reserve", "")
	wantWords(t, r.out, "udp\n", "tcp\n")
}

// The version is that of the library.
func TestVersion(t *testing.T) {
	header, err := os.ReadFile(filepath.Join("../..", "include/msquicxdp/msquicxdp.h"))
	if err != nil {
		t.Fatal(err)
	}
	var numbers []string
	for _, m := range regexp.MustCompile(`#define MSQUICXDP_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)`).FindAllStringSubmatch(string(header), -1) {
		numbers = append(numbers, m[1])
	}
	if v := strings.Join(numbers, "."); v != version {
		t.Errorf("the header says %s, the program %s", v, version)
	}
	if r := runOn(&fake{}, 0, "version"); r != (result{"msquicxdp " + version + ", protocol for claims 1\n", "", statusDone}) {
		t.Errorf("%+v", r)
	}
	r := runOn(&fake{}, 0, "version", "--json")
	if v := mustDecode[versions](t, r.out); v != (versions{version, 1}) {
		t.Errorf("%+v", v)
	}
}
