// SPDX-License-Identifier: MIT

package xdp

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv(puppetEnv) != "" {
		puppetMain()
		return
	}
	if os.Getenv(pauperEnv) != "" {
		pauperMain()
		return
	}
	os.Exit(m.Run())
}
