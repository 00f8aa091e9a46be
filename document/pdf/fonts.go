package pdf

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-fonts/dejavu/dejavusanscondensed"
	"github.com/go-fonts/dejavu/dejavusanscondensedbold"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/norm"
)

// substitute stands for a letter that cannot be printed.
const substitute = '?'

// printable are the runes that both fonts have a glyph for, of the scripts that are written from the left in
// letters of their own: a font's glyphs for others print, and say something else.
var printable = sync.OnceValues(func() (map[rune]bool, error) {
	var fonts []*sfnt.Font
	for _, ttf := range [][]byte{dejavusanscondensed.TTF, dejavusanscondensedbold.TTF} {
		font, err := sfnt.Parse(ttf)
		if err != nil {
			return nil, err
		}
		fonts = append(fonts, font)
	}
	found := map[rune]bool{}
	var buffer sfnt.Buffer
	for r := rune(' '); r <= 0xffff; r++ { // fpdf panics at what is above
		if !unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Common) || !unicode.IsGraphic(r) || r == unicode.ReplacementChar {
			continue
		}
		has := true
		for _, font := range fonts {
			glyph, err := font.GlyphIndex(&buffer, r)
			has = has && err == nil && glyph != 0
		}
		if has {
			found[r] = true
		}
	}
	return found, nil
})

// clean returns a text as it can be printed, in one line.
func (s *sheet) clean(text string) string {
	if isPlain(text) {
		return text
	}
	var b strings.Builder
	for _, r := range norm.NFC.String(text) {
		switch {
		case s.printable[r]:
			b.WriteRune(r)
		case unicode.IsSpace(r) || unicode.IsControl(r):
			b.WriteRune(' ')
		case unicode.Is(unicode.Cf, r): // says how its neighbours are shown
		default:
			b.WriteRune(substitute)
		}
	}
	return b.String()
}

// isPlain reports whether a text is of letters that every font has.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] >= utf8.RuneSelf || text[i] == 0x7f {
			return false
		}
	}
	return true
}
