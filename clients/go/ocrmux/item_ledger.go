package ocrmux

import (
	"fmt"
	"slices"

	ocrv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/ocr/v1"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// entry is an item that has no last answer yet.
type entry struct {
	item       Item
	place      int
	byDigest   bool
	measured   bool
	size       int64
	pagesGiven uint32
	sent       bool // the present connection has it, or a part of it
	losses     int  // connections that were lost while they had it
	moves      int  // answers that wanted it elsewhere
}

// step is what the sending side has to do next.
type step int

const (
	stepWait    step = iota // nothing, until something changes
	stepDraw                // there is room for an item that is to be drawn from the source
	stepMeasure             // the size of an item has to be known
	stepSend                // an item was taken into the window
	stepFinish              // this stream has nothing more to send
)

// itemLedger knows where every item is, and which answers may be given out. Plain state, without waiting; whoever uses it
// holds the stream's lock.
type itemLedger struct {
	concurrency   int
	reorderSpan   int
	sendsPerItem  int
	digestFirst   bool
	order         answerOrder
	ids           map[string]bool
	waiting       []*entry
	inFlight      map[string]*entry
	inFlightBytes int64
	moving        []*entry
	movingCause   *Error
	out           []*Answer
}

func newItemLedger(settings callSettings) *itemLedger {
	return &itemLedger{
		concurrency:  settings.concurrency,
		reorderSpan:  settings.reorderSpan(),
		sendsPerItem: settings.sendsPerItem,
		digestFirst:  settings.digestFirst,
		order:        newAnswerOrder(settings.ordered),
		ids:          map[string]bool{},
		inFlight:     map[string]*entry{},
	}
}

// admit puts an item that was drawn into the waiting line.
func (l *itemLedger) admit(item Item) error {
	if err := item.check(); err != nil {
		return err
	}
	if l.ids[item.ID] {
		return usage("the ID %q is used by two items", item.ID)
	}
	l.ids[item.ID] = true
	l.waiting = append(l.waiting, &entry{item: item, place: l.order.start(), byDigest: l.digestFirst})
	return nil
}

// decide says what to do next; an item that is to be sent is in the window from now on. With digestsOnly an item that goes
// with its content is waited with.
func (l *itemLedger) decide(limits *ocrv1.StreamLimits, exhausted, digestsOnly bool) (step, *entry) {
	switch {
	case l.movingCause != nil:
		return stepFinish, nil
	case len(l.waiting) == 0 && exhausted:
		if l.contentMayBeWanted() {
			return stepWait, nil
		}
		return stepFinish, nil
	case l.backedUp():
		return stepWait, nil
	case len(l.waiting) == 0:
		if l.mayDraw(limits) {
			return stepDraw, nil
		}
		return stepWait, nil
	}
	first := l.waiting[0]
	if !first.measured {
		return stepMeasure, first
	}
	if !l.fits(first, limits) || (digestsOnly && !first.byDigest) {
		return stepWait, nil
	}
	l.waiting = slices.Delete(l.waiting, 0, 1)
	l.inFlight[first.item.ID] = first
	l.inFlightBytes += first.size
	return stepSend, first
}

// mayDraw says whether an item from the source would find room.
func (l *itemLedger) mayDraw(limits *ocrv1.StreamLimits) bool {
	return len(l.waiting) == 0 && len(l.inFlight) < l.window(limits) &&
		!l.backedUp() && l.order.lag() < l.reorderSpan
}

// backedUp says whether the caller is behind with taking answers.
func (l *itemLedger) backedUp() bool { return len(l.out) >= l.concurrency }

func (l *itemLedger) window(limits *ocrv1.StreamLimits) int {
	if most := limits.GetMaxItemsInFlight(); most > 0 {
		return min(l.concurrency, int(most))
	}
	return l.concurrency
}

func (l *itemLedger) fits(e *entry, limits *ocrv1.StreamLimits) bool {
	if len(l.inFlight) == 0 {
		return true
	}
	most := limits.GetMaxBytesInFlight()
	return len(l.inFlight) < l.window(limits) && (most == 0 || uint64(l.inFlightBytes+e.size) <= most)
}

func (l *itemLedger) contentMayBeWanted() bool {
	for _, e := range l.inFlight {
		if e.byDigest {
			return true
		}
	}
	return false
}

// holds says whether the entry still waits for its last answer on this connection.
func (l *itemLedger) holds(e *entry) bool { return l.inFlight[e.item.ID] == e }

// withServer says whether the server has an item that it has not answered.
func (l *itemLedger) withServer() bool {
	for _, e := range l.inFlight {
		if e.sent {
			return true
		}
	}
	return false
}

// refuse answers an item here, wherever it is.
func (l *itemLedger) refuse(e *entry, status *rpcstatus.Status) {
	if l.holds(e) {
		l.land(e)
	}
	if at := slices.Index(l.waiting, e); at >= 0 {
		l.waiting = slices.Delete(l.waiting, at, at+1)
	}
	l.give(e, &Answer{
		RequestId: e.item.ID,
		LastPage:  true,
		Outcome:   &ocrv1.PageAnswer_Error{Error: status},
	})
}

// take deals with an answer of the server's. It says whether the answer ends a row of failures, as all do but those that want
// the item elsewhere; an error is a breach of protocol.
func (l *itemLedger) take(answer *Answer) (bool, error) {
	e := l.inFlight[answer.GetRequestId()]
	if e == nil {
		return false, newError(codes.Internal, ReasonProtocolBroken,
			"the server answered %q, which waits for no answer", answer.GetRequestId())
	}
	served := true
	if answer.GetLastPage() {
		l.land(e)
		failure := ErrorOf(answer)
		served = failure == nil || !failure.toBeMoved()
		if failure != nil && l.toBeSentAgain(e, failure) {
			return served, nil
		}
	}
	page := answer.GetPage()
	switch {
	case page == 0 || page > e.pagesGiven:
		e.pagesGiven = max(e.pagesGiven, page)
		l.give(e, answer)
	case answer.GetLastPage():
		l.refuse(e, itemStatus(codes.Aborted, ReasonProtocolBroken, fmt.Sprintf(
			"the item ended at page %d, after page %d had been answered before", page, e.pagesGiven), nil))
	}
	return served, nil
}

func (l *itemLedger) toBeSentAgain(e *entry, failure *Error) bool {
	switch {
	case failure.Reason == reasonContentWanted && e.byDigest:
		e.byDigest, e.sent = false, false
		at, _ := slices.BinarySearchFunc(l.waiting, e, byPlace)
		l.waiting = slices.Insert(l.waiting, at, e)
		return true
	case failure.toBeMoved() && e.moves < l.sendsPerItem:
		e.moves++
		l.moving = append(l.moving, e)
		l.movingCause = failure
		return true
	}
	return false
}

// settle puts items without an answer back into the waiting line after a connection has ended, in the old order. failure is
// what ended it, or nil; limited says whether the server's limits had come. It gives what the connection failed by, if it did.
func (l *itemLedger) settle(failure *Error, limited bool) *Error {
	left := make([]*entry, 0, len(l.inFlight))
	for _, e := range l.inFlight {
		left = append(left, e)
	}
	cause := l.movingCause
	unanswered := len(left) + len(l.moving) + len(l.waiting)
	switch {
	case failure == nil && (len(left) > 0 || cause == nil && unanswered > 0):
		failure = newError(codes.Unavailable, ReasonConnectionLost,
			"the server ended the stream with %d items without an answer", unanswered)
	case failure != nil && limited && unanswered == 0:
		failure = nil // an idle connection was closed; nothing is lost by it
	}
	l.inFlight, l.inFlightBytes, l.movingCause = map[string]*entry{}, 0, nil
	l.waiting = slices.Concat(l.waiting, left, l.moving)
	l.moving = nil
	slices.SortFunc(l.waiting, byPlace)
	slices.SortFunc(left, byPlace)
	for _, e := range left {
		if e.sent {
			e.losses++
		}
		if e.losses >= l.sendsPerItem {
			l.refuse(e, itemStatus(codes.Unavailable, ReasonConnectionLost, fmt.Sprintf(
				"the connection was lost %d times while this item was with the server: %v", e.losses, failure), nil))
		}
	}
	for _, e := range l.waiting {
		e.sent, e.measured = false, false // the next server may have other limits
	}
	if failure == nil {
		return cause
	}
	return failure
}

// pop gives the next answer for the caller, or nil.
func (l *itemLedger) pop() *Answer {
	if len(l.out) == 0 {
		return nil
	}
	answer := l.out[0]
	l.out[0] = nil
	l.out = l.out[1:]
	return answer
}

func (l *itemLedger) give(e *entry, answer *Answer) {
	if answer.GetLastPage() {
		delete(l.ids, e.item.ID)
	}
	l.out = append(l.out, l.order.take(e.place, answer)...)
}

func byPlace(a, b *entry) int { return a.place - b.place }

func (l *itemLedger) land(e *entry) {
	delete(l.inFlight, e.item.ID)
	l.inFlightBytes -= e.size
}
