// SPDX-License-Identifier: MIT

package notice

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// Notice is what a datapath says of itself. Like the text of a claim it is for people,
// and proves nothing.
type Notice struct {
	PID     int       `json:"pid"` // in its own PID namespace
	Program string    `json:"program"`
	UID     uint32    `json:"uid"`
	Since   time.Time `json:"since"` // when it asked first

	// Served are the interfaces on which it has AF_XDP. When there is none, its sockets work
	// over the kernel.
	Served []string `json:"served,omitempty"`

	// Reasons say why it has not got all that it asked for.
	Reasons []string `json:"reasons,omitempty"`
}

// What there is room for. A reason is cut, and more reasons are left out.
const (
	size       = 8192
	maxReason  = 800
	maxReasons = 8
	maxServed  = 64
	maxName    = 64
)

// encode returns size bytes, so that a shorter notice covers a longer one.
func (n Notice) encode() []byte {
	n.Program = cut(n.Program, maxName)
	n.Served = cutAll(n.Served, maxServed, maxName)
	n.Reasons = cutAll(n.Reasons, maxReasons, maxReason)
	text, _ := json.Marshal(n)                     // of such a type it cannot fail
	for len(text) > size-1 && len(n.Reasons) > 0 { // what has to be escaped takes more
		n.Reasons = n.Reasons[:len(n.Reasons)-1]
		text, _ = json.Marshal(n)
	}
	if len(text) > size-1 {
		n.Served = nil
		text, _ = json.Marshal(n)
	}
	return append(text, strings.Repeat(" ", size-1-len(text))+"\n"...)
}

func cutAll(list []string, most, bytes int) []string {
	list = append([]string(nil), list[:min(len(list), most)]...)
	for i := range list {
		list[i] = cut(list[i], bytes)
	}
	return list
}

func cut(s string, bytes int) string {
	for len(s) > bytes {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

var errHalf = errors.New("it is being written")

func decode(b []byte) (n Notice, err error) {
	if len(b) != size || b[size-1] != '\n' {
		return n, errHalf
	}
	return n, json.Unmarshal(b, &n)
}
