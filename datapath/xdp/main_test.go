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
	os.Exit(m.Run())
}
