// SPDX-License-Identifier: MIT

package datapath

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// Since Linux 5.0 a kernel has all of it: a probe that says otherwise is wrong.
func TestFeaturesOfThisKernel(t *testing.T) {
	netnstest.CheckFDs(t)
	const want = FeatureRecvCoalescing | FeatureSendSegmentation | FeatureLocalPortSharing |
		FeaturePortReservations | FeatureTCP | FeatureTTL | FeatureSendDSCP | FeatureRecvDSCP
	if got := Features(); got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
}

// MsQuic asks for these by number.
func TestFeatureNumbers(t *testing.T) {
	const want = 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x80 | 0x100 | 0x200
	const all = FeatureRecvCoalescing | FeatureSendSegmentation | FeatureLocalPortSharing |
		FeaturePortReservations | FeatureTCP | FeatureTTL | FeatureSendDSCP | FeatureRecvDSCP
	if all != want {
		t.Errorf("%#x, want %#x", all, want)
	}
	if all&0x40 != 0 {
		t.Error("RAW is among them, which MsQuic must not see")
	}
}

// What could not be asked for want of a descriptor is asked again.
func TestProbeThatFailsIsNotRemembered(t *testing.T) {
	netnstest.CheckFDs(t)
	before := features.Swap(0)
	defer features.Store(before)
	withoutDescriptors(t, func() {
		if got := Features(); got&(FeatureSendSegmentation|FeatureRecvCoalescing) != 0 {
			t.Errorf("%#x without a descriptor to ask with", got)
		}
	})
	if got := Features(); got&FeatureSendSegmentation == 0 {
		t.Errorf("%#x: the failed probe was remembered", got)
	}
}

// withoutDescriptors runs f while the process may open no further file.
func withoutDescriptors(t *testing.T, f func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Cur: 0, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	f()
}
