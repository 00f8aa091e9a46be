package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flightbill/flightbill/db/dbtest"
)

// TestScripts runs the command line as a user would: testdata/script/*.txtar.
// "flightbill ARGS…" must exit 0, "fails N ARGS…" with status N.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			tb, ok := env.T().(testing.TB)
			if !ok {
				return errors.New("testscript's T is no testing.TB")
			}
			env.Setenv("DATABASE_URL", dbtest.URL(tb))
			env.Setenv("EMPTY_DATABASE_URL", dbtest.EmptyURL(tb))
			env.Setenv("FLIGHTBILL_RESULTS", "")
			env.Setenv("FLIGHTBILL_BILLING_START", "2013-01-01")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"flightbill": func(ts *testscript.TestScript, _ bool, args []string) { runScripted(ts, exitDone, args) },
			"fails": func(ts *testscript.TestScript, _ bool, args []string) {
				status := map[string]int{"1": exitFailed, "2": exitUsage}[args[0]]
				runScripted(ts, status, args[1:])
			},
		},
	})
}

func runScripted(ts *testscript.TestScript, want int, args []string) {
	env := func(name string) (string, bool) {
		value := ts.Getenv(name)
		return value, value != "" || name == "FLIGHTBILL_RESULTS"
	}
	for i, arg := range args {
		if strings.HasSuffix(arg, ".csv") || strings.HasSuffix(arg, ".csv.gz") || strings.HasSuffix(arg, ".txt") {
			args[i] = ts.MkAbs(arg)
		}
	}
	status := run(context.Background(), args, env, strings.NewReader(""), ts.Stdout(), ts.Stderr())
	if status != want {
		ts.Fatalf("flightbill %s: exit status %d, not %d", strings.Join(args, " "), status, want)
	}
}
