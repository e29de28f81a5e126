package ocrmux

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// Rule 8: a server that says nothing while items are with it is lost; one that has nothing to say is not.
func TestASilentServerIsLost(t *testing.T) {
	fake := newFake()
	fake.gate = make(chan struct{})
	client, _ := dial(t, fake.start(t))
	all := mustRead(t, client, contents("a"), WithSilence(50*time.Millisecond), WithSendsPerItem(2))
	wantEqual(t, "answers", all, []string{"item-0/0=" + ReasonConnectionLost + "!"})
	wantEqual(t, "streams", fake.seen().streams, 2)
}

// Rule 8: neither a source that is slow nor a caller that is slow counts as silence of the server.
func TestSilenceOfTheCallersIsNone(t *testing.T) {
	fake := newFake()
	client, _ := dial(t, fake.start(t))
	const silence = 300 * time.Millisecond
	items := func(yield func(Item) bool) {
		if yield(Item{ID: "long", Content: []byte("pages=50")}) {
			time.Sleep(3 * silence)
			yield(Item{ID: "short", Content: []byte("x")})
		}
	}
	taken := 0
	for _, err := range client.StreamRecognize(t.Context(), items, WithSilence(silence), WithConcurrency(2)) {
		if err != nil {
			t.Fatal(err)
		}
		if taken++; taken == 1 {
			time.Sleep(3 * silence)
		}
	}
	wantEqual(t, "answers", taken, 51)
	wantEqual(t, "streams", fake.seen().streams, 1)
}

// Rule 8: the server's silence counts again once a slow caller has caught up.
func TestSilenceCountsAfterASlowCaller(t *testing.T) {
	fake := newFake()
	fake.script = func(call fakeCall, _ int) error {
		if _, err := call.Recv(); err != nil {
			return err
		}
		_ = call.Send(limitsResponse(fake.limits))
		if _, err := call.Recv(); err != nil {
			return err
		}
		for _, answer := range pagesOf("item-0", []byte("pages=4"))[:3] {
			_ = call.Send(response([]*Answer{answer}))
		}
		<-call.Context().Done()
		return nil
	}
	client, _ := dial(t, fake.start(t))
	const silence = 100 * time.Millisecond
	backoff := DefaultBackoff()
	backoff.Attempts = 0
	var last error
	taken := 0
	for _, last = range client.StreamRecognize(t.Context(), contents("pages=4"),
		WithSilence(silence), WithConcurrency(2), WithBackoff(backoff), WithTimeout(patience)) {
		if taken++; taken == 1 {
			time.Sleep(3 * silence)
		}
	}
	wantEqual(t, "reason", wantError(t, last).Reason, ReasonConnectionLost)
}

// Rule 8: a server that never sends its limits is lost.
func TestAServerWithoutLimitsIsLost(t *testing.T) {
	fake := newFake()
	fake.script = func(call fakeCall, _ int) error {
		<-call.Context().Done()
		return nil
	}
	client, _ := dial(t, fake.start(t))
	backoff := DefaultBackoff()
	backoff.Attempts = 1
	_, err := readAll(client.StreamRecognize(t.Context(), contents("a"),
		WithSilence(30*time.Millisecond), WithBackoff(backoff)))
	wantEqual(t, "reason", wantError(t, err).Reason, ReasonConnectionLost)
	wantEqual(t, "streams", fake.seen().streams, 2)
}

// Rule 8: a file that is slow to be read is no silence of the server's.
func TestASlowFileIsNoSilence(t *testing.T) {
	fake := newFake()
	client, _ := dial(t, fake.start(t))
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := exec.Command("mkfifo", pipe).Run(); err != nil {
		t.Skip("this system makes no pipes: ", err)
	}
	const silence = 50 * time.Millisecond
	time.AfterFunc(4*silence, func() { _ = os.WriteFile(pipe, []byte("a"), 0o600) })
	items := slices.Values([]Item{{ID: "item-0", Path: pipe}})
	wantEqual(t, "answers", mustRead(t, client, items, WithSilence(silence)), single("a"))
	wantEqual(t, "streams", fake.seen().streams, 1)
}
