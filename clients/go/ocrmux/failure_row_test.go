package ocrmux

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
)

// Rules 9 and 10: moves and lost connections are counted apart; digest and content on one connection are one loss.
func TestMovesAndLossesAreCountedApart(t *testing.T) {
	fake := newFake()
	const moves, losses = 3, 3
	lost := statusError(codes.Unavailable, "")
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
		if message.GetItem().GetImage().GetDigest() != nil {
			_ = call.Send(response([]*Answer{refusal("item-0", statusError(codes.NotFound, "CONTENT_REQUIRED"))}))
			if _, err := call.Recv(); err != nil {
				return err
			}
		}
		switch {
		case number <= losses:
			return lost
		case number <= losses+moves:
			return call.Send(response([]*Answer{refusal("item-0", statusError(codes.Unavailable, "DRAINING"))}))
		}
		return call.Send(response(pagesOf("item-0", []byte("a"))))
	}
	client, waited := dial(t, fake.start(t))
	wantEqual(t, "answers", mustRead(t, client, contents("a"), WithDigestFirst()), single("a"))
	wantEqual(t, "waits", len(waited.all()), moves+losses)
}

// Rule 10: an item whose content was not begun on a connection that is lost is not at fault.
func TestAnItemThatWasNotSentIsNotAtFault(t *testing.T) {
	fake := newFake()
	lost := statusError(codes.Unavailable, "")
	fake.script = func(call fakeCall, number int) error {
		if number > 6 {
			return (&fakeStream{
				fake: fake, call: call, plan: breaking{after: -1},
				ready: make(chan fakeItem, 10), seen: map[string]bool{}, read: make(chan error, 1),
			}).run()
		}
		_, _ = call.Recv()
		return lost
	}
	client, waited := dial(t, fake.start(t))
	wantEqual(t, "answers", mustRead(t, client, contents("a", "b")), single("a", "b"))
	wantEqual(t, "waits", len(waited.all()), 6)
}

// Rule 8: CONTENT_REQUIRED ends a row of failures; DRAINING and SERVER_BUSY do not, nor when they are an item's answer.
func TestWhichAnswersEndARowOfFailures(t *testing.T) {
	for reason, want := range map[string]string{
		"CONTENT_REQUIRED": "[200ms 200ms 200ms]", "DRAINING": "[200ms 400ms 800ms]", "SERVER_BUSY": "[200ms 400ms 800ms]",
	} {
		t.Run(reason, func(t *testing.T) {
			fake := newFake()
			fake.script = func(call fakeCall, number int) error {
				_, err := call.Recv()
				if err != nil || number == 1 {
					return statusError(codes.Unavailable, "")
				}
				_ = call.Send(limitsResponse(fake.limits))
				if message, err := call.Recv(); err == nil {
					asked := refusal(message.GetItem().GetRequestId(), statusError(codes.Unavailable, reason))
					_ = call.Send(response([]*Answer{asked}))
				}
				return statusError(codes.Unavailable, "")
			}
			client, waited := dial(t, fake.start(t))
			options := []CallOption{WithDigestFirst(), WithConcurrency(1), WithSendsPerItem(1), WithTimeout(patience)}
			_, _ = readAll(client.StreamRecognize(t.Context(), contents("a", "b", "c"), options...))
			wantEqual(t, "waits", fmt.Sprint(waited.all()[:3]), want)
		})
	}
}

// Rule 8: a server that hangs up before anything is sent is asked after waits, also where items are answered here.
func TestHangingUpAtOnceIsNotAskedInALoop(t *testing.T) {
	fake := newFake()
	fake.script = func(call fakeCall, _ int) error { return call.Send(limitsResponse(fake.limits)) }
	client, waited := dial(t, fake.start(t))
	gone := func(yield func(Item) bool) {
		for n := range 1000 {
			if !yield(Item{ID: fmt.Sprint(n), Path: "/gone"}) {
				return
			}
		}
	}
	_, err := readAll(client.StreamRecognize(t.Context(), gone, WithTimeout(patience)))
	if err != nil {
		wantEqual(t, "reason", wantError(t, err).Reason, ReasonConnectionLost)
	}
	if streams := fake.seen().streams; streams > len(waited.all())+1 {
		t.Errorf("%d streams with %d waits between", streams, len(waited.all()))
	}
}
