// SPDX-License-Identifier: MIT

// Abigen turns the layout facts in include/abi/msquic.json into
// include/abi/layout_asserts.h, which makes a C or C++ compiler check them.
//
// The output depends on the facts alone, so that it can be committed and
// compared. Run it with "go generate ./internal/abigen".
package main

import (
	"flag"
	"fmt"
	"os"
)

//go:generate go run . -facts ../../include/abi/msquic.json -out ../../include/abi/layout_asserts.h

func main() {
	facts := flag.String("facts", "include/abi/msquic.json", "read the facts from `file`")
	out := flag.String("out", "include/abi/layout_asserts.h", "write the header to `file`")
	flag.Parse()

	if err := run(*facts, *out); err != nil {
		fmt.Fprintln(os.Stderr, "abigen:", err)
		os.Exit(1)
	}
}

func run(factsPath, outPath string) error {
	text, err := os.ReadFile(factsPath)
	if err != nil {
		return err
	}
	facts, err := parseFacts(text)
	if err != nil {
		return fmt.Errorf("%s: %w", factsPath, err)
	}
	return os.WriteFile(outPath, header(facts), 0o644)
}
