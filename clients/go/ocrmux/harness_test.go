package ocrmux

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
)

// waits notes the pauses of a backoff instead of making them.
type waits struct {
	mu   sync.Mutex
	made []time.Duration
}

func (w *waits) chance() chance {
	return chance{draw: func() float64 { return 1 }, pause: func(ctx context.Context, wait time.Duration) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.made = append(w.made, wait)
		return ctx.Err()
	}}
}

func (w *waits) all() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.made)
}

// dial gives a client of the target whose backoff does not wait.
func dial(t *testing.T, target string, options ...DialOption) (*Client, *waits) {
	t.Helper()
	client, err := Dial(target, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	noted := &waits{}
	client.chance = noted.chance()
	return client, noted
}

func contents(all ...string) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for n, content := range all {
			if !yield(Item{ID: fmt.Sprintf("item-%d", n), Content: []byte(content)}) {
				return
			}
		}
	}
}

// told is an answer in one word: ID/page=TEXT or ID/page=REASON, with a ! on the last page.
func told(answer *Answer) string {
	text := ""
	if failure := ErrorOf(answer); failure != nil {
		text = failure.Reason
	} else if pages := answer.GetDocument().GetPages(); len(pages) > 0 {
		text = pages[0].GetText()
	}
	last := ""
	if answer.GetLastPage() {
		last = "!"
	}
	return fmt.Sprintf("%s/%d=%s%s", answer.GetRequestId(), answer.GetPage(), text, last)
}

// readAll takes all answers, and the error at the end.
func readAll(answers iter.Seq2[*Answer, error]) (all []string, err error) {
	for answer, failure := range answers {
		if failure != nil {
			err = failure
			continue
		}
		all = append(all, told(answer))
	}
	return all, err
}

// mustRead fails the test where the stream fails, or where it does not end.
func mustRead(t *testing.T, client *Client, items iter.Seq[Item], options ...CallOption) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all, err := readAll(client.StreamRecognize(ctx, items, options...))
	if err != nil {
		t.Fatalf("the stream failed: %v, after %v", err, all)
	}
	return all
}

func wantEqual[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func pageText(id string, page int, content string, last bool) string {
	mark := ""
	if last {
		mark = "!"
	}
	return fmt.Sprintf("%s/%d=%s%s", id, page, digestOf([]byte(content)), mark)
}

// single is the answers of items of one page, in order.
func single(all ...string) []string {
	var texts []string
	for n, content := range all {
		texts = append(texts, pageText(fmt.Sprintf("item-%d", n), 1, content, true))
	}
	return texts
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ends := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(ends) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}

// streamGoroutines counts the goroutines that run this package's code of a stream.
func streamGoroutines() int {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	count := 0
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		if strings.Contains(stack, "itemStream") || strings.Contains(stack, "itemSource") ||
			strings.Contains(stack, "ocrmux.(*connection)") || strings.Contains(stack, "interruptible") {
			count++
		}
	}
	return count
}

func wantNoGoroutines(t *testing.T) {
	t.Helper()
	eventually(t, "the stream's goroutines end", func() bool { return streamGoroutines() == 0 })
}

func wantError(t *testing.T, err error) *Error {
	t.Helper()
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want an *Error", err)
	}
	return failure
}

func sha(content string) string {
	sum := sha256.Sum256([]byte(content))
	return string(sum[:])
}

func protoBytes(message proto.Message) []byte {
	encoded, err := proto.Marshal(message)
	if err != nil {
		panic(err)
	}
	return encoded
}
