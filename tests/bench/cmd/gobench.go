// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// goBench runs benchmarks of a package, which scripts/bench.sh has built as NAME.test, and returns
// their figures: by the name of the benchmark, and then by the unit.
func (b *bench) goBench(ctx context.Context, name, pattern, count string) (map[string]metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, longestGoBench)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(b.o.dir, name+".test"), "-test.run=^$", "-test.bench="+pattern, "-test.benchtime="+count)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%v: %w\n%s%s", cmd.Args, err, out, stderr.Bytes())
	}
	return parseGoBench(string(out))
}

const longestGoBench = 5 * time.Minute

// parseGoBench reads what benchmarks print: a name, how often, and pairs of a value and a unit.
func parseGoBench(out string) (map[string]metrics, error) {
	all := map[string]metrics{}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(f[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 { // GOMAXPROCS
			name = name[:i]
		}
		m := metrics{}
		for i := 2; i+1 < len(f); i += 2 {
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				return nil, fmt.Errorf("benchmark %q: %w", line, err)
			}
			m[f[i+1]] = v
		}
		all[name] = m
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no benchmark in %q", out)
	}
	return all, nil
}
