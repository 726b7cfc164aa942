// SPDX-License-Identifier: MIT

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// schema is raised when a field changes its meaning or goes away.
const schema = 1

// report is the JSON output; ../README.md documents it.
type report struct {
	Schema   int       `json:"schema"`
	Date     time.Time `json:"date"`
	Kernel   string    `json:"kernel"`
	CPUs     int       `json:"cpus"`
	CPUModel string    `json:"cpu_model"`
	Pinned   bool      `json:"pinned"`
	Archive  string    `json:"archive_sha256"`
	Quick    bool      `json:"quick"`
	Repeats  int       `json:"repeats"`
	Seconds  float64   `json:"seconds_per_run"`
	Rate     int       `json:"receive_rate"`

	// Unthreaded is why what arrives by AF_XDP was handled by the sender; "" if it was not.
	Unthreaded string `json:"unthreaded,omitempty"`

	Cases []caseReport `json:"cases"`
}

type caseReport struct {
	Name    string               `json:"name"`
	Job     string               `json:"job"`
	Link    string               `json:"link,omitempty"`
	Payload int                  `json:"payload,omitempty"`
	Batch   int                  `json:"batch,omitempty"`
	Variant string               `json:"variant,omitempty"`
	Members int                  `json:"members,omitempty"`
	Mark    float64              `json:"mark,omitempty"`
	Ours    metrics              `json:"ours"`
	Plain   metrics              `json:"plain,omitempty"`
	Ratio   metrics              `json:"ratio,omitempty"`
	Spread  float64              `json:"spread"`
	Runs    map[string][]metrics `json:"runs"`
}

func newReport(b *bench) (*report, error) {
	kernel, err := kernelRelease()
	if err != nil {
		return nil, err
	}
	archive, err := sha256Of(b.o.archive)
	if err != nil {
		return nil, err
	}
	return &report{
		Schema:   schema,
		Date:     time.Now().UTC().Truncate(time.Second),
		Kernel:   kernel,
		CPUs:     runtime.NumCPU(),
		CPUModel: cpuModel(),
		Pinned:   b.subjectCPU != b.peerCPU,
		Archive:  archive,
		Quick:    b.o.quick,
		Repeats:  b.o.repeats,
		Seconds:  b.o.time.Seconds(),
		Rate:     b.o.rate,
	}, nil
}

// add stores what the runs of a case come to.
func (r *report) add(c benchCase, runs map[string][]metrics) {
	cr := caseReport{
		Name: c.name(), Job: c.job, Link: c.link, Payload: c.payload, Batch: c.batch,
		Variant: c.variant.name, Members: c.variant.members(), Mark: c.variant.mark,
		Ours: medians(runs[sideOurs]), Spread: spread(runs[sideOurs]), Runs: runs,
	}
	if plain := runs[sidePlain]; plain != nil {
		cr.Plain = medians(plain)
		cr.Ratio = ratios(cr.Ours, cr.Plain)
		cr.Spread = max(cr.Spread, spread(plain))
	}
	r.Cases = append(r.Cases, cr)
}

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func kernelRelease() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// cpuModel is for people; "" where /proc does not tell.
func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// sha256Of says which archive it was, "" when none is named.
func sha256Of(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}
