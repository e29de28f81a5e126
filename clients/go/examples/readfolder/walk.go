package main

import (
	"io/fs"
	"iter"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/ocrmux/ocrmux/clients/go/ocrmux"
)

// extensions of images and documents that the services read.
var extensions = map[string]bool{
	".png": true, ".jpg": true, ".jpeg": true, ".jpe": true, ".jfif": true, ".tif": true, ".tiff": true, ".bmp": true,
	".dib": true, ".webp": true, ".gif": true, ".pbm": true, ".pgm": true, ".ppm": true, ".pnm": true, ".heic": true,
	".heif": true, ".hif": true, ".avif": true, ".jp2": true, ".j2k": true, ".pdf": true,
}

// sources are the files that are on their way, by the ID of their item: a path may be longer than an ID.
type sources struct {
	mu    sync.Mutex
	count int
	paths map[string]string
}

// walk gives the folder's files by extension, in the order of names, hidden ones left out, as they are asked for. A folder
// that cannot be read is given as if it were a file, and so told as an item that cannot be read.
func (s *sources) walk(folder string) iter.Seq[ocrmux.Item] {
	return func(yield func(ocrmux.Item) bool) {
		_ = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			hidden := path != folder && strings.HasPrefix(filepath.Base(path), ".")
			switch {
			case hidden && err == nil && entry.IsDir():
				return filepath.SkipDir
			case hidden || (err == nil && (entry.IsDir() || !extensions[strings.ToLower(filepath.Ext(path))])):
				return nil
			}
			if !yield(s.item(path)) {
				return filepath.SkipAll
			}
			if err != nil {
				return filepath.SkipDir
			}
			return nil
		})
	}
}

func (s *sources) item(path string) ocrmux.Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	id := strconv.Itoa(s.count)
	s.paths[id] = path
	return ocrmux.Item{ID: id, Path: path}
}

// path gives the answer's file, and forgets it with the last page.
func (s *sources) path(answer *ocrmux.Answer) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := s.paths[answer.GetRequestId()]
	if answer.GetLastPage() {
		delete(s.paths, answer.GetRequestId())
	}
	return path
}
