package imports

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

var scientific = regexp.MustCompile(`^[0-9]([.,][0-9]+)?[eE]\+[0-9]+$`)

// WarnOfFlightID returns what is odd about an id that can be enqueued, "" where nothing
// is. A spreadsheet makes such a number of a long one: its last digits are lost.
func WarnOfFlightID(id string) string {
	if !scientific.MatchString(id) {
		return ""
	}
	return fmt.Sprintf("%s looks as if a spreadsheet had made a number of a flight id: format the column as text", shown(id))
}

// FlightIDs reads flight ids as Load reads a file: one a line, or the column flight_id of
// a CSV file. Blank lines, and spaces around an id, do not count. It ends with the error
// of yield, or with one that names the line.
func FlightIDs(name string, r io.Reader, yield func(id string) error) error {
	text, err := plainText(r)
	if err != nil {
		return fmt.Errorf("%s: cannot be read: %w", name, err)
	}
	rows := newRows(text, 0)
	rows.csv.ReuseRecord = true
	column, first, columns := 0, true, 1
	for {
		record, err := rows.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: line %d: %w", name, rows.line, readError(err))
		}
		if first {
			first = false
			header := slices.IndexFunc(record, func(cell string) bool { return strings.EqualFold(strings.TrimSpace(cell), "flight_id") })
			if header >= 0 {
				column, columns = header, len(record)
				continue
			}
		}
		if len(record) != columns {
			return fmt.Errorf("%s: line %d: it has %d cells: write one id a line, or name the columns in the first line, flight_id among them, for all rows", name, rows.line, len(record))
		}
		id := strings.TrimSpace(record[column])
		if !db.ValidFlightID(id) || billing.CleanText(id) == "" {
			return fmt.Errorf("%s: line %d: flight id %s cannot be enqueued: it is 1 to 128 of A-Z a-z 0-9 space . _ : / + # @ ~ -, the first a letter or digit, and no word for nothing", name, rows.line, shown(id))
		}
		if err := yield(id); err != nil {
			return err
		}
	}
}
