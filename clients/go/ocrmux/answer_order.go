package ocrmux

// answerOrder holds answers back until every earlier item has its last one. Plain state, without waiting. What it holds is
// bounded by whoever starts items: see lag.
type answerOrder struct {
	ordered  bool
	head     int
	started  int
	held     map[int][]*Answer
	finished map[int]bool
}

func newAnswerOrder(ordered bool) answerOrder {
	return answerOrder{ordered: ordered, held: map[int][]*Answer{}, finished: map[int]bool{}}
}

// lag is the number of items that are started and not yet given out to the end; 0 where the order does not matter.
func (o *answerOrder) lag() int {
	if !o.ordered {
		return 0
	}
	return o.started - o.head
}

// start gives the place of the next item.
func (o *answerOrder) start() int {
	o.started++
	return o.started - 1
}

// take gives the answers that may be given out now that this one is here.
func (o *answerOrder) take(place int, answer *Answer) []*Answer {
	if !o.ordered {
		return []*Answer{answer}
	}
	o.held[place] = append(o.held[place], answer)
	if answer.GetLastPage() {
		o.finished[place] = true
	}
	ready := o.release()
	for o.finished[o.head] {
		delete(o.finished, o.head)
		o.head++
		ready = append(ready, o.release()...)
	}
	return ready
}

func (o *answerOrder) release() []*Answer {
	ready := o.held[o.head]
	delete(o.held, o.head)
	return ready
}
