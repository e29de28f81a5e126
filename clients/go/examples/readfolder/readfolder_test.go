package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Files are found by extension, recursively, in the order of names; hidden ones are left out.
func TestFilesAreFoundByExtension(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"b.PNG", "a/2.pdf", "a/1.tiff", "a/note.txt", ".hidden/x.png", ".x.png", "c.jpg/d.jpg"} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found := []string{}
	for item := range (&sources{paths: map[string]string{}}).walk(folder) {
		path, err := filepath.Rel(folder, item.Path)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, filepath.ToSlash(path))
	}
	if got, want := strings.Join(found, " "), "a/1.tiff a/2.pdf b.PNG c.jpg/d.jpg"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Bad usage, and options that cannot be used, end with 2; an empty folder is read at once.
func TestExitStatus(t *testing.T) {
	empty := t.TempDir()
	for _, c := range []struct {
		want int
		args string
	}{
		{2, ""}, {2, empty + " " + empty}, {2, filepath.Join(empty, "gone")}, {2, "--nonsense " + empty},
		{2, "--concurrency 0 " + empty}, {2, "--ca-file " + filepath.Join(empty, "gone") + " " + empty}, {0, empty},
		{0, empty + " --digest-first"}, {2, empty + " --digest-first " + empty},
	} {
		var stdout, stderr strings.Builder
		if got := run(context.Background(), strings.Fields(c.args), &stdout, &stderr); got != c.want {
			t.Errorf("%q ends with %d, want %d: %s", c.args, got, c.want, stderr.String())
		}
		if stdout.Len() > 0 || (c.want == 2 && stderr.Len() == 0) {
			t.Errorf("%q: %q on standard output, %q on standard error", c.args, stdout.String(), stderr.String())
		}
	}
}
