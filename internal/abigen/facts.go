// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// facts is the content of msquic.json; the file explains its members. Order
// within the file is kept, it is the order of the assertions.
type facts struct {
	License string   `json:"SPDX-License-Identifier"`
	About   []string `json:"about"`
	Reading []string `json:"reading"`
	Define  []string `json:"functions_to_define"`
	Import  []string `json:"functions_to_import"`

	Conditions map[string]condition `json:"conditions"` // by the name of a fact

	Signatures ordered[string]         `json:"signatures"`
	Types      ordered[string]         `json:"types"`
	Status     ordered[int64]          `json:"status"`
	Constants  ordered[int64]          `json:"constants"`
	Structs    ordered[structure]      `json:"structs"`
	Enums      ordered[ordered[int64]] `json:"enums"`
}

// condition says where a fact is checked: where any of the macros is defined.
type condition struct {
	IfDefined []string `json:"if_defined"`
	Why       string   `json:"why"`
}

type structure struct {
	Size   int     `json:"size"`
	Align  int     `json:"align"`
	Fields []field `json:"fields"`
}

type field struct {
	Name      string `json:"name"`
	Offset    int    `json:"offset"` // bytes
	Size      int    `json:"size"`   // bytes; of a bit field, its declared type's
	Type      string `json:"type"`   // for the reader only
	BitOffset int    `json:"bit_offset"`
	BitSize   int    `json:"bit_size"` // 0 = not a bit field
}

func (f field) isBits() bool { return f.BitSize > 0 }

// end is the first byte behind the field.
func (f field) end() int {
	if f.isBits() {
		return f.Offset + (f.BitOffset+f.BitSize+7)/8
	}
	return f.Offset + f.Size
}

// parseFacts reads msquic.json. Facts that cannot be right are refused, all of
// them in one error.
func parseFacts(text []byte) (*facts, error) {
	var f facts
	if err := decodeStrictly(text, &f); err != nil {
		return nil, err
	}
	return &f, errors.Join(f.checkStructs(), f.checkSignatures(), f.checkConditions())
}

func (f *facts) checkStructs() error {
	var errs []error
	for _, s := range f.Structs {
		if s.Value.Align < 1 || s.Value.Size%s.Value.Align != 0 {
			errs = append(errs, fmt.Errorf("%s: size %d is no multiple of alignment %d",
				s.Name, s.Value.Size, s.Value.Align))
		}
		for _, m := range s.Value.Fields {
			if m.end() > s.Value.Size {
				errs = append(errs, fmt.Errorf("%s.%s ends at byte %d of %d",
					s.Name, m.Name, m.end(), s.Value.Size))
			}
		}
	}
	return errors.Join(errs...)
}

// checkSignatures finds functions without a signature and the reverse.
func (f *facts) checkSignatures() error {
	functions := slices.Concat(f.Define, f.Import)
	var errs []error
	for _, name := range functions {
		if !f.Signatures.has(name) {
			errs = append(errs, fmt.Errorf("%s has no signature", name))
		}
	}
	for _, s := range f.Signatures {
		if !slices.Contains(functions, s.Name) {
			errs = append(errs, fmt.Errorf("signature of %s, which is neither defined nor imported", s.Name))
		}
	}
	return errors.Join(errs...)
}

// checkConditions finds conditions of facts that are not there.
func (f *facts) checkConditions() error {
	var errs []error
	for name := range f.Conditions {
		if !f.Structs.has(name) && !f.Enums.has(name) && !f.Signatures.has(name) {
			errs = append(errs, fmt.Errorf("condition for %s, which is no struct, enum or function", name))
		}
	}
	return errors.Join(errs...)
}

// ordered is a JSON object whose members keep their order.
type ordered[T any] []member[T]

type member[T any] struct {
	Name  string
	Value T
}

func (o ordered[T]) has(name string) bool {
	return slices.ContainsFunc(o, func(m member[T]) bool { return m.Name == name })
}

func (o *ordered[T]) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return errors.Join(err, fmt.Errorf("want an object, have %v", start))
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		m := member[T]{Name: name.(string)}
		if o.has(m.Name) {
			return fmt.Errorf("%s is there twice", m.Name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if err := decodeStrictly(value, &m.Value); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		*o = append(*o, m)
	}
	return nil
}

// decodeStrictly refuses members that it does not know: a fact that is
// misspelt would not be checked.
func decodeStrictly(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
