package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flightbill/flightbill/jobs"
)

// row is one line of the table.
type row struct {
	what      string // what is measured, with its size
	figure    string
	yardstick string
	ratio     string // figure to yardstick
	target    string
	met       string
}

const none = "–"

// compared makes a row of the figures of each pass and those of the yardstick
// in the same passes; yardstick is that one's unit and what it is. limit, where it
// is given, is on the median figure.
func compared(what, unit string, figures []float64, yardstick string, theirs []float64, limit *limit) row {
	return row{
		what: what, figure: with(median(figures), unit), yardstick: with(median(theirs), yardstick),
		ratio: ratios(figures, theirs), target: limit.String(), met: limit.met(median(figures)),
	}
}

// within makes the ratio the target: the figure is to be at most so many times
// its yardstick.
func (r row) within(times float64, figures, theirs []float64) row {
	r.target = "ratio of at most " + number(times)
	r.met = below(times, "").met(median(each(figures, theirs)))
	return r
}

// atLeast is within the other way round, for figures of which more is better.
func (r row) atLeast(times float64, figures, theirs []float64) row {
	r.target = "ratio of at least " + number(times)
	r.met = above(times, "").met(median(each(figures, theirs)))
	return r
}

// limit is a target: a figure must not pass it.
type limit struct {
	than  float64
	unit  string
	above bool // the figure must be above
}

func above(than float64, unit string) *limit { return &limit{than, unit, true} }
func below(than float64, unit string) *limit { return &limit{than, unit, false} }

func (l *limit) String() string {
	switch {
	case l == nil:
		return none
	case l.above:
		return "over " + with(l.than, l.unit)
	default:
		return "under " + with(l.than, l.unit)
	}
}

func (l *limit) met(figure float64) string {
	switch {
	case l == nil:
		return none
	case l.above && figure > l.than, !l.above && figure < l.than:
		return "yes"
	default:
		return "**no**"
	}
}

// each returns the ratio of every pass.
func each(figures, theirs []float64) []float64 {
	all := make([]float64, len(figures))
	for i := range figures {
		all[i] = figures[i] / theirs[i]
	}
	return all
}

// ratios is the median of the passes' ratios and, in brackets, the lowest and
// the highest, which tell how noisy the machine was.
func ratios(figures, theirs []float64) string {
	all := each(figures, theirs)
	return fmt.Sprintf("%.2f (%.2f to %.2f)", median(all), slices.Min(all), slices.Max(all))
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile interpolates between the two nearest values, so that the median of
// two passes is their mean.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

func with(figure float64, unit string) string { return number(figure) + " " + unit }

// number has three digits that mean something, and groups thousands.
func number(figure float64) string {
	decimals := 2
	switch {
	case figure >= 100:
		decimals = 0
	case figure >= 10:
		decimals = 1
	}
	text := strconv.FormatFloat(figure, 'f', decimals, 64)
	if decimals == 0 {
		for i := len(text) - 3; i > 0; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	}
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

func count(n int) string { return number(float64(n)) }

// conditions are what the figures were measured under.
type conditions struct {
	at       time.Time
	command  string
	load     string
	fsync    time.Duration
	postgres string
	server   string
}

func observe(o options, args []string) conditions {
	c := conditions{at: time.Now().UTC(), command: strings.TrimSpace("go run ./benchmarks " + strings.Join(args, " ")), load: "unknown"}
	if o.database != "" { // it may hold a password
		c.command = strings.ReplaceAll(c.command, o.database, "URL")
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		c.load, _, _ = strings.Cut(string(load), " ")
	}
	c.fsync = fsyncTime(o.dir)
	return c
}

// fsyncTime is how long the disk takes to keep a page: the price of a commit
// by itself. Next to nothing means that the disk does not really keep it.
func fsyncTime(dir string) time.Duration {
	if dir == "" {
		dir = os.TempDir()
	}
	file, err := os.CreateTemp(filepath.Clean(dir), "flightbill-fsync-")
	if err != nil {
		return 0
	}
	defer os.Remove(file.Name())
	defer file.Close()
	page := make([]byte, 8192)
	var took []float64
	for range 50 {
		started := time.Now()
		if _, err := file.WriteAt(page, 0); err != nil || file.Sync() != nil {
			return 0
		}
		took = append(took, float64(time.Since(started)))
	}
	return time.Duration(median(took))
}

func markdown(c conditions, rows []row) string {
	machine := jobs.ThisMachine(c.postgres, workers)
	var b strings.Builder
	fmt.Fprintf(&b, "# Results\n\n")
	fmt.Fprintf(&b, "- measured: %s\n", c.at.Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(&b, "- with: `%s`\n", c.command)
	fmt.Fprintf(&b, "- machine: %s, %d cores, load average %s at the start\n", machine.CPU, machine.CPUs, c.load)
	fmt.Fprintf(&b, "- disk: %s ms to fsync a page\n", number(float64(c.fsync.Microseconds())/1000))
	settings := "embedded, with the settings that `serve` gives it"
	if c.server == givenServer {
		settings = "given by `-database`, with its own settings and disk"
	}
	fmt.Fprintf(&b, "- software: %s; Postgres %s, %s\n\n", machine.Go, c.postgres, settings)
	b.WriteString("A ratio is the figure to its yardstick: the median of the passes (lowest to highest). README.md says what\neach line is.\n\n")
	b.WriteString("| measured | figure | yardstick | ratio | target | met |\n|---|--:|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.what, r.figure, r.yardstick, r.ratio, r.target, r.met)
	}
	return b.String()
}
