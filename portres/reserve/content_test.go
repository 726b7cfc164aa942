// SPDX-License-Identifier: MIT

package reserve

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

func drawTime(t *rapid.T) time.Time {
	return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "created"), 0)
}

// drawList draws the content of a store.
func drawList(t *rapid.T) (list []Reservation) {
	for range rapid.IntRange(0, 6).Draw(t, "reservations") {
		r := drawReservation(t)
		r.Count = min(r.Count, 300)
		if indexOverlap(list, r.Range) < 0 && indexToken(list, r.Token) < 0 {
			list = append(list, r)
		}
	}
	sortByRange(list)
	return list
}

// sealed appends the checksum that a content should have.
func sealed(body string) []byte {
	return fmt.Appendf(nil, "%ssha256 %x\n", body, sha256.Sum256([]byte(body)))
}

func TestContentReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := drawList(t)
		content := encode(list)
		again, err := decode(content)
		if err != nil || fmt.Sprintf("%#v", again) != fmt.Sprintf("%#v", list) {
			t.Fatalf("%s\nread back %+v, was %+v: %v", content, again, list, err)
		}
	})
}

func TestDecodeOneFindsWhatDecodeDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := drawList(t)
		proto, port := drawProto(t), rapid.Uint16().Draw(t, "port")
		if len(list) > 0 && rapid.Bool().Draw(t, "one of them") {
			r := rapid.SampledFrom(list).Draw(t, "reservation")
			proto, port = r.Proto, r.Last()
		}
		want := slices.IndexFunc(list, func(r Reservation) bool { return r.Contains(proto, port) })
		got, err := decodeOne(encode(list), proto, port)
		if err != nil || (got == nil) != (want < 0) || got != nil && got.record() != list[want].record() {
			t.Fatalf("%v %d in %v: %v, %v", proto, port, list, got, err)
		}
	})
}

func TestEveryTruncationAndChangedByteIsFound(t *testing.T) {
	a, b := exclusive(tcp(443, 1)), shared(udp(4433, 8))
	a.Token, b.Token = 1, 2
	content := encode([]Reservation{a, b})
	for i := range content {
		if list, err := decode(content[:i]); err == nil {
			t.Errorf("the first %d bytes became %v", i, list)
		}
		changed := bytes.Clone(content)
		changed[i] ^= 1
		if list, err := decode(changed); err == nil {
			t.Errorf("with byte %d changed it became %v", i, list)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	const title = "msquicxdp-reservations 1\n"
	record := func(ports Range, token Token) string {
		r := exclusive(ports)
		r.Token = token
		return r.record() + "\n"
	}
	for _, test := range []struct {
		name    string
		content []byte
		line    int
		says    string
	}{
		{"empty", nil, 1, "does not begin with"},
		{"zeros", make([]byte, 4096), 1, "does not begin with"},
		{"title alone", []byte(title), 1, "cut short"},
		{"no version", sealed("msquicxdp-reservations \n"), 1, "is no number"},
		{"version 0", sealed("msquicxdp-reservations 0\n"), 1, "is no number"},
		{"version 01", sealed("msquicxdp-reservations 01\n"), 1, "is no number"},
		{"no checksum", []byte(title + record(udp(1, 1), 1)), 2, "cut short"},
		{"wrong checksum", []byte(title + "sha256 00\n"), 2, "does not match"},
		{"line after the checksum", append(sealed(title), "more\n"...), 3, "added to"},
		{"garbage", sealed(title + "\x00\xff\n"), 2, "1 fields"},
		{"line that does not end", sealed(title + "x"), 2, "cut short"},
		{"overlap", sealed(title + record(udp(1, 5), 1) + record(udp(5, 5), 2)), 3, "does not come after"},
		{"not in order", sealed(title + record(udp(9, 1), 1) + record(udp(1, 1), 2)), 3, "does not come after"},
		{"token twice", sealed(title + record(udp(1, 1), 1) + record(udp(2, 1), 1)), 3, "twice"},
	} {
		if one, err := decodeOne(test.content, rules.UDP, 1); err == nil && test.line < 3 {
			t.Errorf("%s: one of them is %v", test.name, one)
		}
		list, err := decode(test.content)
		var c *CorruptError
		if !errors.As(err, &c) || c.Line != test.line || !strings.Contains(err.Error(), test.says) || list != nil {
			t.Errorf("%s: %v, %v; want line %d, %q", test.name, list, err, test.line, test.says)
		}
	}
}

func TestDecodeLaterVersion(t *testing.T) {
	var v *VersionError
	_, err := decode([]byte("msquicxdp-reservations 2\nwhatever that version has\n"))
	if !errors.As(err, &v) || v.Found != 2 || !strings.Contains(err.Error(), "version 2, this program knows version 1") {
		t.Errorf("%v", err)
	}
}

// FuzzDecode: what is read is written again to the letter.
func FuzzDecode(f *testing.F) {
	r := shared(udp(4433, 8))
	r.Token = 1
	f.Add(encode(nil), false)
	f.Add(encode([]Reservation{r}), false)
	f.Add([]byte("msquicxdp-reservations 1\n"+r.record()+"\n"), true)
	f.Add([]byte("msquicxdp-reservations 2\n"), true)
	f.Add([]byte("msquicxdp-reservations 1\n\n"), true)
	f.Fuzz(func(t *testing.T, content []byte, seal bool) {
		if seal { // past the checksum, to the records
			content = sealed(string(content))
		}
		list, err := decode(content)
		if err != nil {
			if list != nil {
				t.Fatalf("%v, and an error: %v", list, err)
			}
			return
		}
		for i := range list {
			if one, err := decodeOne(content, list[i].Proto, list[i].Start); err != nil || one.Token != list[i].Token {
				t.Fatalf("%v is found as %+v, %v", list[i].Range, one, err)
			}
		}
		if again := encode(list); !bytes.Equal(again, content) {
			t.Fatalf("%q was read, and is written as %q", content, again)
		}
	})
}
