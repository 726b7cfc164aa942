// SPDX-License-Identifier: MIT

package rules

import (
	"encoding"
	"testing"
)

func TestNamesReadBack(t *testing.T) {
	for _, p := range []Proto{TCP, UDP} {
		readBack[Proto](t, p)
	}
	for k := Foreign; k <= QTIP; k++ {
		readBack[Kind](t, k)
	}
	for tier := Unguarded; tier <= Owned; tier++ {
		readBack[Tier](t, tier)
	}
}

func readBack[T comparable, P interface {
	*T
	encoding.TextUnmarshaler
}](t *testing.T, v encoding.TextMarshaler) {
	t.Helper()
	text, err := v.MarshalText()
	var got T
	if err := P(&got).UnmarshalText(text); err != nil || any(got) != any(v) {
		t.Errorf("%v became %q became %v, %v", v, text, got, err)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestNamesThatAreNone(t *testing.T) {
	tier := Guarded
	for _, text := range []string{"", "GUARDED", "own", "Tier(7)"} {
		err := tier.UnmarshalText([]byte(text))
		if err == nil || tier != Guarded {
			t.Errorf("%q was taken", text)
		}
	}
	if got, want := tier.UnmarshalText([]byte("x")).Error(), `"x" is none of: unguarded, guarded, owned`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := new(Proto).UnmarshalText(nil).Error(), `"" is none of: tcp, udp`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := Proto(3).String()+Outcome(99).String(), "Proto(3)Outcome(99)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for r := BadRequest; r <= PortFree; r++ {
		if reasonNames[r] == "" {
			t.Errorf("reason %d has no name", r)
		}
	}
}
