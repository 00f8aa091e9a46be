package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"github.com/shopspring/decimal"
	"golang.org/x/term"

	"github.com/flightbill/flightbill/billing"
)

// screen writes for terminals: of names and of what others say, nothing commands one, or
// shows other than it is. Valid JSON stays so, and says the same.
type screen struct{ io.Writer }

func (s screen) Write(text []byte) (int, error) {
	if _, err := io.WriteString(s.Writer, escaped(string(text), "\n")); err != nil {
		return 0, err
	}
	return len(text), nil
}

// escaped writes what is neither to be seen nor a blank, but for what is kept, as JSON and
// Go do: control characters, marks of direction, and what has no width.
func escaped(text, kept string) string {
	visible := func(r rune) bool { return unicode.IsGraphic(r) || strings.ContainsRune(kept, r) }
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !visible(r) }) {
		return text
	}
	var b strings.Builder
	for _, r := range text { // what is not UTF-8 is a replacement character
		switch high, low := utf16.EncodeRune(r); {
		case visible(r):
			b.WriteRune(r)
		case high != utf8.RuneError:
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// oneLine is text that ends no line and no column.
func oneLine(text string) string { return escaped(text, "") }

// sayf prints a line for people; no text in it ends the line.
func (a *app) sayf(format string, args ...any) {
	for i, arg := range args {
		if text := reflect.ValueOf(arg); text.Kind() == reflect.String {
			args[i] = oneLine(text.String())
		}
	}
	fmt.Fprintf(a.stdout, format+"\n", args...)
}

// complain prints what is wrong. What follows an end of line, which may be that of a name,
// cannot be taken for a line of its own. pgx indents with a tab.
func (a *app) complain(text string) {
	fmt.Fprintln(a.stderr, "flightbill:", strings.NewReplacer("\n\t", "\n  ", "\n", "\n  ").Replace(text))
}

// printJSON writes a value for programs.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// table writes aligned columns for people. A column whose heading begins with
// > is aligned to the right.
func table(w io.Writer, headings []string, rows [][]string) error {
	widths := make([]int, len(headings))
	for _, row := range rows {
		for i, cell := range row {
			cell = oneLine(cell)
			row[i] = cell
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	right := make([]bool, len(headings))
	for i, h := range headings {
		headings[i], right[i] = strings.CutPrefix(h, ">")
		widths[i] = max(widths[i], len(headings[i]))
	}
	var text strings.Builder
	for _, row := range append([][]string{headings}, rows...) {
		var line strings.Builder
		for i, cell := range row {
			width := widths[i]
			if !right[i] {
				width = -width
			}
			fmt.Fprintf(&line, "%*s  ", width, cell)
		}
		text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// tableWithLines is a table with lines below each row.
func tableWithLines(w io.Writer, headings []string, rows, below [][]string) error {
	var plain strings.Builder
	if err := table(&plain, headings, rows); err != nil {
		return err
	}
	i := -1 // the heading's
	for line := range strings.Lines(plain.String()) {
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
		if i >= 0 {
			for _, text := range below[i] {
				fmt.Fprintln(w, "    "+oneLine(text))
			}
		}
		i++
	}
	return nil
}

// stepLines writes how an amount came about, a fact or figure a line.
func stepLines(steps []billing.Step) []string {
	lines := make([]string, len(steps))
	for i, s := range steps {
		lines[i] = s.What + " " + s.Value
		if s.How != "" {
			lines[i] += ": " + s.How
		}
		if s.From != "" {
			lines[i] += ", from " + s.From
		}
	}
	return lines
}

// money writes an amount with its currency's decimals and grouped thousands.
func money(amount decimal.Decimal, currency string) string {
	places, known := billing.MinorUnits(currency)
	if !known {
		places = 2
	}
	whole, fraction, hasFraction := strings.Cut(amount.Abs().StringFixed(places), ".")
	grouped := groupThousands(whole)
	if hasFraction {
		grouped += "." + fraction
	}
	if amount.IsNegative() {
		grouped = "-" + grouped
	}
	return grouped
}

func count(n int64) string { return groupThousands(strconv.FormatInt(n, 10)) }

func groupThousands(digits string) string {
	var b strings.Builder
	for i, r := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// progress shows how far long work has got: a bar on a terminal, a plain line
// now and then elsewhere.
type progress struct {
	bar  *progressbar.ProgressBar
	w    io.Writer
	what string
	of   int64
	next time.Time
}

const plainLineInterval = 5 * time.Second

// newProgress begins; of is 0 where nobody knows how much there is.
func newProgress(w io.Writer, what string, of int64) *progress {
	p := &progress{w: w, what: what, of: of, next: time.Now().Add(plainLineInterval)}
	if isTerminal(w) {
		if s, ok := w.(screen); ok {
			w = s.Writer // a bar commands the terminal
		}
		size := of
		if size == 0 {
			size = -1
		}
		p.bar = progressbar.NewOptions64(size, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish())
	}
	return p
}

func (p *progress) set(done int64) {
	if p.bar != nil {
		_ = p.bar.Set64(done)
		return
	}
	if time.Now().Before(p.next) {
		return
	}
	p.next = time.Now().Add(plainLineInterval)
	if p.of > 0 {
		fmt.Fprintf(p.w, "%s: %s of %s\n", p.what, count(done), count(p.of))
	} else {
		fmt.Fprintf(p.w, "%s: %s\n", p.what, count(done))
	}
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

func isTerminal(stream any) bool {
	if s, ok := stream.(screen); ok {
		stream = s.Writer
	}
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
