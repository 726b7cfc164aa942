// SPDX-License-Identifier: MIT

// Package bench_test sees that the benchmarks work; what they measure in a few
// milliseconds, beside other tests, says little.
package bench_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

type report struct {
	Schema int
	Kernel string
	CPUs   int
	Date   string
	Quick  bool
	Cases  []benchCase
}

type benchCase struct {
	Name    string
	Job     string
	Link    string
	Batch   int
	Variant string
	Ours    map[string]float64
	Plain   map[string]float64
	Ratio   map[string]float64
}

func TestQuickRun(t *testing.T) {
	netnstest.Require(t)
	r := quickRun(t)
	if r.Schema != 1 || r.Kernel == "" || r.CPUs < 1 || r.Date == "" || !r.Quick {
		t.Errorf("heading: %+v", r)
	}
	if want := 4*2*2 + 1 + (6 + 7 + 7) + 2; len(r.Cases) != want {
		t.Errorf("%d cases, want %d", len(r.Cases), want)
	}
	compared := map[string][]string{
		"receive": {"rate", "cpu"}, "send": {"rate", "cpu"}, "echo": {"rate", "cpu"},
		"ping": {"p50", "p99", "rate", "cpu"}, "micro": {}, "stages": {}, "classifier": {},
	}
	for _, c := range r.Cases {
		names, known := compared[c.Job]
		if !known || len(c.Ratio) != len(names) {
			t.Errorf("%s: ratios %v, want %v", c.Name, c.Ratio, names)
		}
		for _, name := range names {
			if v := c.Ratio[name]; math.IsNaN(v) || math.IsInf(v, 0) || v <= 0 {
				t.Errorf("%s: ratio of %s is %v", c.Name, name, v)
			}
		}
		switch {
		case c.Link == "xdp":
			checkWay(t, &c)
		case c.Job == "send":
			checkOneCallPerBatch(t, &c)
		case c.Job == "stages":
			checkStages(t, c.Ours, c.Plain)
		case c.Job == "classifier":
			checkPositive(t, c.Ours, "short_1_ns", "short_10000_ns", "long_1_ns", "long_10000_ns", "exclusive_ns")
			checkPositive(t, c.Plain, "port_only_ns")
		}
	}
}

// Numbers of calls do not depend on how busy the machine is.
func checkOneCallPerBatch(t *testing.T, c *benchCase) {
	t.Helper()
	calls, want := c.Ours["tx_calls_per_datagram"], 1/float64(c.Batch)
	if math.Abs(calls-want) > want/100 {
		t.Errorf("%s: %v calls into Go for a datagram, want %v", c.Name, calls, want)
	}
}

// checkWay sees that AF_XDP was measured, and not the kernel's sockets. Only those who send leave
// it to them, where they are told to, or find the ring full.
func checkWay(t *testing.T, c *benchCase) {
	t.Helper()
	share := c.Ours["by_kernel"]
	switch {
	case c.Job != "send" && share != 0,
		c.Job == "send" && c.Variant == "full-auto" && share != 1,
		c.Job == "send" && c.Variant != "full-auto" && share >= 1:
		t.Errorf("%s: a share of %v went by the kernel's sockets", c.Name, share)
	}
}

func checkStages(t *testing.T, ours, plain map[string]float64) {
	t.Helper()
	checkPositive(t, ours, "classifier_exclusive_ns", "receive_copy_ns", "receive_parse_ns", "demux_exclusive_ns",
		"demux_shared_ns", "describe_ns", "crossing_ns", "callback_ns", "lane_ns", "send_copy_ns", "send_frame_ns", "send_kick_ns")
	for _, job := range []string{"receive", "send", "echo"} {
		checkPositive(t, ours, job+"_calls_into_go_per_datagram")
		if ours[job+"_system_calls_per_datagram"] > 0 { // this kernel counts them
			checkPositive(t, plain, job+"_system_calls_per_datagram")
		}
	}
	for _, name := range []string{"turn_go_allocations", "send_go_allocations"} {
		if n, measured := ours[name]; !measured || n != 0 {
			t.Errorf("%s: %v, want 0", name, n)
		}
	}
}

func checkPositive(t *testing.T, m map[string]float64, names ...string) {
	t.Helper()
	for _, name := range names {
		if v := m[name]; !(v > 0) || math.IsInf(v, 0) {
			t.Errorf("%s is %v", name, v)
		}
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
