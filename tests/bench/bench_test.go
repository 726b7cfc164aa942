// SPDX-License-Identifier: MIT

// Package bench_test sees that the benchmarks work; what they measure in a few
// milliseconds, beside other tests, says little.
package bench_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os/exec"
	"path"
	"path/filepath"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// leastRatio is what even a disturbed run of a working datapath reaches.
const leastRatio = 0.1

type report struct {
	Schema int
	Kernel string
	CPUs   int
	Date   string
	Quick  bool
	Cases  []struct {
		Name  string
		Job   string
		Ours  map[string]float64
		Ratio map[string]float64
	}
}

func TestQuickRun(t *testing.T) {
	netnstest.Require(t)
	r := quickRun(t)
	if r.Schema != 1 || r.Kernel == "" || r.CPUs < 1 || r.Date == "" || !r.Quick {
		t.Errorf("heading: %+v", r)
	}
	if want := 4*2*2 + 1; len(r.Cases) != want {
		t.Errorf("%d cases, want %d", len(r.Cases), want)
	}
	compared := map[string][]string{
		"receive": {"rate", "cpu"}, "send": {"rate", "cpu"}, "echo": {"rate", "cpu"},
		"ping": {"p50", "p99", "rate", "cpu"}, "micro": {},
	}
	for _, c := range r.Cases {
		names, known := compared[c.Job]
		if !known || len(c.Ratio) != len(names) {
			t.Errorf("%s: ratios %v, want %v", c.Name, c.Ratio, names)
		}
		for _, name := range names {
			checkRatio(t, c.Name, name, c.Ratio[name])
		}
		if c.Job == "send" {
			checkOneCallPerBatch(t, c.Name, c.Ours["tx_calls_per_datagram"])
		}
	}
}

// The 99th percentile of a short run is one sample, of which nothing is asked but to be there.
func checkRatio(t *testing.T, benchCase, name string, ratio float64) {
	t.Helper()
	least := leastRatio
	if name == "p99" {
		least = 0
	}
	if math.IsNaN(ratio) || math.IsInf(ratio, 0) || ratio <= least {
		t.Errorf("%s: ratio of %s is %v, want more than %v", benchCase, name, ratio, least)
	}
}

// Numbers of calls do not depend on how busy the machine is.
func checkOneCallPerBatch(t *testing.T, name string, calls float64) {
	t.Helper()
	want := 1.0
	if path.Base(name) == "32" {
		want = 1.0 / 32
	}
	if math.Abs(calls-want) > want/100 {
		t.Errorf("%s: %v calls into Go for a datagram, want %v", name, calls, want)
	}
}

// quickRun builds an archive of its own: the one in build/ may be built by another test at this moment.
func quickRun(t *testing.T) report {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "libmsquicxdp.a")
	command(t, filepath.Join(root, "scripts/archive.sh"), archive)
	t.Setenv("MSQUICXDP_ARCHIVE", archive)
	out := command(t, filepath.Join(root, "scripts/bench.sh"), "--quick", "--json")
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r
}

func command(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, stderr.Bytes())
	}
	return out
}
