// Package schema writes a database's schema down as db/schema.sql has it.
package schema

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
)

// Major is the version of Postgres, and of pg_dump, that db/schema.sql comes
// from: others write the same schema in other words.
const Major = "15"

// ErrNoDump: there is no pg_dump on PATH, or it is of another version.
var ErrNoDump = errors.New("no pg_dump " + Major)

var versionRE = regexp.MustCompile(`^pg_dump \(PostgreSQL\) (\d+)`)

// Dump returns the schema of the database at a URL: what pg_dump writes,
// without its comments and its commands for psql, which hold versions and
// random tokens.
func Dump(ctx context.Context, url string) (string, error) {
	version, err := exec.CommandContext(ctx, "pg_dump", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoDump, err)
	}
	if found := versionRE.FindSubmatch(version); found == nil || string(found[1]) != Major {
		return "", fmt.Errorf("%w: the one on PATH says %q", ErrNoDump, strings.TrimSpace(string(version)))
	}
	cmd := exec.CommandContext(ctx, "pg_dump", "--schema-only", "--no-owner", "--dbname", url)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	dump, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("pg_dump: %w: %s", err, stderr.String())
	}
	return normalised(string(dump)), nil
}

func normalised(dump string) string {
	var b strings.Builder
	blank := true // none at the start
	for line := range strings.Lines(dump) {
		if strings.HasPrefix(line, "--") || strings.HasPrefix(line, `\`) {
			continue
		}
		if empty := line == "\n"; !empty || !blank {
			b.WriteString(line)
			blank = empty
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
