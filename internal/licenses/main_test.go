package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a module has copied from elsewhere has a licence of its own, deeper down.
func TestLicencesOfWhatModulesHaveCopied(t *testing.T) {
	t.Chdir("../..")
	all, err := text(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `(?m)^github\.com/riverqueue/river/rivershared@\S+/levenshtein$`, all)
	require.Regexp(t, `(?m)^github\.com/prometheus/client_golang@\S+/internal/github\.com/golang/gddo$`, all)
	require.Contains(t, all, "Mike Borsetti") // no Go module: the airports
}
