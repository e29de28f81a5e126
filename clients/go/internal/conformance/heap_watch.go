package main

import (
	"runtime/metrics"
	"sync"
	"time"
)

const (
	heapMetric = "/memory/classes/heap/objects:bytes"
	heapPeriod = 10 * time.Millisecond
)

// heapWatch looks at the bytes of the heap's objects, dead ones that are not yet collected included, a hundred times a second.
type heapWatch struct {
	mu   sync.Mutex
	most uint64
}

func newHeapWatch() *heapWatch {
	watch := &heapWatch{}
	watch.look()
	go func() {
		for range time.Tick(heapPeriod) {
			watch.look()
		}
	}()
	return watch
}

// peak is the most bytes seen.
func (h *heapWatch) peak() uint64 {
	h.look()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.most
}

func (h *heapWatch) look() {
	sample := []metrics.Sample{{Name: heapMetric}}
	metrics.Read(sample)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.most = max(h.most, sample[0].Value.Uint64())
}
