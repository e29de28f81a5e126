package ocrmux

import (
	"fmt"
	"testing"

	ocrv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/ocr/v1"
	"google.golang.org/grpc/codes"
)

// ledgerOf holds items of so many bytes, with the IDs 0, 1, 2 …, in the waiting line.
func ledgerOf(t *testing.T, sizes []int, options ...CallOption) *itemLedger {
	t.Helper()
	settings, err := newCallSettings(options)
	if err != nil {
		t.Fatal(err)
	}
	ledger := newItemLedger(settings)
	for n, size := range sizes {
		if err := ledger.admit(Item{ID: fmt.Sprint(n), Content: make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
	}
	return ledger
}

// begin starts what may be started, and says which items these are and what is to be done then.
func begin(ledger *itemLedger, limits *ocrv1.StreamLimits, digestsOnly bool) (ids []string, after step) {
	for {
		todo, e := ledger.decide(limits, true, digestsOnly)
		switch todo {
		case stepMeasure:
			e.measured, e.size = true, int64(len(e.item.Content))
		case stepSend:
			e.sent = true
			ids = append(ids, e.item.ID)
		default:
			return ids, todo
		}
	}
}

func wantBegun(t *testing.T, ledger *itemLedger, limits *ocrv1.StreamLimits, want []string, after step) {
	t.Helper()
	ids, todo := begin(ledger, limits, false)
	wantEqual(t, "begun", ids, want)
	wantEqual(t, "then", todo, after)
}

func answered(t *testing.T, ledger *itemLedger, answers ...*Answer) {
	t.Helper()
	for _, answer := range answers {
		if _, err := ledger.take(answer); err != nil {
			t.Fatal(err)
		}
	}
}

func page(id string) *Answer { return pagesOf(id, nil)[0] }

func asked(id, reason string) *Answer { return refusal(id, statusError(codes.Unavailable, reason)) }

// The bytes of answered items make room for others.
func TestBytesAreGivenBack(t *testing.T) {
	ledger := ledgerOf(t, []int{6, 6, 4, 1})
	limits := &ocrv1.StreamLimits{MaxBytesInFlight: 10}
	wantBegun(t, ledger, limits, []string{"0"}, stepWait)
	answered(t, ledger, page("0"))
	wantBegun(t, ledger, limits, []string{"1", "2"}, stepWait)
	answered(t, ledger, page("1"), page("2"))
	wantBegun(t, ledger, limits, []string{"3"}, stepFinish)
	wantEqual(t, "bytes", ledger.inFlightBytes, 1)
}

// Nothing is started while as many answers wait for the caller as items may be on their way.
func TestNothingIsStartedWhileTheCallerIsBehind(t *testing.T) {
	ledger := ledgerOf(t, []int{1, 1, 1, 1}, WithConcurrency(2))
	wantBegun(t, ledger, nil, []string{"0", "1"}, stepWait)
	answered(t, ledger, page("0"), page("1"))
	wantBegun(t, ledger, nil, nil, stepWait)
	ledger.pop()
	wantBegun(t, ledger, nil, []string{"2", "3"}, stepFinish)
}

// Content that is asked for goes before items that are new, and not into a message of digests; the stream is not
// half-closed while it may be asked for.
func TestContentThatIsWantedGoesFirst(t *testing.T) {
	ledger := ledgerOf(t, []int{1, 1, 1}, WithConcurrency(2), WithDigestFirst())
	wantBegun(t, ledger, nil, []string{"0", "1"}, stepWait)
	answered(t, ledger, asked("1", reasonContentWanted))
	if ids, todo := begin(ledger, nil, true); len(ids) > 0 || todo != stepWait {
		t.Errorf("%v were begun as digests, then %v", ids, todo)
	}
	wantBegun(t, ledger, nil, []string{"1"}, stepWait)
	answered(t, ledger, page("1"))
	wantBegun(t, ledger, nil, []string{"2"}, stepWait)
	answered(t, ledger, page("0"))
	ledger.pop()
	wantBegun(t, ledger, nil, nil, stepWait)
	answered(t, ledger, asked("2", reasonContentWanted))
	wantBegun(t, ledger, nil, []string{"2"}, stepFinish)
}

// After an item was moved nothing more is sent on this stream; on the next one items go in the old order.
func TestTheOldOrderIsKept(t *testing.T) {
	ledger := ledgerOf(t, []int{1, 1, 1, 1, 1}, WithConcurrency(3))
	wantBegun(t, ledger, nil, []string{"0", "1", "2"}, stepWait)
	answered(t, ledger, asked("1", reasonDraining), page("0"))
	wantBegun(t, ledger, nil, nil, stepFinish)
	failure := ledger.settle(nil, true)
	wantEqual(t, "failure", failure.Reason, ReasonConnectionLost)
	wantBegun(t, ledger, nil, []string{"1", "2", "3"}, stepWait)
	answered(t, ledger, page("2"), asked("1", reasonDraining), page("3"))
	wantEqual(t, "cause", ledger.settle(nil, true).Reason, reasonDraining)
	wantBegun(t, ledger, nil, []string{"1", "4"}, stepFinish)
	answered(t, ledger, page("4"), page("1"))
	var given []string
	for answer := ledger.pop(); answer != nil; answer = ledger.pop() {
		given = append(given, answer.GetRequestId())
	}
	wantEqual(t, "answers", given, []string{"0", "1", "2", "3", "4"})
}

// An idle connection that is lost has failed nobody; before the limits have come it has failed.
func TestAnIdleConnectionMayBeLost(t *testing.T) {
	ledger := ledgerOf(t, []int{1})
	wantBegun(t, ledger, nil, []string{"0"}, stepFinish)
	answered(t, ledger, page("0"))
	lost := newError(codes.Unavailable, "", "lost")
	if failure := ledger.settle(lost, true); failure != nil {
		t.Errorf("got %v", failure)
	}
	if failure := ledger.settle(lost, false); failure != lost {
		t.Errorf("got %v", failure)
	}
}

// An ID is free again once its item is finished.
func TestAFinishedIDIsFree(t *testing.T) {
	ledger := ledgerOf(t, []int{1})
	if ledger.admit(Item{ID: "0"}) == nil {
		t.Error("an ID in use was taken")
	}
	begin(ledger, nil, false)
	answered(t, ledger, page("0"))
	if err := ledger.admit(Item{ID: "0"}); err != nil {
		t.Error(err)
	}
}
