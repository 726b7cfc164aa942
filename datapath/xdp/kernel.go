// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
)

// kernel makes the classifiers of interfaces for package pool.
type kernel struct{}

// program is a classifier as package pool knows it.
type program struct {
	*classifier.Classifier
	ifindex int
	mode    classifier.Mode
}

// longestPacket is what a chunk of the pool takes: an Ethernet frame with an MTU of 1500.
const longestPacket = 1514

// Attach implements [pool.Kernel].
func (kernel) Attach(ifindex int) (pool.Program, error) {
	c, err := classifier.Load(classifier.Options{LongestPacket: longestPacket})
	if err != nil {
		return nil, err
	}
	a, err := c.Attach(ifindex, classifier.AnyMode)
	if err != nil {
		c.Close()
		return nil, err
	}
	return &program{c, ifindex, a.Mode}, nil
}

// Adopt implements [pool.Kernel].
func (kernel) Adopt(ifindex int, fds []int) (pool.Program, error) {
	if len(fds) != len(classifier.FDs{}) {
		closeAll(fds)
		return nil, errMapped
	}
	c, err := classifier.Adopt(classifier.FDs(fds))
	if err != nil {
		return nil, err
	}
	a, err := c.Attachment()
	if err != nil {
		c.Close()
		return nil, err
	}
	return &program{c, ifindex, a.Mode}, nil
}

// FDs implements [pool.Program].
func (p *program) FDs() []int {
	fds := p.Classifier.FDs()
	return fds[:]
}

// errMapped says that an interface belongs to applications.
var errMapped = errors.New("other datapaths use it in map mode, with an XDP program of their application's; an interface is in map mode for all, or for none")

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
