package pdf

import (
	"strings"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-fonts/dejavu/dejavusanscondensed"
	"github.com/go-fonts/dejavu/dejavusanscondensedbold"

	"github.com/flightbill/flightbill/document"
)

// A4, in mm.
const (
	left, right = 20.0, 192.0
	top, bottom = 24.0, 276.0 // of what flows; above and below stand running head and foot
	firstTop    = 16.0
	width       = right - left
	family      = "dejavu"
)

type colour struct{ r, g, b int }

var (
	ink    = colour{33, 37, 41}
	grey   = colour{104, 112, 120}
	accent = colour{18, 62, 110}
	rule   = colour{205, 211, 218}
	band   = colour{240, 244, 249}
)

// style is how a line of text looks.
type style struct {
	size   float64 // in points
	height float64 // of the line, in mm
	bold   bool
	colour colour
}

var (
	body    = style{9, 4.4, false, ink}
	strong  = style{9, 4.4, true, ink}
	name    = style{10.5, 5, true, ink}
	label   = style{8, 4.4, false, grey}
	small   = style{7.5, 3.7, false, grey}
	tiny    = style{7.5, 3.9, false, ink}
	heading = style{12, 6.5, true, accent}
	title   = style{19, 9, true, accent}
	brand   = style{15, 7, true, accent}
)

// line is text in a style, short enough for its place.
type line struct {
	text  string
	style style
}

// sheet writes one document, from top to bottom.
type sheet struct {
	*words

	pdf       *fpdf.Fpdf
	inv       *document.Invoice
	printable map[rune]bool
	y         float64
	now       style  // that the library has
	head      func() // of the table that goes on on the next page
}

// newSheet returns an empty first page.
func newSheet(inv *document.Invoice, w *words, printable map[rune]bool) *sheet {
	p := fpdf.New("P", "mm", "A4", "")
	p.SetCatalogSort(true)
	p.SetCreationDate(inv.IssuedAt.UTC())
	p.SetModificationDate(inv.IssuedAt.UTC())
	p.SetMargins(0, 0, 0)
	p.SetAutoPageBreak(false, 0)
	p.AddUTF8FontFromBytes(family, "", dejavusanscondensed.TTF)
	p.AddUTF8FontFromBytes(family, "B", dejavusanscondensedbold.TTF)
	p.AddPage()
	return &sheet{words: w, pdf: p, inv: inv, printable: printable, y: firstTop}
}

// use has text measured and written in a style.
func (s *sheet) use(st style) {
	if s.now.size != st.size || s.now.bold != st.bold {
		bold := ""
		if st.bold {
			bold = "B"
		}
		s.pdf.SetFont(family, bold, st.size)
	}
	if s.now.colour != st.colour || s.now.size == 0 {
		s.pdf.SetTextColor(st.colour.r, st.colour.g, st.colour.b)
	}
	s.now = st
}

// wrap cuts a text into lines that a width holds: between words, and within one that is
// wider.
func (s *sheet) wrap(st style, width float64, text string) []line {
	text = s.clean(text)
	s.use(st)
	if s.pdf.GetStringWidth(text) <= width {
		if strings.TrimSpace(text) == "" {
			return nil
		}
		return []line{{text, st}}
	}
	var lines []line
	current, currentWidth := "", 0.0
	flush := func() {
		if current != "" {
			lines = append(lines, line{current, st})
		}
		current, currentWidth = "", 0
	}
	space := s.pdf.GetStringWidth(" ")
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' }) {
		wide := s.pdf.GetStringWidth(word)
		if current != "" && currentWidth+space+wide <= width {
			current, currentWidth = current+" "+word, currentWidth+space+wide
			continue
		}
		flush()
		if wide <= width {
			current, currentWidth = word, wide
			continue
		}
		start := 0
		for i, r := range word {
			w := s.pdf.GetStringWidth(string(r))
			if currentWidth+w > width && i > start {
				lines = append(lines, line{word[start:i], st})
				start, currentWidth = i, 0
			}
			currentWidth += w
		}
		current = word[start:]
	}
	flush()
	return lines
}

// write puts a line at x; below it the height that the line has is left to the caller.
func (s *sheet) write(x, y float64, l line) {
	if l.text == "" {
		return
	}
	s.use(l.style)
	s.pdf.Text(x, y+l.style.height*0.72, l.text)
}

// writeRight puts a line so that it ends at x.
func (s *sheet) writeRight(x, y float64, l line) {
	s.use(l.style)
	s.write(x-s.pdf.GetStringWidth(l.text), y, l)
}

// need begins a page where less than a height is left on this one. What is higher than a
// page is cut by its own lines.
func (s *sheet) need(height float64) {
	if s.y+height <= bottom || s.y <= top {
		return
	}
	s.newPage()
}

func (s *sheet) newPage() {
	s.pdf.AddPage()
	s.y = top
	if s.head != nil {
		s.head()
	}
}

// paragraph writes lines under each other.
func (s *sheet) paragraph(x float64, lines []line) {
	for _, l := range lines {
		s.need(l.style.height)
		s.write(x, s.y, l)
		s.y += l.style.height
	}
}

// beside writes two columns of lines.
func (s *sheet) beside(leftX float64, leftLines []line, rightX float64, rightLines []line) {
	for i := range max(len(leftLines), len(rightLines)) {
		height := 0.0
		if i < len(leftLines) {
			height = leftLines[i].style.height
		}
		if i < len(rightLines) {
			height = max(height, rightLines[i].style.height)
		}
		s.need(height)
		if i < len(leftLines) {
			s.write(leftX, s.y, leftLines[i])
		}
		if i < len(rightLines) {
			s.write(rightX, s.y, rightLines[i])
		}
		s.y += height
	}
}

// hairline is drawn over the whole width.
func (s *sheet) hairline(y float64, c colour, thick float64) {
	s.pdf.SetDrawColor(c.r, c.g, c.b)
	s.pdf.SetLineWidth(thick)
	s.pdf.Line(left, y, right, y)
}

// fill colours a rectangle behind what is written next.
func (s *sheet) fill(x, y, w, h float64, c colour) {
	s.pdf.SetFillColor(c.r, c.g, c.b)
	s.pdf.Rect(x, y, w, h, "F")
}

// column is one of a table.
type column struct {
	title string
	x, w  float64
	right bool
}

// columns places columns beside each other; the widths add up to the page's.
func columns(cs ...column) []column {
	x := left
	for i := range cs {
		cs[i].x = x
		x += cs[i].w
	}
	return cs
}

const gap = 2.0 // between two columns

// table begins a table: its head stands here and on each further page, until endTable.
func (s *sheet) table(cs []column) {
	s.head = func() {
		head := style{8, 4.2, true, accent}
		cells := make([][]line, len(cs))
		for i, c := range cs {
			cells[i] = s.wrap(head, c.w-gap, c.title)
		}
		height := heightOf(cells) + 2
		s.fill(left, s.y, width, height, band)
		s.cells(cs, cells, s.y+1)
		s.y += height
	}
	s.need(30) //nolint:mnd // head and first row stay together
	s.head()
}

func (s *sheet) endTable() { s.head = nil }

// row writes a row, on one page where it fits one.
func (s *sheet) row(cs []column, cells [][]line, padding float64) {
	height := heightOf(cells) + 2*padding
	if height <= bottom-top-20 { //nolint:mnd // its head
		s.need(height)
		s.cells(cs, cells, s.y+padding)
		s.y += height
	} else {
		for i := range longest(cells) {
			part := make([][]line, len(cells))
			for c := range cells {
				if i < len(cells[c]) {
					part[c] = cells[c][i : i+1]
				}
			}
			s.need(heightOf(part))
			s.cells(cs, part, s.y)
			s.y += heightOf(part)
		}
	}
	s.hairline(s.y, rule, 0.1)
}

func (s *sheet) cells(cs []column, cells [][]line, y float64) {
	for i, c := range cs {
		lineY := y
		for _, l := range cells[i] {
			if c.right {
				s.writeRight(c.x+c.w-gap/2, lineY, l)
			} else {
				s.write(c.x+gap/2, lineY, l)
			}
			lineY += l.style.height
		}
	}
}

func heightOf(cells [][]line) float64 {
	highest := 0.0
	for _, lines := range cells {
		height := 0.0
		for _, l := range lines {
			height += l.style.height
		}
		highest = max(highest, height)
	}
	return highest
}

func longest(cells [][]line) int {
	n := 0
	for _, lines := range cells {
		n = max(n, len(lines))
	}
	return n
}
