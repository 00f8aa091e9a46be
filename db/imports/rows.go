package imports

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Bounds of a file, unpacked: 10 MB of gzip can hold 10 GB of one cell.
const (
	maxRow  = 1 << 20  // bytes
	maxKept = 64 << 20 // bytes of a file whose rows are kept: customers and tariffs
	maxCell = 200      // characters
	maxText = 1000     // characters of a name or a description

	maxFacts = 20_000 // bytes of a flight's facts, or a register's, as the tables have it
)

// rows reads the rows of a file, each of them bounded.
type rows struct {
	csv  *csv.Reader
	text *boundedText
	line int // on which the row starts, or would
}

// newRows reads at most most bytes; any number where it is 0.
func newRows(text io.Reader, most int64) *rows {
	bounded := &boundedText{from: text, bounded: most > 0, left: most}
	r := &rows{csv: csv.NewReader(bounded), text: bounded, line: 1}
	r.csv.FieldsPerRecord = -1 // counted by who reads, for a message that says more
	return r
}

// next returns the next row that has text in it. Of the row before nothing stays.
func (r *rows) next() ([]string, error) {
	for {
		r.text.leftOfRow = maxRow
		record, err := r.csv.Read()
		if syntax, ok := errors.AsType[*csv.ParseError](err); ok {
			r.line = syntax.StartLine
		} else if err == nil {
			r.line, _ = r.csv.FieldPos(0)
		}
		switch {
		case r.text.over != nil:
			return nil, r.text.over
		case err != nil || !allBlank(record):
			return record, err
		}
	}
}

// allBlank: spreadsheets write rows of commas.
func allBlank(record []string) bool {
	return !slices.ContainsFunc(record, func(cell string) bool { return strings.TrimSpace(cell) != "" })
}

// boundedText ends where more was read than may be, and says so in over.
type boundedText struct {
	from      io.Reader
	bounded   bool
	left      int64 // where it is bounded
	leftOfRow int64
	over      error
}

func (b *boundedText) Read(p []byte) (int, error) {
	switch {
	case b.leftOfRow < 0:
		b.over = fmt.Errorf("the row has more than %d bytes: is there a quote that is not closed?", maxRow)
	case b.bounded && b.left < 0:
		b.over = fmt.Errorf("the file has more than %d bytes, unpacked: split it", maxKept)
	}
	if b.over != nil {
		return 0, io.EOF
	}
	n, err := b.from.Read(p)
	b.left -= int64(n)
	b.leftOfRow -= int64(n)
	return n, err
}
