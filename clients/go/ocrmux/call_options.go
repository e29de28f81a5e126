package ocrmux

import "time"

const (
	defaultConcurrency  = 8
	defaultSendsPerItem = 4
	defaultSilence      = 600 * time.Second
	leastReorderSpan    = 64
)

// CallOption says how one call is made. All options hold for streams; Recognize has use for WithConfig, WithTimeout and
// WithBackoff, and for the others where it sends its content over a stream.
type CallOption func(*callSettings)

// WithConfig says how items are to be read.
func WithConfig(config Config) CallOption {
	return func(s *callSettings) { s.config = config }
}

// WithConcurrency sets how many items are on their way at most (8); the server's own limits may be lower.
func WithConcurrency(items int) CallOption {
	return func(s *callSettings) { s.concurrency = items }
}

// WithUnordered gives answers as they come; else they come in the order of the items. The pages of one item are in order
// either way.
func WithUnordered() CallOption {
	return func(s *callSettings) { s.ordered = false }
}

// WithDigestFirst sends the SHA-256 of an item first, and its content only where the server has no answer for it.
func WithDigestFirst() CallOption {
	return func(s *callSettings) { s.digestFirst = true }
}

// WithSendsPerItem sets at how many lost connections an item may be with the server before they count as its own fault, and
// how often, counted apart, it is moved to another server (4).
func WithSendsPerItem(sends int) CallOption {
	return func(s *callSettings) { s.sendsPerItem = sends }
}

// WithSilence sets after which time without a word from the server, while items are with it, a connection counts as lost
// (600 s).
func WithSilence(silence time.Duration) CallOption {
	return func(s *callSettings) { s.silence = silence }
}

// WithBackoff says how a server is asked again: of streams instead of DefaultBackoff, of Recognize instead of the same with 4
// attempts.
func WithBackoff(backoff Backoff) CallOption {
	return func(s *callSettings) { s.backoff = &backoff }
}

// WithTimeout limits the whole call, all tries and waits included, besides the context: 300 s for Recognize and no limit for
// a stream where it is not given.
func WithTimeout(timeout time.Duration) CallOption {
	return func(s *callSettings) { s.timeout = timeout }
}

// Reconnect is a lost connection, or a server that wants its items to be sent elsewhere.
type Reconnect struct {
	// Failures in a row, from 1.
	Failures int
	// Wait until the next try.
	Wait time.Duration
	// Cause of it.
	Cause *Error
}

// WithReconnectHook has the hook told of each reconnect before its wait. It is called from a goroutine of the stream, one
// call at a time, and should not block.
func WithReconnectHook(hook func(Reconnect)) CallOption {
	return func(s *callSettings) { s.onReconnect = hook }
}

// callSettings is what the options of one call come to.
type callSettings struct {
	config       Config
	concurrency  int
	ordered      bool
	digestFirst  bool
	sendsPerItem int
	silence      time.Duration
	backoff      *Backoff
	timeout      time.Duration
	onReconnect  func(Reconnect)
}

func newCallSettings(options []CallOption) (callSettings, error) {
	settings := callSettings{
		concurrency:  defaultConcurrency,
		ordered:      true,
		sendsPerItem: defaultSendsPerItem,
		silence:      defaultSilence,
	}
	for _, option := range options {
		option(&settings)
	}
	switch {
	case settings.concurrency < 1:
		return settings, usage("the concurrency is above 0, not %d", settings.concurrency)
	case settings.sendsPerItem < 1:
		return settings, usage("the sends per item are above 0, not %d", settings.sendsPerItem)
	case settings.silence <= 0:
		return settings, usage("the silence is above 0, not %v", settings.silence)
	case settings.timeout < 0:
		return settings, usage("a timeout is 0 or more, not %v", settings.timeout)
	}
	if settings.backoff != nil {
		if err := settings.backoff.check(); err != nil {
			return settings, err
		}
	}
	return settings, settings.config.check()
}

// patience is the backoff, or the default one with so many attempts.
func (s callSettings) patience(attempts int) Backoff {
	if s.backoff != nil {
		return *s.backoff
	}
	backoff := DefaultBackoff()
	backoff.Attempts = attempts
	return backoff
}

// reorderSpan is how many items may be started while an earlier one still holds back their answers.
func (s callSettings) reorderSpan() int {
	return max(leastReorderSpan, 4*s.concurrency)
}
