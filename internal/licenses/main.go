// Command licenses keeps THIRD_PARTY_LICENSES: the licences of what is in the binary, which have to go with it. Run it from the
// module's root:
//
//	go run ./internal/licenses           say whether the file is up to date; exit status 0: it is
//	go run ./internal/licenses -write    write it
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const file = "THIRD_PARTY_LICENSES"

// others are the folders with the licences of what is no Go module.
var others = map[string]string{
	"airportsdata 20260905 (https://pypi.org/project/airportsdata/)": "internal/airports",
	"sRGB2014.icc (https://www.color.org/srgbprofiles.xalter)":       "document/pdf/icc",
}

func main() {
	write := flag.Bool("write", false, "write the file")
	flag.Parse()
	if err := run(context.Background(), *write); err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, write bool) error {
	want, err := text(ctx)
	if err != nil {
		return err
	}
	if write {
		return os.WriteFile(file, []byte(want), 0o644) //nolint:gosec // for everybody
	}
	if found, err := os.ReadFile(file); err != nil {
		return err
	} else if string(found) != want {
		return fmt.Errorf("%s is not up to date: make generate", file)
	}
	fmt.Println(file, "is up to date")
	return nil
}

// text returns what the file has to hold: each text once, below the modules, or their folders, that it is of.
func text(ctx context.Context) (string, error) {
	folders, err := folders(ctx)
	if err != nil {
		return "", err
	}
	maps.Copy(folders, others)
	under := map[string][]string{} // modules and their folders, and others, by what their licence says
	for name, dir := range folders {
		licence, err := licence(dir)
		_, folder, _ := strings.Cut(name, "@")
		if errors.Is(err, errNone) && strings.Contains(folder, "/") {
			continue // its module's
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		if strings.HasPrefix(name, "golang.org/x/sys@") {
			under[licence] = append(under[licence], "Go's standard library")
		}
		under[licence] = append(under[licence], name)
	}
	for _, names := range under {
		slices.Sort(names)
	}
	var b strings.Builder
	b.WriteString(`flightbill's binary holds the Go modules below. Each is here with its licence and, where it has one, its notice; a folder
is named where what was copied into it has a licence of its own.
The source of a module of this version is at https://pkg.go.dev/ and its name; of those under the Mozilla Public
License 2.0 flightbill holds it unchanged, and offers it there. The codes, countries and time zones of airports are those of
airportsdata, a Python package; the fonts of PDFs are DejaVu's, and their colour profile is the International Color
Consortium's.

Not here are the licences of the npm packages in River UI's pages, such as react-dom, headlessui, reactflow and dagrejs:
the module riverqueue.com/riverui holds these packages bundled, without a list and without their texts. River UI's own
repository, https://github.com/riverqueue/riverui, names them in its package-lock.json, each with its licence.
`)
	for _, licence := range slices.SortedFunc(maps.Keys(under), func(a, b string) int { return strings.Compare(under[a][0], under[b][0]) }) {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(under[licence], "\n"), licence)
	}
	return b.String(), nil
}

// folders returns those of the packages in the binary, on all supported systems, and the ones around them up to their modules',
// by the module's name and version and the path in it.
func folders(ctx context.Context) (map[string]string, error) {
	found := map[string]string{}
	for _, system := range []string{"linux", "darwin"} {
		cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-f",
			"{{$dir := .Dir}}{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}}\t{{.Dir}}\t{{$dir}}{{end}}{{end}}", "./cmd/flightbill")
		cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			fields := strings.Split(strings.TrimSpace(line), "\t")
			if len(fields) != 3 {
				continue
			}
			module, root, dir := fields[0], fields[1], fields[2]
			for ; dir != root; dir = filepath.Dir(dir) {
				found[module+filepath.ToSlash(strings.TrimPrefix(dir, root))] = dir
			}
			found[module] = root
		}
	}
	return found, nil
}

var errNone = errors.New("it has no licence")

// licence returns the text of a folder's licence and notice.
func licence(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var texts []string
	for _, entry := range entries {
		name := strings.ToUpper(entry.Name())
		if strings.HasSuffix(name, ".GO") || !strings.HasPrefix(name, "LICENSE") && !strings.HasPrefix(name, "LICENCE") && !strings.HasPrefix(name, "COPYING") && !strings.HasPrefix(name, "NOTICE") {
			continue
		}
		files := []string{filepath.Join(dir, entry.Name())}
		if entry.IsDir() { // of several licences, as REUSE has it
			if files, err = filepath.Glob(filepath.Join(files[0], "*")); err != nil {
				return "", err
			}
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			texts = append(texts, strings.TrimSpace(strings.ReplaceAll(string(content), "\r\n", "\n")))
		}
	}
	if len(texts) == 0 {
		return "", errNone
	}
	all := strings.Join(texts, "\n\n")
	for _, known := range []string{
		"Mozilla Public License", "Apache License", "Permission is hereby granted, free of charge", "Redistribution and use in source and binary forms",
		"may be copied, distributed, \nembedded, made, used, and sold without restriction",
	} {
		if strings.Contains(all, known) {
			return all, nil
		}
	}
	return "", errors.New("its licence is none of MIT, BSD, Apache 2.0 and MPL 2.0: see whether flightbill may hold it")
}
