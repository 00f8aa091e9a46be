// Command functions brings the migrations up to date with db/functions. Run it from
// the module's root:
//
//	go run ./internal/functions                  say what differs; nothing: exit status 0
//	go run ./internal/functions -migration what  write a migration 000NN_what.sql: new texts up, old ones down
//	go run ./internal/functions -amend           change the texts where they stand: before a release only
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/flightbill/flightbill/internal/functions/source"
)

const (
	files      = "db/functions"
	migrations = "migrations"
)

func main() {
	what := flag.String("migration", "", "write a migration of this name, such as queue_priorities")
	amend := flag.Bool("amend", false, "change the texts in the migrations that have them")
	flag.Parse()
	if err := run(*what, *amend); err != nil {
		fmt.Fprintln(os.Stderr, "functions:", err)
		os.Exit(1)
	}
}

func run(what string, amend bool) error {
	if _, err := os.Stat(files); err != nil {
		return fmt.Errorf("run this from the module's root: %w", err)
	}
	now, err := source.Files(os.DirFS(files))
	if err != nil {
		return err
	}
	before, err := source.Migrated(os.DirFS(migrations))
	if err != nil {
		return err
	}
	changes := source.Changes(now, before)
	switch {
	case len(changes) == 0:
		fmt.Println("the migrations have all functions as they are in", files)
		return nil
	case what != "":
		return write(what, changes)
	case amend:
		return amendAll(changes)
	}
	for _, c := range changes {
		fmt.Println("differs:", c.Name())
	}
	return errors.New("the migrations have not all functions as they are in " + files + "; write a migration with -migration NAME")
}

func write(what string, changes []source.Change) error {
	if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(what) {
		return fmt.Errorf("-migration %q: a name is small letters, digits and _", what)
	}
	there, err := filepath.Glob(filepath.Join(migrations, "*.sql")) // sorted
	if err != nil {
		return err
	}
	var newest int
	if _, err := fmt.Sscanf(filepath.Base(there[len(there)-1]), "%d_", &newest); err != nil {
		return fmt.Errorf("the number of the newest migration: %w", err)
	}
	file := filepath.Join(migrations, fmt.Sprintf("%05d_%s.sql", newest+1, what))
	title := strings.ToUpper(what[:1]) + strings.ReplaceAll(what[1:], "_", " ") + "."
	fmt.Println("writing", file)
	return os.WriteFile(file, []byte(source.Migration(title, changes)), 0o644) //nolint:gosec // a source file, for all to read
}

func amendAll(changes []source.Change) error {
	for _, c := range changes {
		if c.Old.Text == "" || c.New.Text == "" {
			return fmt.Errorf("function %s is in a migration or in %s, not in both: add or remove its block by hand, then its file and the migration agree", c.Name(), files)
		}
		file := filepath.Join(migrations, c.Old.File)
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Println("amending", file, c.Name())
		if err := os.WriteFile(file, []byte(source.Amend(string(text), []source.Change{c})), 0o644); err != nil { //nolint:gosec // a source file, for all to read
			return err
		}
	}
	return nil
}
