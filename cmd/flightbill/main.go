// Flightbill bills flights: see README.md.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // zones are there where the machine has none

	"github.com/flightbill/flightbill/db/embedded"
)

func main() {
	embedded.Main()
	os.Exit(run(context.Background(), os.Args[1:], os.LookupEnv, os.Stdin, os.Stdout, os.Stderr))
}
