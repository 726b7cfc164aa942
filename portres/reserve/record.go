// SPDX-License-Identifier: MIT

package reserve

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/msquicxdp/msquicxdp/cibir"
)

// A record is the line that keeps a reservation: these fields with one blank
// between them, the name last because it alone may hold blanks.
//
//	1f2e3d4c5b6a7988 2026-01-31T09:00:00Z udp 4433-4440 shared=2@9/9 uids=1000,1001 gids= enforce=no name="web servers"
const recordFields = 9

const exclusiveField = "exclusive"

// record writes a reservation as a line, without its end.
func (r *Reservation) record() string {
	return fmt.Sprintf("%v %s %v %s uids=%s gids=%s enforce=%s name=%s",
		r.Token, r.Created.UTC().Format(time.RFC3339), r.Range, r.modeField(),
		idList(r.UIDs), idList(r.GIDs), yesNo(r.Enforce), strconv.QuoteToASCII(r.Name))
}

func (r *Reservation) modeField() string {
	if r.Exclusive {
		return exclusiveField
	}
	return "shared=" + r.Encoding.String()
}

// parseRecord reads what record writes, and nothing else: a line that says the
// same in another way was not written by this package.
func parseRecord(line string) (Reservation, error) {
	f := strings.SplitN(line, " ", recordFields)
	if len(f) != recordFields {
		return Reservation{}, fmt.Errorf("%d fields, want %d", len(f), recordFields)
	}
	var p recordParser
	r := Reservation{
		Token:   p.token(f[0]),
		Created: p.time(f[1]),
		Range:   p.ports(f[2], f[3]),
		UIDs:    p.ids(p.value(f[5], "uids")),
		GIDs:    p.ids(p.value(f[6], "gids")),
		Enforce: p.yesNo(p.value(f[7], "enforce")),
		Name:    p.name(p.value(f[8], "name")),
	}
	if r.Exclusive = f[4] == exclusiveField; !r.Exclusive {
		r.Encoding = p.encoding(p.value(f[4], "shared"))
	}
	if p.err == nil {
		p.err = r.Validate()
	}
	if p.err == nil && r.record() != line {
		p.err = fmt.Errorf("is not written as a record is, which would be %s", r.record())
	}
	return r, p.err
}

// parsePortsOf reads the ports of a record alone.
func parsePortsOf(line string) (Range, error) {
	f := strings.SplitN(line, " ", 5)
	if len(f) != 5 {
		return Range{}, fmt.Errorf("%d fields, want %d", len(f), recordFields)
	}
	var p recordParser
	return p.ports(f[2], f[3]), p.err
}

// recordParser reads fields of a record and keeps the first error.
type recordParser struct{ err error }

func (p *recordParser) check(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *recordParser) value(field, key string) string {
	value, ok := strings.CutPrefix(field, key+"=")
	if !ok {
		p.check(fmt.Errorf("%q, want %s=", field, key))
	}
	return value
}

func (p *recordParser) token(text string) Token {
	t, err := ParseToken(text)
	p.check(err)
	return t
}

func (p *recordParser) time(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	p.check(err)
	return t
}

func (p *recordParser) ports(proto, text string) Range {
	var r Range
	p.check(r.Proto.UnmarshalText([]byte(proto)))
	first, last, err := parseRange(text)
	p.check(err)
	r.Start, r.Count = first, last-first+1 // Validate finds the count of 0-65535 to be 0
	return r
}

func (p *recordParser) encoding(text string) cibir.Encoding {
	e, err := cibir.ParseEncoding(text)
	p.check(err)
	return e
}

func (p *recordParser) yesNo(text string) bool {
	if text != "yes" && text != "no" {
		p.check(fmt.Errorf("%q is neither yes nor no", text))
	}
	return text == "yes"
}

func (p *recordParser) name(text string) string {
	name, err := strconv.Unquote(text)
	if err != nil {
		p.check(fmt.Errorf("name %s is not in quotes: %w", text, err))
	}
	return name
}

func (p *recordParser) ids(text string) []uint32 {
	if text == "" {
		return nil
	}
	var ids []uint32
	for item := range strings.SplitSeq(text, ",") {
		id, err := strconv.ParseUint(item, 10, 32)
		p.check(err)
		ids = append(ids, uint32(id))
	}
	return ids
}

func idList(ids []uint32) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = strconv.FormatUint(uint64(id), 10)
	}
	return strings.Join(list, ",")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
