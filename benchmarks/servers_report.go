package main

import (
	"fmt"
	"slices"
	"strings"
)

// leastOnStock is how much of its pace flightbill should keep on a stock server,
// whose settings are for a small machine.
const leastOnStock = 2.0 / 3

// serversReport is flightbill on both servers.
type serversReport struct {
	Passes   int                  `json:"passes"`
	Settings map[string][]setting `json:"settings"` // by server
	Lines    []*serverLine        `json:"lines"`
}

// serverLine is one figure, of each pass.
type serverLine struct {
	What    string               `json:"what"`
	Unit    string               `json:"unit"`
	Figures map[string][]float64 `json:"figures"` // by server
	Refused string               `json:"refused,omitempty"`
	figure  func(outcome) float64
}

func newLine(what, unit string, figure func(outcome) float64) *serverLine {
	return &serverLine{What: what, Unit: unit, Figures: map[string][]float64{}, figure: figure}
}

// add takes an outcome in. One that is refused leaves the line without a ratio.
func (l *serverLine) add(server string, o outcome) {
	if o.Refused != "" {
		l.Refused = server + ": " + o.Refused
		return
	}
	l.Figures[server] = append(l.Figures[server], l.figure(o))
}

// last is for telling how it goes.
func (l *serverLine) last(server string) (figure float64, text string) {
	figures := l.Figures[server]
	if len(figures) == 0 || l.Refused != "" {
		return 0, "refused: " + l.Refused
	}
	figure = figures[len(figures)-1]
	return figure, with(figure, l.Unit)
}

// spread is the median of a server's passes with the lowest and the highest.
func (l *serverLine) spread(server string) string {
	figures := l.Figures[server]
	if len(figures) == 0 {
		return none
	}
	return fmt.Sprintf("%s (%s to %s)", with(median(figures), l.Unit), number(slices.Min(figures)), number(slices.Max(figures)))
}

// ratio is how much of the embedded server's pace the stock one keeps: the smaller
// a time, the higher.
func (l *serverLine) ratio() (ratio, met string) {
	if l.Refused != "" {
		return refusal(l.Refused), "**no**"
	}
	figures, theirs := l.Figures[stockServer], l.Figures[embeddedServer]
	if l.Unit == "ms" {
		figures, theirs = theirs, figures
	}
	return ratios(figures, theirs), above(leastOnStock, "").met(median(each(figures, theirs)))
}

func (r *serversReport) markdown() string {
	version := func(server string) string { return r.Settings[server][0].Value }
	var b strings.Builder
	fmt.Fprintf(&b, "flightbill on the embedded server (Postgres %s) and on a stock one (Postgres %s), each with the settings it comes with, so that "+
		"a client's commit waits for the disk, in %d passes: the median (lowest to highest). The pace on stock is a ratio of flights or rows a second, or the inverse one of times, pass by pass.\n\n",
		version(embeddedServer), version(stockServer), r.Passes)
	b.WriteString("| | embedded server | stock server | pace on stock to embedded | two thirds or more |\n|---|--:|--:|--:|---|\n")
	for _, l := range r.Lines {
		ratio, met := l.ratio()
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", l.What, l.spread(embeddedServer), l.spread(stockServer), ratio, met)
	}
	return b.String()
}

// settings are shown for both, those that are the same too: they are the ones that
// a reader would ask about.
func (r *serversReport) settings() string {
	var b strings.Builder
	b.WriteString("| setting | embedded server | stock server |\n|---|---|---|\n")
	stock := r.Settings[stockServer]
	for i, s := range r.Settings[embeddedServer] {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", s.Name, s.Value, stock[i].Value)
	}
	return b.String()
}
