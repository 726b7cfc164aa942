// SPDX-License-Identifier: MIT

package reserve

import (
	"strings"
	"testing"
)

func TestToken(t *testing.T) {
	token, err := ParseToken("00112233445566FF")
	if err != nil || token.String() != "00112233445566ff" {
		t.Errorf("%v, %v", token, err)
	}
	for _, text := range []string{"", "0000000000000000", "112233445566ff", "00112233445566fff", "+0112233445566ff", "0x112233445566ff", "0_12233445566fff"} {
		if token, err := ParseToken(text); err == nil {
			t.Errorf("%q became %v", text, token)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	for _, text := range []string{"0123456789abcdef", "0123456789ABCDEF", "0000000000000000", "+123456789abcdef", "0x23456789abcdef", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if (err == nil) != (token != 0) || err == nil && token.String() != strings.ToLower(text) {
			t.Errorf("%q is read as %v, %v", text, token, err)
		}
	})
}
