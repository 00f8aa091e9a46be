package billing

import (
	"fmt"
	"time"
)

// stay is the time on the stand that is billed with a movement.
type stay struct {
	known   bool // whether it has been looked up
	minutes ratio
	gap     gap
}

func (c *Case) stayOf() stay {
	on, off := c.Flight.OnBlockAt, c.Flight.OffBlockAt
	switch {
	case on == nil:
		return stay{known: true, gap: gap{kind: gapStay, fact: "on_block_at"}}
	case off == nil || !c.Now.IsZero() && off.After(c.Now.Add(clockSkew)):
		return stay{known: true, gap: gap{kind: gapStay, fact: "off_block_at"}}
	}
	switch {
	case on.Before(earliestLanding):
		return stay{known: true, gap: unusableGap("on_block_at",
			fmt.Sprintf("came on its stand (on_block_at) at %s, before %d: seconds? milliseconds are needed", instant(*on), earliestLanding.Year()))}
	case off.Before(*on):
		return stay{known: true, gap: unusableGap("off_block_at",
			fmt.Sprintf("left its stand (off_block_at %s) before it came on it (on_block_at %s): of two airports? the stay at one is needed", instant(*off), instant(*on)))}
	}
	elapsed := off.Sub(*on)
	return stay{known: true, minutes: ratio{n: int64(elapsed), d: int64(time.Minute)}}
}

// stayMinutes returns the stay as tariffs count it, looked up once: the source's own
// figure goes before the two times.
func (f *facts) stayMinutes() (ratio, gap) {
	if !f.stay.known {
		if value, _ := f.c.named("stay_minutes"); value.IsZero() {
			f.stay = f.c.stayOf()
		} else {
			n, gap := f.number("stay_minutes")
			f.stay = stay{known: true, minutes: number(n), gap: gap}
		}
	}
	return f.stay.minutes, f.stay.gap
}
