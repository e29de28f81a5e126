// The driver of the Go client for the scenarios of tests/conformance: DRIVER FILE. The README there says what it reads and
// writes.
package main

import (
	"bufio"
	"context"
	"errors"
	"os"

	"github.com/ocrmux/ocrmux/clients/go/ocrmux"
)

var errLeft = errors.New("the driver left the stream")

func main() {
	if len(os.Args) != 2 {
		fault(errors.New("usage: conformance FILE"))
	}
	wanted, err := readOrder(os.Args[1])
	if err != nil {
		fault(err)
	}
	told := &events{
		out:        os.Stdout,
		tellsDrawn: wanted.Generated != nil || wanted.HoldAfter != nil,
		heap:       newHeapWatch(),
	}
	told.end(run(context.Background(), wanted, told))
}

// run makes the order's call; its error is the call's.
func run(ctx context.Context, wanted *order, told *events) error {
	options, err := wanted.callOptions(told.reconnect)
	if err != nil {
		fault(err)
	}
	client, err := wanted.client()
	if err != nil {
		return err
	}
	defer client.Close()
	switch wanted.Call {
	case "stream", "":
		return stream(ctx, client, wanted, told, options)
	case "recognize":
		return recognize(ctx, client, wanted, told, options)
	case "list_providers":
		list, err := client.ListProviders(ctx, options...)
		if err == nil {
			told.providers(list)
		}
		return err
	}
	fault(errors.New("no call of the name " + wanted.Call))
	return nil
}

func stream(
	ctx context.Context, client *ocrmux.Client, wanted *order, told *events, options []ocrmux.CallOption,
) error {
	items, err := wanted.items(told.drew)
	if err != nil {
		fault(err)
	}
	input := bufio.NewReader(os.Stdin)
	answers := 0
	for answer, err := range client.StreamRecognizeSeq2(ctx, items, options...) {
		if err != nil {
			return err
		}
		told.answer(answer)
		answers++
		if wanted.HoldAfter != nil && answers == *wanted.HoldAfter {
			told.holding()
			if _, err := input.ReadString('\n'); err != nil {
				fault(err)
			}
		}
		if wanted.CancelAfter != nil && answers == *wanted.CancelAfter {
			return errLeft
		}
	}
	return nil
}

func recognize(
	ctx context.Context, client *ocrmux.Client, wanted *order, told *events, options []ocrmux.CallOption,
) error {
	if len(wanted.Items) == 0 {
		fault(errors.New("recognize wants an item"))
	}
	item, err := wanted.Items[0].item()
	if err != nil {
		fault(err)
	}
	reading, err := client.RecognizeItem(ctx, item, options...)
	if err != nil {
		return err
	}
	for _, answer := range reading.Answers {
		told.answer(answer)
	}
	return nil
}
