//go:build unix

package local

import (
	_ "embed" // the pom
	"errors"
	"fmt"

	"github.com/flightbill/flightbill/internal/javajars"
)

// Version is the release of Pinot that runs.
const Version = "0.11.0"

// oldestJava is the oldest that Pinot's jars run on.
const oldestJava = 11

//go:embed pom.xml
var pom []byte

//go:embed jars.sha256
var known string

var jars = &javajars.Set{
	Name: "Pinot", Folder: "pinot-" + Version, POM: pom, Sums: known, SumsFile: "pinot/local/jars.sha256", Megabytes: 133,
}

// noJava says what to install where that is what is wrong.
func noJava(err error) error {
	if _, missing := errors.AsType[*javajars.MissingError](err); missing {
		return fmt.Errorf("%w: %w", ErrNoJava, err)
	}
	return err
}
