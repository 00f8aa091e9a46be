// Package source compares the two places where the text of an SQL function stands:
//
//   - db/functions/NAME.sql has it once, as it is now; that is where it is changed.
//   - The migrations have it as goose runs it: a function's newest text is the last
//     one among them.
package source

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Function is an SQL function, with all that have its name: comments, CREATE OR REPLACE
// FUNCTION, and who may call them.
type Function struct {
	Name string
	File string // in which its text stands
	Text string
}

var (
	blockRE   = regexp.MustCompile(`(?ms)^-- \+goose StatementBegin\n(.*?)^-- \+goose StatementEnd\n`)
	createRE  = regexp.MustCompile(`(?ms)^CREATE OR REPLACE FUNCTION flightbill\.(\w+)\s*\((.*?)\)\s+RETURNS`)
	defaultRE = regexp.MustCompile(` DEFAULT [^,]*`)
	dropRE    = regexp.MustCompile(`(?m)^DROP FUNCTION flightbill\.(\w+)`)
)

const downMark = "-- +goose Down\n"

// Files returns the functions of a folder, one a file, sorted by name.
func Files(folder fs.FS) ([]Function, error) {
	names, err := fs.Glob(folder, "*.sql") // sorted
	if err != nil {
		return nil, err
	}
	functions := make([]Function, len(names))
	for i, file := range names {
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			return nil, err
		}
		created := createRE.FindAllSubmatch(text, -1)
		name := strings.TrimSuffix(path.Base(file), ".sql")
		if len(created) == 0 || slices.ContainsFunc(created, func(c [][]byte) bool { return string(c[1]) != name }) {
			return nil, fmt.Errorf("%s must have CREATE OR REPLACE FUNCTION flightbill.%s at the start of a line, and no other", file, name)
		}
		functions[i] = Function{Name: name, File: file, Text: string(text)}
	}
	return functions, nil
}

// Migrated returns the functions that a folder of migrations leaves, each with its
// newest text, sorted by name. A function that a file drops and makes is one that it
// makes anew.
func Migrated(folder fs.FS) ([]Function, error) {
	files, err := fs.Glob(folder, "*.sql")
	if err != nil {
		return nil, err
	}
	newest := map[string]Function{}
	for _, file := range files {
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			return nil, err
		}
		up, _, _ := strings.Cut(string(text), downMark)
		for _, dropped := range dropRE.FindAllStringSubmatch(up, -1) {
			delete(newest, dropped[1])
		}
		for _, block := range blockRE.FindAllStringSubmatch(up, -1) {
			if created := createRE.FindStringSubmatch(block[1]); created != nil {
				newest[created[1]] = Function{Name: created[1], File: file, Text: block[1]}
			}
		}
	}
	functions := make([]Function, 0, len(newest))
	for _, f := range newest {
		functions = append(functions, f)
	}
	slices.SortFunc(functions, func(a, b Function) int { return strings.Compare(a.Name, b.Name) })
	return functions, nil
}

// Change is a function whose two texts differ. Old is empty where no migration has
// it, New where no file does.
type Change struct{ Old, New Function }

// Name is the function's.
func (c Change) Name() string {
	if c.New.Name != "" {
		return c.New.Name
	}
	return c.Old.Name
}

// Changes lists what differs between the files and what the migrations leave, by name.
func Changes(files, migrated []Function) []Change {
	changes := map[string]Change{}
	for _, f := range files {
		changes[f.Name] = Change{New: f}
	}
	for _, f := range migrated {
		changes[f.Name] = Change{Old: f, New: changes[f.Name].New}
	}
	var list []Change
	for _, c := range changes {
		if c.Old.Text != c.New.Text {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b Change) int { return strings.Compare(a.Name(), b.Name()) })
	return list
}

// Migration is the text of a migration that makes changes, and takes them back.
func Migration(title string, changes []Change) string {
	const path = "SET LOCAL search_path = pg_catalog, pg_temp;\n"
	var up, down strings.Builder
	for _, c := range changes {
		step(&up, c.Old, c.New)
	}
	for _, c := range slices.Backward(changes) {
		step(&down, c.New, c.Old)
	}
	return "-- " + title + "\n\n-- +goose Up\n" + path + up.String() + "\n" + downMark + path + down.String()
}

// step writes the statements that make one text the other.
func step(b *strings.Builder, from, to Function) {
	b.WriteByte('\n')
	// Postgres replaces a function only where what it is given and what it returns stay.
	if from.Text != "" && signature(from.Text) != signature(to.Text) {
		b.WriteString(drop(from))
	}
	if to.Text != "" {
		b.WriteString("-- +goose StatementBegin\n" + to.Text + "-- +goose StatementEnd\n")
	}
}

// drop is with the arguments where there are several of the name.
func drop(f Function) string {
	created := createRE.FindAllStringSubmatch(f.Text, -1)
	if len(created) < 2 {
		return "DROP FUNCTION flightbill." + f.Name + ";\n"
	}
	var b strings.Builder
	for _, c := range created {
		fmt.Fprintf(&b, "DROP FUNCTION flightbill.%s(%s);\n", f.Name, defaultRE.ReplaceAllString(c[2], ""))
	}
	return b.String()
}

// signature is what stands between a function's name and its language, without the
// spaces; of all that have the name.
func signature(text string) string {
	var heads []string
	for _, start := range createRE.FindAllStringIndex(text, -1) {
		head, _, _ := strings.Cut(text[start[0]:], "LANGUAGE")
		heads = append(heads, strings.Join(strings.Fields(head), " "))
	}
	return strings.Join(heads, "\n")
}

// Amend puts new texts in place of old ones in a migration's text.
func Amend(migration string, changes []Change) string {
	for _, c := range changes {
		migration = strings.Replace(migration, "StatementBegin\n"+c.Old.Text, "StatementBegin\n"+c.New.Text, 1)
	}
	return migration
}
