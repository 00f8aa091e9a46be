package local

import "errors"

// ErrNoJava is returned where this machine lacks what Pinot needs: Java 11 or newer, and, until the jars have been
// fetched, Maven.
var ErrNoJava = errors.New("install Java 11 or newer, and Maven, so that java and mvn are on PATH")
