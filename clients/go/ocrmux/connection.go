package ocrmux

import (
	"context"
	"errors"
	"io"
	"time"

	ocrv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/ocr/v1"
	preprocessv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/preprocess/v1"
	"google.golang.org/grpc/codes"
)

const (
	digestsTogetherMax     = 32
	hashedTogetherMaxBytes = 32 << 20         // a message of digests waits no longer than this takes to hash
	digestPatience         = time.Millisecond // for an item that the source has ready to be drawn
)

// outcome is how a connection ended. A fatal error ends the stream, a failure asks for another try.
type outcome struct {
	failure  *Error
	progress bool
	fatal    error
}

// connection is one call of the stream, from opening to end. Its fields are under the stream's lock, but for call, cancel
// and the channel; limits may be read without it once limited is closed.
type connection struct {
	stream   *itemStream
	call     recognizeCall
	cancel   context.CancelCauseFunc
	limited  chan struct{}
	watchdog *time.Timer

	limits   *ocrv1.StreamLimits
	progress bool
	lastWord time.Time
	heldUp   bool
	over     bool
}

func newConnection(stream *itemStream) *connection {
	return &connection{stream: stream, limited: make(chan struct{}), lastWord: time.Now()}
}

// run opens the call and goes on until it has ended.
func (c *connection) run(outer context.Context) outcome {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	c.cancel = cancel
	c.stream.mu.Lock()
	c.watchdog = time.AfterFunc(c.stream.settings.silence, c.checkSilence)
	c.stream.mu.Unlock()

	var fatal error
	call, err := c.stream.open(ctx)
	if err == nil {
		c.call = call
		err, fatal = c.converse(ctx)
	}
	var silent *Error
	if errors.As(context.Cause(ctx), &silent) {
		err = silent
	}
	if fatal == nil && outer.Err() != nil {
		fatal = errorFromContext(outer)
	}
	return c.settle(err, fatal)
}

// converse reads and writes at the same time until the call has ended. err is how it ended, fatal an error of the caller's.
func (c *connection) converse(ctx context.Context) (err, fatal error) {
	reading, writing := make(chan error, 1), make(chan struct{})
	var unsent error
	go func() { reading <- c.read(ctx) }()
	go func() {
		defer close(writing)
		unsent, fatal = c.write(ctx)
	}()
	select {
	case err = <-reading:
		c.cancel(nil)
		<-writing
		return err, fatal
	case <-writing:
	}
	if unsent != nil || fatal != nil {
		c.cancel(nil)
		<-reading
		return unsent, fatal
	}
	return <-reading, nil
}

func (c *connection) settle(err, fatal error) outcome {
	s := c.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	c.over = true
	c.watchdog.Stop()
	if fatal != nil {
		return outcome{fatal: fatal}
	}
	var failure *Error
	if err != nil {
		failure = errorFromRPC(err)
		if !failure.passing() {
			return outcome{fatal: failure}
		}
	}
	failure = s.ledger.settle(failure, c.limits != nil)
	poke(s.ready)
	return outcome{failure: failure, progress: c.progress}
}

// read takes answers until the call ends; nil where it ended with OK.
func (c *connection) read(ctx context.Context) error {
	for {
		response, err := c.call.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		c.heard()
		if err := c.take(response); err != nil {
			return err
		}
		if err := c.untilTaken(ctx); err != nil {
			return err
		}
	}
}

func (c *connection) take(response *preprocessv1.StreamRecognizeResponse) error {
	limits := response.GetLimits()
	if limits != nil {
		if c.limits != nil {
			return newError(codes.Internal, ReasonProtocolBroken, "the server sent its limits twice")
		}
		c.stream.locked(func(*itemLedger) { c.limits = limits })
		close(c.limited)
		return nil
	}
	if c.limits == nil {
		return newError(codes.Internal, ReasonProtocolBroken, "the server answered before its limits")
	}
	var answers []*Answer
	switch message := response.GetMessage().(type) {
	case *preprocessv1.StreamRecognizeResponse_Answer:
		answers = []*Answer{message.Answer}
	case *preprocessv1.StreamRecognizeResponse_Batch:
		answers = message.Batch.GetAnswers()
	default:
		return newError(codes.Internal, ReasonProtocolBroken,
			"the server sent a message that is neither an answer nor a batch of them")
	}
	var err error
	c.stream.locked(func(ledger *itemLedger) {
		for _, answer := range answers {
			var served bool
			if served, err = ledger.take(answer); err != nil {
				return
			}
			c.progress = c.progress || served
		}
	})
	return err
}

// untilTaken holds the reading up while the caller is behind, so that the server feels it too. Silence does not count
// meanwhile.
func (c *connection) untilTaken(ctx context.Context) error {
	s := c.stream
	for {
		s.mu.Lock()
		wasHeldUp := c.heldUp
		c.heldUp = s.ledger.backedUp()
		heldUp := c.heldUp
		s.mu.Unlock()
		if !heldUp {
			if wasHeldUp {
				c.heard()
			}
			return nil
		}
		select {
		case <-s.taken:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// heard starts the silence anew.
func (c *connection) heard() {
	c.stream.mu.Lock()
	defer c.stream.mu.Unlock()
	c.restartSilence()
}

func (c *connection) restartSilence() {
	c.lastWord = time.Now()
	c.watchdog.Reset(c.stream.settings.silence)
}

// checkSilence gives the connection up if nothing came for too long while something was to come. Where nothing is to come,
// the next item that is sent arms it again.
func (c *connection) checkSilence() {
	s := c.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.over || c.heldUp || (c.limits != nil && !s.ledger.withServer()) {
		return
	}
	if rest := s.settings.silence - time.Since(c.lastWord); rest > 0 {
		c.watchdog.Reset(rest)
		return
	}
	c.cancel(newError(codes.Unavailable, ReasonConnectionLost, "no word from the server for %v", s.settings.silence))
}
