// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"
	"fmt"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/internal/descriptors"
)

// kernel makes the classifiers of interfaces for package pool, in this mode.
type kernel struct{ mode classifier.Mode }

// program is a classifier as package pool knows it.
type program struct {
	*classifier.Classifier
	ifindex   int
	mode      classifier.Mode
	notNative error // why it is generic, where this process has chosen so
}

// longestPacket is what a chunk of the pool takes: an Ethernet frame with an MTU of 1500.
const longestPacket = 1514

// Attach implements [pool.Kernel].
func (k kernel) Attach(ifindex int) (pool.Program, error) {
	c, err := classifier.Load(classifier.Options{LongestPacket: longestPacket})
	if err != nil {
		return nil, err
	}
	a, err := c.Attach(ifindex, k.mode)
	if err != nil {
		c.Close()
		return nil, err
	}
	return &program{c, ifindex, a.Mode, a.NotNative}, nil
}

// Adopt implements [pool.Kernel].
func (k kernel) Adopt(ifindex int, fds []int) (pool.Program, error) {
	if len(fds) != len(classifier.FDs{}) {
		descriptors.CloseAll(fds)
		return nil, errMapped
	}
	c, err := classifier.Adopt(classifier.FDs(fds))
	if err != nil {
		return nil, err
	}
	a, err := c.Attachment()
	if err == nil && k.mode != classifier.AnyMode && a.Mode != k.mode {
		err = fmt.Errorf("its XDP program is in %v mode, as the process that serves it already has chosen, and %v is asked for", a.Mode, k.mode)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return &program{c, ifindex, a.Mode, nil}, nil
}

// FDs implements [pool.Program].
func (p *program) FDs() []int {
	fds := p.Classifier.FDs()
	return fds[:]
}

// errMapped says that an interface belongs to applications.
var errMapped = errors.New("other datapaths use it in map mode, with an XDP program of their application's; an interface is in map mode for all, or for none")
