// SPDX-License-Identifier: MIT

package cibir

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		e    Encoding
		want string // "": valid
	}{
		{Encoding{1, 0, 0}, ""},
		{Encoding{MaxIDLength, 0, 0}, ""},
		{Encoding{2, 9, 9}, ""},
		{Encoding{1, 254, 254}, ""},
		{Encoding{20, 235, 0}, ""},
		{Encoding{}, "1 to 20 bytes, not 0"},
		{Encoding{21, 0, 0}, "1 to 20 bytes, not 21"},
		{Encoding{255, 255, 255}, "1 to 20 bytes, not 255"},
		{Encoding{1, 255, 0}, "at offset 255"},
		{Encoding{20, 0, 236}, "at offset 236"},
	} {
		err := test.e.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%v: %v; want %q", test.e, err, test.want)
		}
	}
}

func TestParseEncoding(t *testing.T) {
	for text, want := range map[string]Encoding{
		"2@9/9":     {2, 9, 9},
		"2@9":       {2, 9, 9},
		"20@0/235":  {20, 0, 235},
		"1@254/254": {1, 254, 254},
	} {
		if got, err := ParseEncoding(text); err != nil || got != want {
			t.Errorf("ParseEncoding(%q) = %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":        "no @",
		"2":       "no @",
		"@9":      `the length "" is no number`,
		"2@":      `the source offset "" is no number`,
		"2@9/":    `the destination offset "" is no number`,
		"2@256":   `"256" is no number from 0 to 255`,
		"-1@2":    `"-1" is no number`,
		"2@9/9/9": `"9/9" is no number`,
		"2 @9":    `"2 " is no number`,
		"0@0":     "1 to 20 bytes",
		"21@0":    "1 to 20 bytes",
		"2@254/0": "longest connection ID",
	} {
		if got, err := ParseEncoding(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseEncoding(%q) = %v, %v; want it to say %q", text, got, err, want)
		}
	}
}

func TestParseEncodingReadsString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEncoding(t)
		if got, err := ParseEncoding(e.String()); err != nil || got != e {
			t.Errorf("%v is read as %v, %v", e, got, err)
		}
	})
}

// drawEncoding draws a valid encoding.
func drawEncoding(t *rapid.T) Encoding {
	length := rapid.Uint8Range(1, MaxIDLength).Draw(t, "length")
	offset := rapid.OneOf(rapid.Uint8Range(0, 20), rapid.Uint8Range(0, maxConnectionID-length))
	return Encoding{length, offset.Draw(t, "source offset"), offset.Draw(t, "destination offset")}
}

// Whatever users write, an encoding is valid, and read again from what it prints.
func FuzzParseEncoding(f *testing.F) {
	for _, text := range []string{"2@9/9", "20@0", "1@254/254", "", "@", "2@9/", "-1@0", "256@0/0", "2@254"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseEncoding(text)
		if err != nil {
			return
		}
		if again, err := ParseEncoding(e.String()); err != nil || again != e || e.Validate() != nil {
			t.Errorf("%q is %+v, which is read as %+v, %v", text, e, again, err)
		}
	})
}
