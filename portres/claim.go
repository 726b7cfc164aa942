// SPDX-License-Identifier: MIT

package portres

import (
	"os"
	"sync"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Claim is a port that this process has. Its methods may be called by several
// goroutines.
type Claim struct {
	mu   sync.Mutex
	file portFile // without a File once the claim is released

	spec     Spec
	slot     uint32
	decision rules.Decision
}

// Decision returns how the claim was granted: Granted, Opens, Joins or
// ServesAlone.
func (c *Claim) Decision() rules.Decision { return c.decision }

// Slot returns the number, below [Slots], that no other member of a shared port
// has. It is 0 for an exclusive claim.
func (c *Claim) Slot() uint32 { return c.slot }

// SetTier writes down how well the kernel keeps foreign programs off the port,
// for those who list claims.
func (c *Claim) SetTier(tier rules.Tier) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file.File == nil {
		return os.ErrClosed
	}
	c.spec.Party.Tier = tier
	return c.describe()
}

// Release ends the claim, also in a child that was forked since, and does
// nothing the second time.
func (c *Claim) Release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file.File == nil {
		return nil
	}
	f := c.file
	c.file = portFile{}
	return f.drop()
}

// describe writes the row of the claim. A claim is good without it: where the
// file system is full or forbids to write, people see less of it.
func (c *Claim) describe() error {
	_, err := c.file.WriteAt(formatRow(c.spec.Party), int64(c.slot)*rowSize)
	return err
}
