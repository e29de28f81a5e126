package ocrmux

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	gatewayv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/gateway/v1"
	preprocessv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/preprocess/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

const (
	unaryMaxBytes        = 3 << 20
	recognizeTimeout     = 300 * time.Second
	listProvidersTimeout = 30 * time.Second
	attemptsOfCalls      = 4
	attemptsOfStreams    = 8
)

var errClosed = errors.New("the client was closed")

// Client reads images and documents through an ocrmux server. It is safe for concurrent use; its calls share connections.
type Client struct {
	conns          []*grpc.ClientConn
	preprocess     preprocessv1.PreprocessServiceClient
	gateway        gatewayv1.OcrGatewayServiceClient
	chance         chance
	digestPatience time.Duration
	life           context.Context // ends with Close
	end            context.CancelFunc
}

func newClient(preprocess, gateway *grpc.ClientConn) *Client {
	client := &Client{
		conns:          []*grpc.ClientConn{preprocess, gateway},
		preprocess:     preprocessv1.NewPreprocessServiceClient(preprocess),
		gateway:        gatewayv1.NewOcrGatewayServiceClient(gateway),
		chance:         realChance(),
		digestPatience: digestPatience,
	}
	client.life, client.end = context.WithCancel(context.Background())
	return client
}

// Close closes the connections; calls that are still running, and later ones, end with CANCELLED.
func (c *Client) Close() error {
	c.end()
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// bounded gives the context of one call: it ends with the client, and with the time limit where that is above 0.
func (c *Client) bounded(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	closed := func() { cancel(errClosed) }
	if c.life.Err() != nil {
		closed()
	}
	unhook := context.AfterFunc(c.life, closed)
	release := func() {
		unhook()
		cancel(nil)
	}
	if timeout <= 0 {
		return ctx, release
	}
	ctx, stop := context.WithTimeout(ctx, timeout)
	return ctx, func() {
		stop()
		release()
	}
}

// Recognize reads one image or document within 300 s, all tries included, or WithTimeout.
//
// Content of up to 3 MiB goes as one call; more, or more than the server lets into one message, goes in chunks over a stream.
// What is a lost connection to a stream is tried again, four failures borne. An error of the item as a whole, or of its only
// page, is an *Error; an error of one page of several stands in the Reading. ErrUsage is for options that contradict each
// other.
func (c *Client) Recognize(ctx context.Context, content []byte, options ...CallOption) (*Reading, error) {
	return c.RecognizeItem(ctx, Item{Content: content}, options...)
}

// RecognizeItem is Recognize for an item with regions, a password or a path. Its ID may be empty. A file that cannot be
// read is NOT_FOUND, ReasonSourceUnreadable.
func (c *Client) RecognizeItem(ctx context.Context, item Item, options ...CallOption) (*Reading, error) {
	if item.ID == "" {
		item.ID = "whole"
	}
	settings, err := newCallSettings(options)
	if err == nil {
		err = item.check()
	}
	if err != nil {
		return nil, err
	}
	if settings.timeout == 0 {
		settings.timeout = recognizeTimeout
	}
	ctx, cancel := c.bounded(ctx, settings.timeout)
	defer cancel()
	content, err := interruptible(ctx, item, func() ([]byte, error) { return loadSmall(item) })
	if ctx.Err() != nil {
		return nil, errorFromContext(ctx)
	}
	if err != nil {
		return nil, refusalError(err)
	}
	if len(content) > unaryMaxBytes {
		return c.recognizeInChunks(ctx, item, settings)
	}
	item.Content, item.Path = content, ""
	reading, err := c.recognizeWhole(ctx, item, settings)
	if failure := new(Error); errors.As(err, &failure) && overMessageLimit(failure) {
		return c.recognizeInChunks(ctx, item, settings)
	}
	return reading, err
}

// StreamRecognize reads many items; it gives one answer a page, each page of each item exactly once, the item's last one
// marked.
//
// Every item is answered: a document or an error, also where its file cannot be read. At most 8 items are on their way
// (WithConcurrency), and an item is drawn only when there is room for it, so memory is bounded whatever the iterator holds.
// What has no answer is sent again, under the same ID, when a connection is lost or the server wants it elsewhere.
//
// An error comes last, after the answers that came before it: an *Error when the server refuses the stream, stays away
// for longer than the backoff bears, or when the context ends, in which case errors.Is tells which way; ErrUsage for two
// unanswered items of one ID, or for options that contradict each other.
//
// Leaving the loop cancels the call, and ends all goroutines of it but for one that is inside the iterator, which ends with
// the item that it draws. The iterator runs on a goroutine of its own; its panic becomes the caller's. Each range over the
// result is a stream of its own.
func (c *Client) StreamRecognize(
	ctx context.Context, items iter.Seq[Item], options ...CallOption,
) iter.Seq2[*Answer, error] {
	return c.StreamRecognizeSeq2(ctx, withoutErrors(items), options...)
}

// StreamRecognizeSeq2 is StreamRecognize for an iterator that may fail: its first error ends the stream, as it is, after the
// answers that came before.
func (c *Client) StreamRecognizeSeq2(
	ctx context.Context, items iter.Seq2[Item, error], options ...CallOption,
) iter.Seq2[*Answer, error] {
	return c.stream(ctx, fromIterator(items), options)
}

// StreamRecognizeChan is StreamRecognize for a channel. The stream ends once the channel is closed and all is answered;
// after leaving early at most one more item has been taken from the channel than was started.
func (c *Client) StreamRecognizeChan(
	ctx context.Context, items <-chan Item, options ...CallOption,
) iter.Seq2[*Answer, error] {
	return c.stream(ctx, fromChannel(items), options)
}

// ListProviders gives each provider that the gateway knows, with its limits and its state now, and the routes. It asks the
// target of WithGatewayTarget, else the client's own whatever its health, and waits 30 s at most, all tries included, or
// WithTimeout. Passing failures are tried again as by Recognize, or WithBackoff; other options mean nothing here.
func (c *Client) ListProviders(ctx context.Context, options ...CallOption) (*gatewayv1.ListProvidersResponse, error) {
	settings, err := newCallSettings(options)
	if err != nil {
		return nil, err
	}
	if settings.timeout == 0 {
		settings.timeout = listProvidersTimeout
	}
	ctx, cancel := c.bounded(ctx, settings.timeout)
	defer cancel()
	return again(ctx, c.chance, settings.patience(attemptsOfCalls),
		func() (*gatewayv1.ListProvidersResponse, error) {
			return c.gateway.ListProviders(ctx, &gatewayv1.ListProvidersRequest{})
		})
}

func (c *Client) stream(
	ctx context.Context, feed func(*itemSource), options []CallOption,
) iter.Seq2[*Answer, error] {
	return func(yield func(*Answer, error) bool) {
		settings, err := newCallSettings(options)
		if err != nil {
			yield(nil, err)
			return
		}
		ctx, cancel := c.bounded(ctx, settings.timeout)
		defer cancel()
		stream := &itemStream{
			open:           func(ctx context.Context) (recognizeCall, error) { return c.preprocess.StreamRecognize(ctx) },
			settings:       settings,
			backoff:        settings.patience(attemptsOfStreams),
			chance:         c.chance,
			digestPatience: c.digestPatience,
			source:         newItemSource(feed),
			ledger:         newItemLedger(settings),
			ready:          make(chan struct{}, 1),
			taken:          make(chan struct{}, 1),
			changed:        make(chan struct{}, 1),
		}
		stream.answers(ctx, yield)
	}
}

func (c *Client) recognizeWhole(ctx context.Context, item Item, settings callSettings) (*Reading, error) {
	message := &preprocessv1.RecognizeRequest{
		Recognition:   settings.config.recognition(),
		Normalization: settings.config.normalization(),
		Item:          sourceItem(item, contentPayload(item.Content)),
	}
	response, err := again(ctx, c.chance, settings.patience(attemptsOfCalls),
		func() (*preprocessv1.RecognizeResponse, error) { return c.preprocess.Recognize(ctx, message) })
	if err != nil {
		return nil, err
	}
	return readingOf(response.GetAnswers())
}

func (c *Client) recognizeInChunks(ctx context.Context, item Item, settings callSettings) (*Reading, error) {
	backoff := settings.patience(attemptsOfCalls)
	one := func(s *callSettings) {
		*s = settings
		s.concurrency, s.ordered, s.digestFirst, s.backoff, s.timeout = 1, true, false, &backoff, 0
		s.sendsPerItem = backoff.Attempts + 1 // the backoff alone says when it is given up
	}
	var answers []*Answer
	for answer, err := range c.StreamRecognize(ctx, func(yield func(Item) bool) { yield(item) }, one) {
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer)
	}
	return readingOf(answers)
}

// readingOf gives what one item was answered; an error of it as a whole, or of its only page, is the call's.
func readingOf(answers []*Answer) (*Reading, error) {
	if len(answers) == 0 {
		return nil, newError(codes.Internal, ReasonProtocolBroken, "the server gave no answer")
	}
	for _, answer := range answers {
		if failure := ErrorOf(answer); failure != nil && (len(answers) == 1 || answer.GetPage() == 0) {
			return nil, failure
		}
	}
	return &Reading{answers}, nil
}

// again makes the call; passing failures are tried again as the backoff says.
func again[T any](ctx context.Context, chance chance, backoff Backoff, call func() (T, error)) (T, error) {
	for failures := 1; ; failures++ {
		response, err := call()
		if err == nil {
			return response, nil
		}
		if ctx.Err() != nil {
			return response, errorFromContext(ctx)
		}
		failure := errorFromRPC(err)
		if !failure.passing() || failures > backoff.Attempts {
			return response, failure
		}
		if chance.pause(ctx, backoff.wait(failures, failure.RetryAfter, chance.draw())) != nil {
			return response, errorFromContext(ctx)
		}
	}
}

// overMessageLimit says whether gRPC itself refused a message for its size, before any service saw it.
func overMessageLimit(failure *Error) bool {
	return failure.Code == codes.ResourceExhausted && failure.Reason == "" &&
		strings.Contains(failure.Message, "larger than max")
}

// loadSmall gives the item's content, or more than unaryMaxBytes of it.
func loadSmall(item Item) ([]byte, error) {
	if item.Path == "" {
		return item.Content, nil
	}
	return loadFile(item.Path, unaryMaxBytes+1)
}

func refusalError(err error) error {
	var refusal *itemRefused
	if errors.As(err, &refusal) {
		return errorFromStatus(refusal.status)
	}
	return err
}

func withoutErrors(items iter.Seq[Item]) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}
