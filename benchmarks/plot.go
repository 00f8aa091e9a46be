package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"
)

// The plots are SVG with a style sheet: readable on a light page and on a dark one.
const (
	plotWidth = 900
	labelsEnd = 340 // where the labels end and the bars begin
	plotRight = 820 // where the longest bar ends
	plotTop   = 70
)

const plotStyle = `<style>
text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 } .small { font-size: 12px; fill: #59636e } .ours { font-weight: 600 }
.page { fill: #ffffff } .grid { stroke: #d1d9e0 } .end { text-anchor: end } .middle { text-anchor: middle }
.first { fill: #818b98 } .second { fill: #c8cfd6 } .first.ours { fill: #0969da } .second.ours { fill: #80bfff } .third.ours { fill: #b6e3ff }
.sample { stroke: #818b98; stroke-opacity: .4; fill: none } .sample.ours { stroke: #0969da }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .small { fill: #9198a1 } .page { fill: #0d1117 } .grid { stroke: #3d444d }
.first { fill: #9198a1 } .second { fill: #4d555e } .first.ours { fill: #4493f8 } .second.ours { fill: #1f4f8f } .third.ours { fill: #163356 }
.sample { stroke: #9198a1 } .sample.ours { stroke: #4493f8 } }
</style>
`

// plot is a drawing under way: rows below each other, values from left to right.
type plot struct {
	strings.Builder

	y int
}

// newPlot begins one with rows of so many pixels in all.
func newPlot(title, note string, rows int) *plot {
	p := &plot{y: plotTop}
	height := plotTop + rows + 20
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n",
		plotWidth, height, plotWidth, height, html.EscapeString(title))
	p.WriteString(plotStyle)
	fmt.Fprintf(p, `<rect class="page" width="%d" height="%d" rx="6"/>`+"\n", plotWidth, height)
	p.text("title", 16, 28, title)
	p.text("small", 16, 50, note)
	return p
}

func (p *plot) text(class string, x, y float64, text string) {
	fmt.Fprintf(p, `<text class="%s" x="%.0f" y="%.0f">%s</text>`+"\n", class, x, y, html.EscapeString(text))
}

func (p *plot) grid(x float64, label string, bottom int) {
	fmt.Fprintf(p, `<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`+"\n", x, x, plotTop, bottom)
	p.text("small middle", x, float64(plotTop-6), label)
}

func (p *plot) end() string { return p.String() + "</svg>\n" }

func ownClass(family string) string {
	if family == ours {
		return " ours"
	}
	return ""
}

// plotBars draws a bar for each of Pinot's delays a contender.
func plotBars(title, note string, peers []peerReport, delays ...time.Duration) string {
	const high, gap = 15, 8
	bars := 0
	for _, peer := range peers {
		bars += peer.bars(delays)
	}
	rows := bars*high + len(peers)*gap
	p := newPlot(title, "flights per second; first bar: Pinot answers at once, second: after 5 ms"+note, rows)
	most := 1.0
	for _, peer := range peers {
		for _, delay := range delays {
			if rates := peer.rates(delay); len(rates) > 0 {
				most = max(most, median(rates))
			}
		}
	}
	scale := (plotRight - labelsEnd) / most
	step := math.Pow(10, math.Floor(math.Log10(most)))
	if most/step < 3 {
		step /= 2
	}
	for value := step; value <= most; value += step {
		p.grid(labelsEnd+value*scale, number(value), plotTop+rows)
	}
	for _, peer := range peers {
		own := ownClass(peer.Family)
		p.text("end"+own, labelsEnd-10, float64(p.y+high*peer.bars(delays)/2+5), peer.Label)
		for i, delay := range delays {
			rates := peer.rates(delay)
			if len(rates) == 0 {
				continue
			}
			y, wide := p.y+i*high, median(rates)*scale
			fmt.Fprintf(p, `<rect class="%s%s" x="%d" y="%d" width="%.1f" height="%d"/>`+"\n", []string{"first", "second", "third"}[i], own, labelsEnd, y, wide, high-1)
			p.text("small", labelsEnd+wide+5, float64(y+high-4), number(median(rates)))
		}
		p.y += high*peer.bars(delays) + gap
	}
	return p.end()
}

// bars is how many a contender needs room for: up to the last one measured, for two at
// least.
func (p *peerReport) bars(delays []time.Duration) int {
	bars := 2
	for i, delay := range delays {
		if len(p.rates(delay)) > 0 {
			bars = max(bars, i+1)
		}
	}
	return bars
}

func (r *report) plotThroughput() string {
	var shown []peerReport
	for _, peer := range r.Peers {
		if peer.Processes == 1 {
			shown = append(shown, peer)
		}
	}
	return plotBars("Throughput", "", shown, delays...)
}

func (r *report) plotScaling() string {
	var shown []peerReport
	for _, peer := range r.Peers {
		if peer.Family == ours {
			shown = append(shown, peer)
		}
	}
	return plotBars(fmt.Sprintf("flightbill by workers and processes, %d cores for them and Postgres", r.Cores), fmt.Sprintf(", third: after %d ms", slow.Milliseconds()),
		shown, append(slices.Clone(delays), slow)...)
}

// plotLatency draws every sample, on a logarithmic scale, and a block at p50.
func (r *report) plotLatency() string {
	const high = 30
	var shown []peerReport
	longest, shortest := 10.0, 1.0
	for _, peer := range r.Peers {
		if peer.Latency != nil {
			shown = append(shown, peer)
			longest = max(longest, peer.Latency.Max)
			shortest = min(shortest, max(0.1, peer.Latency.Samples[0]))
		}
	}
	rows := len(shown) * high
	p := newPlot("Enqueue to saved on an idle system", "each stroke is one flight, the block is p50, the numbers are p50 and p99; logarithmic", rows)
	from := math.Floor(math.Log10(shortest))
	scale := (plotRight - labelsEnd - 80) / (math.Log10(longest) - from)
	at := func(ms float64) float64 { return labelsEnd + (math.Log10(max(ms, 0.1))-from)*scale }
	for exponent := from; exponent <= math.Log10(longest); exponent++ {
		ms := math.Pow(10, exponent)
		p.grid(at(ms), time.Duration(ms*float64(time.Millisecond)).String(), plotTop+rows)
	}
	for _, peer := range shown {
		own, l := ownClass(peer.Family), peer.Latency
		y := float64(p.y + high/2)
		p.text("end"+own, labelsEnd-10, y+4, peer.Label)
		fmt.Fprintf(p, `<path class="sample%s" d="`, own)
		last := ""
		for _, ms := range l.Samples {
			if x := fmt.Sprintf("M%.1f", at(ms)); x != last {
				fmt.Fprintf(p, "%s %.0fv14", x, y-7)
				last = x
			}
		}
		fmt.Fprintf(p, `"/><rect class="first%s" x="%.1f" y="%.0f" width="4" height="20"/>`+"\n", own, at(l.P50)-2, y-10)
		p.text("small", at(l.Max)+8, y+4, number(l.P50)+", "+with(l.P99, "ms"))
		p.y += high
	}
	return p.end()
}
