// SPDX-License-Identifier: MIT

package torture

import (
	"fmt"
	"time"
)

// Summary is what came of it.
type Summary struct {
	Elapsed    time.Duration
	Steps      int
	Kills      int
	Joins      int
	Refusals   int // of those who had to come again
	Calms      int
	Packets    int64
	Lost       int // questions to witnesses for which somebody had no room
	Recoveries int
	P50, P99   time.Duration // of recoveries
}

func (c *Conductor) summary() *Summary {
	return &Summary{
		Elapsed: time.Since(c.began), Steps: c.steps, Kills: c.kills, Joins: c.joins, Refusals: c.refusals, Calms: c.calms,
		Packets: c.packets.Load(), Lost: c.lost, Recoveries: len(c.recoveries.took),
		P50: c.recoveries.percentile(50), P99: c.recoveries.percentile(99),
	}
}

// Result is the last line of a run without a violation.
func (s *Summary) Result() string {
	return fmt.Sprintf("torture ok: seconds=%d kills=%d joins=%d packets=%d misrouted=0 frames_missing=0 stuck_ports=0 leaks=0 recovery_p99_ms=%.1f",
		int(s.Elapsed.Seconds()), s.Kills, s.Joins, s.Packets, s.P99.Seconds()*1000)
}
