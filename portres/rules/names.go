// SPDX-License-Identifier: MIT

package rules

import (
	"fmt"
	"slices"
	"strings"
)

// name returns the name of an enumerated value, and for one without a name its
// type and number.
func name[T ~uint8](names []string, v T) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return fmt.Sprintf("%s(%d)", strings.TrimPrefix(fmt.Sprintf("%T", v), "rules."), uint8(v))
}

// parse is the reverse of name. The error lists what there is.
func parse[T ~uint8](names []string, text []byte, v *T) error {
	i := slices.Index(names, string(text))
	if i < 0 || len(text) == 0 {
		known := slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s == "" })
		return fmt.Errorf("%q is none of: %s", text, strings.Join(known, ", "))
	}
	*v = T(i)
	return nil
}
