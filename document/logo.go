package document

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // what a logo may be
	_ "image/png"
)

// Bounds of a logo. The first is the table's too.
const (
	MaxLogo       = 200_000   // bytes
	MaxLogoPixels = 4_000_000 // in all: what is drawn is held in memory
)

// CheckLogo says what is wrong with an image that is to stand on invoices.
func CheckLogo(logo []byte) error {
	if len(logo) > MaxLogo {
		return fmt.Errorf("it has more than %d bytes: make it smaller", MaxLogo)
	}
	size, _, err := image.DecodeConfig(bytes.NewReader(logo))
	if err != nil {
		return errors.New("it is neither PNG nor JPEG: save it as one of the two")
	}
	if size.Width < 1 || size.Height < 1 || size.Width > MaxLogoPixels/size.Height {
		return fmt.Errorf("it has %d × %d pixels: at most %d in all", size.Width, size.Height, MaxLogoPixels)
	}
	if _, _, err := image.Decode(bytes.NewReader(logo)); err != nil {
		return fmt.Errorf("it is damaged (%w): save it again", err)
	}
	return nil
}
