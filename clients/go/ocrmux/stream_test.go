package ocrmux

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	ocrv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/ocr/v1"
	preprocessv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/preprocess/v1"
	"google.golang.org/grpc/codes"
)

// Rule 1: the config goes first, with batched answers and never ordered, and nothing else until the limits have come.
func TestNothingFollowsTheConfigUntilTheLimitsCome(t *testing.T) {
	fake := newFake()
	early := make(chan *request, 1)
	fake.script = func(call fakeCall, _ int) error {
		config, err := call.Recv()
		if err != nil || config.GetConfig().GetOrdered() || !config.GetConfig().GetBatchedAnswers() {
			return statusError(codes.InvalidArgument, "CONFIG_MISSING")
		}
		received := make(chan *request, 1)
		go func() {
			message, _ := call.Recv()
			received <- message
		}()
		select {
		case message := <-received:
			early <- message
			return statusError(codes.InvalidArgument, "MESSAGE_UNEXPECTED")
		case <-time.After(50 * time.Millisecond): // a message that came too early would be here by now
		}
		if err := call.Send(limitsResponse(fake.limits)); err != nil {
			return err
		}
		item := (<-received).GetItem()
		return call.Send(response(pagesOf(item.GetRequestId(), item.GetImage().GetContent())))
	}
	client, _ := dial(t, fake.start(t))
	wantEqual(t, "answers", mustRead(t, client, contents("a")), single("a"))
	if len(early) > 0 {
		t.Errorf("the client sent %v before the limits", <-early)
	}
}

// Rule 2: no more items are on their way than the caller or the server allows, and no more are drawn.
func TestTheWindowIsTheSmallerOfBothLimits(t *testing.T) {
	for _, c := range []struct{ concurrency, server, window int }{{3, 16, 3}, {8, 2, 2}, {1, 16, 1}} {
		t.Run(fmt.Sprintf("%d of %d", c.window, max(c.concurrency, c.server)), func(t *testing.T) {
			fake := newFake()
			fake.limits.MaxItemsInFlight = uint32(c.server)
			fake.gate = make(chan struct{})
			client, _ := dial(t, fake.start(t))
			drawn := make(chan int, 100)
			items := func(yield func(Item) bool) {
				for n := range 20 {
					drawn <- n
					if !yield(Item{ID: fmt.Sprint(n), Content: []byte("x")}) {
						return
					}
				}
			}
			read := make(chan []string)
			go func() {
				all, _ := readAll(client.StreamRecognize(t.Context(), items, WithConcurrency(c.concurrency)))
				read <- all
			}()
			eventually(t, "the window fills", func() bool { return fake.seen().mostInFlight == c.window })
			wantEqual(t, "drawn", len(drawn), c.window)
			close(fake.gate)
			wantEqual(t, "answers", len(<-read), 20)
			wantEqual(t, "most in flight", fake.seen().mostInFlight, c.window)
		})
	}
}

// Rule 2: bytes on their way stay within the server's limit, and an item above all of it goes alone.
func TestBytesStayWithinTheServersLimit(t *testing.T) {
	fake := newFake()
	fake.limits.MaxBytesInFlight = 1000
	client, _ := dial(t, fake.start(t))
	all := []string{strings.Repeat("a", 600), strings.Repeat("b", 300), strings.Repeat("c", 5000), strings.Repeat("d", 500)}
	wantEqual(t, "answers", mustRead(t, client, contents(all...)), single(all...))
	if seen := fake.seen(); seen.mostBytes != 5000 || seen.mostInFlight > 2 {
		t.Errorf("%d items and %d bytes were on their way", seen.mostInFlight, seen.mostBytes)
	}
}

// Rule 3: answers come in the order of the items, the pages of one together.
func TestAnswersComeInTheOrderOfTheItems(t *testing.T) {
	fake := newFake()
	fake.backwards, fake.answersTogether = true, 3
	client, _ := dial(t, fake.start(t))
	wantEqual(t, "answers", mustRead(t, client, contents("pages=2", "one", "error=IMAGE_EMPTY")), []string{
		pageText("item-0", 1, "pages=2", false), pageText("item-0", 2, "pages=2", true),
		pageText("item-1", 1, "one", true), "item-2/0=IMAGE_EMPTY!",
	})
}

// Rule 3: without order an answer waits for no other item's.
func TestUnorderedAnswersComeAsTheyAreReady(t *testing.T) {
	fake := newFake()
	fake.backwards = true
	client, _ := dial(t, fake.start(t))
	all := mustRead(t, client, contents("a", "b", "c"), WithUnordered())
	want := single("a", "b", "c")
	slices.Reverse(want)
	wantEqual(t, "answers", all, want)
}

// Rule 3: no more than 64 items are started beyond the oldest one that is unfinished.
func TestStartedItemsAreBoundedWhileTheOldestIsUnfinished(t *testing.T) {
	fake := newFake()
	release := make(chan struct{})
	fake.script = func(call fakeCall, _ int) error {
		if _, err := call.Recv(); err != nil {
			return err
		}
		if err := call.Send(limitsResponse(fake.limits)); err != nil {
			return err
		}
		oldest, err := call.Recv()
		for count := 1; err == nil; count++ {
			if count == 64 {
				go func() {
					<-release
					_ = call.Send(response(pagesOf(oldest.GetItem().GetRequestId(), nil)))
				}()
			}
			var message *request
			if message, err = call.Recv(); err == nil {
				fake.mu.Lock()
				fake.received = append(fake.received, message.GetItem().GetRequestId())
				fake.mu.Unlock()
				err = call.Send(response(pagesOf(message.GetItem().GetRequestId(), nil)))
			}
		}
		return nil
	}
	client, _ := dial(t, fake.start(t))
	drawn := 0
	items := func(yield func(Item) bool) {
		for ; drawn < 100; drawn++ {
			if drawn == 64 {
				select {
				case <-release:
				default:
					t.Error("an item was drawn beyond 64")
				}
			}
			if !yield(Item{ID: fmt.Sprint(drawn), Content: []byte{}}) {
				return
			}
		}
	}
	read := make(chan []string)
	go func() {
		all, _ := readAll(client.StreamRecognize(t.Context(), items))
		read <- all
	}()
	eventually(t, "64 are started", func() bool { return len(fake.seen().received) == 63 })
	close(release)
	all := <-read
	wantEqual(t, "answers", len(all), 100)
	for n, answer := range all {
		if !strings.HasPrefix(answer, fmt.Sprintf("%d/", n)) {
			t.Fatalf("the answer %d is %s", n, answer)
		}
	}
}

// Rule 4: while the caller takes nothing, a bounded number of items is sent and drawn.
func TestASlowCallerHoldsTheServerUp(t *testing.T) {
	fake := newFake()
	client, _ := dial(t, fake.start(t))
	drawn := 0
	items := func(yield func(Item) bool) {
		for ; drawn < 500; drawn++ {
			if !yield(Item{ID: fmt.Sprint(drawn), Content: []byte("x")}) {
				return
			}
		}
	}
	taken := 0
	for _, err := range client.StreamRecognize(t.Context(), items, WithConcurrency(2)) {
		if err != nil {
			t.Fatal(err)
		}
		if taken++; taken == 1 {
			eventually(t, "answers wait to be taken", func() bool { return len(fake.seen().answerBatches) >= 3 })
			time.Sleep(20 * time.Millisecond) // what is not held up would go on meanwhile
			if received := len(fake.seen().received); received > 6 {
				t.Errorf("%d items were sent while the caller held one answer", received)
			}
		}
	}
	wantEqual(t, "answers", taken, 500)
}

// Rule 7: one id for two items on their way, or an unfit one, is the caller's mistake; a finished one's id is free again.
func TestUnfitIdsAreTheCallersMistake(t *testing.T) {
	for name, ids := range map[string][]string{
		"used twice": {"same", "same"}, "empty": {""}, "too long": {strings.Repeat("ü", 129)}, "no UTF-8": {"\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			fake.gate = make(chan struct{})
			client, _ := dial(t, fake.start(t))
			items := func(yield func(Item) bool) {
				for _, id := range ids {
					if !yield(Item{ID: id, Content: []byte("x")}) {
						return
					}
				}
			}
			if _, err := readAll(client.StreamRecognize(t.Context(), items)); !errors.Is(err, ErrUsage) {
				t.Errorf("got %v, want ErrUsage", err)
			}
			wantNoGoroutines(t)
		})
	}
}

// Rule 4: an item of many pages is not read ahead of the caller either, once concurrency answers wait.
func TestASlowCallerHoldsALongDocumentUp(t *testing.T) {
	const pages = 40_000
	fake := newFake()
	client, _ := dial(t, fake.start(t))
	sent := func() int { return len(fake.seen().answerBatches) }
	taken := 0
	for _, err := range client.StreamRecognize(t.Context(), contents(fmt.Sprint("pages=", pages))) {
		if err != nil {
			t.Fatal(err)
		}
		if taken++; taken == 1 {
			for before := -1; before != sent(); time.Sleep(300 * time.Millisecond) {
				before = sent()
			}
			if sent() == pages {
				t.Error("all pages were read while the caller held the first")
			}
		}
	}
	wantEqual(t, "answers", taken, pages)
}

// Ids are characters, not bytes: 128 of any script go through.
func TestIdsAreUnicode(t *testing.T) {
	client, _ := dial(t, newFake().start(t))
	id := strings.Repeat("页", 127) + "𝔵"
	all := mustRead(t, client, slices.Values([]Item{{ID: id, Content: []byte("x")}}))
	wantEqual(t, "answers", all, []string{pageText(id, 1, "x", true)})
}

// An empty stream ends at once and asks no server.
func TestAnEmptyStreamEnds(t *testing.T) {
	fake := newFake()
	client, _ := dial(t, fake.start(t))
	wantEqual(t, "answers", len(mustRead(t, client, contents())), 0)
	wantEqual(t, "streams", fake.seen().streams, 0)
	wantNoGoroutines(t)
}

// The config, the regions and the password reach the server.
func TestTheConfigReachesTheServer(t *testing.T) {
	fake := newFake()
	client, _ := dial(t, fake.start(t))
	config := Config{
		Features: []Feature{FeatureIDDocument}, Provider: "stub", Languages: []string{"de", "fr"},
		Cache: CacheBypass, Priority: PriorityLow, ItemTimeout: 1500 * time.Millisecond, IDDocument: IDPassport,
		ProviderOptions: map[string]string{"a": "b"}, Profile: "none", Overrides: map[string]string{"deskew.when": "never"},
	}
	item := Item{ID: "one", Content: []byte("x"), Regions: []Region{{1, 2, 3, 4}}, Password: "open"}
	mustRead(t, client, slices.Values([]Item{item}), WithConfig(config))
	got := fake.seen().configs[0]
	want := &preprocessv1.RecognizeStreamConfig{
		Recognition:    config.recognition(),
		Normalization:  &preprocessv1.NormalizationConfig{Profile: "none", Overrides: config.Overrides},
		BatchedAnswers: true,
	}
	wantEqual(t, "config", got.String(), want.String())
	wantEqual(t, "timeout", got.GetRecognition().GetItemTimeout().AsDuration(), config.ItemTimeout)
	wantEqual(t, "region", fake.items["one"].GetRegions()[0].GetWidth(), 3)
	wantEqual(t, "password", fake.items["one"].GetPassword(), "open")
}

// Options that contradict each other are the caller's mistake, and nothing is sent.
func TestContradictingOptionsAreRefused(t *testing.T) {
	fake := newFake()
	client, _ := dial(t, fake.start(t))
	for name, option := range map[string]CallOption{
		"provider and route": WithConfig(Config{Provider: "a", Route: "b"}),
		"item timeout":       WithConfig(Config{ItemTimeout: -1}),
		"id document":        WithConfig(Config{IDDocument: IDPassport}),
		"no UTF-8":           WithConfig(Config{Profile: "\xff"}),
		"concurrency":        WithConcurrency(0),
		"sends":              WithSendsPerItem(0),
		"silence":            WithSilence(0),
		"backoff":            WithBackoff(Backoff{First: time.Second}),
	} {
		_, streamed := readAll(client.StreamRecognize(t.Context(), contents("a"), option))
		_, err := client.Recognize(t.Context(), []byte("a"), option)
		if !errors.Is(streamed, ErrUsage) || !errors.Is(err, ErrUsage) {
			t.Errorf("%s: got %v and %v, want ErrUsage", name, streamed, err)
		}
	}
	wantEqual(t, "calls", fake.seen().streams+fake.seen().unaryCalls, 0)
}

// Hundreds of items of a megabyte pass through without being held.
func TestMemoryIsBoundedByTheWindow(t *testing.T) {
	fake := newFake()
	fake.script = func(call fakeCall, _ int) error {
		if _, err := call.Recv(); err != nil {
			return err
		}
		err := call.Send(limitsResponse(&ocrv1.StreamLimits{MaxMessageBytes: 2 << 20}))
		for err == nil {
			var message *request
			if message, err = call.Recv(); err == nil {
				err = call.Send(response(pagesOf(message.GetItem().GetRequestId(), nil)))
			}
		}
		return nil
	}
	client, _ := dial(t, fake.start(t))
	const count, size, window = 200, 1_000_000, 4
	live := make(chan struct{}, count)
	most := 0
	items := func(yield func(Item) bool) {
		for n := range count {
			content := make([]byte, size)
			live <- struct{}{}
			most = max(most, len(live))
			if !yield(Item{ID: fmt.Sprint(n), Content: content}) {
				return
			}
		}
	}
	answered := 0
	for _, err := range client.StreamRecognize(t.Context(), items, WithConcurrency(window)) {
		if err != nil {
			t.Fatal(err)
		}
		answered++
		<-live
		if answered == count/2 {
			runtime.GC()
			var memory runtime.MemStats
			if runtime.ReadMemStats(&memory); memory.HeapAlloc > 60*size {
				t.Errorf("%d bytes are held", memory.HeapAlloc)
			}
		}
	}
	wantEqual(t, "answers", answered, count)
	// In the window, waiting to be taken, and the one in the caller's hands.
	if most > 2*window+1 {
		t.Errorf("%d items were drawn beyond the answers taken", most)
	}
}
