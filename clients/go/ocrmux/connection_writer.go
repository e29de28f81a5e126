package ocrmux

import (
	"context"
	"errors"
	"io"
	"time"

	preprocessv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/preprocess/v1"
)

// errCallEnded ends the writing where the call has ended: the reader tells why.
var errCallEnded = errors.New("ocrmux: the call has ended")

// write sends the config and then items until this call has nothing more to send. failed is a call that could not go on,
// fatal an error of the caller's.
func (c *connection) write(ctx context.Context) (failed, fatal error) {
	err := c.writeAll(ctx)
	var failure *Error
	switch {
	case err == nil || errors.Is(err, errCallEnded):
		return nil, nil
	case errors.As(err, &failure):
		return failure, nil
	}
	return nil, err
}

func (c *connection) writeAll(ctx context.Context) error {
	if err := c.send(c.stream.settings.config.opening()); err != nil {
		return err
	}
	select {
	case <-c.limited:
	case <-ctx.Done():
		return errCallEnded
	}
	for {
		e, err := c.next(ctx)
		if err != nil {
			return err
		}
		if e == nil {
			return c.call.CloseSend()
		}
		if e.byDigest {
			err = c.sendDigests(ctx, e)
		} else {
			err = c.sendContent(ctx, e)
		}
		if err != nil {
			return err
		}
	}
}

// send gives errCallEnded where the call has ended, and an *Error where it ends by this: a message that cannot be sent, or
// gRPC's own second try that found no server.
func (c *connection) send(message *request) error {
	err := c.call.Send(message)
	if errors.Is(err, io.EOF) {
		return errCallEnded
	}
	if err != nil {
		return errorFromRPC(err)
	}
	return nil
}

// next waits for the next item that has room; nil where this call has nothing more to send.
func (c *connection) next(ctx context.Context) (*entry, error) {
	for {
		next, e := c.decide(ctx, false)
		if next == stepSend || next == stepFinish {
			return e, nil
		}
		var coming <-chan drawn
		if next == stepDraw {
			coming = c.stream.source.next()
		}
		select {
		case <-c.stream.changed:
		case event := <-coming:
			if err := c.stream.admit(event); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, errCallEnded
		}
	}
}

// nextDigest gives the next item for a message of digests if it is there at once, else nil.
func (c *connection) nextDigest(ctx context.Context) (*entry, error) {
	patience := time.NewTimer(c.stream.digestPatience)
	defer patience.Stop()
	for {
		next, e := c.decide(ctx, true)
		if next != stepDraw {
			return e, nil
		}
		select {
		case event := <-c.stream.source.next():
			if err := c.stream.admit(event); err != nil {
				return nil, err
			}
		case <-patience.C:
			return nil, nil
		case <-ctx.Done():
			return nil, errCallEnded
		}
	}
}

// decide is the ledger's decision, with sizes found out on the way. While an item is prepared, the one after it is drawn.
func (c *connection) decide(ctx context.Context, digestsOnly bool) (step, *entry) {
	s := c.stream
	for {
		s.mu.Lock()
		next, e := s.ledger.decide(c.limits, s.source.exhausted, digestsOnly)
		ahead := next == stepSend && s.ledger.mayDraw(c.limits)
		s.mu.Unlock()
		if ahead {
			s.source.next()
		}
		if next != stepMeasure {
			return next, e
		}
		size, err := interruptible(ctx, e.item, func() (int64, error) { return measure(e.item, c.limits) })
		if ctx.Err() != nil {
			return stepWait, nil
		}
		if !c.refused(e, err) {
			e.measured, e.size = true, size // only this goroutine looks at them while the call lasts
		}
	}
}

// refused answers the item here if the error says so.
func (c *connection) refused(e *entry, err error) bool {
	var refusal *itemRefused
	if !errors.As(err, &refusal) {
		return false
	}
	c.stream.locked(func(ledger *itemLedger) { ledger.refuse(e, refusal.status) })
	return true
}

// sendDigests sends the digest of this item, and of those that are ready behind it, in one message.
func (c *connection) sendDigests(ctx context.Context, first *entry) error {
	var entries []*entry
	var items []*preprocessv1.SourceItem
	hashed := int64(0)
	for e := first; e != nil && ctx.Err() == nil; {
		sum, err := interruptible(ctx, e.item, func() ([]byte, error) { return digest(ctx, e.item, c.limits) })
		if ctx.Err() != nil {
			return errCallEnded
		}
		if !c.refused(e, err) {
			entries, items = append(entries, e), append(items, digestItem(e.item, sum))
		}
		hashed += e.size
		if len(items) == digestsTogetherMax || hashed > hashedTogetherMaxBytes {
			break
		}
		if e, err = c.nextDigest(ctx); err != nil {
			return err
		}
	}
	c.noteSends(entries...)
	for _, message := range together(items, c.limits) {
		if err := c.send(message); err != nil {
			return err
		}
	}
	return nil
}

// sendContent sends the item with its content, as long as it is not answered already, as one that is refused by its
// announcement is.
func (c *connection) sendContent(ctx context.Context, e *entry) error {
	content, err := interruptible(ctx, e.item, func() ([]byte, error) { return load(e.item, c.limits) })
	if ctx.Err() != nil {
		return errCallEnded
	}
	if c.refused(e, err) {
		return nil
	}
	c.noteSends(e)
	for piece := range pieces(e.item, content, c.limits) {
		c.stream.mu.Lock()
		held := c.stream.ledger.holds(e)
		c.stream.mu.Unlock()
		if !held {
			return nil
		}
		if err := c.send(piece); err != nil {
			return err
		}
	}
	return nil
}

// noteSends has the items count as being with the server. Its silence begins with the first one.
func (c *connection) noteSends(entries ...*entry) {
	c.stream.mu.Lock()
	defer c.stream.mu.Unlock()
	if !c.stream.ledger.withServer() {
		c.restartSilence()
	}
	for _, e := range entries {
		e.sent = true
	}
}

// interruptible gives what work gives, or the zero value once the context has ended: a file on a dead mount is left alone.
func interruptible[T any](ctx context.Context, item Item, work func() (T, error)) (T, error) {
	if item.Path == "" {
		return work()
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := work()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}
