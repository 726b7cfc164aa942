// SPDX-License-Identifier: MIT

package torture

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/msquicxdp/msquicxdp/internal/netns"
)

// answerTime is how long a server may take for a command. It is not to be reached: the longest
// that a claim waits is 5 s.
const answerTime = 20 * time.Second

// process is a running server.
type process struct {
	cmd     *exec.Cmd
	pid     int
	stdin   io.WriteCloser
	lines   chan string // what it prints; closed at its end
	exited  chan struct{}
	said    said
	born    time.Time
	problem error // of Wait, once exited is closed
}

// said keeps the end of what a process writes to stderr.
type said struct {
	mu   sync.Mutex
	text []byte
}

const saidLength = 8 << 10

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, p...)
	if over := len(s.text) - saidLength; over > 0 {
		s.text = append(s.text[:0], s.text[over:]...)
	}
	return len(p), nil
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimSpace(string(s.text))
}

// launch starts a process in a namespace, and does not wait until it serves.
func launch(ns *netns.Namespace, environ []string, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), lines: make(chan string, 16), exited: make(chan struct{}), born: time.Now()}
	p.cmd.Env = environ
	p.cmd.Stderr = &p.said
	// Ctrl-C is for us.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := ns.Do(p.cmd.Start); err != nil {
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	go p.follow(stdout)
	return p, nil
}

func (p *process) follow(stdout io.Reader) {
	for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
		p.lines <- scanner.Text()
	}
	close(p.lines)
	p.problem = p.cmd.Wait()
	close(p.exited)
}

// line returns the next line that it prints.
func (p *process) line() (string, error) {
	select {
	case line, ok := <-p.lines:
		if ok {
			return line, nil
		}
		<-p.exited
		return "", fmt.Errorf("process %d has ended, %v: %s", p.pid, p.problem, &p.said)
	case <-time.After(answerTime):
		return "", fmt.Errorf("process %d says nothing for %v: %s", p.pid, answerTime, &p.said)
	}
}

// refusal is a "no" of a server.
type refusal string

func (r refusal) Error() string { return string(r) }

// answer reads the answer to a command. A refusal is a [refusal].
func (p *process) answer() (string, error) {
	line, err := p.line()
	if err != nil {
		return "", err
	}
	if line == "ready" { // of the demo's
		return "", nil
	}
	if reason, no := strings.CutPrefix(line, "no "); no {
		return "", refusal(reason)
	}
	text, ok := strings.CutPrefix(line, "ok")
	if !ok {
		return "", fmt.Errorf("process %d says %q", p.pid, line)
	}
	return strings.TrimSpace(text), nil
}

// do has the server do something.
func (p *process) do(command string) (string, error) {
	if _, err := io.WriteString(p.stdin, command+"\n"); err != nil {
		return "", fmt.Errorf("process %d: %s: %w: %s", p.pid, command, err, &p.said)
	}
	text, err := p.answer()
	if err != nil {
		return "", fmt.Errorf("process %d: %s: %w", p.pid, command, err)
	}
	return text, nil
}

// report is what a server says of itself.
type report struct {
	Path        string `json:"path"`
	Answered    int64  `json:"answered"`
	Strays      int64  `json:"strays"`
	Misrouted   int64  `json:"misrouted"`
	RxDatagrams int64  `json:"rx_datagrams"`
	RxDropped   int64  `json:"rx_dropped"`
	TxDatagrams int64  `json:"tx_datagrams"`
	TxFailed    int64  `json:"tx_failed"`
	FDs         int    `json:"fds"`
	Threads     int    `json:"threads"`
}

func (p *process) report() (*report, error) {
	text, err := p.do("report")
	if err != nil {
		return nil, err
	}
	r := &report{}
	return r, json.Unmarshal([]byte(text), r)
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// kill ends it at once, and returns when it has ended.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	for range p.lines { // nobody else reads them
	}
	<-p.exited
}

// quit lets it end by itself.
func (p *process) quit() error {
	p.stdin.Close()
	select {
	case <-p.exited:
	case <-time.After(answerTime):
		p.kill()
		return fmt.Errorf("process %d does not end: %s", p.pid, &p.said)
	}
	if p.problem != nil {
		return fmt.Errorf("process %d: %w: %s", p.pid, p.problem, &p.said)
	}
	return nil
}

// descriptors returns what a process has open, by kind.
func descriptors(pid int) (map[string]int, error) {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	kinds := map[string]int{}
	for _, e := range entries {
		to, err := os.Readlink(dir + "/" + e.Name())
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		kind, _, _ := strings.Cut(to, ":[")
		kinds[kind]++
	}
	return kinds, nil
}

// identifier is a CIBIR identifier, as the demo's servers have them.
type identifier [2]byte

func (id identifier) String() string { return hex.EncodeToString(id[:]) }
