package ocrmux

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
)

// Rule 5: a large file goes in chunks within the server's limit on messages, and arrives whole.
func TestLargeContentGoesInChunks(t *testing.T) {
	fake := newFake()
	fake.limits.MaxMessageBytes = 200_000
	client, _ := dial(t, fake.start(t))
	large, medium := strings.Repeat("0123456789", 350_000), strings.Repeat("m", 300_000)
	path := filepath.Join(t.TempDir(), "large.bin")
	if err := os.WriteFile(path, []byte(large), 0o600); err != nil {
		t.Fatal(err)
	}
	items := slices.Values([]Item{
		{ID: "item-0", Path: path}, {ID: "item-1", Content: []byte(medium)}, {ID: "item-2", Content: []byte("small")},
	})
	wantEqual(t, "answers", mustRead(t, client, items), single(large, medium, "small"))
	seen := fake.seen()
	wantEqual(t, "chunked", seen.chunked, []string{"item-0", "item-1"})
	if seen.largest > 200_000 || seen.largest < 150_000 {
		t.Errorf("the largest message has %d bytes", seen.largest)
	}
}

// Rule 5: with room for larger messages, content of more than 1 MiB is chunked all the same, by 1 MiB.
func TestChunksAreOfOneMebibyte(t *testing.T) {
	fake := newFake()
	client, _ := dial(t, fake.start(t))
	whole, chunked := strings.Repeat("w", 1<<20), strings.Repeat("c", 1<<20+1)
	wantEqual(t, "answers", mustRead(t, client, contents(whole, chunked)), single(whole, chunked))
	wantEqual(t, "chunked", fake.seen().chunked, []string{"item-1"})
}

// Rule 6: only unknown content is sent, and the order of answers is kept.
func TestDigestsGoFirst(t *testing.T) {
	fake := newFake()
	fake.known[sha("old")] = true
	client, _ := dial(t, fake.start(t))
	all := mustRead(t, client, contents("new", "old", "newer"), WithDigestFirst())
	wantEqual(t, "answers", all, single("new", "known", "newer"))
	wantEqual(t, "sent whole", len(fake.whole), 2)
}

// Rule 6: digests that are ready together share a message, within the window; a missing file among them is answered here.
func TestDigestsShareAMessage(t *testing.T) {
	fake := newFake()
	var items []Item
	for n := range 40 {
		content := fmt.Sprint("old ", n)
		fake.known[sha(content)] = n%10 != 0
		items = append(items, Item{ID: fmt.Sprint(n), Content: []byte(content)})
	}
	items[5] = Item{ID: "5", Path: filepath.Join(t.TempDir(), "gone.png")}
	client, _ := dial(t, fake.start(t))
	client.digestPatience = patience // not to depend on how quickly goroutines change
	all := mustRead(t, client, slices.Values(items), WithDigestFirst())
	wantEqual(t, "answers", len(all), 40)
	wantEqual(t, "missing", all[5], "5/0=SOURCE_UNREADABLE!")
	wantEqual(t, "asked for", all[10], pageText("10", 1, "old 10", true))
	seen := fake.seen()
	if len(seen.batches) == 0 || slices.Max(seen.batches) < 2 || seen.mostInFlight > 8 {
		t.Errorf("messages of %v items, %d in flight", seen.batches, seen.mostInFlight)
	}
}

// Rule 6: digests that are too long together go singly.
func TestDigestsKeepTheLimitOnMessages(t *testing.T) {
	fake := newFake()
	fake.limits.MaxMessageBytes = 2500
	fake.known[sha("x")] = true
	var regions []Region
	for n := range 60 {
		regions = append(regions, Region{1, 1, float64(10 + n), 20})
	}
	var items []Item
	for n := range 6 {
		items = append(items, Item{ID: fmt.Sprint(n), Content: []byte("x"), Regions: regions})
	}
	client, _ := dial(t, fake.start(t))
	client.digestPatience = patience
	wantEqual(t, "answers", len(mustRead(t, client, slices.Values(items), WithDigestFirst())), 6)
	wantEqual(t, "batches", len(fake.seen().batches), 0)
}

// Rule 7: a missing file and one over the limit are answered here, and the rest is read.
func TestWhatCannotBeSentIsAnsweredHere(t *testing.T) {
	fake := newFake()
	fake.limits.MaxItemBytes = 10
	client, _ := dial(t, fake.start(t))
	items := slices.Values([]Item{
		{ID: "gone", Path: filepath.Join(t.TempDir(), "gone.png")},
		{ID: "folder", Path: t.TempDir()},
		{ID: "large", Content: make([]byte, 11)},
		{ID: "endless", Path: "/dev/zero"},
		{ID: "fine", Content: []byte("fine")},
	})
	var failures []*Error
	for answer, err := range client.StreamRecognize(t.Context(), items) {
		if err != nil {
			t.Fatal(err)
		}
		failures = append(failures, ErrorOf(answer))
	}
	if len(failures) != 5 || failures[4] != nil {
		t.Fatalf("got %v", failures)
	}
	for n, code := range []codes.Code{codes.NotFound, codes.NotFound, codes.OutOfRange, codes.OutOfRange} {
		wantEqual(t, "code", failures[n].Code, code)
	}
	wantEqual(t, "reason", failures[0].Reason, ReasonSourceUnreadable)
	wantEqual(t, "reason", failures[2].Reason, "IMAGE_TOO_LARGE_BYTES")
	wantEqual(t, "limit and value", failures[2].Metadata["limit"]+" "+failures[2].Metadata["value"], "10 11")
	wantEqual(t, "received", fake.seen().received, []string{"fine"})
}

// Rule 7: a file without an end is over the limit, whether its content is wanted or its digest.
func TestAFileWithoutAnEndIsTooLarge(t *testing.T) {
	fake := newFake()
	client, _ := dial(t, fake.start(t))
	endless := slices.Values([]Item{{ID: "endless", Path: "/dev/zero"}})
	for _, options := range [][]CallOption{nil, {WithDigestFirst()}} {
		wantEqual(t, "answers", mustRead(t, client, endless, options...), []string{"endless/0=IMAGE_TOO_LARGE_BYTES!"})
	}
}
