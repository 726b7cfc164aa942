// SPDX-License-Identifier: MIT

package reserve

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// The store is a text file: a title with the format version, a line a
// reservation in the order of protocol and port, and a checksum of all before
// it, which `head -n -1 reservations | sha256sum` gives as well.
const (
	titleField    = "msquicxdp-reservations "
	checksumField = "sha256 "
	formatVersion = 1
)

// encode writes the content of the store. list must be sorted.
func encode(list []Reservation) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%d\n", titleField, formatVersion)
	for i := range list {
		fmt.Fprintln(&b, list[i].record())
	}
	fmt.Fprintf(&b, "%s%x\n", checksumField, sha256.Sum256(b.Bytes()))
	return b.Bytes()
}

// decode reads the content of the store. It returns a *[VersionError] for one
// of a later version, whose lines and checksum may be different, and a
// *[CorruptError] for what is no such content. Neither knows its path.
func decode(content []byte) ([]Reservation, error) {
	body, err := verify(content)
	if err != nil {
		return nil, err
	}
	var list []Reservation
	for number, line := range records(body) {
		r, err := parseRecord(line)
		if err != nil {
			return nil, corrupt(number, "%v", err)
		}
		list = append(list, r)
	}
	if err := checkList(list); err != nil {
		return nil, err
	}
	return list, nil
}

// decodeOne reads the one reservation that a port belongs to, or returns nil.
// It is for claims, which should not wait for a thousand others to be read: of
// these it reads the ports, and trusts the checksum for the rest.
func decodeOne(content []byte, proto rules.Proto, port uint16) (*Reservation, error) {
	body, err := verify(content)
	if err != nil {
		return nil, err
	}
	for number, line := range records(body) {
		ports, err := parsePortsOf(line)
		if err == nil && !ports.Contains(proto, port) {
			continue
		}
		r, err := parseRecord(line)
		if err != nil {
			return nil, corrupt(number, "%v", err)
		}
		return &r, nil
	}
	return nil, nil
}

// verify returns what comes before the checksum, when that is right.
func verify(content []byte) (body []byte, err error) {
	if err := checkTitle(content); err != nil {
		return nil, err
	}
	return checkSum(content)
}

func checkTitle(content []byte) error {
	title, _, whole := strings.Cut(string(content[:min(len(content), len(titleField)+10)]), "\n")
	digits, ok := strings.CutPrefix(title, titleField)
	if !whole || !ok {
		return corrupt(1, "does not begin with %q and a version", strings.TrimSpace(titleField))
	}
	version, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || version == 0 || strconv.FormatUint(version, 10) != digits {
		return corrupt(1, "format version %q is no number", digits)
	}
	if version != formatVersion {
		return &VersionError{Found: uint32(version)}
	}
	return nil
}

// checkSum returns what comes before the checksum.
func checkSum(content []byte) (body []byte, err error) {
	end := bytes.LastIndexByte(bytes.TrimSuffix(content, []byte("\n")), '\n') + 1
	want := fmt.Sprintf("%s%x\n", checksumField, sha256.Sum256(content[:end]))
	if last := string(content[end:]); last == want {
		return content[:end], nil
	} else if !strings.HasPrefix(last, checksumField) {
		return nil, corrupt(lineNumber(content, end), "the last line is not the checksum: the file was cut short, or added to")
	}
	return nil, corrupt(lineNumber(content, end), "the checksum does not match: the file was changed by another program, or damaged")
}

// lineNumber returns the number of the line that begins at an offset.
func lineNumber(content []byte, offset int) int {
	return 1 + bytes.Count(content[:offset], []byte("\n"))
}

// records yields the lines after the title, and their numbers in the file.
func records(body []byte) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		number := 0
		for line := range strings.Lines(string(body)) {
			if number++; number > 1 && !yield(number, strings.TrimSuffix(line, "\n")) {
				return
			}
		}
	}
}

// checkList returns an error unless the reservations are in order, apart from
// each other, and have tokens of their own.
func checkList(list []Reservation) error {
	seen := make(map[Token]bool, len(list))
	for i := range list {
		r := &list[i]
		if i > 0 && !list[i-1].before(r.Range) {
			return corrupt(i+2, "%v does not come after %v", r.Range, list[i-1].Range)
		}
		if seen[r.Token] {
			return corrupt(i+2, "token %v is there twice", r.Token)
		}
		seen[r.Token] = true
	}
	return nil
}

// sortByRange puts reservations that do not overlap in the order of the file.
func sortByRange(list []Reservation) {
	slices.SortFunc(list, func(a, b Reservation) int {
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Start, b.Start))
	})
}
