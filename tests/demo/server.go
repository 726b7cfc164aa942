// SPDX-License-Identifier: MIT

package demo

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/xdp"
)

// port is where servers listen.
const port = 4433

// stopTimeout is how long a server may take to end.
const stopTimeout = 10 * time.Second

// spec says which server to start.
type spec struct {
	identifier []byte // its CIBIR identifier; none if empty
	workers    int
	xdp        bool // it asks for AF_XDP
	xdpOnly    bool // and sends by it too, whether that is faster or not
}

// name is what the server calls itself, see server/options.h.
func (s spec) name() string {
	if len(s.identifier) == 0 {
		return "plain"
	}
	return hex.EncodeToString(s.identifier)
}

// server is a running server process.
type server struct {
	spec
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	lines    chan string // what it prints; closed when it has ended
	messages *tail       // its stderr
	exited   chan struct{}
	exit     error // once exited is closed
}

// Report is what a server says about itself, see server/report.h.
type Report struct {
	Fate         string   `json:"-"` // what became of it
	Lost         int64    `json:"-"` // packets for which its AF_XDP socket had no room
	Name         string   `json:"name"`
	PID          int      `json:"pid"`
	Path         string   `json:"path"`
	Connections  int64    `json:"connections"`
	Handshakes   int64    `json:"handshakes"`
	Live         int64    `json:"live"`
	Streams      int64    `json:"streams"`
	Bytes        int64    `json:"bytes"`
	Mismatches   int64    `json:"mismatches"`
	Migrations   int64    `json:"migrations"`
	KeyUpdates   int64    `json:"key_updates"`
	HandedOver   int64    `json:"handed_over"`
	Negotiations int64    `json:"negotiations"`
	Resets       int64    `json:"resets"`
	Strays       int64    `json:"strays"`
	Misrouted    int64    `json:"misrouted"`
	Datapath     Datapath `json:"datapath"`
}

// Datapath is struct msquicxdp_counters of the server's process.
type Datapath struct {
	RxTurns     int64 `json:"rx_turns"`
	RxDatagrams int64 `json:"rx_datagrams"`
	RxBytes     int64 `json:"rx_bytes"`
	RxDropped   int64 `json:"rx_dropped"`
	TxBatches   int64 `json:"tx_batches"`
	TxDatagrams int64 `json:"tx_datagrams"`
	TxBytes     int64 `json:"tx_bytes"`
	TxQueued    int64 `json:"tx_queued"`
	TxFailed    int64 `json:"tx_failed"`
	BlockAllocs int64 `json:"block_allocs"`
}

// start starts a server, and waits until it serves.
func (s *stage) start(ctx context.Context, sp spec) (*server, error) {
	srv, err := s.launch(sp)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.program, err)
	}
	if line, err := srv.line(ctx); err != nil || line != "ready" {
		return nil, errors.Join(fmt.Errorf("server %s does not start: %q %w", sp.name(), line, err), srv.kill())
	}
	return srv, nil
}

// launch starts a server's process.
func (s *stage) launch(sp spec) (*server, error) {
	srv := &server{spec: sp, cmd: exec.Command(s.program, s.arguments(sp)...), messages: &tail{},
		lines: make(chan string, 1), exited: make(chan struct{})}
	srv.cmd.Env = s.environ()
	if sp.xdpOnly {
		srv.cmd.Env = append(srv.cmd.Env, xdp.TransmitEnv+"=xdp")
	}
	srv.cmd.Stderr = srv.messages
	// Not in our process group: Ctrl-C is for us, and we end it by closing its stdin.
	srv.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if srv.stdin, err = srv.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := srv.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.net.Server.Do(srv.cmd.Start); err != nil {
		return nil, err
	}
	go srv.follow(stdout)
	return srv, nil
}

func (s *stage) arguments(sp spec) []string {
	args := []string{"--certificate", s.cert.certFile, "--key", s.cert.keyFile, "--secret", s.secret,
		"--port", strconv.Itoa(port), "--workers", strconv.Itoa(sp.workers)}
	if len(sp.identifier) > 0 {
		args = append(args, "--identifier", sp.name())
	}
	if sp.xdp {
		args = append(args, "--xdp")
	}
	return args
}

// follow passes the server's lines on, until it ends.
func (s *server) follow(stdout io.Reader) {
	for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
		s.lines <- scanner.Text()
	}
	close(s.lines)
	s.exit = s.cmd.Wait()
	close(s.exited)
}

// line returns the next line that the server prints.
func (s *server) line(ctx context.Context) (string, error) {
	select {
	case line, ok := <-s.lines:
		if !ok {
			<-s.exited
			return "", s.failure(fmt.Errorf("it has ended: %w", orDone(s.exit)))
		}
		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

var errDone = errors.New("exit status 0")

func orDone(err error) error {
	if err == nil {
		return errDone
	}
	return err
}

// failure adds what the server has said about it.
func (s *server) failure(err error) error {
	if text := strings.TrimSpace(s.messages.String()); text != "" {
		return fmt.Errorf("%w\n%s", err, text)
	}
	return err
}

func (s *server) report(ctx context.Context) (*Report, error) {
	if _, err := io.WriteString(s.stdin, "report\n"); err != nil {
		return nil, s.failure(fmt.Errorf("ask server %s for a report: %w", s.name(), err))
	}
	line, err := s.line(ctx)
	if err != nil {
		return nil, fmt.Errorf("report of server %s: %w", s.name(), err)
	}
	report := &Report{}
	if err := json.Unmarshal([]byte(line), report); err != nil {
		return nil, fmt.Errorf("report of server %s, %q: %w", s.name(), line, err)
	}
	return report, nil
}

// stop lets the server end, and returns an error if it does not end cleanly. A
// server that has ended may be stopped again.
func (s *server) stop() error {
	s.stdin.Close()
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		return errors.Join(s.failure(fmt.Errorf("server %s does not end", s.name())), s.kill())
	}
	if s.exit != nil {
		return s.failure(fmt.Errorf("server %s: %w", s.name(), s.exit))
	}
	return nil
}

// kill ends the server at once.
func (s *server) kill() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return nil // it has ended
	}
	for range s.lines { // nobody else reads them
	}
	<-s.exited
	return nil
}
