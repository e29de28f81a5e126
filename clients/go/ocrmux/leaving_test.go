package ocrmux

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

func endless(closed chan struct{}) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		defer close(closed)
		for n := 0; yield(Item{ID: fmt.Sprint(n), Content: []byte("x")}); n++ {
		}
	}
}

// Rule 14: leaving the loop cancels the call, cleans the iterator up and leaves no goroutine.
func TestLeavingEarlyEndsEverything(t *testing.T) {
	fake := newFake()
	fake.gate, fake.openAnswers = make(chan struct{}), 1
	client, _ := dial(t, fake.start(t))
	closed := make(chan struct{})
	for _, err := range client.StreamRecognize(t.Context(), endless(closed)) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	eventually(t, "the server sees the cancel", func() bool { return len(fake.cancelled) == 1 })
	eventually(t, "the iterator is closed", func() bool {
		select {
		case <-closed:
			return true
		default:
			return false
		}
	})
	wantNoGoroutines(t)
	if received := len(fake.seen().received); received > 10 {
		t.Errorf("%d items were sent", received)
	}
}

// Rule 14: leaving while a write is blocked, as the server reads nothing, ends everything too; so does a panic of the caller.
func TestLeavingWhileAWriteIsBlocked(t *testing.T) {
	fake := newFake()
	begun := make(chan struct{})
	fake.script = func(call fakeCall, _ int) error {
		if _, err := call.Recv(); err != nil {
			return err
		}
		_ = call.Send(limitsResponse(fake.limits))
		if _, err := call.Recv(); err != nil {
			return err
		}
		_ = call.Send(response(pagesOf("item-0", nil)))
		if _, err := call.Recv(); err != nil { // the announcement: its chunks are not read
			return err
		}
		close(begun)
		<-call.Context().Done()
		return nil
	}
	client, _ := dial(t, fake.start(t))
	func() {
		defer func() { wantEqual(t, "panic", recover(), "left") }()
		for range client.StreamRecognize(t.Context(), contents("a", strings.Repeat("b", 30<<20))) {
			<-begun
			panic("left")
		}
	}()
	eventually(t, "the server sees the cancel", func() bool { return len(fake.cancelled) == 1 })
	wantNoGoroutines(t)
}

// The caller's context ends the stream with CANCELLED, as errors.Is tells.
func TestACancelledContextEndsTheStream(t *testing.T) {
	fake := newFake()
	fake.gate, fake.openAnswers = make(chan struct{}), 1
	client, _ := dial(t, fake.start(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range client.StreamRecognize(ctx, contents("a", "b")) {
		cancel()
		last = err
	}
	wantEqual(t, "code", wantError(t, last).Code, codes.Canceled)
	if !errors.Is(last, context.Canceled) {
		t.Errorf("%v is no context.Canceled", last)
	}
	wantNoGoroutines(t)
}

// Closing the client ends what is running with CANCELLED, in a call or in a wait between two, and what comes later.
func TestClosingTheClientEndsItsCalls(t *testing.T) {
	hung := newFake()
	hung.gate = make(chan struct{})
	for name, address := range map[string]string{"in a call": hung.start(t), "in a wait": "127.0.0.1:1"} {
		t.Run(name, func(t *testing.T) {
			client, _ := dial(t, address)
			waiting := make(chan struct{}, 1)
			client.chance.pause = func(ctx context.Context, _ time.Duration) error {
				waiting <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}
			ended := make(chan error)
			go func() {
				_, err := readAll(client.StreamRecognize(t.Context(), contents("a")))
				ended <- err
			}()
			eventually(t, "it runs", func() bool {
				return len(waiting) > 0 || name == "in a call" && len(hung.seen().received) > 0
			})
			_ = client.Close()
			wantEqual(t, "code", wantError(t, <-ended).Code, codes.Canceled)
			_, err := client.Recognize(t.Context(), []byte("a"))
			wantEqual(t, "code", wantError(t, err).Code, codes.Canceled)
			wantNoGoroutines(t)
		})
	}
}

// An error of the iterator reaches the caller as it is, after the answers that came before; nothing leaks.
func TestAnErrorOfTheSourceReachesTheCaller(t *testing.T) {
	fake := newFake()
	client, _ := dial(t, fake.start(t))
	broken := errors.New("the disk is gone")
	items := func(yield func(Item, error) bool) {
		for item := range contents("a", "b") {
			if !yield(item, nil) {
				return
			}
		}
		for len(fake.seen().answerBatches) < 2 {
			runtime.Gosched()
		}
		yield(Item{}, broken)
	}
	all, err := readAll(client.StreamRecognizeSeq2(t.Context(), items))
	if err != broken {
		t.Errorf("got %v", err)
	}
	if len(all) > 2 || (len(all) > 0 && all[0] != single("a")[0]) {
		t.Errorf("got %v", all)
	}
	wantNoGoroutines(t)
}

// A panic of the iterator, and a goroutine that it ends, do not stay in the stream's goroutine.
func TestAPanicOfTheSourceReachesTheCaller(t *testing.T) {
	client, _ := dial(t, newFake().start(t))
	func() {
		defer func() { wantEqual(t, "panic", recover(), "a bug") }()
		for range client.StreamRecognize(t.Context(), func(yield func(Item) bool) {
			yield(Item{ID: "a", Content: []byte("x")})
			panic("a bug")
		}) {
			continue
		}
	}()
	_, err := readAll(client.StreamRecognize(t.Context(), func(func(Item) bool) { runtime.Goexit() }))
	if !errors.Is(err, errItemsGoexit) {
		t.Errorf("got %v", err)
	}
	wantNoGoroutines(t)
}

// Answers flow while the source blocks, and leaving does not wait for it.
func TestASourceThatBlocksHoldsNothingUp(t *testing.T) {
	client, _ := dial(t, newFake().start(t))
	blocked := make(chan struct{})
	items := func(yield func(Item) bool) {
		if yield(Item{ID: "a", Content: []byte("x")}) && yield(Item{ID: "b", Content: []byte("y")}) {
			<-blocked
		}
	}
	answers := 0
	for _, err := range client.StreamRecognize(t.Context(), items) {
		if err != nil {
			t.Fatal(err)
		}
		if answers++; answers == 2 {
			break
		}
	}
	wantEqual(t, "answers", answers, 2)
	close(blocked)
	wantNoGoroutines(t)
}

// A channel is a source; leaving early ends the wait for it.
func TestItemsComeFromAChannel(t *testing.T) {
	client, _ := dial(t, newFake().start(t))
	items := make(chan Item)
	go func() {
		for item := range contents("a", "b", "c") {
			items <- item
		}
		close(items)
	}()
	all, err := readAll(client.StreamRecognizeChan(t.Context(), items))
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "answers", all, single("a", "b", "c"))

	silent := make(chan Item, 1)
	silent <- Item{ID: "item-0", Content: []byte("a")}
	for answer, err := range client.StreamRecognizeChan(t.Context(), silent) {
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "answer", told(answer), single("a")[0])
		break
	}
	wantNoGoroutines(t)
}

// Each range over the result is a stream of its own.
func TestARangeCanBeRepeated(t *testing.T) {
	client, _ := dial(t, newFake().start(t))
	answers := client.StreamRecognize(t.Context(), contents("a", "b"))
	for range 2 {
		all, err := readAll(answers)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "answers", all, single("a", "b"))
	}
}
