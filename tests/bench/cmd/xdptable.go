// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"strings"
)

var xdpTitle = map[string]string{
	jobReceive: "receive by AF_XDP (rx-drop): a peer floods one queue",
	jobSend:    "send by AF_XDP (tx-only): a peer's XDP program drops",
	jobEcho:    "echo by AF_XDP: a peer keeps 8 batches on their way",
}

// byXDP is the table of a job by AF_XDP: every row has the same plain loop beside it.
func byXDP(t *strings.Builder, title string, lines []*caseReport) {
	plain := lines[0].Plain
	fmt.Fprintf(t, "\n%s; %d bytes, batches of %d\n", title, lines[0].Payload, lines[0].Batch)
	t.WriteString("                          thousand CPU ns       ratio           calls    by\n")
	t.WriteString("                            /s   /datagram  rate    CPU     mark to Go kernel\n")
	fmt.Fprintf(t, "%-26s %7s %6.0f\n", "plain C loop", thousands(plain[mRate]), plain[mCPU])
	for _, c := range lines {
		fmt.Fprintf(t, "%-26s %7s %6.0f  %5.2f  %5.2f %8s %6.4f %3.0f%%%s\n", whatIs(c.Variant), thousands(c.Ours[mRate]), c.Ours[mCPU],
			c.Ratio[ratioRate], c.Ratio[ratioCPU], c.verdict(), crossings(c), c.Ours[mByKernel]*100, c.mark())
	}
}

func whatIs(name string) string {
	for _, v := range variantsOf(jobSend) {
		if v.name == name {
			return v.what
		}
	}
	return name
}

// crossings are calls from C into Go: rings are driven by Go itself.
func crossings(c *caseReport) float64 {
	if c.Mark == markRings {
		return 0
	}
	return c.Ours[mRxCalls] + c.Ours[mTxCalls]
}

// verdict says whether the rate reaches its mark.
func (c *caseReport) verdict() string {
	if c.Ratio[ratioRate] < c.Mark {
		return fmt.Sprintf("< %.2f !", c.Mark)
	}
	return fmt.Sprintf(">= %.2f", c.Mark)
}

// A stageRow is a line of the table of stages: a metric, over how many datagrams share it.
type stageRow struct {
	what, metric string
	share        float64
}

var receiveStages = []stageRow{
	{"classifier, in the kernel", "classifier_exclusive_ns", 1},
	{"ring: peek", "receive_peek_ns", 1},
	{"copy out of the frame", "receive_copy_ns", 1},
	{"parse Ethernet, IP, UDP", "receive_parse_ns", 1},
	{"demux: the port's only socket", "demux_exclusive_ns", 1},
	{"demux: by identifier", "demux_shared_ns", 1},
	{"describe it for MsQuic (data, route)", "describe_ns", 1},
	{"rings: back to FILL, release", "receive_release_ns", 1},
	{"call into Go and back, a 64th", "crossing_ns", 64},
	{"callback, and return of its block", "callback_ns", 1},
}

var sendStages = []stageRow{
	{"allot a buffer, in C", "lane_ns", 1},
	{"call into Go and back, a 32nd", "crossing_ns", 32},
	{"rings: reap, reserve", "send_reserve_ns", 1},
	{"copy into the frame", "send_copy_ns", 1},
	{"headers, and pseudo-header's checksum", "send_frame_ns", 1},
	{"ring: submit", "send_submit_ns", 1},
	{"kick: the kernel's sending, and the peer's dropping", "send_kick_ns", 1},
}

// stages prints what one datagram costs where.
func stages(t *strings.Builder, c *caseReport) {
	t.WriteString("\nstages of a datagram of 1280 bytes by AF_XDP, ns\n")
	for _, way := range []struct {
		name string
		rows []stageRow
	}{{"receive", receiveStages}, {"send", sendStages}} {
		for i, row := range way.rows {
			name := ""
			if i == 0 {
				name = way.name
			}
			fmt.Fprintf(t, "%-8s %-58s %7.1f\n", name, row.what, c.Ours[row.metric]/row.share)
		}
	}
	t.WriteString("\nfor one datagram                            receive      send      echo\n")
	for _, row := range []struct {
		what, metric string
		of           metrics
	}{
		{"calls from C into Go", "calls_into_go_per_datagram", c.Ours},
		{"system calls of the worker", mSyscalls, c.Ours},
		{"system calls of the plain C loop", mSyscalls, c.Plain},
		{"allocations of C memory", mAllocs, c.Ours},
	} {
		fmt.Fprintf(t, "%-40s", row.what)
		for _, job := range xdpJobs {
			fmt.Fprintf(t, "  %8.4f", row.of[job+"_"+row.metric])
		}
		t.WriteByte('\n')
	}
	fmt.Fprintf(t, "%-40s  %8.4f  %8.4f\n", "allocations of Go memory, a turn", c.Ours["turn_go_allocations"], c.Ours["send_go_allocations"])
}

// classifierTable prints what the XDP program costs among many identifiers.
func classifierTable(t *strings.Builder, c *caseReport) {
	t.WriteString("\nclassifier: ns for a packet (BPF_PROG_TEST_RUN, which itself takes about 7)\n")
	t.WriteString("identifiers on the port          1        10       100     1 000    10 000\n")
	for _, header := range []string{"short", "long"} {
		fmt.Fprintf(t, "%-24s", header+" header")
		worst := 0.0
		for _, n := range identifierCounts {
			v := c.Ours[classifierMetric(header, n)]
			worst = max(worst, v)
			fmt.Fprintf(t, " %9.1f", v)
		}
		if worst > c.Mark {
			fmt.Fprintf(t, " > %.0f !", c.Mark)
		}
		t.WriteByte('\n')
	}
	fmt.Fprintf(t, "a port of its own %.1f, no rule for the port %.1f, a program of the port alone %.1f\n",
		c.Ours["exclusive_ns"], c.Ours["other_port_ns"], c.Plain[mPortOnly])
}
