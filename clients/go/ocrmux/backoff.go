package ocrmux

import (
	"context"
	"math"
	"time"
)

// Backoff says how long to wait before a server is asked again: First, multiplied by Factor with each failure in a row, at
// most Longest, each cut by a random factor of 0.5 to 1 and not less than the server's own wish, which is cut to Longest too.
type Backoff struct {
	// First is the wait after the first failure.
	First time.Duration
	// Factor is what each further failure in a row multiplies it by; at least 1.
	Factor float64
	// Longest bounds every wait.
	Longest time.Duration
	// Attempts is how many failures in a row are borne; the next one is final. 0: the first one is.
	Attempts int
}

// DefaultBackoff is that of streams: 0.2 s, doubled up to 10 s, 8 failures borne. Calls that are no stream bear 4.
func DefaultBackoff() Backoff {
	return Backoff{First: 200 * time.Millisecond, Factor: 2, Longest: 10 * time.Second, Attempts: 8}
}

func (b Backoff) check() error {
	if b.First < 0 || b.Longest < b.First || !(b.Factor >= 1) || b.Attempts < 0 {
		return usage("a backoff has 0 <= First <= Longest, a Factor of 1 or more and Attempts of 0 or more")
	}
	return nil
}

// wait is the time after the failures-th failure in a row, counted from 1; draw is 0 to 1.
func (b Backoff) wait(failures int, atLeast time.Duration, draw float64) time.Duration {
	ceiling := math.Min(float64(b.Longest), float64(b.First)*math.Pow(b.Factor, float64(failures-1)))
	waited := time.Duration(ceiling * (0.5 + 0.5*draw))
	return min(b.Longest, max(waited, atLeast))
}

// pause returns after the time, or with the context's error.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
