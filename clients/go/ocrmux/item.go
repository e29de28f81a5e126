package ocrmux

import (
	"unicode/utf8"

	ocrv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/ocr/v1"
)

const idMaxCharacters = 128

// Region is a rectangle to which recognition is confined, in pixels of the source image after its EXIF orientation.
type Region struct {
	X, Y, Width, Height float64
}

// Item is one image or document.
//
// Its content is Content, or the file at Path, which is read only when the item's turn comes, and again if the item has to
// be sent again. The client reads Content until the item's last answer has come: leave it unchanged.
type Item struct {
	// ID is the item's request_id: 1 to 128 characters, unique in its stream. Recognize needs none.
	ID string
	// Content is the file's bytes. Nil where Path is given.
	Content []byte
	// Path names the file. Empty where Content is given.
	Path string
	// Regions confine recognition; none: the whole image.
	Regions []Region
	// Password opens an encrypted document.
	Password string
}

// check gives an error of the caller. What is wrong with the content is for an answer to say.
func (i Item) check() error {
	if length := utf8.RuneCountInString(i.ID); length < 1 || length > idMaxCharacters {
		return usage("an item's ID has 1 to %d characters, not %d", idMaxCharacters, length)
	}
	if !utf8.ValidString(i.ID) || !utf8.ValidString(i.Password) {
		return usage("the ID and the password of the item %q are UTF-8", i.ID)
	}
	if i.Path != "" && i.Content != nil {
		return usage("the item %q has both Content and Path", i.ID)
	}
	return nil
}

func (i Item) rects() []*ocrv1.Rect {
	rects := make([]*ocrv1.Rect, len(i.Regions))
	for n, region := range i.Regions {
		rects[n] = &ocrv1.Rect{X: region.X, Y: region.Y, Width: region.Width, Height: region.Height}
	}
	return rects
}
