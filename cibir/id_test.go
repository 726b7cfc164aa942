// SPDX-License-Identifier: MIT

package cibir

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseIDTakesWhatUsersWrite(t *testing.T) {
	for text, want := range map[string]string{
		"0a0b":                         "0a0b",
		"0A0B":                         "0a0b",
		"0x0a0b":                       "0a0b",
		"0X0A0b":                       "0a0b",
		"0a:0b":                        "0a0b",
		"0A-0b":                        "0a0b",
		"0x0a:0b:0c":                   "0a0b0c",
		"00":                           "00",
		"0x00":                         "00",
		"ff":                           "ff",
		"01-02-03-04-05-06":            "010203040506",
		strings.Repeat("5c", 20):       strings.Repeat("5c", 20),
		"0x" + strings.Repeat("0", 40): strings.Repeat("0", 40),
	} {
		id, err := ParseID(text)
		if err != nil || id.String() != want {
			t.Errorf("ParseID(%q) = %v, %v; want %s", text, id, err, want)
		}
	}
}

func TestParseIDSaysWhatIsWrong(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", "1 to 20 bytes, this one has 0"},
		{"0x", "1 to 20 bytes, this one has 0"},
		{strings.Repeat("0", 42), "1 to 20 bytes, this one has 21"},
		{"0a0", "3 hexadecimal digits are no whole number of bytes"},
		{"0xabc", "3 hexadecimal digits"},
		{"0g", "'g'"},
		{"0a 0b", "' '"},
		{" 0a", "' '"},
		{"0x0x0a", "'x'"},
		{"a:b", `"a" is not the two digits of a byte`},
		{"0a:", `"" is not`},
		{":0a", `"" is not`},
		{"0a::0b", `"" is not`},
		{"0a0b:0c", `"0a0b" is not`},
		{"0a:0b-0c", `"0b-0c" is not`},
		{"-", `"" is not`},
		{"0a\n", "U+000A"},
		{"é", "hex"},
	} {
		id, err := ParseID(test.text)
		if err == nil || id != (ID{}) {
			t.Errorf("ParseID(%q) = %v, %v", test.text, id, err)
		} else if !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "cibir: ") {
			t.Errorf("ParseID(%q): %v; want it to say %q", test.text, err, test.want)
		}
	}
}

func TestNewIDRefusesOtherLengths(t *testing.T) {
	for n := range MaxIDLength + 3 {
		id, err := NewID(make([]byte, n))
		if good := 1 <= n && n <= MaxIDLength; (err == nil) != good || good && id.Len() != n {
			t.Errorf("%d bytes: %v, %v", n, id, err)
		}
	}
}

func TestIDHoldsNoReference(t *testing.T) {
	b := []byte{1, 2}
	id, err := NewID(b)
	if err != nil {
		t.Fatal(err)
	}
	b[0] = 9
	id.Bytes()[1] = 9
	if id.String() != "0102" {
		t.Errorf("%v", id)
	}
}

func TestZeroIDIsNone(t *testing.T) {
	var none ID
	if none.Len() != 0 || len(none.Bytes()) != 0 || none.String() != "" {
		t.Errorf("%d, %v, %q", none.Len(), none.Bytes(), none)
	}
}

// Equal as values are those that are equal as bytes, and no others: 00 is not 0000.
func TestIDsCompareAsTheirBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		few := rapid.SliceOfN(rapid.ByteRange(0, 1), 1, MaxIDLength)
		a, b := few.Draw(t, "a"), few.Draw(t, "b")
		x, _ := NewID(a)
		y, _ := NewID(b)
		if (x == y) != bytes.Equal(a, b) {
			t.Errorf("%v == %v", x, y)
		}
	})
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"", "0a0b", "0x0A0B", "0a:0b", "0a-0b", "0a:0b-0c", "0x", ":", "zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseID(text)
		if err != nil {
			if id != (ID{}) {
				t.Errorf("%v with an error", id)
			}
			return
		}
		again, err := ParseID(id.String())
		if err != nil || again != id {
			t.Errorf("%q is %v, which is %v, %v", text, id, again, err)
		}
		if made, err := NewID(id.Bytes()); err != nil || made != id {
			t.Errorf("%v is made of %x: %v, %v", id, id.Bytes(), made, err)
		}
	})
}
