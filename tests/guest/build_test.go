// SPDX-License-Identifier: MIT

package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// root is the repository, seen from the folder that go test runs in.
const root = "../.."

const archive = root + "/build/libmsquicxdp.a"

var cflags = []string{
	"-std=gnu11", "-O2", "-g", "-fPIC", "-Wall", "-Wextra", "-Werror",
	"-I" + root + "/include", "-I" + root + "/tests", "-I" + root + "/tests/guest/c",
}

// notShared are the files of tests/host that c/guest.c replaces, and heap.c,
// which would put a malloc of its own into the guest.
var notShared = []string{"check.c", "heap.c", "memory.c"}

// guestParts are what the programs in c/ share.
var guestParts = []string{"guest", "habits", "load", "traffic"}

// built makes each file once, however many tests ask for it.
var built sync.Map

func buildOnce(t *testing.T, name string, build func(out string) error) string {
	t.Helper()
	type result func() (string, error)
	once, _ := built.LoadOrStore(name, result(sync.OnceValues(func() (string, error) {
		out := filepath.Join(work, name)
		return out, build(out)
	})))
	out, err := once.(result)()
	if err != nil {
		t.Fatalf("building %s: %v", name, err)
	}
	return out
}

type commandError struct {
	command []string
	output  string
	err     error
}

func (e *commandError) Error() string {
	return strings.Join(e.command, " ") + ": " + e.err.Error() + "\n" + e.output
}

func command(args ...string) error {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return &commandError{args, string(out), err}
	}
	return nil
}

func cc(args ...string) error {
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "cc"
	}
	return command(slices.Concat([]string{compiler}, cflags, args)...)
}

// needArchive returns the path of the archive. Looking at what is compiled also
// tells the go command when a cached result does not hold any more.
func needArchive(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"tests/guest/c/*", "tests/guest/othergo/*", "tests/host/*", "include/msquicxdp/*"} {
		files, _ := filepath.Glob(filepath.Join(root, pattern))
		for _, file := range files {
			if _, err := os.Stat(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := os.Stat(archive); err != nil {
		t.Fatalf("%v: run ./build.sh build", err)
	}
	return archive
}

// commonSources returns the rest of tests/host, and what the programs share.
func commonSources() []string {
	sources, _ := filepath.Glob(root + "/tests/host/*.c")
	sources = slices.DeleteFunc(sources, func(source string) bool {
		return slices.Contains(notShared, filepath.Base(source))
	})
	for _, part := range guestParts {
		sources = append(sources, "c/"+part+".c")
	}
	return sources
}

// common returns the library of these sources.
func common(t *testing.T) string {
	return buildOnce(t, "libcommon.a", func(out string) error {
		archiver := []string{"ar", "rcs", out}
		for _, source := range commonSources() {
			object := filepath.Join(work, filepath.Base(source)+".o")
			if err := cc("-c", source, "-o", object); err != nil {
				return err
			}
			archiver = append(archiver, object)
		}
		return command(archiver...)
	})
}

// link makes a program or shared object of a file in c/. The libraries use each other.
func link(t *testing.T, out, source string, libraries []string, flags ...string) error {
	sources := []string{"-o", out, "c/" + source + ".c"}
	group := slices.Concat([]string{"-Wl,--start-group", common(t)}, libraries, []string{"-Wl,--end-group"})
	return cc(slices.Concat(sources, group, []string{"-pthread", "-ldl"}, flags)...)
}

// program returns c/name.c as a program that links the archive.
func program(t *testing.T, name string) string {
	t.Helper()
	lib := needArchive(t)
	return buildOnce(t, name, func(out string) error { return link(t, out, name, []string{lib}) })
}

// programOf returns c/name.c as a program that links the archive, and a shared object beside it.
func programOf(t *testing.T, name, so string) string {
	t.Helper()
	lib := needArchive(t)
	return buildOnce(t, name+"-"+filepath.Base(so), func(out string) error {
		return link(t, out, name, []string{lib}, "-Wl,--no-as-needed", so, "-Wl,-rpath,"+filepath.Dir(so))
	})
}

// staticProgram returns c/name.c as a program without shared objects.
func staticProgram(t *testing.T, name string) string {
	t.Helper()
	lib := needArchive(t)
	return buildOnce(t, name+"-static", func(out string) error {
		return link(t, out, name, []string{lib}, "-static")
	})
}

// bareProgram returns c/name.c as a program without the archive.
func bareProgram(t *testing.T, name string) string {
	t.Helper()
	needArchive(t)
	return buildOnce(t, name+"-bare", func(out string) error { return link(t, out, name, nil) })
}

// onlyPlugin is the version script of an object that exports nothing but its table.
const onlyPlugin = "{ global: plugin; local: *; };\n"

// objectFlags are the kinds of shared objects that hold the archive.
var objectFlags = map[string][]string{
	"exported": nil, // the 34 functions can be seen from outside
	"hidden":   {"-Wl,--version-script=SCRIPT"},
	"nodelete": {"-Wl,--version-script=SCRIPT", "-Wl,-z,nodelete"},
	"stripped": {"-Wl,--version-script=SCRIPT", "-Wl,--gc-sections", "-s"},
}

// object returns c/plugin.c with an archive as a shared object of that kind.
func object(t *testing.T, kind string) string {
	t.Helper()
	return objectOf(t, kind, "", needArchive(t))
}

func objectOf(t *testing.T, kind, suffix, lib string) string {
	t.Helper()
	script := buildOnce(t, "hidden.map", func(out string) error {
		return os.WriteFile(out, []byte(onlyPlugin), 0o644)
	})
	return buildOnce(t, kind+suffix+".so", func(out string) error {
		flags := []string{"-shared"}
		for _, flag := range objectFlags[kind] {
			flags = append(flags, strings.ReplaceAll(flag, "SCRIPT", script))
		}
		return link(t, out, "plugin", []string{lib}, flags...)
	})
}
