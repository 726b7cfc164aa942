// SPDX-License-Identifier: MIT

package bpf_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/cibir"
)

// parser is cibir.h, compiled for the host, in a process of its own.
type parser struct {
	mu       sync.Mutex
	cmd      *exec.Cmd
	question io.WriteCloser
	answer   *bufio.Reader
}

// startParser compiles it, with the sanitizers where the compiler has them.
func startParser(t testing.TB) *parser {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"cibir.h", "testdata/cibir_host.c"} { // go test keeps results for as long as what it has seen opened is the same
		if _, err := os.ReadFile(source); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(t.TempDir(), "cibir_host")
	build := func(more ...string) ([]byte, error) {
		args := append([]string{"-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-o", program, "testdata/cibir_host.c"}, more...)
		return exec.Command(cc, args...).CombinedOutput()
	}
	if _, err := build("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"); err != nil {
		t.Logf("without sanitizers: %v", err)
		if out, err := build(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	p := &parser{cmd: exec.Command(program)}
	p.cmd.Stderr = t.Output()
	if p.question, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.answer = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.question.Close()
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("the parser ended with %v", err)
		}
	})
	return p
}

// find asks for the identifier in a datagram.
func (p *parser) find(t testing.TB, e cibir.Encoding, datagram []byte) (id cibir.ID, verdict cibir.Verdict) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	question := []byte{e.Length, e.SourceOffset, e.DestinationOffset}
	question = binary.BigEndian.AppendUint16(question, uint16(len(datagram)))
	if _, err := p.question.Write(append(question, datagram...)); err != nil {
		t.Fatal(err)
	}
	var answer [1 + 24]byte
	if _, err := io.ReadFull(p.answer, answer[:]); err != nil {
		t.Fatalf("no answer for %v in %x: %v", e, datagram, err)
	}
	length, bytes := answer[1], answer[2:]
	if slices.ContainsFunc(bytes[length:], func(b byte) bool { return b != 0 }) {
		t.Errorf("%v in %x: the key %x is not zero behind its %d bytes", e, datagram, answer[1:], length)
	}
	if length > 0 {
		id, _ = cibir.NewID(bytes[:length])
	}
	return id, cibir.Verdict(answer[0])
}

// compare checks the parser against the reference.
func (p *parser) compare(t testing.TB, e cibir.Encoding, datagram []byte) cibir.Verdict {
	t.Helper()
	id, verdict := p.find(t, e, datagram)
	if wantID, want := e.Find(datagram); id != wantID || verdict != want {
		t.Errorf("%v in %x: %v, %v; the reference says %v, %v", e, datagram, id, verdict, wantID, want)
	}
	return verdict
}

// header returns a datagram with connection IDs of these lengths, every byte another than its neighbours.
func header(first byte, destination, source int) []byte {
	datagram := []byte{first, 1, 2, 3, 4, byte(destination)}
	for i := range destination {
		datagram = append(datagram, byte(0x40+i))
	}
	datagram = append(datagram, byte(source))
	for i := range source {
		datagram = append(datagram, byte(0x80+i))
	}
	return datagram
}

// Every length of an identifier, every cut of the header.
func TestParserAgreesAtEveryByte(t *testing.T) {
	p := startParser(t)
	seen := map[cibir.Verdict]int{}
	for length := uint8(0); length <= cibir.MaxIDLength+1; length++ {
		for _, offset := range []uint8{0, 3} {
			e := cibir.Encoding{Length: length, SourceOffset: offset, DestinationOffset: 2 * offset}
			for _, first := range []byte{0xc0, 0x40, 0x80, 0x00} {
				whole := header(first, 8, int(length+offset)+1)
				for n := range len(whole) + 1 {
					seen[p.compare(t, e, whole[:n])]++
				}
				p.compare(t, e, header(first, 0, max(0, int(length+offset)-1)))
			}
		}
	}
	t.Log(seen)
	if len(seen) != 3 {
		t.Errorf("not every verdict was met: %v", seen)
	}
}

func TestParserAgreesOnRandomDatagrams(t *testing.T) {
	p := startParser(t)
	rapid.Check(t, func(r *rapid.T) {
		e := cibir.Encoding{
			Length:            rapid.Uint8Range(0, 22).Draw(r, "length"),
			SourceOffset:      rapid.Uint8().Draw(r, "source offset"),
			DestinationOffset: rapid.Uint8().Draw(r, "destination offset"),
		}
		length := rapid.IntRange(0, 255)
		datagram := header(rapid.Byte().Draw(r, "first byte"), length.Draw(r, "destination"), length.Draw(r, "source"))
		p.compare(t, e, datagram[:rapid.IntRange(0, len(datagram)).Draw(r, "cut")])
		p.compare(t, e, rapid.SliceOf(rapid.Byte()).Draw(r, "bytes"))
	})
}

func FuzzParser(f *testing.F) {
	p := startParser(f)
	f.Add(header(0xc0, 8, 9), uint8(4), uint8(2), uint8(2))
	f.Add(header(0x40, 8, 9), uint8(20), uint8(0), uint8(0))
	f.Add(header(0x80, 255, 255), uint8(20), uint8(235), uint8(235))
	f.Add([]byte{}, uint8(1), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, datagram []byte, length, source, destination uint8) {
		if len(datagram) <= 0xffff {
			p.compare(t, cibir.Encoding{Length: length, SourceOffset: source, DestinationOffset: destination}, datagram)
		}
	})
}
