package imports

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/internal/csvcell"
)

const (
	maxProblems   = 10   // an import stops reading after so many
	progressEvery = 1000 // rows
	maxShown      = 80   // characters of a wrong value in a message
)

// csvColumn is a column that a file may have.
type csvColumn struct {
	name     string
	optional bool
	most     int // characters of a cell; maxCell where it is 0
}

// fileError says what is wrong with a file, in words for whoever wrote it.
type fileError struct{ problems []error }

func (e *fileError) Error() string   { return errors.Join(e.problems...).Error() }
func (e *fileError) Unwrap() []error { return e.problems }

// csvFile reads a CSV file row by row, and collects what is wrong with it:
//
//	for file.next() {
//		… file.cell("code") … file.wrong("code", "write …")
//	}
//	err := file.err()
type csvFile struct {
	name       string
	rows       *rows
	header     []string
	longest    []int          // characters, by column of the file
	columns    map[string]int // where a column is; -1: the file does not have it
	facts      []string       // names of the facts that have a column fact.NAME, sorted
	currencies []string       // columns of currencies
	progress   func(rows int64)

	record   []string
	line     int   // on which the record starts
	read     int64 // rows
	done     bool
	problems []error
	warnings []string

	sourceFacts   []string          // names of the facts that the flight source has beside the database's
	counted       map[string]string // facts that tariffs count, with the code of one of them
	tariffChanges []TariffChange    // what a file of tariffs does, for CheckTariffs
}

// openCSV reads the header.
func openCSV(name string, r io.Reader, columns []csvColumn, most int64, progress func(rows int64)) (*csvFile, error) {
	f := &csvFile{name: name, progress: progress, columns: map[string]int{}}
	if f.progress == nil {
		f.progress = func(int64) {}
	}
	text, err := plainText(r)
	if err != nil {
		return nil, f.failf("cannot be read: %w", err)
	}
	f.rows = newRows(text, most)
	header, err := f.rows.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, f.failf("is empty: the first line must name the columns")
	case err != nil:
		return nil, f.failf("%w", readError(err))
	}
	f.rows.csv.ReuseRecord = true
	if err := f.readHeader(header, columns); err != nil {
		return nil, err
	}
	return f, nil
}

// plainText takes off gzip and the byte order mark that spreadsheets write, and ends
// lines as others do.
func plainText(r io.Reader) (io.Reader, error) {
	text := bufio.NewReaderSize(r, 64<<10)
	if magic, err := text.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		unzipped, err := gzip.NewReader(text)
		if err != nil {
			return nil, err
		}
		text = bufio.NewReaderSize(unzipped, 64<<10)
	}
	start, err := text.Peek(text.Size())
	if err != nil && !errors.Is(err, io.EOF) && len(start) == 0 {
		return nil, err
	}
	has := func(prefix string) bool { return bytes.HasPrefix(start, []byte(prefix)) }
	switch {
	case has("\xff\xfe"), has("\xfe\xff"), len(start) >= 2 && (start[0] == 0) != (start[1] == 0):
		return nil, errors.New("it is UTF-16: save it as UTF-8")
	case has("PK\x03\x04"):
		return nil, errors.New("it is a zip archive or a spreadsheet (.xlsx): unpack it, or save the sheet as CSV in UTF-8; .gz is read as it is")
	case has("\xd0\xcf\x11\xe0"):
		return nil, errors.New("it is a spreadsheet (.xls): save the sheet as CSV in UTF-8")
	case has("\ufeff"):
		if _, err := text.Discard(len("\ufeff")); err != nil {
			return nil, err
		}
	}
	if bytes.ContainsRune(start, '\r') && !bytes.ContainsRune(start, '\n') {
		return carriageReturns{text}, nil
	}
	return text, nil
}

// carriageReturns reads a file whose lines end with nothing else, as old spreadsheets
// for the Mac write them.
type carriageReturns struct{ io.Reader }

func (r carriageReturns) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	for i, c := range p[:n] {
		if c == '\r' {
			p[i] = '\n'
		}
	}
	return n, err
}

func (f *csvFile) readHeader(header []string, columns []csvColumn) error {
	known := make([]string, len(columns))
	for i, c := range columns {
		known[i] = c.name
		f.columns[c.name] = -1
	}
	for i, cell := range header {
		column := strings.ToLower(strings.TrimSpace(cell))
		if err := f.addFactColumn(column); err != nil {
			return f.failf("column %s: %w", shown(cell), err)
		}
		f.addCurrencyColumn(column)
		at, exists := f.columns[column]
		switch {
		case !exists && len(header) == 1 && strings.ContainsAny(cell, ";\t"):
			return f.failf("the header %s has no comma: columns must be separated by commas", shown(cell))
		case !exists:
			return f.failf("column %s is not known: the columns are %s", shown(cell), strings.Join(known, ", "))
		case at >= 0:
			return f.failf("column %s is there twice", column)
		}
		f.columns[column] = i
		f.header = append(f.header, column)
		longest := maxCell
		if at := slices.Index(known, column); at >= 0 {
			longest = cmp.Or(columns[at].most, maxCell)
		}
		f.longest = append(f.longest, longest)
	}
	slices.Sort(f.facts)
	var missing []string
	for _, c := range columns {
		if !c.optional && !f.has(c.name) {
			missing = append(missing, c.name)
		}
	}
	if len(missing) > 0 {
		return f.failf("column %s is missing", strings.Join(missing, ", "))
	}
	return nil
}

// next goes to the next row; false at the end, and where there is no use in
// reading on.
func (f *csvFile) next() bool {
	if f.done {
		return false
	}
	if len(f.problems) >= maxProblems {
		f.problems = append(f.problems, fmt.Errorf("%s: there may be more: the rest was not read", f.name))
		f.done = true
		return false
	}
	record, err := f.rows.next()
	f.line = f.rows.line
	if errors.Is(err, io.EOF) {
		f.progress(f.read)
		f.done = true
		return false
	}
	if err != nil {
		// What follows a stray quote, or a broken file, would only mislead.
		f.problemf(f.line, "%w", readError(err))
		f.done = true
		return false
	}
	f.record = record
	f.read++
	if f.read%progressEvery == 0 {
		f.progress(f.read)
	}
	if len(record) != len(f.header) {
		f.problemf(f.line, "it has %d cells, the header has %d columns", len(record), len(f.header))
		return f.next()
	}
	for i, cell := range record {
		cell = csvcell.Read(cell)
		record[i] = cell
		if !utf8.ValidString(cell) || strings.IndexByte(cell, 0) >= 0 {
			f.problemf(f.line, "column %s: %s is not text in UTF-8: save the file as UTF-8", f.header[i], shown(cell))
			return f.next()
		}
		if n := utf8.RuneCountInString(cell); n > f.longest[i] {
			f.problemf(f.line, "column %s: %s has %d characters: %d at most", f.header[i], shown(cell), n, f.longest[i])
			return f.next()
		}
	}
	return true
}

func readError(err error) error {
	if syntax, ok := errors.AsType[*csv.ParseError](err); ok {
		return fmt.Errorf("it is not CSV: %w; a cell with a quote in it is written \"in \"\"quotes\"\"\"", syntax.Err)
	}
	return fmt.Errorf("the file cannot be read on from here: %w", err)
}

// wrong records that the row's cell is not what was expected.
func (f *csvFile) wrong(column, expected string) {
	f.wrongAt(f.line, column, f.raw(column), expected)
}

func (f *csvFile) wrongAt(line int, column, value, expected string) {
	switch {
	case strings.TrimSpace(value) == "":
		f.problemf(line, "column %s is empty: %s", column, expected)
		return
	case billing.CleanText(value) == "":
		f.problemf(line, "column %s: %s says that there is nothing: %s", column, shown(value), expected)
		return
	}
	f.problemf(line, "column %s: %s is not usable: %s", column, shown(value), expected)
}

func (f *csvFile) problemf(line int, format string, args ...any) {
	f.problems = append(f.problems, fmt.Errorf("%s: line %d: %w", f.name, line, fmt.Errorf(format, args...)))
}

// warnf notes what is probably not meant; of many, the first few.
func (f *csvFile) warnf(line int, format string, args ...any) {
	switch len(f.warnings) {
	case maxProblems + 1:
	case maxProblems:
		f.warnings = append(f.warnings, f.name+": there is more of the kind")
	default:
		f.warnings = append(f.warnings, fmt.Sprintf("%s: line %d: ", f.name, line)+fmt.Sprintf(format, args...))
	}
}

// err returns what is wrong with the file.
func (f *csvFile) err() error {
	if len(f.problems) == 0 {
		return nil
	}
	return &fileError{slices.Clone(f.problems)}
}

// failf makes the error of a file that cannot be read at all.
func (f *csvFile) failf(format string, args ...any) error {
	return &fileError{[]error{fmt.Errorf("%s: %w", f.name, fmt.Errorf(format, args...))}}
}

func shown(value string) string {
	if utf8.RuneCountInString(value) <= maxShown {
		return strconv.Quote(value)
	}
	return strconv.Quote(string([]rune(value)[:maxShown])) + "…"
}
