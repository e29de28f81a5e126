package ocrmux

import (
	"errors"
	"iter"
	"sync/atomic"
)

var errItemsGoexit = errors.New("ocrmux: the items' iterator ended its goroutine")

// itemSource draws the caller's items one at a time, each on demand, in a goroutine of its own: a source that blocks holds
// nothing up but itself. One goroutine at a time uses it.
type itemSource struct {
	feed      func(*itemSource)
	demand    chan struct{}
	drawn     chan drawn
	quit      chan struct{}
	ended     chan struct{}
	drawing   atomic.Bool // the caller's code is at work
	started   bool
	asked     bool
	exhausted bool
	failed    error
}

// drawn is what came of one demand: an item, the end, or an error of the caller's.
type drawn struct {
	item Item
	end  bool
	err  error
}

// sourcePanic carries a panic of the caller's iterator to the caller's goroutine.
type sourcePanic struct{ value any }

func (p *sourcePanic) Error() string { return "ocrmux: the items' iterator panicked" }

func newItemSource(feed func(*itemSource)) *itemSource {
	return &itemSource{
		feed:   feed,
		demand: make(chan struct{}, 1),
		drawn:  make(chan drawn, 1),
		quit:   make(chan struct{}),
		ended:  make(chan struct{}),
	}
}

// fromIterator feeds what the iterator yields; an error ends it.
func fromIterator(items iter.Seq2[Item, error]) func(*itemSource) {
	return func(s *itemSource) {
		for item, err := range items {
			s.give(drawn{item: item, err: err})
			if err != nil || !s.wanted() {
				return
			}
		}
		s.give(drawn{end: true})
	}
}

// fromChannel feeds what comes from the channel until it is closed.
func fromChannel(items <-chan Item) func(*itemSource) {
	return func(s *itemSource) {
		for {
			s.drawing.Store(false) // the wait for the channel ends with the source
			select {
			case item, open := <-items:
				s.give(drawn{item: item, end: !open})
				if !open || !s.wanted() {
					return
				}
			case <-s.quit:
				return
			}
		}
	}
}

// next has the next item drawn, if that is not under way, and gives the channel on which it comes; nil at the end. What is
// received goes to took.
func (s *itemSource) next() <-chan drawn {
	if s.exhausted || s.failed != nil {
		return nil
	}
	if !s.asked {
		s.asked = true
		s.drawing.Store(true)
		s.demand <- struct{}{}
		if !s.started {
			s.started = true
			go s.run()
		}
	}
	return s.drawn
}

// took notes what was received.
func (s *itemSource) took(event drawn) {
	s.asked, s.exhausted, s.failed = false, event.end, event.err
}

// close ends the goroutine. It waits for the caller's iterator to clean up unless that is drawing an item, which cannot be
// interrupted; it then ends with that item. A panic of the clean-up is raised here.
func (s *itemSource) close() {
	close(s.quit)
	if !s.started || s.drawing.Load() {
		return
	}
	<-s.ended
	select {
	case event := <-s.drawn:
		event.raise()
	default:
	}
}

// raise panics in the caller's goroutine as the caller's iterator did in its own.
func (d drawn) raise() {
	var panicked *sourcePanic
	if errors.As(d.err, &panicked) {
		panic(panicked.value)
	}
}

func (s *itemSource) give(event drawn) {
	s.drawing.Store(false)
	s.drawn <- event
}

// wanted waits for a demand; false once the source is closed.
func (s *itemSource) wanted() bool {
	select {
	case <-s.demand:
	case <-s.quit:
	}
	select {
	case <-s.quit:
		return false
	default:
		return true
	}
}

func (s *itemSource) run() {
	defer close(s.ended)
	if !s.wanted() {
		return
	}
	fed := false
	defer func() {
		if fed {
			return
		}
		err := errItemsGoexit
		if value := recover(); value != nil {
			err = &sourcePanic{value}
		}
		s.drawing.Store(false)
		select {
		case s.drawn <- drawn{err: err}:
		default:
		}
	}()
	s.feed(s)
	fed = true
}
