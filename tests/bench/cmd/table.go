// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"io"
	"strings"
)

// noisyAbove is the spread from which on a line of the table is marked.
const noisyAbove = 0.15

// writeTable prints the report in at most 80 columns.
func (r *report) writeTable(w io.Writer) error {
	var t strings.Builder
	r.heading(&t)
	for _, job := range []string{jobReceive, jobSend, jobEcho, jobPing, jobMicro} {
		if lines := r.of(job, false); len(lines) != 0 {
			section[job](&t, lines)
		}
	}
	for _, job := range xdpJobs {
		if lines := r.of(job, true); len(lines) != 0 {
			byXDP(&t, xdpTitle[job], lines)
		}
	}
	for _, c := range r.of(jobStages, false) {
		stages(&t, c)
	}
	for _, c := range r.of(jobClassifier, false) {
		classifierTable(&t, c)
	}
	_, err := io.WriteString(w, t.String())
	return err
}

func (r *report) of(job string, byXDP bool) (list []*caseReport) {
	for i := range r.Cases {
		if r.Cases[i].Job == job && (r.Cases[i].Link == linkXDP) == byXDP {
			list = append(list, &r.Cases[i])
		}
	}
	return list
}

func (r *report) heading(t *strings.Builder) {
	fmt.Fprintf(t, "msquicxdp bench, %s\n", r.Date.Format("2006-01-02 15:04 UTC"))
	fmt.Fprintf(t, "Linux %s; %d CPUs, %.60s\n", r.Kernel, r.CPUs, r.CPUModel)
	if !r.Pinned {
		t.WriteString("ONE CPU FOR BOTH SIDES: times of wake-ups are in every number.\n")
	}
	fmt.Fprintf(t, "Medians of %d runs of %g s, ours and plain in turn; archive %.12s\n", r.Repeats, r.Seconds, r.Archive)
	t.WriteString(`ours: the archive through CxPlat*; plain: a C loop on bare sockets (recvmmsg,
sendmsg, sendmmsg, UDP_SEGMENT, UDP_GRO); the peer is the same plain C for both.
Ratios: HIGHER IS BETTER. 1.00 is as good as plain; of CPU and of times it is
plain / ours. cross: calls from C into Go for one datagram. ~ marks a line whose
`)
	fmt.Fprintf(t, "runs lie more than %.0f %% apart.\n", noisyAbove*100)
	if r.Quick {
		t.WriteString("THIS WAS A QUICK RUN: it shows that everything works, and little else.\n")
	}
}

var section = map[string]func(*strings.Builder, []*caseReport){
	jobReceive: func(t *strings.Builder, lines []*caseReport) {
		throughput(t, "receive: a peer floods", lines)
	},
	jobSend: func(t *strings.Builder, lines []*caseReport) {
		throughput(t, "send: a peer swallows", lines)
	},
	jobEcho: func(t *strings.Builder, lines []*caseReport) {
		throughput(t, fmt.Sprintf("echo: a peer keeps %d batches on their way", echoWindow), lines)
	},
	jobPing:  latency,
	jobMicro: micro,
}

func throughput(t *strings.Builder, title string, lines []*caseReport) {
	fmt.Fprintf(t, "\n%s\n", title)
	t.WriteString("                     thousand/s       CPU ns/datagram       ratio\n")
	t.WriteString("link bytes batch    ours    plain      ours    plain     rate    CPU     cross\n")
	for _, c := range lines {
		fmt.Fprintf(t, "%-4s %5d %5d %7s  %7s   %7.0f  %7.0f    %5.2f  %5.2f  %8.4f%s\n",
			c.Link, c.Payload, c.Batch, thousands(c.Ours[mRate]), thousands(c.Plain[mRate]),
			c.Ours[mCPU], c.Plain[mCPU], c.Ratio[ratioRate], c.Ratio[ratioCPU],
			c.Ours[mRxCalls]+c.Ours[mTxCalls], c.mark())
	}
}

func latency(t *strings.Builder, lines []*caseReport) {
	t.WriteString("\nping: round trip of one batch, echoed; microseconds\n")
	t.WriteString("                       median         99th percentile       ratio\n")
	t.WriteString("link bytes batch    ours    plain      ours    plain      p50    p99     cross\n")
	for _, c := range lines {
		fmt.Fprintf(t, "%-4s %5d %5d %7.1f  %7.1f   %7.1f  %7.1f    %5.2f  %5.2f  %8.4f%s\n",
			c.Link, c.Payload, c.Batch, c.Ours[mP50], c.Plain[mP50], c.Ours[mP99], c.Plain[mP99],
			c.Ratio[ratioP50], c.Ratio[ratioP99], c.Ours[mRxCalls]+c.Ours[mTxCalls], c.mark())
	}
}

func micro(t *strings.Builder, lines []*caseReport) {
	t.WriteString("\nmicro: one call, CPU ns\n")
	for _, row := range []struct{ what, metric string }{
		{"SendDataAlloc + AllocBuffer + SendDataFree, answered in C", mLane},
		{"a socket's wake-up without an event: one call into Go and back", mWakeUp},
		{"the same, each after a send through the kernel", mCold},
		{"getppid, a system call that does nothing, for scale", mSyscall},
	} {
		fmt.Fprintf(t, "%-66s %7.1f\n", row.what, lines[0].Ours[row.metric])
	}
}

func (c *caseReport) mark() string {
	if c.Spread > noisyAbove {
		return " ~"
	}
	return ""
}

// thousands has four digits that count.
func thousands(v float64) string {
	switch v /= 1e3; {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
