// SPDX-License-Identifier: MIT

package xsk

import "fmt"

// check refuses what no kernel would take.
func (c *Config) check() error {
	if c.RX == 0 && c.TX == 0 {
		return fmt.Errorf("xsk: %s: a socket needs an RX or a TX ring", c)
	}
	for _, size := range []uint32{c.RX, c.TX} {
		if size != 0 && checkSize(size) != nil {
			return checkSize(size)
		}
	}
	for _, size := range []uint32{c.Fill, c.Completion} {
		if err := checkSize(size); err != nil {
			return err
		}
	}
	return nil
}
