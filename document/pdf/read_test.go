package pdf_test

import (
	"bytes"
	"compress/zlib"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/go-fonts/dejavu/dejavusanscondensed"
	"github.com/go-fonts/dejavu/dejavusanscondensedbold"
	"github.com/stretchr/testify/require"
	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// piece is text on a page, in points from its lower left corner.
type piece struct {
	text        string
	x, y        float64 // of its beginning, on the line that letters stand on
	width, size float64
}

const pageWidth, pageHeight = 595.28, 841.89

var (
	fontNames  = regexp.MustCompile(`/F([0-9a-f]+) (\d+) 0 R`)
	fontOps    = regexp.MustCompile(`BT /F([0-9a-f]+) ([\d.]+) Tf ET`)
	textOps    = regexp.MustCompile(`(?s)BT ([-\d.]+) ([-\d.]+) Td \((.*?[^\\](?:\\\\)*)\) Tj ET`)
	operations = regexp.MustCompile(fontOps.String() + "|" + textOps.String())
	escaped    = regexp.MustCompile(`(?s)\\.`)
	pageStream = regexp.MustCompile(`/Contents \d+ 0 R>>\nendobj\n\d+ 0 obj\n<</Filter /FlateDecode /Length (\d+)>>\nstream\n`)
)

// read returns the texts of each page.
func read(t *testing.T, file []byte) [][]piece {
	t.Helper()
	bold := map[string]bool{}
	for _, found := range fontNames.FindAllSubmatch(file, -1) {
		bold[string(found[1])] = bytes.Contains(file, []byte("\n"+string(found[2])+" 0 obj\n<</Type /Font\n/Subtype /Type0\n/BaseFont /utf8dejavuB\n"))
	}
	require.Len(t, bold, 2)
	var pages [][]piece
	for _, at := range pageStream.FindAllSubmatchIndex(file, -1) {
		length, err := strconv.Atoi(string(file[at[2]:at[3]]))
		require.NoError(t, err)
		r, err := zlib.NewReader(bytes.NewReader(file[at[1] : at[1]+length]))
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		pages = append(pages, piecesOf(t, content, bold))
	}
	return pages
}

func piecesOf(t *testing.T, content []byte, bold map[string]bool) []piece {
	t.Helper()
	number := func(b []byte) float64 {
		f, err := strconv.ParseFloat(string(b), 64)
		require.NoError(t, err)
		return f
	}
	var pieces []piece
	size, isBold := 0.0, false
	for _, op := range operations.FindAllSubmatch(content, -1) {
		if op[1] != nil {
			size, isBold = number(op[2]), bold[string(op[1])]
			continue
		}
		raw := escaped.ReplaceAllFunc(op[5], func(b []byte) []byte {
			if b[1] == 'r' {
				return []byte{'\r'}
			}
			return b[1:]
		})
		require.Zero(t, len(raw)%2)
		units := make([]uint16, len(raw)/2)
		for i := range units {
			units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
		}
		text := string(utf16.Decode(units))
		pieces = append(pieces, piece{text, number(op[3]), number(op[4]), widthOf(t, text, size, isBold), size})
	}
	return pieces
}

func parsed(ttf []byte) *sfnt.Font {
	f, err := sfnt.Parse(ttf)
	if err != nil {
		panic(err)
	}
	return f
}

var regular, heavy = parsed(dejavusanscondensed.TTF), parsed(dejavusanscondensedbold.TTF)

// advances are those of the letters that were met, by font.
var advances = map[*sfnt.Font]*sync.Map{regular: {}, heavy: {}}

// widthOf fails where a letter has no glyph, which would be a box.
func widthOf(t *testing.T, text string, size float64, bold bool) float64 {
	t.Helper()
	f := regular
	if bold {
		f = heavy
	}
	units := 0
	for _, r := range text {
		advance, known := advances[f].Load(r)
		if !known {
			var buffer sfnt.Buffer
			glyph, err := f.GlyphIndex(&buffer, r)
			require.NoError(t, err)
			require.NotZero(t, glyph, "%q of %q has no glyph", r, text)
			width, err := f.GlyphAdvance(&buffer, glyph, fixed.Int26_6(f.UnitsPerEm()), font.HintingNone)
			require.NoError(t, err)
			advance = int(width)
			advances[f].Store(r, advance)
		}
		units += advance.(int) //nolint:forcetypeassert // as it was stored
	}
	return float64(units) * size / float64(f.UnitsPerEm())
}

// requireTidy: on no page a text goes over the margins, or over another text.
func requireTidy(t *testing.T, pages [][]piece) {
	t.Helper()
	const slack = 0.5 // of a point
	const points = 72 / 25.4
	for n, pieces := range pages {
		for i, p := range pieces {
			require.GreaterOrEqual(t, p.x, 20*points-slack, "page %d: %q", n+1, p.text)
			require.LessOrEqual(t, p.x+p.width, 192*points+slack, "page %d: %q", n+1, p.text)
			require.GreaterOrEqual(t, p.y, pageHeight-287*points, "page %d: %q", n+1, p.text)
			require.LessOrEqual(t, p.y, pageHeight-12*points, "page %d: %q", n+1, p.text)
			for _, other := range pieces[:i] {
				// From line to line there is the height of a letter and a bit, at least.
				apart := p.x+p.width <= other.x+slack || other.x+other.width <= p.x+slack ||
					p.y >= other.y+other.size*0.9 || other.y >= p.y+p.size*0.9
				require.True(t, apart, "page %d: %q over %q", n+1, p.text, other.text)
			}
		}
	}
}

// textOf has the lines of a page, each with what stands on it from left to right.
func textOf(pieces []piece) string {
	var b strings.Builder
	last := -1.0
	for _, p := range pieces {
		switch {
		case p.y != last && b.Len() > 0:
			b.WriteString("\n")
		case b.Len() > 0:
			b.WriteString(" | ")
		}
		last = p.y
		b.WriteString(p.text)
	}
	return b.String()
}

func allText(pages [][]piece) string {
	var texts []string
	for _, pieces := range pages {
		texts = append(texts, textOf(pieces))
	}
	return strings.Join(texts, "\n")
}
