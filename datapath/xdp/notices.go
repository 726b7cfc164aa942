// SPDX-License-Identifier: MIT

package xdp

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/notice"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// board is where an engine posts what it has got, for other processes to read. To post may
// fail, as on a full disk: then people see less.
type board struct {
	mu     sync.Mutex
	posted *notice.Posted // nil before the first
	latest notice.Notice
}

// ownNotice is of this process.
func ownNotice() notice.Notice {
	exe, _ := os.Readlink("/proc/self/exe") // without /proc it has no name
	return notice.Notice{
		PID: os.Getpid(), UID: uint32(os.Geteuid()), Since: time.Now(),
		Program: strings.TrimSuffix(filepath.Base(exe), " (deleted)"),
	}
}

// post posts it unless that has been said.
func (b *board) post(dir *rundir.Dir, served, reasons []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.posted != nil && slices.Equal(served, b.latest.Served) && slices.Equal(reasons, b.latest.Reasons) {
		return
	}
	if b.posted == nil {
		b.latest = ownNotice()
	}
	b.latest.Served, b.latest.Reasons = served, reasons
	if b.posted == nil {
		b.posted, _ = notice.Post(dir, b.latest)
	} else {
		_ = b.posted.Change(b.latest)
	}
}

func (b *board) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.posted != nil {
		_ = b.posted.Withdraw()
		b.posted = nil
	}
}

// post posts what is served now, and why not more.
func (n *network) post() {
	served, reasons := n.got()
	n.board.post(n.state, served, reasons)
}

// got returns the names of the interfaces that are served, and why others are not: those
// on which it has been tried, and where none is served all but the loopback.
func (n *network) got() (served, reasons []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []*device
	for _, d := range n.devices {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *device) int { return a.link.index - b.link.index })
	for _, d := range all {
		if d.served {
			served = append(served, d.link.name)
		}
	}
	for _, d := range all {
		if why := d.shortOf(len(served) > 0); why != nil {
			reasons = append(reasons, fmt.Sprintf("interface %s: %s", d.link.name, strings.ReplaceAll(why.Error(), "\n", "; ")))
		}
	}
	if len(served) == 0 && len(reasons) == 0 {
		reasons = []string{"there is no interface but the loopback"}
	}
	return served, reasons
}

// shortOf says what is missing on a device, that is worth telling; nil where nothing is. The
// caller has the network's mu.
func (d *device) shortOf(others bool) error {
	switch {
	case d.served && d.reason == nil && d.program != nil && d.program.notNative != nil:
		return fmt.Errorf("generic mode only: %w", d.program.notNative)
	case d.link.loopback || d.reason == nil:
		return nil
	case !d.served && others && d.tried == (netif{}): // nobody thinks that it should be
		return nil
	}
	return d.reason
}

// Refusal tells other processes why a datapath has no AF_XDP, as long as it has none and
// asks for it.
type Refusal struct {
	dir   *rundir.Dir
	board board
}

// Refuse posts the error of [Open]. It returns nil where that cannot be: without a state directory
// nobody would find it.
func Refuse(reason error) *Refusal {
	dir, err := rundir.Open("")
	if err != nil {
		return nil
	}
	r := &Refusal{dir: dir}
	r.Again(reason)
	return r
}

// Again posts the error of another attempt.
func (r *Refusal) Again(reason error) {
	r.board.post(r.dir, nil, []string{strings.ReplaceAll(reason.Error(), "\n", "; ")})
}

// Withdraw takes it down.
func (r *Refusal) Withdraw() {
	r.board.clear()
	r.dir.Close()
}
