// SPDX-License-Identifier: MIT

package blocktest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// layoutProgram prints where capi/recv.c puts the parts of a block, for the
// context lengths that it is given.
const layoutProgram = `
#include <stdio.h>
#include <stdlib.h>
#include "capi/recv.c"

void *mqx_pool_get(MqxPool *pool) { (void)pool; return NULL; }
void mqx_pool_put(void *block) { (void)block; }
void *CxPlatAlloc(size_t size, uint32_t tag) { (void)size; (void)tag; return NULL; }
void CxPlatFree(void *memory, uint32_t tag) { (void)memory; (void)tag; }

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        uint32_t context = (uint32_t)atoi(argv[i]);
        uint32_t stride = mqx_rx_stride(context);
        printf("%zu %u %zu %zu\n", slots_offset(), stride, buffer_offset(stride), mqx_rx_size(context));
    }
    return 0;
}
`

func TestBlocksAreLaidOutAsInC(t *testing.T) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no-compiler: cc is not installed")
	}
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "layout.c"), filepath.Join(dir, "layout")
	if err := os.WriteFile(source, []byte(layoutProgram), 0o600); err != nil {
		t.Fatal(err)
	}
	const root = "../.."
	out, err := exec.Command(compiler, "-std=gnu11", "-D_GNU_SOURCE", "-I"+root, "-I"+root+"/include", source, "-o", binary).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	contexts := []uint32{0, 1, 7, 8, 9, 200, 4096}
	var want string
	args := make([]string, len(contexts))
	for i, c := range contexts {
		args[i] = fmt.Sprint(c)
		want += fmt.Sprintln(slotsOffset, rxStride(c), bufferOffset(rxStride(c)), rxSize(c))
	}
	got, err := exec.Command(binary, args...).CombinedOutput()
	if err != nil || string(got) != want {
		t.Errorf("%v; slots, stride, buffer and size in C:\n%shere:\n%s", err, got, want)
	}
}

func TestSlotsDoNotOverlap(t *testing.T) {
	for _, context := range []uint32{0, 1, 200} {
		b := NewRx(t, context)
		end := uintptr(unsafe.Pointer(b)) + unsafe.Sizeof(*b)
		for i := range uint32(batch.RxSlots) {
			s := b.Slot(i)
			start := uintptr(unsafe.Pointer(s))
			if start < end || start%16 != 0 {
				t.Fatalf("context %d: slot %d starts at %#x, what is before it ends at %#x", context, i, start, end)
			}
			end = start + unsafe.Sizeof(*s) + uintptr(context)
		}
		if uintptr(b.Buffer) < end {
			t.Errorf("context %d: the buffer starts in the last slot", context)
		}
	}
}

// The kernel answers EFAULT where a process would be killed.
func TestNothingFollowsABlock(t *testing.T) {
	b := NewRx(t, 0)
	zero, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer zero.Close()
	for _, test := range []struct {
		name  string
		start int
		errno unix.Errno
	}{{"last byte", batch.IOBuffer - 1, 0}, {"byte behind", batch.IOBuffer, unix.EFAULT}} {
		_, _, errno := unix.Syscall(unix.SYS_READ, zero.Fd(), uintptr(b.Buffer)+uintptr(test.start), 1)
		if errno != test.errno {
			t.Errorf("%s: %v, want %v", test.name, errno, test.errno)
		}
	}
}
