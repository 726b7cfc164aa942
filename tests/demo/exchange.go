// SPDX-License-Identifier: MIT

package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/quic-go/quic-go"
)

// The formats are explained in server/stream.h.
const (
	requestLength    = 20
	replyLength      = 32
	requestKeyUpdate = 1
	pieceLength      = 32 << 10
)

// request is a stream to be echoed and checked.
type request struct {
	seed      uint32
	length    int64
	keyUpdate bool                        // the server begins a key update
	midway    func(context.Context) error // called when half is sent, or mark bytes; may be nil
	mark      int64
}

// errMisrouted says that another server has answered.
var errMisrouted = errors.New("misrouted")

// errWrongBytes says that what came is not what was sent.
var errWrongBytes = errors.New("wrong")

// exchange sends the request and checks the answer, both byte by byte and by
// its digest. On success 2*length bytes have been checked.
func (c *connection) exchange(ctx context.Context, r request) error {
	stream, err := c.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { abandon(stream) })()
	up := startUpload(ctx, stream, r)
	err = r.receive(stream, c.to, up.wait)
	if err != nil {
		abandon(stream)
	}
	if errors.Is(err, errMisrouted) {
		c.clients.misrouted.Add(1)
	}
	if _, sent := up.wait(); err != nil || sent != nil {
		return fmt.Errorf("stream of %d bytes with seed %d over %s: %w",
			r.length, r.seed, c.family.name, errors.Join(sent, err))
	}
	return nil
}

// abandon ends a stream that will not be finished.
func abandon(stream *quic.Stream) {
	stream.CancelRead(0)
	stream.CancelWrite(0)
}

// upload is the sending half of an exchange, under way.
type upload struct {
	done   chan struct{}
	digest [sha256.Size]byte // of the payload; with err once done is closed
	err    error
}

func startUpload(ctx context.Context, stream *quic.Stream, r request) *upload {
	u := &upload{done: make(chan struct{})}
	go func() {
		defer close(u.done)
		if u.digest, u.err = r.send(ctx, stream); u.err != nil {
			stream.CancelRead(0)
		}
	}()
	return u
}

func (u *upload) wait() ([sha256.Size]byte, error) {
	<-u.done
	return u.digest, u.err
}

func (r request) header() []byte {
	header := make([]byte, 0, requestLength)
	header = append(header, "demo"...)
	flags := uint32(0)
	if r.keyUpdate {
		flags = requestKeyUpdate
	}
	header = binary.BigEndian.AppendUint32(header, flags)
	header = binary.BigEndian.AppendUint32(header, r.seed)
	return binary.BigEndian.AppendUint64(header, uint64(r.length))
}

// send writes the request and returns the digest of its payload.
func (r request) send(ctx context.Context, stream *quic.Stream) (digest [sha256.Size]byte, err error) {
	if _, err := stream.Write(r.header()); err != nil {
		return digest, err
	}
	hash := sha256.New()
	mark := r.mark
	if mark == 0 {
		mark = r.length / 2
	}
	for offset := int64(0); offset < r.length; {
		if r.midway != nil && offset >= mark {
			if err := r.midway(ctx); err != nil {
				return digest, err
			}
			r.midway = nil
		}
		piece := patternAt(r.seed, offset, int(min(pieceLength, r.length-offset)))
		if _, err := stream.Write(piece); err != nil {
			return digest, fmt.Errorf("send at %d: %w", offset, err)
		}
		hash.Write(piece)
		offset += int64(len(piece))
	}
	hash.Sum(digest[:0])
	return digest, stream.Close()
}

// receive reads and checks the answer. digest gives that of what was sent.
func (r request) receive(stream io.Reader, from spec, digest func() ([sha256.Size]byte, error)) error {
	if err := r.readReply(stream, from); err != nil {
		return err
	}
	buffer := make([]byte, pieceLength)
	for offset := int64(0); offset < r.length; {
		n, err := stream.Read(buffer[:min(pieceLength, r.length-offset)])
		if at := patternMismatch(r.seed, offset, buffer[:n]); at >= 0 {
			return fmt.Errorf("byte %d of the echo is %w", at, errWrongBytes)
		}
		offset += int64(n)
		if err != nil && offset < r.length {
			return fmt.Errorf("receive at %d: %w", offset, err)
		}
	}
	theirs, err := io.ReadAll(stream)
	if err != nil {
		return fmt.Errorf("receive the digest: %w", err)
	}
	ours, err := digest()
	if err == nil && !bytes.Equal(theirs, ours[:]) {
		return fmt.Errorf("%w: the server got other bytes: its digest is %x, sent was %x", errWrongBytes, theirs, ours)
	}
	return err
}

func (r request) readReply(stream io.Reader, from spec) error {
	var reply [replyLength]byte
	if _, err := io.ReadFull(stream, reply[:]); err != nil {
		return fmt.Errorf("receive the reply: %w", err)
	}
	if string(reply[:4]) != "DEMO" || int64(binary.BigEndian.Uint64(reply[24:])) != r.length {
		return fmt.Errorf("%x is no reply to a request of %d bytes", reply, r.length)
	}
	if name := strings.TrimRight(string(reply[4:16]), "\x00"); name != from.name() {
		return fmt.Errorf("%w: server %q answers in the place of %q", errMisrouted, name, from.name())
	}
	return nil
}
