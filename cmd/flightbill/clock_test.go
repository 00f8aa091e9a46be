package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/flightbill/flightbill/db/embedded"
)

// simulatedClock gives processes of the test binary a time of their own that
// all of them agree on: as many seconds for each real one as factor says, until
// it stops. Only tests can ask for it; the binary has no such setting.
type simulatedClock struct {
	from, until time.Time
	began       time.Time // the real time at from
	factor      int64
}

const testClock = "FLIGHTBILL_TEST_CLOCK"

func (c simulatedClock) Now() time.Time {
	now := c.from.Add(time.Duration(time.Now().UnixNano()-c.began.UnixNano()) * time.Duration(c.factor))
	if now.After(c.until) {
		return c.until
	}
	return now
}

// env hands the clock to a process.
func (c simulatedClock) env() string {
	return fmt.Sprintf("%s=%d %d %d %d", testClock, c.from.Unix(), c.until.Unix(), c.began.UnixNano(), c.factor)
}

func clockFrom(env string) (c simulatedClock, err error) {
	var from, until, began int64
	if _, err := fmt.Sscan(env, &from, &until, &began, &c.factor); err != nil {
		return c, fmt.Errorf("%s=%q: %w", testClock, env, err)
	}
	c.from, c.until, c.began = time.Unix(from, 0).UTC(), time.Unix(until, 0).UTC(), time.Unix(0, began)
	return c, nil
}

// mainWithClock is main, by a clock that a test set.
func mainWithClock(env string) {
	embedded.Main()
	clock, err := clockFrom(env)
	if err != nil {
		panic(err)
	}
	// River's clock is the real one: its minute may be weeks here.
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: clock.Now, lookEvery: 200 * time.Millisecond}
	os.Exit(a.run(context.Background(), os.Args[1:], os.LookupEnv))
}
