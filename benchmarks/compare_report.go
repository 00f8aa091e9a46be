package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flightbill/flightbill/jobs"
)

// report is what comparison.json holds.
type report struct {
	Measured string       `json:"measured"`
	Command  string       `json:"command"`
	CPU      string       `json:"cpu"`
	Cores    int          `json:"cores"`
	Load     string       `json:"load_at_start"`
	FsyncMS  float64      `json:"fsync_ms"`
	Go       string       `json:"go"`
	Postgres string       `json:"postgres"`
	Flights  int          `json:"flights"`
	Passes   int          `json:"passes"`
	LeftOut  []string     `json:"left_out,omitempty"`
	Peers    []peerReport `json:"contenders"`
	Targets  []target     `json:"targets"`

	Servers *serversReport `json:"servers,omitempty"`
}

type peerReport struct {
	Name      string               `json:"name"`
	Label     string               `json:"label"`
	Family    string               `json:"family"`
	Workers   int                  `json:"workers"`
	Taken     int                  `json:"jobs_taken,omitempty"`
	Processes int                  `json:"processes"`
	Flights   int                  `json:"flights"`
	Settings  string               `json:"settings"`
	Limited   string               `json:"limited_by"`
	Turns     map[string][]outcome `json:"turns"` // by Pinot's delay
	Latency   *latencyReport       `json:"enqueue_to_saved,omitempty"`
}

type latencyReport struct {
	P50     float64   `json:"p50_ms"`
	P90     float64   `json:"p90_ms"`
	P99     float64   `json:"p99_ms"`
	Max     float64   `json:"max_ms"`
	Samples []float64 `json:"samples_ms"`
}

// target is one that flightbill sets itself, and what came of it.
type target struct {
	What   string `json:"what"`
	Figure string `json:"figure"`
	Target string `json:"target"`
	Met    string `json:"met"`
}

func newReport(c conditions, run *comparison, found []measured) *report {
	machine := jobs.ThisMachine(c.postgres, workers)
	r := &report{
		Measured: c.at.Format("2006-01-02 15:04 MST"), Command: c.command, CPU: machine.CPU, Cores: machine.CPUs, Load: c.load,
		FsyncMS: float64(c.fsync.Microseconds()) / 1000, Go: machine.Go, Postgres: c.postgres, Flights: run.size(fullFlights), Passes: run.passes,
		Servers: run.onServers,
	}
	if run.noNode != "" {
		r.LeftOut = append(r.LeftOut, fmt.Sprintf("Node's contenders are left out: %s", run.noNode))
	}
	if run.noPgbench {
		r.LeftOut = append(r.LeftOut, "pgbench is not on PATH: a loop in Go on 5 connections does the ceiling's work")
	}
	if run.noStock != "" {
		r.LeftOut = append(r.LeftOut, fmt.Sprintf("the stock server is left out: %s", run.noStock))
	}
	for _, m := range found {
		p := peerReport{
			Name: m.peer.name, Label: m.peer.label, Family: m.peer.family, Workers: m.peer.workers, Taken: m.peer.taken, Processes: m.peer.processes,
			Flights: int(float64(r.Flights) * m.peer.part), Settings: m.peer.settings, Limited: m.peer.limited, Turns: map[string][]outcome{},
		}
		var all []float64
		refused := false
		for delay, turns := range m.outcomes {
			p.Turns[delay.String()] = turns
			for _, o := range turns {
				all = append(all, o.latencies...)
				refused = refused || o.Refused != ""
			}
		}
		for _, o := range m.singles {
			all = append(all, o.latencies...)
			refused = refused || o.Refused != ""
		}
		if len(all) > 0 && !refused {
			slices.Sort(all)
			p.Latency = &latencyReport{median(all), quantile(all, 0.9), quantile(all, 0.99), all[len(all)-1], all}
		}
		r.Peers = append(r.Peers, p)
	}
	r.setTargets()
	return r
}

// figures are those of a contender's turns; none where one was refused.
func (p *peerReport) figures(delay time.Duration, figure func(outcome) float64) (all []float64) {
	for _, o := range p.Turns[delay.String()] {
		if o.Refused != "" {
			return nil
		}
		all = append(all, figure(o))
	}
	return all
}

func (p *peerReport) rates(delay time.Duration) []float64 {
	return p.figures(delay, func(o outcome) float64 { return o.FlightsPerSecond })
}

func (r *report) find(name string) *peerReport {
	for i := range r.Peers {
		if r.Peers[i].Name == name {
			return &r.Peers[i]
		}
	}
	return &peerReport{}
}

// cores is how many it has in use, with Postgres'.
func (p *peerReport) cores(delay time.Duration) []float64 {
	return p.figures(delay, func(o outcome) float64 { return (o.CPUPer1000 + o.PostgresPer1000) / 1000 * o.FlightsPerSecond })
}

// best is the fastest contender that is not flightbill.
func (r *report) best(delay time.Duration) *peerReport {
	best, found := 0.0, &peerReport{}
	for i, p := range r.Peers {
		if rates := p.rates(delay); len(rates) > 0 && (p.Family == node || p.Family == plain) && median(rates) > best {
			best, found = median(rates), &r.Peers[i]
		}
	}
	return found
}

// compare sets a target for how many times another's figures flightbill's are; nil
// where there are none.
func (r *report) compare(what string, figures, theirs []float64, least float64) *target {
	if len(figures) == 0 || len(figures) != len(theirs) {
		return nil
	}
	r.Targets = append(r.Targets, target{
		what, ratios(figures, theirs) + " times", fmt.Sprintf("%s or more", number(least)), above(least, "").met(median(each(figures, theirs))),
	})
	return &r.Targets[len(r.Targets)-1]
}

// limit sets a target for flightbill's own figures.
func (r *report) limit(what string, figures []float64, l *limit) {
	if len(figures) > 0 {
		r.Targets = append(r.Targets, target{what, with(median(figures), l.unit), l.String(), l.met(median(figures))})
	}
}

func (r *report) setTargets() {
	five := r.find("flightbill-1x5")
	for _, delay := range delays {
		r.compare(fmt.Sprintf("5 workers to pg-boss's transactional batches of 20, Pinot %v", delay), five.rates(delay), r.find("pgboss-batch").rates(delay), 3)
	}
	for _, delay := range delays {
		best := r.best(delay)
		r.compare(fmt.Sprintf("5 workers to the best of the others (%s), Pinot %v", best.Label, delay), five.rates(delay), best.rates(delay), 1)
	}
	r.compare("1 worker to 5, Pinot 0s", r.find("flightbill-1x1").rates(0), five.rates(0), 0.5)
	r.limit(fmt.Sprintf("5 workers, Pinot %v", slow), five.rates(slow), above(3_000, "flights/s"))
	r.setProportion(five)
	r.setScaling(five, r.find("flightbill-2x5"))
	r.limit("peak memory, 5 workers", five.figures(0, func(o outcome) float64 { return o.PeakMemoryMB }), below(60, "MB"))
	if l := five.Latency; l != nil {
		r.limit("a lone flight, enqueued to saved on an idle system, p50", []float64{l.P50}, below(5, "ms"))
		r.limit("a lone flight, enqueued to saved on an idle system, p99", []float64{l.P99}, below(15, "ms"))
	}
}

// setProportion has five workers wait for Pinot alone: each with a batch, for one answer.
func (r *report) setProportion(five *peerReport) {
	rates := five.rates(slowest)
	if len(rates) == 0 {
		return
	}
	perSecond := workers * jobs.DefaultBatch / slowest.Seconds()
	most := slices.Repeat([]float64{perSecond}, len(rates))
	asked := slices.Max(five.figures(slowest, func(o outcome) float64 { return o.AskedPer }))
	met := above(0.85, "").met(median(each(rates, most)))
	if asked != 1 {
		met = "**no**"
	}
	r.Targets = append(r.Targets, target{
		fmt.Sprintf("5 workers, Pinot %v, to one batch of %d each per answer (%s flights/s)", slowest, jobs.DefaultBatch, number(perSecond)),
		fmt.Sprintf("%s times, look-ups per flight: %s", ratios(rates, most), number(asked)), "0.85 or more, each flight asked for once", met,
	})
}

// setScaling counts only where one process leaves cores for a second.
func (r *report) setScaling(one, two *peerReport) {
	t := r.compare(fmt.Sprintf("2 processes to 1, Pinot %v", slower), two.rates(slower), one.rates(slower), 1.7)
	if t == nil {
		return
	}
	cores := median(one.cores(slower))
	t.Figure += fmt.Sprintf(", one uses %s of %d cores", number(cores), r.Cores)
	t.Target += ", where one uses half of them at most"
	if 2*cores > float64(r.Cores) {
		t.Met = none
	}
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# flightbill beside what else flights could be billed with\n\n")
	fmt.Fprintf(&b, "- measured: %s, with `%s`\n", r.Measured, r.Command)
	fmt.Fprintf(&b, "- machine: %s, %d cores, load average %s at the start; %s ms to fsync a page\n", r.CPU, r.Cores, r.Load, number(r.FsyncMS))
	fmt.Fprintf(&b, "- software: %s; Postgres %s, embedded, on the same machine as all contenders; nobody's commit waits for the disk (`synchronous_commit = off`), as flightbill's saves do not\n", r.Go, r.Postgres)
	fmt.Fprintf(&b, "- %s flights each, %d passes, the second in reverse order; a figure is the median\n", count(r.Flights), r.Passes)
	for _, line := range r.LeftOut {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\nREADME.md says how it is measured.\n")
	stock := ""
	if r.Servers != nil {
		stock = "\n## Stock server\n\n" + r.Servers.markdown() + "\n" + r.Servers.settings()
	}
	if len(r.Peers) == 0 {
		return b.String() + stock
	}
	b.WriteString("\n## Throughput and latency\n\n" + r.table())
	b.WriteString("\n![flights per second](throughput.svg)\n\n![enqueue to saved](latency.svg)\n\n![flightbill by workers and processes](scaling.svg)\n")
	b.WriteString("\n## More processes\n\n" + r.processes())
	b.WriteString("\n## What flightbill aims at\n\n" + r.targets())
	b.WriteString(stock)
	b.WriteString("\n## What it costs\n\nWith Pinot at 0 ms; per flight, from the moment that all are queued until no job is left.\n\n" + r.costs())
	b.WriteString("\n## Settings, and what limits each\n\n")
	for _, p := range r.Peers {
		fmt.Fprintf(&b, "- **%s** (`%s`). Settings: %s. Limited by: %s.\n", p.Label, p.Name, p.Settings, p.Limited)
	}
	return b.String()
}

func (r *report) table() string {
	var b strings.Builder
	b.WriteString("| contender | workers | flights/s, Pinot 0 ms | flights/s, Pinot 5 ms | enqueue to saved, p50 | p99 | peak memory |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, p := range r.Peers {
		p50, p99 := none, none
		if p.Latency != nil {
			p50, p99 = with(p.Latency.P50, "ms"), with(p.Latency.P99, "ms")
		}
		memory := none
		if p.Family != bound {
			memory = figureOf(p.figures(0, func(o outcome) float64 { return o.PeakMemoryMB }), " MB")
		}
		workers := strconv.Itoa(p.Workers)
		if p.Taken > 0 {
			workers += fmt.Sprintf(", %d taken", p.Taken)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", p.bold(), workers, r.rate(&p, 0), r.rate(&p, delays[1]), p50, p99, memory)
	}
	return b.String()
}

// processes shows how far more of them help: as far as there are cores for them, and
// for what Postgres does.
func (r *report) processes() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| processes of %d workers | flights/s, Pinot 0 ms | 5 ms", workers)
	waits := []time.Duration{slow, slower}
	for _, delay := range waits {
		fmt.Fprintf(&b, " | %d ms | times one | cores in use, with Postgres'", delay.Milliseconds())
	}
	b.WriteString(" |\n|" + strings.Repeat("--:|", 3+3*len(waits)) + "\n")
	one := r.find("flightbill-1x5")
	for _, p := range r.Peers {
		if rates := p.rates(slow); len(rates) == 0 || len(rates) != len(one.rates(slow)) {
			continue
		}
		fmt.Fprintf(&b, "| %d | %s | %s", p.Processes, r.rate(&p, 0), r.rate(&p, delays[1]))
		for _, delay := range waits {
			times, cores := none, none
			if rates := p.rates(delay); len(rates) > 0 && len(rates) == len(one.rates(delay)) {
				times, cores = ratios(rates, one.rates(delay)), fmt.Sprintf("%s of %d", figureOf(p.cores(delay), ""), r.Cores)
			}
			fmt.Fprintf(&b, " | %s | %s | %s", r.rate(&p, delay), times, cores)
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

func (p *peerReport) bold() string {
	if p.Family == ours {
		return "**" + p.Label + "**"
	}
	return p.Label
}

func (r *report) rate(p *peerReport, delay time.Duration) string {
	for _, o := range p.Turns[delay.String()] {
		if o.Refused != "" {
			return refusal(o.Refused)
		}
	}
	return figureOf(p.rates(delay), "")
}

// refusal fits into a table; comparison.json has it whole.
func refusal(why string) string {
	why = strings.Join(strings.Fields(strings.ReplaceAll(why, "|", "/")), " ")
	return "refused: " + why[:min(len(why), 250)]
}

func figureOf(figures []float64, unit string) string {
	if len(figures) == 0 {
		return none
	}
	return number(median(figures)) + unit
}

func (r *report) costs() string {
	var b strings.Builder
	b.WriteString("| contender | its CPU, s per 1,000 flights | Postgres' CPU, s per 1,000 flights | WAL, bytes | transactions that write | dead tuples left |\n|---|--:|--:|--:|--:|--:|\n")
	for _, p := range r.Peers {
		if p.Family == bound {
			continue
		}
		cost := func(figure func(outcome) float64) string { return figureOf(p.figures(0, figure), "") }
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", p.bold(),
			cost(func(o outcome) float64 { return o.CPUPer1000 }), cost(func(o outcome) float64 { return o.PostgresPer1000 }),
			cost(func(o outcome) float64 { return o.WALPerFlight }), cost(func(o outcome) float64 { return o.TransactionsPer }),
			cost(func(o outcome) float64 { return o.DeadTuplesPer }))
	}
	return b.String()
}

func (r *report) targets() string {
	var b strings.Builder
	b.WriteString("| | measured | target | met |\n|---|---|---|---|\n")
	for _, t := range r.Targets {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", t.What, t.Figure, t.Target, t.Met)
	}
	return b.String()
}

// write writes the figures, the page and the plots.
func (r *report) write(dir string) error {
	figures, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	var failures []error
	for name, text := range map[string]string{
		"comparison.json": string(figures) + "\n", "COMPARISON.md": r.markdown(),
		"throughput.svg": r.plotThroughput(), "latency.svg": r.plotLatency(), "scaling.svg": r.plotScaling(),
	} {
		failures = append(failures, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)) //nolint:gosec // for everyone to read
	}
	return errors.Join(failures...)
}

const (
	showBegin = "<!-- written by make bench: from here -->\n"
	showEnd   = "<!-- to here -->\n"
)

// show puts the table and the plots into a page, between its two marks.
func (r *report) show(page string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), showBegin)
	_, after, foundEnd := strings.Cut(rest, showEnd)
	if !found || !foundEnd {
		return fmt.Errorf("%s has not both marks between which the comparison goes", page)
	}
	servers := ""
	if r.Servers != nil {
		servers = "\n" + r.Servers.markdown()
	}
	part := fmt.Sprintf("Measured %s on %s, %d cores, Postgres %s on the same machine; %s flights each, the median of %d passes.\n\n%s\n%s",
		r.Measured, r.CPU, r.Cores, r.Postgres, count(r.Flights), r.Passes, r.table()+"\n"+r.processes()+servers,
		"![flights per second](benchmarks/throughput.svg)\n\n![enqueue to saved](benchmarks/latency.svg)\n\n![flightbill by workers and processes](benchmarks/scaling.svg)\n")
	return os.WriteFile(page, []byte(before+showBegin+part+showEnd+after), 0o644) //nolint:gosec // for everyone to read
}
