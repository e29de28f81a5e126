package ocrmux

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// endings are the ways in which a connection is lost.
var endings = map[string]error{
	"UNAVAILABLE":             statusError(codes.Unavailable, ""),
	"UNAVAILABLE DRAINING":    statusError(codes.Unavailable, "DRAINING"),
	"INTERNAL of no service":  statusError(codes.Internal, ""),
	"CANCELLED by the server": statusError(codes.Canceled, ""),
	"SERVER_BUSY":             statusError(codes.ResourceExhausted, "SERVER_BUSY"),
	"OK with items left":      nil,
}

// Rules 8 and 11: after each way of losing a connection, each page of each item is given exactly once, in order.
func TestItemsWithoutAnAnswerAreSentAgain(t *testing.T) {
	for name, ending := range endings {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			fake.breaks = []breaking{{3, ending}, {4, ending}}
			client, waited := dial(t, fake.start(t))
			all := mustRead(t, client, contents("pages=5", "a", "pages=2", "b", "c"))
			var want []string
			for page := 1; page <= 5; page++ {
				want = append(want, pageText("item-0", page, "pages=5", page == 5))
			}
			want = append(want, pageText("item-1", 1, "a", true), pageText("item-2", 1, "pages=2", false),
				pageText("item-2", 2, "pages=2", true), pageText("item-3", 1, "b", true), pageText("item-4", 1, "c", true))
			wantEqual(t, "answers", all, want)
			wantEqual(t, "streams", fake.seen().streams, 3)
			wantEqual(t, "waits", waited.all(), []time.Duration{200 * time.Millisecond, 200 * time.Millisecond})
		})
	}
}

// Rule 8: a server that goes, and another one at its place, is a lost connection; so is one that dies before it answers.
func TestAServerThatIsReplacedCostsNothing(t *testing.T) {
	first := newFake()
	first.gate, first.openAnswers = make(chan struct{}), 2
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := first.serve(t, listener)
	client, _ := dial(t, listener.Addr().String())
	client.chance = realChance()
	read := make(chan []string)
	go func() {
		all, _ := readAll(client.StreamRecognize(t.Context(), contents("a", "b", "c", "d")))
		read <- all
	}()
	eventually(t, "two answers are sent", func() bool { return len(first.seen().answerBatches) == 2 })
	server.Stop()
	again, err := net.Listen("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	second := newFake()
	second.serve(t, again)
	wantEqual(t, "answers", <-read, single("a", "b", "c", "d"))
	wantEqual(t, "streams of the second", second.seen().streams, 1)
}

// Rule 8: waits double up to 10 s, are not less than RetryInfo (itself at most 10 s), and start anew after an answer; the
// hook hears of each.
func TestWaitsGrowUntilAnAnswerComes(t *testing.T) {
	lost := statusError(codes.Unavailable, "")
	fake := newFake()
	for range 7 {
		fake.breaks = append(fake.breaks, breaking{0, lost})
	}
	fake.breaks = append(fake.breaks, breaking{1, lost},
		breaking{0, statusErrorAfter(codes.Unavailable, "DRAINING", 3*time.Second)},
		breaking{0, statusErrorAfter(codes.ResourceExhausted, "SERVER_BUSY", time.Hour)})
	client, waited := dial(t, fake.start(t))
	var heard []string
	hook := func(r Reconnect) {
		heard = append(heard, fmt.Sprint(r.Failures, " ", r.Wait, " ", codeName(r.Cause.Code), r.Cause.Reason))
	}
	options := []CallOption{WithReconnectHook(hook), WithSendsPerItem(100)}
	wantEqual(t, "answers", mustRead(t, client, contents("a", "b"), options...), single("a", "b"))
	ms := func(all ...int) (waits []time.Duration) {
		for _, each := range all {
			waits = append(waits, time.Duration(each)*time.Millisecond)
		}
		return waits
	}
	wantEqual(t, "waits", waited.all(), ms(200, 400, 800, 1600, 3200, 6400, 10000, 200, 3000, 10000))
	wantEqual(t, "heard", heard[7:], []string{
		"1 200ms UNAVAILABLE", "2 3s UNAVAILABLEDRAINING", "3 10s RESOURCE_EXHAUSTEDSERVER_BUSY",
	})
}

// Rule 8: more than so many failures in a row are the stream's error.
func TestAServerThatStaysAwayIsGivenUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	client, waited := dial(t, listener.Addr().String())
	_, err = readAll(client.StreamRecognize(t.Context(), contents("a")))
	wantEqual(t, "code", wantError(t, err).Code, codes.Unavailable)
	wantEqual(t, "waits", len(waited.all()), 8)
	wantNoGoroutines(t)
}

// Rule 8: a server that ends each stream at once with OK is given up too, not asked for ever.
func TestAServerThatEndsEachStreamIsGivenUp(t *testing.T) {
	fake := newFake()
	fake.script = func(fakeCall, int) error { return nil }
	client, waited := dial(t, fake.start(t))
	_, err := readAll(client.StreamRecognize(t.Context(), contents("a")))
	failure := wantError(t, err)
	wantEqual(t, "error", codeName(failure.Code)+" "+failure.Reason, "UNAVAILABLE "+ReasonConnectionLost)
	wantEqual(t, "waits", len(waited.all()), 8)
}

// Rule 8: an idle connection that is closed costs no failure, and the next item opens another.
func TestAnIdleConnectionThatClosesIsNoFailure(t *testing.T) {
	fake := newFake()
	closed := make(chan struct{})
	fake.script = func(call fakeCall, number int) error {
		if _, err := call.Recv(); err != nil {
			return err
		}
		if err := call.Send(limitsResponse(fake.limits)); err != nil {
			return err
		}
		message, err := call.Recv()
		if err != nil {
			return err
		}
		if err := call.Send(response(pagesOf(message.GetItem().GetRequestId(), nil))); err != nil {
			return err
		}
		if number == 1 {
			defer close(closed)
			return statusError(codes.Unavailable, "")
		}
		return nil
	}
	client, waited := dial(t, fake.start(t))
	items := func(yield func(Item) bool) {
		if yield(Item{ID: "a", Content: []byte{}}) {
			<-closed
			yield(Item{ID: "b", Content: []byte{}})
		}
	}
	wantEqual(t, "answers", len(mustRead(t, client, items)), 2)
	wantEqual(t, "streams", fake.seen().streams, 2)
	if len(waited.all()) > 1 { // one where the second item was drawn before the break was seen
		t.Errorf("waited %v", waited.all())
	}
}

// Rule 9: an item that the server wants elsewhere moves to a new stream, and the others are answered on the old one.
func TestAnItemIsMoved(t *testing.T) {
	for _, reason := range []string{"DRAINING", "SERVER_BUSY"} {
		t.Run(reason, func(t *testing.T) {
			fake := newFake()
			fake.moves["item-1"], fake.moveError = 2, statusErrorAfter(codes.Unavailable, reason, time.Second)
			client, waited := dial(t, fake.start(t))
			wantEqual(t, "answers", mustRead(t, client, contents("a", "b", "c")), single("a", "b", "c"))
			wantEqual(t, "streams", fake.seen().streams, 3)
			wantEqual(t, "waits", waited.all(), []time.Duration{time.Second, time.Second})
		})
	}
}

// Rule 9: an item that is moved by its announcement has its chunks held back, and is sent whole on the next stream.
func TestAnItemIsMovedWithinItsChunks(t *testing.T) {
	fake := newFake()
	told, chunks := make(chan struct{}), -1
	fake.script = func(call fakeCall, number int) error {
		if _, err := call.Recv(); err != nil {
			return err
		}
		_ = call.Send(limitsResponse(fake.limits))
		if number == 2 {
			if _, err := call.Recv(); err != nil {
				return err
			}
			return call.Send(response([]*Answer{pagesOf("item-1", nil)[0]}))
		}
		for range 2 {
			if _, err := call.Recv(); err != nil {
				return err
			}
		}
		_ = call.Send(response([]*Answer{
			refusal("item-1", statusError(codes.Unavailable, "DRAINING")), pagesOf("item-0", nil)[0],
		}))
		<-told // the client has read both, while its first chunk waits for this server to read
		var err error
		for ; err == nil; chunks++ {
			_, err = call.Recv()
		}
		return nil
	}
	client, _ := dial(t, fake.start(t))
	answers := 0
	for answer, err := range client.StreamRecognize(t.Context(), contents("a", strings.Repeat("x", 8<<20))) {
		if err != nil {
			t.Fatal(err)
		}
		if failure := ErrorOf(answer); failure != nil {
			t.Error(failure)
		}
		if answers++; answers == 1 {
			close(told)
		}
	}
	wantEqual(t, "answers", answers, 2)
	if chunks > 3 {
		t.Errorf("%d of 8 chunks were sent", chunks)
	}
}

// Rules 9 and 10: an item that is always moved has its answer in the end.
func TestAnItemIsMovedSoOften(t *testing.T) {
	fake := newFake()
	fake.moves["item-0"] = 100
	client, _ := dial(t, fake.start(t))
	wantEqual(t, "answers", mustRead(t, client, contents("a", "b")), []string{
		"item-0/0=DRAINING!", pageText("item-1", 1, "b", true),
	})
	wantEqual(t, "moves left", fake.moves["item-0"], 95)
}

// Rule 10: an item that breaks each connection fails alone, after its sends.
func TestAPoisonousItemFailsAlone(t *testing.T) {
	fake := newFake()
	lost := statusError(codes.Unavailable, "")
	fake.breaks = []breaking{{0, lost}, {0, lost}, {0, lost}, {0, lost}}
	client, _ := dial(t, fake.start(t))
	wantEqual(t, "answers", mustRead(t, client, contents("poison", "fine"), WithConcurrency(1)), []string{
		"item-0/0=" + ReasonConnectionLost + "!", pageText("item-1", 1, "fine", true),
	})
}

// Rule 11: an item that has fewer pages when it is read again is told as a breach of protocol, not left without its end.
func TestAnItemThatShrinksIsTold(t *testing.T) {
	fake := newFake()
	fake.script = func(call fakeCall, number int) error {
		if _, err := call.Recv(); err != nil {
			return err
		}
		if err := call.Send(limitsResponse(fake.limits)); err != nil {
			return err
		}
		if _, err := call.Recv(); err != nil {
			return err
		}
		if number == 1 {
			_ = call.Send(response(pagesOf("item-0", []byte("pages=3"))[:2]))
			return statusError(codes.Unavailable, "")
		}
		return call.Send(response(pagesOf("item-0", []byte("x"))))
	}
	client, _ := dial(t, fake.start(t))
	wantEqual(t, "answers", mustRead(t, client, contents("pages=3")), []string{
		pageText("item-0", 1, "pages=3", false), pageText("item-0", 2, "pages=3", false),
		"item-0/0=" + ReasonProtocolBroken + "!",
	})
}

// Batches of answers and of digests survive a break.
func TestBatchesSurviveABreak(t *testing.T) {
	fake := newFake()
	fake.answersTogether = 3
	fake.breaks = []breaking{{4, statusError(codes.Unavailable, "")}, {2, nil}}
	client, _ := dial(t, fake.start(t))
	all := mustRead(t, client, contents("a", "pages=4", "b", "c"), WithDigestFirst())
	var ids []string
	for _, answer := range all {
		id, _, _ := strings.Cut(answer, "=")
		ids = append(ids, id)
	}
	wantEqual(t, "answers", ids, []string{
		"item-0/1", "item-1/1", "item-1/2", "item-1/3", "item-1/4", "item-2/1", "item-3/1",
	})
}

// Rule 12: any other ending is the stream's error at once, after the answers that came before it.
func TestAnyOtherEndingIsTheError(t *testing.T) {
	for name, ending := range map[string]error{
		"INVALID_ARGUMENT PROFILE_UNKNOWN": statusError(codes.InvalidArgument, "PROFILE_UNKNOWN"),
		"UNAUTHENTICATED":                  statusError(codes.Unauthenticated, ""),
		"INTERNAL INTERNAL":                statusError(codes.Internal, "INTERNAL"),
		"RESOURCE_EXHAUSTED TENANT_QUOTA":  statusError(codes.ResourceExhausted, "TENANT_QUOTA"),
		"UNKNOWN":                          statusError(codes.Unknown, ""),
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			fake.breaks = []breaking{{1, ending}}
			client, waited := dial(t, fake.start(t))
			all, err := readAll(client.StreamRecognize(t.Context(), contents("a", "b")))
			failure := wantError(t, err)
			got := codeName(failure.Code)
			if failure.Reason != "" {
				got += " " + failure.Reason
			}
			wantEqual(t, "error", got, name)
			wantEqual(t, "answers", all, single("a"))
			wantEqual(t, "waits", len(waited.all()), 0)
			wantNoGoroutines(t)
		})
	}
}

// Rule 12: a breach of protocol by the server is INTERNAL PROTOCOL_BROKEN.
func TestABreachByTheServerIsTheError(t *testing.T) {
	limits := limitsResponse(newFake().limits)
	for name, script := range map[string]func(fakeCall) error{
		"answers before limits": func(call fakeCall) error { return call.Send(response(pagesOf("item-0", nil))) },
		"limits twice": func(call fakeCall) error {
			_ = call.Send(limits)
			return call.Send(limits)
		},
		"an unknown item": func(call fakeCall) error {
			_ = call.Send(limits)
			return call.Send(response(pagesOf("nobody", nil)))
		},
		"an empty message": func(call fakeCall) error {
			_ = call.Send(limits)
			empty := response(nil)
			empty.Message = nil
			return call.Send(empty)
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			fake.script = func(call fakeCall, _ int) error {
				_ = script(call)
				<-call.Context().Done()
				return nil
			}
			client, _ := dial(t, fake.start(t))
			_, err := readAll(client.StreamRecognize(t.Context(), contents("a")))
			failure := wantError(t, err)
			wantEqual(t, "error", codeName(failure.Code)+" "+failure.Reason, "INTERNAL "+ReasonProtocolBroken)
		})
	}
}

// Rule 13: the time limit and the context's deadline end the stream with DEADLINE_EXCEEDED, wherever it stands.
func TestTheDeadlineEndsTheStream(t *testing.T) {
	hung := newFake()
	hung.gate, hung.openAnswers = make(chan struct{}), 1
	client, _ := dial(t, hung.start(t))
	all, err := readAll(client.StreamRecognize(t.Context(), contents("a", "b"), WithTimeout(200*time.Millisecond)))
	wantEqual(t, "answers", all, single("a"))
	wantEqual(t, "code", wantError(t, err).Code, codes.DeadlineExceeded)

	waiting, _ := dial(t, "127.0.0.1:1")
	waiting.chance = chance{draw: func() float64 { return 1 }, pause: func(ctx context.Context, _ time.Duration) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = readAll(waiting.StreamRecognize(ctx, contents("a")))
	wantEqual(t, "code", wantError(t, err).Code, codes.DeadlineExceeded)
	wantNoGoroutines(t)
}
