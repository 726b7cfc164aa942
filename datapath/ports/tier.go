// SPDX-License-Identifier: MIT

package ports

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// TierEnv is the environment variable that names the strongest tier to use,
// where the rules of a host look at the user of a socket, say. Without it that
// is owned.
const TierEnv = "MSQUICXDP_PORT_TIER"

// strongestTier returns what the environment says, nil where it says nothing.
func strongestTier() (*rules.Tier, error) {
	text := os.Getenv(TierEnv)
	if text == "" {
		return nil, nil
	}
	var tier rules.Tier
	if tier.UnmarshalText([]byte(text)) != nil {
		return nil, kerr.New("listen", TierEnv+"="+text, unix.EINVAL, "the tiers are unguarded, guarded and owned")
	}
	return &tier, nil
}
