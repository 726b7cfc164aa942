// SPDX-License-Identifier: MIT

package demo

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// stage is where the demo plays: the network, and a directory for certificate
// and claims.
type stage struct {
	program string // of the servers
	dir     string
	claims  string // the state directory of the servers, within dir
	cert    *certificate
	secret  string // of all servers, for their stateless resets; in hex
	net     *network
	clients *clients
}

func newStage(program string) (_ *stage, err error) {
	s := &stage{program: program, secret: newSecret()}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.dir, err = newDir(); err != nil {
		return nil, err
	}
	s.claims = filepath.Join(s.dir, "claims")
	if s.cert, err = newCertificate(s.dir); err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	if s.net, err = newNetwork(); err != nil {
		return nil, err
	}
	s.clients = &clients{ns: s.net.Client, tls: s.cert.client}
	return s, nil
}

func (s *stage) close() {
	if s.net != nil {
		s.net.Close()
	}
	os.RemoveAll(s.dir)
}

// newDir makes a directory, and names it without symbolic links: claims allow none.
func newDir() (string, error) {
	dir, err := os.MkdirTemp("", "msquicxdp-demo-")
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

func newSecret() string {
	var secret [32]byte
	rand.Read(secret[:])
	return hex.EncodeToString(secret[:])
}

// environ makes the servers independent of the machine's claims and reservations.
func (s *stage) environ() []string {
	return append(os.Environ(),
		"MSQUICXDP_STATE_DIR="+s.claims,
		"MSQUICXDP_RESERVATIONS="+filepath.Join(s.dir, "reservations"))
}
