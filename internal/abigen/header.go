// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
)

// prologue defines the macros that the assertions are made of.
//
//go:embed prologue.h
var prologue string

const epilogue = `
#undef MSQUICXDP_MISMATCH
#undef MSQUICXDP_FACT
#undef MSQUICXDP_ALIGNOF
#undef MSQUICXDP_IS
#undef MSQUICXDP_VALUE
#undef MSQUICXDP_STATUS
#undef MSQUICXDP_TYPE
#undef MSQUICXDP_SIGNATURE
#undef MSQUICXDP_STRUCT
#undef MSQUICXDP_FIELD
#undef MSQUICXDP_BITS

#endif /* MSQUICXDP_LAYOUT_ASSERTS_H */
`

// header returns the text of layout_asserts.h.
func header(f *facts) []byte {
	w := &writer{facts: f}
	w.WriteString(prologue)
	w.status()
	w.constants()
	w.enums()
	w.types()
	w.structs()
	w.signatures()
	w.bitFields()
	w.WriteString(epilogue)
	return w.Bytes()
}

// writer writes one kind of fact after the other.
type writer struct {
	bytes.Buffer
	facts *facts
}

func (w *writer) status() {
	w.heading("Status values")
	for _, s := range w.facts.Status {
		w.line("MSQUICXDP_STATUS(QUIC_STATUS_%s, %d)", s.Name, s.Value)
	}
}

func (w *writer) constants() {
	w.heading("Constants")
	for _, c := range w.facts.Constants {
		w.line("MSQUICXDP_VALUE(%s, %d)", c.Name, c.Value)
	}
}

func (w *writer) enums() {
	for _, e := range w.facts.Enums {
		w.heading(e.Name)
		w.conditional(e.Name, func() {
			for _, v := range e.Value {
				w.line("MSQUICXDP_VALUE(%s, %d)", v.Name, v.Value)
			}
		})
	}
}

func (w *writer) types() {
	w.heading("Types")
	for _, t := range w.facts.Types {
		w.line("MSQUICXDP_TYPE(%s, %s)", t.Name, t.Value)
	}
}

func (w *writer) structs() {
	for _, s := range w.facts.Structs {
		w.heading(s.Name)
		w.conditional(s.Name, func() {
			w.line("MSQUICXDP_STRUCT(%s, %d, %d)", s.Name, s.Value.Size, s.Value.Align)
			for _, m := range s.Value.Fields {
				if !m.isBits() {
					w.line("MSQUICXDP_FIELD(%s, %s, %d, %d)", s.Name, m.Name, m.Offset, m.Size)
				}
			}
		})
	}
}

func (w *writer) signatures() {
	w.heading("Functions, and one variable")
	for _, s := range w.facts.Signatures {
		w.conditional(s.Name, func() {
			w.line("MSQUICXDP_SIGNATURE(%s, %s)", s.Name, s.Value)
		})
	}
}

func (w *writer) bitFields() {
	w.line("\nstatic inline const char *cxplat_check_bitfields(void)\n{")
	w.line("    unsigned ones = ~0u; /* no constant: the compiler would see that it is cut off */")
	for _, s := range w.facts.Structs {
		for _, m := range s.Value.Fields {
			if m.isBits() {
				w.line("    MSQUICXDP_BITS(%s, %s, %d, %d, %d)",
					s.Name, m.Name, m.Offset, m.BitOffset, m.BitSize)
			}
		}
	}
	w.line("    return NULL;\n}")
}

// conditional puts what body writes under the condition of the fact, if it has
// one.
func (w *writer) conditional(fact string, body func()) {
	c, ok := w.facts.Conditions[fact]
	if !ok {
		body()
		return
	}
	w.line("/* %s */", c.Why)
	w.line("#if defined(%s)", strings.Join(c.IfDefined, ") || defined("))
	body()
	w.line("#endif")
}

func (w *writer) heading(s string) { w.line("\n/* %s */", s) }

// line writes a line, or several if it is too long for one.
func (w *writer) line(format string, args ...any) {
	const columns = 100
	var line string
	for _, part := range strings.SplitAfter(fmt.Sprintf(format, args...), ", ") {
		if len(line)+len(strings.TrimSuffix(part, " ")) > columns {
			w.WriteString(strings.TrimSuffix(line, " ") + "\n")
			line = "    "
		}
		line += part
	}
	w.WriteString(line + "\n")
}
