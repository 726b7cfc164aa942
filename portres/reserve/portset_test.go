// SPDX-License-Identifier: MIT

package reserve

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// setOf makes a set of a list such as "1-3,7".
func setOf(t testing.TB, text string) *portSet {
	t.Helper()
	s, err := parsePortSet(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPortSetText(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"0", "0"},
		{"65535", "65535"},
		{"0-65535", "0-65535"},
		{"1,2,3", "1-3"},
		{"9,1-3,2-5", "1-5,9"},
		{"63-64,127,128,130", "63-64,127-128,130"},
	} {
		if got := setOf(t, test.in).String(); got != test.want {
			t.Errorf("%q became %q, want %q", test.in, got, test.want)
		}
	}
}

func TestParsePortSetRefuses(t *testing.T) {
	for _, text := range []string{"65536", "-1", "1-", "-", ",", "1,", "1, 2", "5-4", "1-2-3", "a", "+1", "1\n", "0x1"} {
		if s, err := parsePortSet(text); err == nil {
			t.Errorf("%q became %v", text, s)
		}
	}
}

func drawSet(t *rapid.T, label string) *portSet {
	var s portSet
	for range rapid.IntRange(0, 6).Draw(t, label+" ranges") {
		first := rapid.Uint16().Draw(t, label)
		s.addRange(first, uint16(min(int(first)+rapid.IntRange(0, 300).Draw(t, label+" more"), lastPort)))
	}
	return &s
}

func TestPortSetProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawSet(t, "a"), drawSet(t, "b")
		if again, err := parsePortSet(a.String()); err != nil || *again != *a {
			t.Fatalf("%v read back as %v (%v)", a, again, err)
		}
		if got := a.minus(b).union(b); *got != *a.union(b) {
			t.Fatalf("(a-b)+b is %v, a+b is %v", got, a.union(b))
		}
		if got := a.union(b).minus(b); *got != *a.minus(b) {
			t.Fatalf("(a+b)-b is %v, a-b is %v", got, a.minus(b))
		}
	})
}

// What the kernel's list, or our memory of it, may hold: what is read is written again, and reads the same.
func FuzzPortSet(f *testing.F) {
	for _, text := range []string{"", "7", "7,4433-4440", "0-65535", "5-4", "1,,2", "65536", "+1", " 1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parsePortSet(text)
		if err != nil {
			if s != nil {
				t.Errorf("%v with the error %v", s, err)
			}
			return
		}
		if again, err := parsePortSet(s.String()); err != nil || *again != *s || s.empty() != (text == "") {
			t.Errorf("%q is %v, which is read as %v, %v", text, s, again, err)
		}
	})
}

// Whatever is in the file, it is what was written there, or says nothing.
func FuzzRecall(f *testing.F) {
	f.Add([]byte(memoryTitle + "7,4433-4440\n"))
	f.Add([]byte(memoryTitle))
	f.Add([]byte("garbage"))
	state := folder{must(os.Open(f.TempDir()))}
	defer state.Close()
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(filepath.Join(state.Name(), memoryName), content, 0o600); err != nil {
			t.Fatal(err)
		}
		ports, err := recall(state)
		if err != nil {
			t.Fatal(err)
		}
		if !ports.empty() && !bytes.HasPrefix(content, []byte(memoryTitle)) {
			t.Errorf("%q says %v", content, ports)
		}
	})
}
