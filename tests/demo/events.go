// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"sync/atomic"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
)

// events counts what happens on a connection and cannot be seen from above. It
// listens to what quic-go would write to a qlog.
type events struct {
	localKeyUpdates  atomic.Int64 // begun by this client
	remoteKeyUpdates atomic.Int64 // begun by the server
	ecnCapable       atomic.Int64 // the server has told that our ECN marks arrive
	ecnReceived      atomic.Int64 // packets that came with the server's ECN mark
	all              *events      // those of all connections; may be nil
}

// trace is for quic.Config.Tracer.
func (e *events) trace(context.Context, bool, quic.ConnectionID) qlogwriter.Trace { return e }

func (e *events) AddProducer() qlogwriter.Recorder { return e }

func (e *events) Close() error { return nil }

func (e *events) RecordEvent(event qlogwriter.Event) {
	for ; e != nil; e = e.all {
		if counter := e.counter(event); counter != nil {
			counter.Add(1)
		}
	}
}

// counter returns what counts such events; nil if nothing does.
func (e *events) counter(event qlogwriter.Event) *atomic.Int64 {
	switch event := event.(type) {
	case qlog.KeyUpdated:
		return e.keyUpdates(event)
	case qlog.ECNStateUpdated:
		if event.State == qlog.ECNStateCapable {
			return &e.ecnCapable
		}
	case qlog.PacketReceived:
		if event.ECN == qlog.ECT0 {
			return &e.ecnReceived
		}
	}
	return nil
}

// keyUpdates looks at one direction: an update changes both, and is told of each.
func (e *events) keyUpdates(event qlog.KeyUpdated) *atomic.Int64 {
	switch {
	case event.KeyType != qlog.KeyTypeClient1RTT:
		return nil
	case event.Trigger == qlog.KeyUpdateLocal:
		return &e.localKeyUpdates
	case event.Trigger == qlog.KeyUpdateRemote:
		return &e.remoteKeyUpdates
	}
	return nil // the first keys, from TLS
}
