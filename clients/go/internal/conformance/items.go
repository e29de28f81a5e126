package main

import (
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"strconv"

	"github.com/ocrmux/ocrmux/clients/go/ocrmux"
)

// items gives the order's items, each made when it is drawn. An error is a fault of the order.
func (o *order) items(drew func()) (iter.Seq2[ocrmux.Item, error], error) {
	if o.Generated == nil {
		return listed(o.Items, drew), nil
	}
	base, err := os.ReadFile(o.Generated.Base)
	if err != nil {
		return nil, err
	}
	if len(base)+8 > o.Generated.Bytes {
		return nil, fmt.Errorf("generated items of %d bytes have no room for %s", o.Generated.Bytes, o.Generated.Base)
	}
	return generated(*o.Generated, base, drew), nil
}

func listed(orders []itemOrder, drew func()) iter.Seq2[ocrmux.Item, error] {
	return func(yield func(ocrmux.Item, error) bool) {
		for _, wanted := range orders {
			drew()
			item, err := wanted.item()
			if !yield(item, err) {
				return
			}
		}
	}
}

func generated(wanted generatedOrder, base []byte, drew func()) iter.Seq2[ocrmux.Item, error] {
	return func(yield func(ocrmux.Item, error) bool) {
		for i := range wanted.Count {
			drew()
			content := make([]byte, wanted.Bytes)
			copy(content, base)
			binary.BigEndian.PutUint64(content[wanted.Bytes-8:], uint64(i))
			if !yield(ocrmux.Item{ID: "g" + strconv.Itoa(i), Content: content}, nil) {
				return
			}
		}
	}
}

func (o itemOrder) item() (ocrmux.Item, error) {
	item := ocrmux.Item{ID: o.ID, Path: o.Path, Password: o.Password}
	for _, r := range o.Regions {
		item.Regions = append(item.Regions, ocrmux.Region{X: r[0], Y: r[1], Width: r[2], Height: r[3]})
	}
	if !o.InMemory {
		return item, nil
	}
	content, err := os.ReadFile(o.Path)
	item.Path, item.Content = "", content
	return item, err
}
