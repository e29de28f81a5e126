package ocrmux

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	preprocessv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/preprocess/v1"
	"google.golang.org/grpc"
)

var errLeft = errors.New("ocrmux: the stream was left")

type recognizeCall = grpc.BidiStreamingClient[preprocessv1.StreamRecognizeRequest, preprocessv1.StreamRecognizeResponse]

// chance is the time and the randomness of waits, for tests to replace.
type chance struct {
	pause func(context.Context, time.Duration) error
	draw  func() float64
}

func realChance() chance { return chance{pause: pause, draw: rand.Float64} }

// itemStream sends items and gives their answers, each page of each item exactly once, over as many connections as it
// takes; for one use. One goroutine drives it; the caller's takes the answers.
type itemStream struct {
	open           func(context.Context) (recognizeCall, error)
	settings       callSettings
	backoff        Backoff
	chance         chance
	digestPatience time.Duration
	source         *itemSource

	mu      sync.Mutex
	ledger  *itemLedger
	ended   bool
	failure error

	ready   chan struct{} // for the caller: there is an answer, or the end
	taken   chan struct{} // for the reader: the caller has taken an answer
	changed chan struct{} // for the writer: there may be something to send
}

// answers gives each answer to yield, and an error at the end if the stream failed.
func (s *itemStream) answers(ctx context.Context, yield func(*Answer, error) bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.end(s.drive(ctx))
	}()
	defer s.source.close()
	defer func() { <-over }()
	defer cancel(errLeft)
	for {
		answer, more := s.next()
		if !more {
			break
		}
		if !yield(answer, nil) {
			return
		}
	}
	if s.failure != nil {
		drawn{err: s.failure}.raise()
		yield(nil, s.failure)
	}
}

// next waits for the next answer; false at the end.
func (s *itemStream) next() (*Answer, bool) {
	for {
		s.mu.Lock()
		answer, ended := s.ledger.pop(), s.ended
		s.mu.Unlock()
		if answer != nil {
			poke(s.taken)
			poke(s.changed)
			return answer, true
		}
		if ended {
			return nil, false
		}
		<-s.ready
	}
}

func (s *itemStream) end(failure error) {
	s.mu.Lock()
	s.ended, s.failure = true, failure
	s.mu.Unlock()
	poke(s.ready)
}

// drive opens connections until every item is answered; its error ends the stream.
func (s *itemStream) drive(ctx context.Context) error {
	failures, vain := 0, false
	for {
		more, err := s.hasWork(ctx)
		if err != nil || !more {
			return err
		}
		if vain && s.chance.pause(ctx, s.backoff.wait(failures+1, 0, s.chance.draw())) != nil {
			return errorFromContext(ctx)
		}
		outcome := newConnection(s).run(ctx)
		if outcome.fatal != nil {
			return outcome.fatal
		}
		if outcome.progress {
			failures = 0
		}
		vain = outcome.failure == nil && !outcome.progress // closed before there was anything for it to answer
		if outcome.failure == nil {
			continue
		}
		failures++
		if failures > s.backoff.Attempts {
			return outcome.failure
		}
		wait := s.backoff.wait(failures, outcome.failure.RetryAfter, s.chance.draw())
		if s.settings.onReconnect != nil {
			s.settings.onReconnect(Reconnect{failures, wait, outcome.failure})
		}
		if s.chance.pause(ctx, wait) != nil {
			return errorFromContext(ctx)
		}
	}
}

// hasWork waits for an item to be sent; false when all are answered.
func (s *itemStream) hasWork(ctx context.Context) (bool, error) {
	for {
		s.mu.Lock()
		waiting := len(s.ledger.waiting)
		s.mu.Unlock()
		switch {
		case s.source.failed != nil:
			return false, s.source.failed
		case ctx.Err() != nil:
			return false, errorFromContext(ctx)
		case waiting > 0:
			return true, nil
		case s.source.exhausted:
			return false, nil
		}
		select {
		case event := <-s.source.next():
			if err := s.admit(event); err != nil {
				return false, err
			}
		case <-ctx.Done():
		}
	}
}

// admit takes in what the source gave; its error is the caller's.
func (s *itemStream) admit(event drawn) error {
	s.source.took(event)
	if event.end || event.err != nil {
		return event.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger.admit(event.item)
}

// locked calls change under the lock and wakes all who wait.
func (s *itemStream) locked(change func(*itemLedger)) {
	s.mu.Lock()
	change(s.ledger)
	s.mu.Unlock()
	poke(s.ready)
	poke(s.changed)
}

// poke wakes the one who waits on the channel, now or when it looks next.
func poke(waiter chan struct{}) {
	select {
	case waiter <- struct{}{}:
	default:
	}
}
