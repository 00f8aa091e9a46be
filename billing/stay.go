package billing

import (
	"time"

	"github.com/shopspring/decimal"
)

// stay is the time on the stand that is billed with a movement.
type stay struct {
	known   bool // whether it has been looked up
	minutes ratio
	gap     gap
}

// stayOf returns the stay by its two times, looked up once.
func (f *facts) stayOf() *stay {
	if !f.stay.known {
		f.stay = f.c.stayOf()
	}
	return &f.stay
}

func (c *Case) stayOf() stay {
	on, off := c.Flight.OnBlockAt, c.Flight.OffBlockAt
	switch {
	case on == nil:
		return stay{known: true, gap: gap{kind: gapStay, fact: "on_block_at"}}
	case off == nil || !c.Now.IsZero() && off.After(c.Now.Add(clockSkew)):
		return stay{known: true, gap: gap{kind: gapStay, fact: "off_block_at"}}
	}
	if what := unusableStay(&c.Flight); what != "" {
		return stay{known: true, gap: unusableGap("off_block_at", what)}
	}
	elapsed := off.Sub(*on)
	if elapsed%time.Minute == 0 {
		return stay{known: true, minutes: whole(decimal.NewFromInt(int64(elapsed / time.Minute)))}
	}
	return stay{known: true, minutes: ratio{decimal.New(int64(elapsed), -9), decimal.New(60, 0)}}
}

// stayMinutes returns the stay as tariffs count it: the source's own figure goes before
// the two times.
func (f *facts) stayMinutes() (ratio, gap) {
	if value, _ := f.c.named("stay_minutes"); !value.IsZero() {
		n, gap := f.number("stay_minutes")
		return whole(n), gap
	}
	s := f.stayOf()
	return s.minutes, s.gap
}
